/** SBC-3 4.7.3: zeros on a thin disk need no space, as what occupies none reads as zeros. */

import { lengthOf } from './bytes.ts'

/** Smaller holes would cut a file into pieces for little. */
const SMALLEST_HOLE_BYTES = 64 * 1024

/** Whether all bytes are zero; false for none. Two bytes tell it of nearly all data. */
export function isZero(chunk: Buffer): boolean {
  const last = chunk.length - 1
  return chunk[0] === 0 && chunk[last] === 0 && chunk.compare(chunk, 0, last, 1, last + 1) === 0
}

/** Whether so many zeros are better kept as a hole. */
export function isWorthHole(bytes: number): boolean {
  return bytes >= SMALLEST_HOLE_BYTES
}

/** Whether what is to be written is better kept as a hole. */
export function makeHole(chunks: readonly Buffer[]): boolean {
  return isWorthHole(lengthOf(chunks)) && chunks.every((chunk) => chunk.length === 0 || isZero(chunk))
}
