/** MS-SMB2 2.2.41: the 52-byte TRANSFORM_HEADER before an encrypted message. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { ProtocolId, SIGNATURE_BYTES } from './header.ts'

export interface TransformHeader {
  /** The authentication tag, 16 bytes. */
  signature: Buffer
  /** 16 bytes, of which CCM uses 11 and GCM 12. */
  nonce: Buffer
  /** Bytes of the message before encryption, which is as long after it. */
  originalMessageSize: number
  /** 3.1.1: TRANSFORM_FLAG_ENCRYPTED; 3.0 and 3.0.2: EncryptionAlgorithm, with the same one value. */
  flags: number
  sessionId: bigint
}

export const TRANSFORM_HEADER_BYTES = 52
export const TRANSFORM_NONCE_BYTES = 16
export const TRANSFORM_FLAG_ENCRYPTED = 0x0001
export const TRANSFORM_SIGNATURE_OFFSET = 4
/** 3.1.4.3: the additional authenticated data is the header from here to its end. */
export const TRANSFORM_NONCE_OFFSET = 20

/** @throws DecodeError when ProtocolId is wrong or the header is not complete */
export function decodeTransformHeader(reader: Reader): TransformHeader {
  if (reader.u32() !== ProtocolId.TRANSFORM)
    throw new DecodeError('ProtocolId is not that of an encrypted message')
  const signature = reader.bytes(SIGNATURE_BYTES)
  const nonce = reader.bytes(TRANSFORM_NONCE_BYTES)
  const originalMessageSize = reader.u32()
  reader.skip(2)
  return { signature, nonce, originalMessageSize, flags: reader.u16(), sessionId: reader.u64() }
}

/** Writes the header; a `signature` not known yet is 16 zeros, filled in at TRANSFORM_SIGNATURE_OFFSET. */
export function encodeTransformHeader(writer: Writer, m: TransformHeader): void {
  writer
    .u32(ProtocolId.TRANSFORM)
    .bytes(m.signature)
    .bytes(m.nonce)
    .u32(m.originalMessageSize)
    .u16(0)
    .u16(m.flags)
    .u64(m.sessionId)
}
