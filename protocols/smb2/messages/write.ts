/** MS-SMB2 2.2.21 and 2.2.22: WRITE Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { Channel } from './read.ts'
import {
  type FileId,
  readFileId,
  readStructureSize,
  variablePart,
  writeFileId,
  writeVariablePart,
} from './structure.ts'

export interface WriteRequest {
  /** The full 64 bits: what lies outside a file is answered by the handler. */
  offset: bigint
  fileId: FileId
  channel: number
  remainingBytes: number
  flags: number
  /** A view of the received message when decoded. */
  data: Buffer
}

export interface WriteResponse {
  /** Bytes written */
  count: number
}

export const WriteFlag = {
  WRITE_THROUGH: 0x0000_0001,
  WRITE_UNBUFFERED: 0x0000_0002,
} as const

const REQUEST_STRUCTURE_SIZE = 49
const RESPONSE_STRUCTURE_SIZE = 17

export function decodeWriteRequest(reader: Reader): WriteRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const dataOffset = reader.u16()
  const length = reader.u32()
  const offset = reader.u64()
  const fileId = readFileId(reader)
  const channel = reader.u32()
  const remainingBytes = reader.u32()
  reader.skip(4) // WriteChannelInfoOffset and Length: RDMA alone
  const flags = reader.u32()
  // On an RDMA channel the data is elsewhere and Length is 0; another channel says nothing of the data here.
  const data = variablePart(reader, dataOffset, channel === Channel.NONE ? length : 0)
  return { offset, fileId, channel, remainingBytes, flags, data }
}

export function encodeWriteRequest(writer: Writer, m: WriteRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE)
  const dataOffset = writer.reserve(2)
  const length = writer.reserve(4)
  writer.u64(m.offset)
  writeFileId(writer, m.fileId)
  writer.u32(m.channel).u32(m.remainingBytes).u32(0).u32(m.flags)
  writeVariablePart(writer, dataOffset, length, () => writer.bytes(m.data))
}

export function decodeWriteResponse(reader: Reader): WriteResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  reader.skip(2)
  const count = reader.u32()
  reader.skip(8) // Remaining and the channel fields: reserved
  return { count }
}

export function encodeWriteResponse(writer: Writer, m: WriteResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u16(0).u32(m.count).zeros(8)
}
