/** NIST SP 800-38B and C: the chain of AES-CBC that CMAC and CCM are made of; only its last block matters. */

import { createCipheriv } from 'node:crypto'
import { type EvpContext, HAS_EVP, lazyContext } from './evp.ts'

export const BLOCK_BYTES = 16
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES)
const AES_128_KEY_BYTES = 16
/** What CBC gives out is of no use, and is written over and over to the same place, which stays in the processor's cache. */
const PIECE_BYTES = 32 * 1024
const wasted = Buffer.alloc(PIECE_BYTES + BLOCK_BYTES)

export interface CbcMac {
  /** Takes the next bytes. All together must make whole blocks. */
  feed(data: Buffer): void
  /** The last block, once all were fed; a buffer of its own. */
  last(): Buffer
}

const context128 = lazyContext('aes_128_cbc')
const context256 = lazyContext('aes_256_cbc')

/** One at a time. @param key 16 or 32 bytes @param isNative by OpenSSL's own calls */
export function cbcMac(key: Buffer, isNative = HAS_EVP): CbcMac {
  if (!isNative) return new NodeCbcMac(key)
  const context = key.length === AES_128_KEY_BYTES ? context128() : context256()
  context.begin(key, ZERO_BLOCK)
  return new EvpCbcMac(context)
}

class EvpCbcMac implements CbcMac {
  readonly #context: EvpContext
  #end = 0

  constructor(context: EvpContext) {
    this.#context = context
  }

  feed(data: Buffer): void {
    for (const piece of pieces(data, PIECE_BYTES)) {
      const written = this.#context.update(wasted, piece)
      if (written > 0) this.#end = written
    }
  }

  last(): Buffer {
    return Buffer.from(wasted.subarray(this.#end - BLOCK_BYTES, this.#end))
  }
}

/** Slower, as each piece comes back in a fresh buffer. */
class NodeCbcMac implements CbcMac {
  readonly #cipher: ReturnType<typeof createCipheriv>
  #last = ZERO_BLOCK

  constructor(key: Buffer) {
    const name = key.length === AES_128_KEY_BYTES ? 'aes-128-cbc' : 'aes-256-cbc'
    this.#cipher = createCipheriv(name, key, ZERO_BLOCK).setAutoPadding(false)
  }

  feed(data: Buffer): void {
    for (const piece of pieces(data, PIECE_BYTES)) {
      const out = this.#cipher.update(piece)
      if (out.length > 0) this.#last = out.subarray(out.length - BLOCK_BYTES)
    }
  }

  last(): Buffer {
    return Buffer.from(this.#last)
  }
}

/** Views of successive parts. */
export function* pieces(data: Buffer, bytes: number): Generator<Buffer> {
  if (data.length <= bytes) {
    if (data.length > 0) yield data
    return
  }
  for (let at = 0; at < data.length; at += bytes) yield data.subarray(at, at + bytes)
}
