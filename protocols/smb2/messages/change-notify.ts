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
  /** Bits of NotifyFilter of fscc. */
  completionFilter: number
}

export type ChangeNotifyResponse = OutputBody

export const CHANGE_NOTIFY_FLAG_WATCH_TREE = 0x0001

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
