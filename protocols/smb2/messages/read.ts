/** MS-SMB2 2.2.19 and 2.2.20: READ Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { HEADER_BYTES } from './header.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variablePart,
  writeFileId,
} from './structure.ts'

export interface ReadRequest {
  /** 2.2.19: where the client would like the data, from the header. A server may ignore it. */
  padding: number
  flags: number
  /** Bytes */
  length: number
  /** The full 64 bits: what lies outside a file is answered by the handler. */
  offset: bigint
  fileId: FileId
  /** Fewer bytes than this are STATUS_END_OF_FILE. */
  minimumCount: number
  channel: number
  remainingBytes: number
  readChannelInfo: Buffer
}

/** The head of a response: the data follows it as a chunk of its own. */
export interface ReadResponse {
  /** From the header; READ_DATA_OFFSET when the data follows the head at once. */
  dataOffset: number
  dataLength: number
  dataRemaining: number
}

export const ReadFlag = {
  READ_UNBUFFERED: 0x01,
  REQUEST_COMPRESSED: 0x02,
} as const

/** 2.2.19 and 2.2.21 Channel */
export const Channel = {
  NONE: 0x0000_0000,
  RDMA_V1: 0x0000_0001,
  RDMA_V1_INVALIDATE: 0x0000_0002,
  RDMA_TRANSFORM: 0x0000_0003,
} as const

const REQUEST_STRUCTURE_SIZE = 49
const RESPONSE_STRUCTURE_SIZE = 17
const RESPONSE_FIXED_BYTES = 16

/** Bytes from the header to the data of a response without padding. */
export const READ_DATA_OFFSET = HEADER_BYTES + RESPONSE_FIXED_BYTES

export function decodeReadRequest(reader: Reader): ReadRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const padding = reader.u8()
  const flags = reader.u8()
  const length = reader.u32()
  const offset = reader.u64()
  const fileId = readFileId(reader)
  const minimumCount = reader.u32()
  const channel = reader.u32()
  const remainingBytes = reader.u32()
  const infoOffset = reader.u16()
  const infoLength = reader.u16()
  // Means nothing on a channel of NONE, where clients leave anything.
  const readChannelInfo = variablePart(reader, infoOffset, channel === Channel.NONE ? 0 : infoLength)
  return {
    padding,
    flags,
    length,
    offset,
    fileId,
    minimumCount,
    channel,
    remainingBytes,
    readChannelInfo,
  }
}

export function encodeReadRequest(writer: Writer, m: ReadRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u8(m.padding).u8(m.flags).u32(m.length).u64(m.offset)
  writeFileId(writer, m.fileId)
  writer.u32(m.minimumCount).u32(m.channel).u32(m.remainingBytes)
  const offset = writer.reserve(2)
  const length = writer.reserve(2)
  writer.part({ offset, length }, () => writer.bytes(m.readChannelInfo))
  padEmptyPart(writer, m.readChannelInfo.length)
}

export function decodeReadResponse(reader: Reader): ReadResponse & { data: Buffer } {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const dataOffset = reader.u8()
  reader.skip(1)
  const dataLength = reader.u32()
  const dataRemaining = reader.u32()
  reader.skip(4)
  return { dataOffset, dataLength, dataRemaining, data: variablePart(reader, dataOffset, dataLength) }
}

/** Writes the head alone: 16 bytes, and what is between them and the data. */
export function encodeReadResponse(writer: Writer, m: ReadResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u8(m.dataOffset).u8(0).u32(m.dataLength).u32(m.dataRemaining).u32(0)
  writer.zeros(m.dataOffset - READ_DATA_OFFSET)
}
