/** MS-SMB2 2.2.1: the 64-byte SMB2 packet header, async (2.2.1.1) and sync (2.2.1.2). */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'

export const HEADER_BYTES = 64

/** ProtocolId values as a little-endian number: what the first four bytes of a frame say it is. */
export const ProtocolId = {
  /** 0xFF 'S' 'M' 'B': MS-CIFS 2.2.3.1, only the multi-protocol NEGOTIATE. */
  SMB1: 0x424d_53ff,
  /** 0xFE 'S' 'M' 'B': 2.2.1. */
  SMB2: 0x424d_53fe,
  /** 0xFD 'S' 'M' 'B': 2.2.41 TRANSFORM_HEADER. */
  TRANSFORM: 0x424d_53fd,
  /** 0xFC 'S' 'M' 'B': 2.2.42 COMPRESSION_TRANSFORM_HEADER. */
  COMPRESSION: 0x424d_53fc,
} as const

export const HeaderFlag = {
  SERVER_TO_REDIR: 0x0000_0001,
  ASYNC_COMMAND: 0x0000_0002,
  RELATED_OPERATIONS: 0x0000_0004,
  SIGNED: 0x0000_0008,
  PRIORITY_MASK: 0x0000_0070,
  DFS_OPERATIONS: 0x1000_0000,
  REPLAY_OPERATION: 0x2000_0000,
} as const

/** MessageId of notifications that answer no request (oplock and lease breaks): 3.3.4.6. */
export const UNSOLICITED_MESSAGE_ID = 0xffff_ffff_ffff_ffffn

export const SIGNATURE_BYTES = 16
export const SIGNATURE_OFFSET = 48

const STATUS_OFFSET = 8
const COMMAND_OFFSET = 12
const CREDITS_OFFSET = 14
const FLAGS_OFFSET = 16
const NEXT_COMMAND_OFFSET = 20
const MESSAGE_ID_OFFSET = 24
const TREE_ID_OFFSET = 36
const SESSION_ID_OFFSET = 40

/**
 * Both variants in one shape, so that the objects stay alike for the compiler. With
 * ASYNC_COMMAND in `flags`, `asyncId` counts and `treeId` is 0; without it, the reverse.
 */
export interface Header {
  creditCharge: number
  /** Status of a response. In a request, the low 16 bits are ChannelSequence (3.x) or nothing. */
  status: number
  command: number
  /** CreditRequest of a request, CreditResponse of a response. */
  credits: number
  flags: number
  /** Bytes from this header to the next of a compound; 0 in the last. */
  nextCommand: number
  messageId: bigint
  asyncId: bigint
  treeId: number
  sessionId: bigint
}

/**
 * Reads a header; the reader stands at its base and is left behind the header. The signature
 * is not copied: it lies at SIGNATURE_OFFSET of the frame.
 * @throws DecodeError when ProtocolId or StructureSize is wrong, or 64 bytes are not there
 */
export function decodeHeader(reader: Reader): Header {
  const at = reader.base + reader.offset
  reader.skip(HEADER_BYTES)
  const buffer = reader.buffer
  if (buffer.readUInt32LE(at) !== ProtocolId.SMB2) throw new DecodeError('ProtocolId is not that of SMB2')
  if (buffer.readUInt16LE(at + 4) !== HEADER_BYTES) throw new DecodeError('header StructureSize is not 64')
  const flags = buffer.readUInt32LE(at + FLAGS_OFFSET)
  const isAsync = (flags & HeaderFlag.ASYNC_COMMAND) !== 0
  return {
    creditCharge: buffer.readUInt16LE(at + 6),
    status: buffer.readUInt32LE(at + STATUS_OFFSET),
    command: buffer.readUInt16LE(at + COMMAND_OFFSET),
    credits: buffer.readUInt16LE(at + CREDITS_OFFSET),
    flags,
    nextCommand: buffer.readUInt32LE(at + NEXT_COMMAND_OFFSET),
    messageId: buffer.readBigUInt64LE(at + MESSAGE_ID_OFFSET),
    asyncId: isAsync ? buffer.readBigUInt64LE(at + MESSAGE_ID_OFFSET + 8) : 0n,
    treeId: isAsync ? 0 : buffer.readUInt32LE(at + TREE_ID_OFFSET),
    sessionId: buffer.readBigUInt64LE(at + SESSION_ID_OFFSET),
  }
}

/** Writes a header with a signature of zeros; signing fills that in afterwards. */
export function encodeHeader(writer: Writer, header: Header): void {
  writer
    .u32(ProtocolId.SMB2)
    .u16(HEADER_BYTES)
    .u16(header.creditCharge)
    .u32(header.status)
    .u16(header.command)
    .u16(header.credits)
    .u32(header.flags)
    .u32(header.nextCommand)
    .u64(header.messageId)
  if ((header.flags & HeaderFlag.ASYNC_COMMAND) !== 0) {
    writer.u64(header.asyncId)
  } else {
    writer.u32(0).u32(header.treeId)
  }
  writer.u64(header.sessionId).zeros(SIGNATURE_BYTES)
}

/** 2.2.1: ChannelSequence of a request of dialect 3.0 or later. */
export function channelSequence(header: Header): number {
  return header.status & 0xffff
}
