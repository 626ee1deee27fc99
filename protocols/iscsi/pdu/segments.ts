/** RFC 7143 11.1 and 11.2.1: the parts of a PDU: basic header segment, additional ones, data, digests. */

import { DecodeError } from '../../wire/errors.ts'
import { crc32c, digestOf } from './crc32c.ts'

export const BHS_BYTES = 48
export const DIGEST_BYTES = 4
/** TotalAHSLength counts them in 8 bits. */
export const AHS_UNIT_BYTES = 4
export const MAXIMUM_AHS_BYTES = 255 * AHS_UNIT_BYTES
/** DataSegmentLength has 24 bits. */
export const MAXIMUM_SEGMENT_BYTES = 0xff_ffff

export const Opcode = {
  nopOut: 0x00,
  scsiCommand: 0x01,
  taskManagementRequest: 0x02,
  loginRequest: 0x03,
  textRequest: 0x04,
  dataOut: 0x05,
  logoutRequest: 0x06,
  snackRequest: 0x10,
  nopIn: 0x20,
  scsiResponse: 0x21,
  taskManagementResponse: 0x22,
  loginResponse: 0x23,
  textResponse: 0x24,
  dataIn: 0x25,
  logoutResponse: 0x26,
  readyToTransfer: 0x31,
  asyncMessage: 0x32,
  reject: 0x3f,
} as const

/** An Initiator Task Tag or Target Transfer Tag that names nothing. */
export const RESERVED_TAG = 0xffff_ffff

const OPCODE_MASK = 0x3f
const IMMEDIATE = 0x40
/** The bit in byte 1 that means Final in most PDUs and Transit in a login. */
export const FINAL = 0x80

/** Which digests a connection has negotiated, one way and the other. */
export interface Digests {
  readonly header: boolean
  readonly data: boolean
}

export const NO_DIGESTS: Digests = { header: false, data: false }

export interface Pdu {
  readonly opcode: number
  /** To be executed at once, whatever commands stand before it. */
  readonly immediate: boolean
  readonly bhs: Buffer
  /** All additional header segments, padded. */
  readonly ahs: Buffer
  /** The data segment without its padding: a view. */
  readonly data: Buffer
}

/** A received PDU and whether its data segment is what was sent. */
export interface ReceivedPdu extends Pdu {
  readonly dataDigestOk: boolean
}

function padding(bytes: number): number {
  return -bytes & 3
}

function segmentBytes(bhs: Buffer): number {
  return bhs.readUIntBE(5, 3)
}

function ahsBytes(bhs: Buffer): number {
  return bhs.readUInt8(4) * AHS_UNIT_BYTES
}

/** Bytes that follow a BHS. @param bhs 48 bytes */
export function bytesBehind(bhs: Buffer, digests: Digests): number {
  const data = segmentBytes(bhs)
  const dataDigest = digests.data && data > 0 ? DIGEST_BYTES : 0
  return ahsBytes(bhs) + (digests.header ? DIGEST_BYTES : 0) + data + padding(data) + dataDigest
}

/** DataSegmentLength of a BHS, for checking it before anything is allocated. */
export function dataSegmentLength(bhs: Buffer): number {
  return segmentBytes(bhs)
}

/**
 * Takes a frame apart. Nothing is copied.
 * @throws DecodeError when it is not as long as it says, or its header digest is wrong
 */
export function splitPdu(frame: Buffer, digests: Digests): ReceivedPdu {
  if (frame.length < BHS_BYTES) throw new DecodeError(`${frame.length} bytes are no PDU`)
  const bhs = frame.subarray(0, BHS_BYTES)
  const length = BHS_BYTES + bytesBehind(bhs, digests)
  if (frame.length !== length) {
    throw new DecodeError(`a PDU says it has ${length} bytes, and there are ${frame.length}`)
  }
  const headerEnd = BHS_BYTES + ahsBytes(bhs)
  if (digests.header && crc32c(frame.subarray(0, headerEnd)) !== frame.readUInt32LE(headerEnd)) {
    throw new DecodeError('the header digest of a PDU is wrong')
  }
  const dataStart = headerEnd + (digests.header ? DIGEST_BYTES : 0)
  const dataLength = segmentBytes(bhs)
  const paddedEnd = dataStart + dataLength + padding(dataLength)
  const hasDataDigest = digests.data && dataLength > 0
  const byte0 = frame.readUInt8(0)
  return {
    opcode: byte0 & OPCODE_MASK,
    immediate: (byte0 & IMMEDIATE) !== 0,
    bhs,
    ahs: frame.subarray(BHS_BYTES, headerEnd),
    data: frame.subarray(dataStart, dataStart + dataLength),
    dataDigestOk:
      !hasDataDigest || crc32c(frame.subarray(dataStart, paddedEnd)) === frame.readUInt32LE(paddedEnd),
  }
}

/** A new BHS of zeros with its opcode. */
export function newHeader(opcode: number, immediate = false): Buffer {
  // From Node's slab: a buffer of its own would cost more than all else of a small PDU.
  const bhs = Buffer.allocUnsafe(BHS_BYTES).fill(0)
  bhs[0] = opcode | (immediate ? IMMEDIATE : 0)
  return bhs
}

const PADDING: readonly Buffer[] = [0, 1, 2, 3].map((count) => Buffer.alloc(count))
const NO_BYTES = Buffer.alloc(0)

/**
 * Makes of a header and a data segment in pieces what goes to the wire; DataSegmentLength and TotalAHSLength are
 * filled in. The pieces are not joined.
 */
export function joinPdu(
  bhs: Buffer,
  data: readonly Buffer[],
  digests: Digests,
  ahs: Buffer = NO_BYTES,
): Buffer[] {
  let length = 0
  for (const piece of data) length += piece.length
  if (length > MAXIMUM_SEGMENT_BYTES) throw new RangeError(`a data segment of ${length} bytes`)
  bhs.writeUIntBE(length, 5, 3)
  bhs[4] = ahs.length / AHS_UNIT_BYTES
  const chunks = ahs.length > 0 ? [bhs, ahs] : [bhs]
  if (digests.header) chunks.push(digestOf(chunks))
  if (length === 0) return chunks
  const pad = PADDING[padding(length)] as Buffer
  const segment = pad.length > 0 ? [...data, pad] : data
  for (const piece of segment) chunks.push(piece)
  if (digests.data) chunks.push(digestOf(segment))
  return chunks
}
