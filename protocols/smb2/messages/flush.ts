/** MS-SMB2 2.2.17 and 2.2.18: FLUSH Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'
import { type FileId, readFileId, readStructureSize, writeFileId } from './structure.ts'

export interface FlushRequest {
  /**
   * 2.2.17 Reserved1: ignored by the specification's server. A Mac puts 0xFFFF here when it asks
   * for F_FULLFSYNC, so the number is kept.
   */
  reserved1: number
  fileId: FileId
}

/** FlushRequest.reserved1 of a Mac that wants a full sync. */
export const FULL_SYNC = 0xffff

export type FlushResponse = EmptyBody

const REQUEST_STRUCTURE_SIZE = 24

export function decodeFlushRequest(reader: Reader): FlushRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const reserved1 = reader.u16()
  reader.skip(4)
  return { reserved1, fileId: readFileId(reader) }
}

export function encodeFlushRequest(writer: Writer, m: FlushRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u16(m.reserved1).u32(0)
  writeFileId(writer, m.fileId)
}

export const decodeFlushResponse = decodeEmptyBody
export const encodeFlushResponse = encodeEmptyBody
