/** AppleSingle/AppleDouble Formats for Foreign Files (Apple, 1990), version 2: the container in which netatalk, Samba and macOS keep a file's other parts. */

import { blob, struct, u16be, u32be } from 'buffer-layout'

/** What an entry holds. The last four are netatalk's own. */
export const EntryId = {
  resourceFork: 2,
  comment: 4,
  fileDates: 8,
  finderInfo: 9,
  afpFileInfo: 14,
  device: 0x8044_4556,
  inode: 0x8049_4e4f,
  syncStamp: 0x8053_594e,
  catalogId: 0x8053_567e,
} as const

const MAGIC = 0x0005_1607
const VERSION = 0x0002_0000
const FILLER_BYTES = 16
/** More than are defined; no file has so many. */
const MAXIMUM_ENTRIES = 32

interface Header {
  magic: number
  version: number
  filler: Buffer
  entries: number
}

const header = struct<Header>([
  u32be('magic'),
  u32be('version'),
  blob(FILLER_BYTES, 'filler'),
  u16be('entries'),
])

/** Where an entry's data stands, in bytes from the beginning of the container. */
export interface Entry {
  readonly id: number
  readonly offset: number
  readonly length: number
}

const descriptor = struct<Entry>([u32be('id'), u32be('offset'), u32be('length')])

/** "Netatalk" wrote it, or so it says; version 1 named the home file system here. */
const FILLER = Buffer.from('Netatalk'.padEnd(FILLER_BYTES))
/** As far as whether it is a container is known. */
export const SIGNATURE_BYTES = 8

/** Bytes of a header with so many entries. */
export function headerBytes(entries: number): number {
  return header.span + entries * descriptor.span
}

/** Bytes in which the headers of all containers that are understood end. */
export const MAXIMUM_HEADER_BYTES = headerBytes(MAXIMUM_ENTRIES)

/** Where in the container the entry at an index is described. */
export function descriptorOffset(index: number): number {
  return headerBytes(index)
}

/** Whether these are the first bytes of a container. */
export function isAppleDouble(bytes: Buffer): boolean {
  if (bytes.length < SIGNATURE_BYTES) return false
  return bytes.readUInt32BE(0) === MAGIC && bytes.readUInt32BE(SIGNATURE_BYTES / 2) === VERSION
}

/**
 * The entries of a container, in the order of their descriptors; undefined when it is none: cut, of another version, with
 * an entry twice, one that begins in the header, or one that does not end in the file.
 * @param fileBytes of the whole container, of which `bytes` may be the beginning
 */
export function decodeEntries(bytes: Buffer, fileBytes = bytes.length): readonly Entry[] | undefined {
  if (!isAppleDouble(bytes) || bytes.length < header.span) return undefined
  const { entries: count } = header.decode(bytes)
  if (count > MAXIMUM_ENTRIES || headerBytes(count) > bytes.length) return undefined
  const entries: Entry[] = []
  for (let index = 0; index < count; index++) {
    const entry = descriptor.decode(bytes, descriptorOffset(index))
    const isTwice = entries.some(({ id }) => id === entry.id)
    const isInside = entry.offset >= headerBytes(count) && entry.offset + entry.length <= fileBytes
    if (isTwice || !isInside) return undefined
    entries.push({ id: entry.id, offset: entry.offset, length: entry.length })
  }
  return entries
}

/** Writes the header for these entries at the beginning of `bytes`. */
export function encodeEntries(entries: readonly Entry[], bytes: Buffer): void {
  header.encode({ magic: MAGIC, version: VERSION, filler: FILLER, entries: entries.length }, bytes)
  entries.forEach((entry, index) => {
    descriptor.encode(entry, bytes, descriptorOffset(index))
  })
}
