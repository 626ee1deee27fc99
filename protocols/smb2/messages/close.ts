/** MS-SMB2 2.2.15 and 2.2.16: CLOSE Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { type FileAttributeFields, readFileAttributes, writeFileAttributes } from './file-attribute-fields.ts'
import { type FileId, readFileId, readStructureSize, writeFileId } from './structure.ts'

export interface CloseRequest {
  flags: number
  fileId: FileId
}

/** Without CLOSE_FLAG_POSTQUERY_ATTRIB in `flags`, all other fields are 0. */
export interface CloseResponse extends FileAttributeFields {
  flags: number
}

export const CLOSE_FLAG_POSTQUERY_ATTRIB = 0x0001

const REQUEST_STRUCTURE_SIZE = 24
const RESPONSE_STRUCTURE_SIZE = 60

export function decodeCloseRequest(reader: Reader): CloseRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const flags = reader.u16()
  reader.skip(4)
  return { flags, fileId: readFileId(reader) }
}

export function encodeCloseRequest(writer: Writer, m: CloseRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u16(m.flags).u32(0)
  writeFileId(writer, m.fileId)
}

export function decodeCloseResponse(reader: Reader): CloseResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const flags = reader.u16()
  reader.skip(4)
  return { flags, ...readFileAttributes(reader) }
}

export function encodeCloseResponse(writer: Writer, m: CloseResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u16(m.flags).u32(0)
  writeFileAttributes(writer, m)
}
