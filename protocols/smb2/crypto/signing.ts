/** MS-SMB2 3.1.4.1: signing a message and verifying its signature, over the chunks that make it up. */

import { createCipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import { Command } from '../messages/commands.ts'
import { HEADER_BYTES, HeaderFlag, SIGNATURE_BYTES, SIGNATURE_OFFSET } from '../messages/header.ts'
import { SigningAlgorithm } from './algorithms.ts'
import { aesCmac } from './cmac.ts'
import { HAS_EVP } from './evp.ts'
import { gmac } from './gcm.ts'

/** A key and what it is used with: a session's key keeps its algorithm on connections that negotiated another. */
export interface SigningKey {
  readonly algorithm: SigningAlgorithm
  /** 16 bytes. */
  readonly key: Buffer
}

/** Offsets in the header (2.2.1). */
const COMMAND_OFFSET = 12
const FLAGS_OFFSET = 16
const MESSAGE_ID_OFFSET = 24
const MESSAGE_ID_BYTES = 8

/** 3.1.4.1: the AES-GMAC nonce is MessageId, then the bits below, then zeros. */
const GMAC_NONCE_BYTES = 12
const GMAC_ROLE_OFFSET = 8
const GMAC_SENT_BY_SERVER = 0x01
const GMAC_IS_CANCEL = 0x02

/**
 * Writes the signature into the header. The first chunk begins with the header, whose flags
 * must already be what is sent.
 */
export function sign({ algorithm, key }: SigningKey, chunks: readonly Buffer[]): void {
  signatureOf(algorithm, key, chunks).copy(firstChunk(chunks), SIGNATURE_OFFSET)
}

/** Is the signature in the header that of the message? Nothing is written to the chunks. */
export function verify({ algorithm, key }: SigningKey, chunks: readonly Buffer[]): boolean {
  const received = firstChunk(chunks).subarray(SIGNATURE_OFFSET, SIGNATURE_OFFSET + SIGNATURE_BYTES)
  return timingSafeEqual(received, signatureOf(algorithm, key, chunks))
}

function firstChunk(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks
  if (first === undefined || first.length < HEADER_BYTES) {
    throw new RangeError('the first chunk does not hold the header')
  }
  return first
}

/** The signature of a message, whatever stands in its Signature field: that counts as zeros. */
function signatureOf(algorithm: SigningAlgorithm, key: Buffer, chunks: readonly Buffer[]): Buffer {
  const first = firstChunk(chunks)
  const header = Buffer.from(first.subarray(0, HEADER_BYTES))
  header.fill(0, SIGNATURE_OFFSET, SIGNATURE_OFFSET + SIGNATURE_BYTES)
  const body = [header, first.subarray(HEADER_BYTES), ...chunks.slice(1)]
  switch (algorithm) {
    case SigningAlgorithm.hmacSha256:
      return hmacSha256(key, body)
    case SigningAlgorithm.aesCmac:
      return aesCmac(key, body)
    case SigningAlgorithm.aesGmac:
      return aesGmac(key, gmacNonce(header), body)
  }
}

function hmacSha256(key: Buffer, chunks: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', key)
  for (const chunk of chunks) hmac.update(chunk)
  return hmac.digest().subarray(0, SIGNATURE_BYTES)
}

/** AES-128-GCM of nothing, with the message as the additional data. */
function aesGmac(key: Buffer, nonce: Buffer, chunks: readonly Buffer[]): Buffer {
  if (HAS_EVP) return gmac(key, nonce, chunks)
  const cipher = createCipheriv('aes-128-gcm', key, nonce)
  for (const chunk of chunks) cipher.setAAD(chunk)
  cipher.final()
  return cipher.getAuthTag()
}

function gmacNonce(header: Buffer): Buffer {
  const nonce = Buffer.alloc(GMAC_NONCE_BYTES)
  header.copy(nonce, 0, MESSAGE_ID_OFFSET, MESSAGE_ID_OFFSET + MESSAGE_ID_BYTES)
  const sentByServer = (header.readUInt32LE(FLAGS_OFFSET) & HeaderFlag.SERVER_TO_REDIR) !== 0
  const isCancel = header.readUInt16LE(COMMAND_OFFSET) === Command.CANCEL
  nonce[GMAC_ROLE_OFFSET] = (sentByServer ? GMAC_SENT_BY_SERVER : 0) | (isCancel ? GMAC_IS_CANCEL : 0)
  return nonce
}
