/** MS-SMB2 2.2.14 and 2.2.16: the times, sizes and attributes that CREATE and CLOSE responses share. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'

/** Times are FILETIME, sizes bytes. */
export interface FileAttributeFields {
  creationTime: bigint
  lastAccessTime: bigint
  lastWriteTime: bigint
  changeTime: bigint
  allocationSize: number
  endOfFile: number
  fileAttributes: number
}

export function readFileAttributes(reader: Reader): FileAttributeFields {
  return {
    creationTime: reader.u64(),
    lastAccessTime: reader.u64(),
    lastWriteTime: reader.u64(),
    changeTime: reader.u64(),
    allocationSize: reader.size64(),
    endOfFile: reader.size64(),
    fileAttributes: reader.u32(),
  }
}

export function writeFileAttributes(writer: Writer, m: FileAttributeFields): void {
  writer
    .u64(m.creationTime)
    .u64(m.lastAccessTime)
    .u64(m.lastWriteTime)
    .u64(m.changeTime)
    .size64(m.allocationSize)
    .size64(m.endOfFile)
    .u32(m.fileAttributes)
}
