/** MS-SMB2 2.2.33 and 2.2.34: QUERY_DIRECTORY Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { decodeOutputBody, encodeOutputBody, type OutputBody } from './output-body.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variableText,
  writeFileId,
  writeVariablePart,
} from './structure.ts'

export interface QueryDirectoryRequest {
  fileInformationClass: number
  flags: number
  fileIndex: number
  fileId: FileId
  /** The search pattern, with wildcards. */
  fileName: string
  /** Bytes */
  outputBufferLength: number
}

export type QueryDirectoryResponse = OutputBody

export const QueryDirectoryFlag = {
  RESTART_SCANS: 0x01,
  RETURN_SINGLE_ENTRY: 0x02,
  INDEX_SPECIFIED: 0x04,
  REOPEN: 0x10,
} as const

const REQUEST_STRUCTURE_SIZE = 33

export function decodeQueryDirectoryRequest(reader: Reader): QueryDirectoryRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const fileInformationClass = reader.u8()
  const flags = reader.u8()
  const fileIndex = reader.u32()
  const fileId = readFileId(reader)
  const nameOffset = reader.u16()
  const nameLength = reader.u16()
  const outputBufferLength = reader.u32()
  const fileName = variableText(reader, nameOffset, nameLength)
  return { fileInformationClass, flags, fileIndex, fileId, fileName, outputBufferLength }
}

export function encodeQueryDirectoryRequest(writer: Writer, m: QueryDirectoryRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u8(m.fileInformationClass).u8(m.flags).u32(m.fileIndex)
  writeFileId(writer, m.fileId)
  const nameOffset = writer.reserve(2)
  const nameLength = writer.reserve(2)
  writer.u32(m.outputBufferLength)
  writeVariablePart(writer, nameOffset, nameLength, () => writer.utf16(m.fileName))
  padEmptyPart(writer, m.fileName.length)
}

export const decodeQueryDirectoryResponse = decodeOutputBody
export const encodeQueryDirectoryResponse = encodeOutputBody
