/** NIST SP 800-38C and RFC 3610: AES-CCM over a list of chunks, where they lie. */

import { timingSafeEqual } from 'node:crypto'
import { BLOCK_BYTES, type CbcMac, cbcMac, pieces } from './cbc-mac.ts'
import { type EvpContext, lazyContext } from './evp.ts'

const AES_128_KEY_BYTES = 16
/** What is left of a block beside flags and nonce counts bytes in one place and blocks in the other. */
const NONCE_BYTES = 11
const COUNT_OFFSET = 1 + NONCE_BYTES
/** RFC 3610 2.2: additional data, a tag of 16 bytes, four bytes of length; and 2.3: those four alone. */
const MAC_FLAGS = 0x7b
const COUNTER_FLAGS = 0x03
const AAD_LENGTH_BYTES = 2
/** Longer ones have another form of length (2.2). */
const MOST_AAD_BYTES = 0xfeff
/** Small enough for both passes to find it in the processor's cache. */
const PIECE_BYTES = 32 * 1024
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES)

const counter128 = lazyContext('aes_128_ctr')
const counter256 = lazyContext('aes_256_ctr')

/**
 * Encrypts chunks where they are.
 * @param key 16 or 32 bytes
 * @param nonce 11 bytes
 * @returns the tag, 16 bytes
 * @throws Error without OpenSSL, see HAS_EVP
 */
export function ccmEncrypt(key: Buffer, nonce: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const mac = beginMac(key, nonce, aad, length)
  const { counter, mask } = beginCounter(key, nonce)
  for (const chunk of chunks) {
    for (const piece of pieces(chunk, PIECE_BYTES)) {
      mac.feed(piece)
      counter.update(piece, piece)
    }
  }
  return endMac(mac, length, mask)
}

/**
 * Decrypts a message where it is.
 * @param key 16 or 32 bytes
 * @param nonce 11 bytes
 * @param tag 16 bytes
 * @returns false when it is not what the key's owner encrypted; it must then not be looked at
 * @throws Error without OpenSSL, see HAS_EVP
 */
export function ccmDecrypt(key: Buffer, nonce: Buffer, aad: Buffer, message: Buffer, tag: Buffer): boolean {
  const mac = beginMac(key, nonce, aad, message.length)
  const { counter, mask } = beginCounter(key, nonce)
  for (const piece of pieces(message, PIECE_BYTES)) {
    counter.update(piece, piece)
    mac.feed(piece)
  }
  return timingSafeEqual(endMac(mac, message.length, mask), tag)
}

/** RFC 3610 2.2: B_0 and the additional data. */
function beginMac(key: Buffer, nonce: Buffer, aad: Buffer, length: number): CbcMac {
  if (aad.length === 0 || aad.length > MOST_AAD_BYTES) throw new RangeError('additional data of another form')
  const headBytes = BLOCK_BYTES + AAD_LENGTH_BYTES + aad.length
  const head = Buffer.alloc(headBytes + paddingOf(headBytes))
  block(MAC_FLAGS, nonce, length).copy(head)
  head.writeUInt16BE(aad.length, BLOCK_BYTES)
  aad.copy(head, BLOCK_BYTES + AAD_LENGTH_BYTES)
  const mac = cbcMac(key)
  mac.feed(head)
  return mac
}

/** RFC 3610 2.3: the key stream, of which S_0 hides the MAC and the rest the message. */
function beginCounter(key: Buffer, nonce: Buffer): { counter: EvpContext; mask: Buffer } {
  const counter = key.length === AES_128_KEY_BYTES ? counter128() : counter256()
  counter.begin(key, block(COUNTER_FLAGS, nonce, 0))
  const mask = Buffer.alloc(BLOCK_BYTES)
  counter.update(mask, ZERO_BLOCK)
  return { counter, mask }
}

function endMac(mac: CbcMac, length: number, mask: Buffer): Buffer {
  mac.feed(ZERO_BLOCK.subarray(0, paddingOf(length)))
  const tag = mac.last()
  for (let index = 0; index < BLOCK_BYTES; index++) {
    tag[index] = (tag[index] as number) ^ (mask[index] as number)
  }
  return tag
}

function block(flags: number, nonce: Buffer, count: number): Buffer {
  if (nonce.length !== NONCE_BYTES) throw new RangeError('not a nonce of CCM')
  const bytes = Buffer.alloc(BLOCK_BYTES)
  bytes[0] = flags
  nonce.copy(bytes, 1)
  bytes.writeUInt32BE(count, COUNT_OFFSET)
  return bytes
}

function paddingOf(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES
}
