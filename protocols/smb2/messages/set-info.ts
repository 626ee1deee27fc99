/** MS-SMB2 2.2.39 and 2.2.40: SET_INFO Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import type { EmptyBody } from './empty-body.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variablePart,
  writeFileId,
  writeVariablePart,
} from './structure.ts'

export interface SetInfoRequest {
  /** InfoType of query-info.ts. */
  infoType: number
  fileInfoClass: number
  /** For INFO_SECURITY what of the descriptor to set: SecurityInformation of fscc. */
  additionalInformation: number
  fileId: FileId
  /** The MS-FSCC structure, as it is. */
  input: Buffer
}

export type SetInfoResponse = EmptyBody

const REQUEST_STRUCTURE_SIZE = 33
const RESPONSE_STRUCTURE_SIZE = 2

export function decodeSetInfoRequest(reader: Reader): SetInfoRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const infoType = reader.u8()
  const fileInfoClass = reader.u8()
  const length = reader.u32()
  const offset = reader.u16()
  reader.skip(2)
  const additionalInformation = reader.u32()
  const fileId = readFileId(reader)
  const input = variablePart(reader, offset, length)
  return { infoType, fileInfoClass, additionalInformation, fileId, input }
}

export function encodeSetInfoRequest(writer: Writer, m: SetInfoRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u8(m.infoType).u8(m.fileInfoClass)
  const length = writer.reserve(4)
  const offset = writer.reserve(2)
  writer.u16(0).u32(m.additionalInformation)
  writeFileId(writer, m.fileId)
  writeVariablePart(writer, offset, length, () => writer.bytes(m.input))
  padEmptyPart(writer, m.input.length)
}

export function decodeSetInfoResponse(reader: Reader): SetInfoResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  return {}
}

export function encodeSetInfoResponse(writer: Writer, _m: SetInfoResponse = {}): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE)
}
