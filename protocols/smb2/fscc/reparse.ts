/** MS-FSCC 2.1.2: reparse tags, REPARSE_DATA_BUFFER and the Symbolic Link Reparse Data Buffer. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

/** Tags of 2.1.2.1 that a file server meets. */
export const ReparseTag = {
  MOUNT_POINT: 0xa000_0003,
  SYMLINK: 0xa000_000c,
  NFS: 0x8000_0014,
  APPEXECLINK: 0x8000_001b,
  LX_SYMLINK: 0xa000_001d,
  AF_UNIX: 0x8000_0023,
  LX_FIFO: 0x8000_0024,
  LX_CHR: 0x8000_0025,
  LX_BLK: 0x8000_0026,
} as const

/** The target is relative to the link's directory. */
export const SYMLINK_FLAG_RELATIVE = 0x1

/** Largest REPARSE_DATA_BUFFER, header and all. */
export const MAXIMUM_REPARSE_DATA_BUFFER_BYTES = 16_384

const SYMLINK_FIXED_BYTES = 12

export interface ReparseDataBuffer {
  readonly reparseTag: number
  /** What follows the 8-byte header, as a view. */
  readonly data: Buffer
}

/** 2.1.2.2 REPARSE_DATA_BUFFER. @throws DecodeError when longer than the maximum, or than ReparseDataLength says */
export function decodeReparseDataBuffer(buffer: Buffer): ReparseDataBuffer {
  if (buffer.length > MAXIMUM_REPARSE_DATA_BUFFER_BYTES)
    throw new DecodeError('a reparse buffer above 16 KiB')
  const reader = new Reader(buffer)
  const reparseTag = reader.u32()
  const dataLength = reader.u16()
  const data = reader.skip(2).bytes(dataLength)
  if (reader.remaining > 0) throw new DecodeError('a reparse buffer longer than its data')
  return { reparseTag, data }
}

/** 2.1.2.4, with `\` between components. */
export interface SymbolicLink {
  readonly substituteName: string
  readonly printName: string
  /** SYMLINK_FLAG_RELATIVE or 0. */
  readonly flags: number
}

/** Reads the data of a buffer whose tag is SYMLINK. @throws DecodeError when a name lies outside */
export function decodeSymbolicLink(data: Buffer): SymbolicLink {
  const reader = new Reader(data)
  const substitute = { offset: reader.u16(), length: reader.u16() }
  const print = { offset: reader.u16(), length: reader.u16() }
  const flags = reader.u32()
  const pathBuffer = reader.sub(SYMLINK_FIXED_BYTES, reader.remaining)
  return {
    substituteName: pathBuffer.sub(substitute.offset, substitute.length).utf16(substitute.length),
    printName: pathBuffer.sub(print.offset, print.length).utf16(print.length),
    flags,
  }
}

/** The whole REPARSE_DATA_BUFFER of a symbolic link. */
export function encodeSymbolicLink(link: SymbolicLink): Buffer {
  const writer = new Writer().u32(ReparseTag.SYMLINK)
  const dataLength = writer.reserve(2)
  writer.u16(0)
  writer.part({ length: dataLength }, () => {
    const substituteBytes = link.substituteName.length * 2
    writer.u16(0).u16(substituteBytes)
    writer.u16(substituteBytes).u16(link.printName.length * 2)
    writer.u32(link.flags).utf16(link.substituteName).utf16(link.printName)
  })
  return writer.finish()
}
