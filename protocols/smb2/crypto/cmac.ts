/** RFC 4493: AES-128-CMAC over a list of chunks. */

import { BLOCK_BYTES, cbcMac } from './cbc-mac.ts'

/** RFC 4493 2.3: const_Rb. */
const RB = 0x87
const PADDING_START = 0x80
/** The end of a message is put together here, to be changed; a short message is all end, and goes to the cipher at once. */
const END_BYTES = 4096
const end = Buffer.alloc(END_BYTES)

/** RFC 4493 2.3: what the last block is changed with, when it is whole and when it is not. */
interface Subkeys {
  readonly k1: Buffer
  readonly k2: Buffer
}

/** Session keys sign many messages. */
const subkeys = new WeakMap<Buffer, Subkeys>()

/** The 16-byte MAC of the chunks taken as one message. @param key 16 bytes, never changed */
export function aesCmac(key: Buffer, chunks: readonly Buffer[]): Buffer {
  const { k1, k2 } = subkeysOf(key)
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const before = Math.max(0, roundUp(length - END_BYTES))
  const chain = cbcMac(key)
  let at = 0
  for (const chunk of chunks) {
    const fed = Math.min(chunk.length, Math.max(0, before - at))
    if (fed > 0) chain.feed(chunk.subarray(0, fed))
    if (fed < chunk.length) chunk.copy(end, at + fed - before, fed)
    at += chunk.length
  }
  chain.feed(finished(length - before, k1, k2))
  return chain.last()
}

/** RFC 4493 2.4, steps 4 to 6: pads the end, where it must be, and changes its last block to M_last. */
function finished(endBytes: number, k1: Buffer, k2: Buffer): Buffer {
  const padded = Math.max(BLOCK_BYTES, roundUp(endBytes))
  if (endBytes < padded) end.fill(0, endBytes, padded)[endBytes] = PADDING_START
  const key = endBytes < padded ? k2 : k1
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const at = padded - BLOCK_BYTES + index
    end[at] = (end[at] as number) ^ (key[index] as number)
  }
  return end.subarray(0, padded)
}

/** To whole blocks. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function subkeysOf(key: Buffer): Subkeys {
  const known = subkeys.get(key)
  if (known !== undefined) return known
  const chain = cbcMac(key)
  chain.feed(Buffer.alloc(BLOCK_BYTES))
  const k1 = double(chain.last())
  const made = { k1, k2: double(k1) }
  subkeys.set(key, made)
  return made
}

/** RFC 4493 2.3: shifts left by one bit and folds the carry back in. */
function double(block: Buffer): Buffer {
  const out = Buffer.alloc(BLOCK_BYTES)
  let carry = 0
  for (let index = BLOCK_BYTES - 1; index >= 0; index--) {
    const byte = block.readUInt8(index)
    out[index] = (byte << 1) | carry
    carry = byte >> 7
  }
  if (carry !== 0) out[BLOCK_BYTES - 1] = out.readUInt8(BLOCK_BYTES - 1) ^ RB
  return out
}
