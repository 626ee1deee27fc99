/** MS-SMB2 2.2.37 and 2.2.38: QUERY_INFO Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { decodeOutputBody, encodeOutputBody, type OutputBody } from './output-body.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variablePart,
  writeFileId,
} from './structure.ts'

export interface QueryInfoRequest {
  infoType: number
  fileInfoClass: number
  /** Bytes */
  outputBufferLength: number
  /** For INFO_FILE the EAs asked for; for INFO_QUOTA 2.2.37.1. */
  input: Buffer
  /** For INFO_SECURITY what to return of the descriptor: SecurityInformation of fscc. */
  additionalInformation: number
  flags: number
  fileId: FileId
}

export type QueryInfoResponse = OutputBody

/** 2.2.37 and 2.2.39 InfoType */
export const InfoType = { FILE: 0x01, FILESYSTEM: 0x02, SECURITY: 0x03, QUOTA: 0x04 } as const

/** 2.2.37 Flags, for EAs. */
export const QueryInfoFlag = {
  RESTART_SCAN: 0x0000_0001,
  RETURN_SINGLE_ENTRY: 0x0000_0002,
  INDEX_SPECIFIED: 0x0000_0004,
} as const

const REQUEST_STRUCTURE_SIZE = 41

export function decodeQueryInfoRequest(reader: Reader): QueryInfoRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const infoType = reader.u8()
  const fileInfoClass = reader.u8()
  const outputBufferLength = reader.u32()
  const inputOffset = reader.u16()
  reader.skip(2)
  const inputLength = reader.u32()
  const additionalInformation = reader.u32()
  const flags = reader.u32()
  const fileId = readFileId(reader)
  const input = variablePart(reader, inputOffset, inputLength)
  return { infoType, fileInfoClass, outputBufferLength, input, additionalInformation, flags, fileId }
}

export function encodeQueryInfoRequest(writer: Writer, m: QueryInfoRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u8(m.infoType).u8(m.fileInfoClass).u32(m.outputBufferLength)
  const inputOffset = writer.reserve(2)
  writer.u16(0)
  const inputLength = writer.reserve(4)
  writer.u32(m.additionalInformation).u32(m.flags)
  writeFileId(writer, m.fileId)
  writer.part({ offset: inputOffset, length: inputLength }, () => writer.bytes(m.input))
  padEmptyPart(writer, m.input.length)
}

export const decodeQueryInfoResponse = decodeOutputBody
export const encodeQueryInfoResponse = encodeOutputBody
