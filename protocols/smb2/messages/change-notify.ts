/** MS-SMB2 2.2.35 and 2.2.36: CHANGE_NOTIFY Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { decodeOutputBody, encodeOutputBody, type OutputBody } from './output-body.ts'
import { type FileId, readFileId, readStructureSize, writeFileId } from './structure.ts'

export interface ChangeNotifyRequest {
  flags: number
  /** Bytes */
  outputBufferLength: number
  fileId: FileId
  completionFilter: number
}

export type ChangeNotifyResponse = OutputBody

export const CHANGE_NOTIFY_FLAG_WATCH_TREE = 0x0001

export const CompletionFilter = {
  FILE_NAME: 0x0000_0001,
  DIR_NAME: 0x0000_0002,
  ATTRIBUTES: 0x0000_0004,
  SIZE: 0x0000_0008,
  LAST_WRITE: 0x0000_0010,
  LAST_ACCESS: 0x0000_0020,
  CREATION: 0x0000_0040,
  EA: 0x0000_0080,
  SECURITY: 0x0000_0100,
  STREAM_NAME: 0x0000_0200,
  STREAM_SIZE: 0x0000_0400,
  STREAM_WRITE: 0x0000_0800,
} as const

const REQUEST_STRUCTURE_SIZE = 32

export function decodeChangeNotifyRequest(reader: Reader): ChangeNotifyRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const flags = reader.u16()
  const outputBufferLength = reader.u32()
  const fileId = readFileId(reader)
  const completionFilter = reader.u32()
  reader.skip(4)
  return { flags, outputBufferLength, fileId, completionFilter }
}

export function encodeChangeNotifyRequest(writer: Writer, m: ChangeNotifyRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u16(m.flags).u32(m.outputBufferLength)
  writeFileId(writer, m.fileId)
  writer.u32(m.completionFilter).u32(0)
}

export const decodeChangeNotifyResponse = decodeOutputBody
export const encodeChangeNotifyResponse = encodeOutputBody
