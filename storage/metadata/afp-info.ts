/** The stream AFP_AfpInfo, by which Macs keep the Finder's information with SMB servers, and Apple's rules for reading and writing it. */

import { blob, struct, u32be } from 'buffer-layout'
import { StorageError } from '../errors.ts'

/** FInfo and FXInfo, or DInfo and DXInfo: type, creator, flags, place, date added. */
export const FINDER_INFO_BYTES = 32
const PRODOS_BYTES = 6
const PADDING_BYTES = 6

const SIGNATURE = 0x4146_5000 // "AFP\0"
const VERSION = 0x0000_0100
/** "Never": 0x80000000, which stands here with its bytes the other way round. */
const BACKUP_TIME = 0x0000_0080

interface Layout {
  signature: number
  version: number
  reserved: number
  backupTime: number
  finderInfo: Buffer
  proDos: Buffer
  padding: Buffer
}

const layout = struct<Layout>([
  u32be('signature'),
  u32be('version'),
  u32be('reserved'),
  u32be('backupTime'),
  blob(FINDER_INFO_BYTES, 'finderInfo'),
  blob(PRODOS_BYTES, 'proDos'),
  blob(PADDING_BYTES, 'padding'),
])
export const AFP_INFO_BYTES = layout.span

/** Less than the signature's letters is no AFP_AfpInfo. */
const LEAST_WRITE_BYTES = 3

/** The stream's 60 bytes for the Finder's information. @throws Error unless that has 32 bytes */
export function encodeAfpInfo(finderInfo: Uint8Array): Buffer {
  if (finderInfo.length !== FINDER_INFO_BYTES) throw new Error('the Finder has 32 bytes')
  const bytes = Buffer.alloc(AFP_INFO_BYTES)
  layout.encode(
    {
      signature: SIGNATURE,
      version: VERSION,
      reserved: 0,
      backupTime: BACKUP_TIME,
      finderInfo: Buffer.from(finderInfo),
      proDos: Buffer.alloc(PRODOS_BYTES),
      padding: Buffer.alloc(PADDING_BYTES),
    },
    bytes,
  )
  return bytes
}

/** The 32 bytes of the Finder, as a view; undefined unless these are 60 bytes with the right signature and version. */
export function decodeAfpInfo(bytes: Buffer): Buffer | undefined {
  if (bytes.length !== AFP_INFO_BYTES) return undefined
  const { signature, version, finderInfo } = layout.decode(bytes)
  return signature === SIGNATURE && version === VERSION ? finderInfo : undefined
}

/** What a file has to whose Finder information nobody wrote: reading a stream that was just made gives this. */
export function emptyAfpInfo(): Buffer {
  return encodeAfpInfo(Buffer.alloc(FINDER_INFO_BYTES))
}

/** "No information" is all zeros: a file whose information was set to that has no such stream. */
export function isEmptyFinderInfo(finderInfo: Uint8Array): boolean {
  return finderInfo.every((byte) => byte === 0)
}

/**
 * What a READ gives: on a Mac every offset inside the stream means its beginning, and so do clients take it.
 * @param stored absent: nothing was written yet
 */
export function readAfpInfo(stored: Buffer | undefined, position: number, length: number): Buffer {
  if (position > AFP_INFO_BYTES) return Buffer.alloc(0)
  return (stored ?? emptyAfpInfo()).subarray(0, length)
}

/**
 * The stream after a WRITE. As on a Mac the offset says nothing, what goes past 60 bytes is dropped, and the signature comes
 * with every write; away from the beginning all 60 bytes must.
 * @param stored absent: nothing was written yet
 * @throws StorageError 'invalid' for anything else
 */
export function writeAfpInfo(stored: Buffer | undefined, position: number, data: Uint8Array): Buffer {
  if (data.length < LEAST_WRITE_BYTES || (position > 0 && data.length < AFP_INFO_BYTES)) {
    throw new StorageError('invalid', 'a piece of AFP_AfpInfo')
  }
  const bytes = Buffer.from(stored ?? emptyAfpInfo())
  bytes.set(data.subarray(0, AFP_INFO_BYTES))
  if (decodeAfpInfo(bytes) === undefined) throw new StorageError('invalid', 'not an AFP_AfpInfo')
  return bytes
}

/** A new end of file changes nothing. @throws StorageError 'allotment-exceeded' past 60 bytes */
export function assertAfpInfoSize(size: number): void {
  if (size > AFP_INFO_BYTES) throw new StorageError('allotment-exceeded', 'AFP_AfpInfo has 60 bytes')
}
