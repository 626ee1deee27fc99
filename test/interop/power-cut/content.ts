/** What bands hold: each piece of a block says which block it is, and which of its generations. */

import { Dice } from '../../sim/world/dice.ts'

export const BAND_BYTES = 8 << 20
/** What the ledger knows one by one. */
export const BLOCK_BYTES = 64 << 10
export const BLOCKS = BAND_BYTES / BLOCK_BYTES
/** The smallest piece that a disk or a kernel leaves whole; of an unsynced block each may be older or newer. */
export const PIECE_BYTES = 4096
const MAGIC = 0x504f_4f4c
const STEP = 8

/** Bytes that are no two blocks' alike, and never zeros. */
export class Content {
  readonly #pool: Buffer

  constructor(seed: number) {
    const random = new Dice(seed)
    this.#pool = Buffer.alloc(2 * BLOCK_BYTES)
    for (let at = 0; at < this.#pool.length; at += 4) this.#pool.writeUInt32LE(random.below(2 ** 32), at)
  }

  /** Writes a block into a buffer. @param generation 0: never written, zeros */
  fill(target: Buffer, at: number, band: number, block: number, generation: number): void {
    if (generation === 0) {
      target.fill(0, at, at + BLOCK_BYTES)
      return
    }
    const from = ((band * 7919 + block * 104_729 + generation * 1_299_709) * STEP) % BLOCK_BYTES
    this.#pool.copy(target, at, from, from + BLOCK_BYTES)
    for (let piece = at; piece < at + BLOCK_BYTES; piece += PIECE_BYTES) {
      target.writeUInt32LE(MAGIC, piece)
      target.writeUInt32LE(band, piece + 4)
      target.writeUInt32LE(block, piece + 8)
      target.writeUInt32LE(generation, piece + 12)
    }
  }
}

/** What a piece says of itself, for a report. */
export function describePiece(data: Buffer, at: number): string {
  if (data.readUInt32LE(at) !== MAGIC) return data.readUInt32LE(at) === 0 ? 'zeros' : 'something else'
  return `band ${data.readUInt32LE(at + 4)}, block ${data.readUInt32LE(at + 8)}, generation ${data.readUInt32LE(at + 12)}`
}
