/** RFC 7143 4.2.5.2 and 11.7: how a command's Data-In is cut into PDUs, and what moved less or more than expected. */

import { NO_RESIDUAL, type Residual } from '../pdu/scsi-command.ts'

/** One Data-In PDU, but for its numbers. */
export interface DataInPiece {
  readonly bufferOffset: number
  /** Bytes of its chunks. */
  readonly length: number
  readonly chunks: readonly Buffer[]
  /** The end of a burst, or of all. */
  readonly final: boolean
}

/**
 * @param chunks views of what was read; their pieces are views too
 * @param segmentBytes MaxRecvDataSegmentLength of the initiator
 */
export function cutDataIn(
  chunks: readonly Buffer[],
  segmentBytes: number,
  maxBurstLength: number,
): DataInPiece[] {
  let total = 0
  for (const chunk of chunks) total += chunk.length
  if (total === 0) return []
  if (total <= segmentBytes && total <= maxBurstLength) {
    return [{ bufferOffset: 0, length: total, chunks, final: true }]
  }
  const pieces: DataInPiece[] = []
  const taker = new ChunkTaker(chunks)
  for (let offset = 0; offset < total; ) {
    const burstRest = maxBurstLength - (offset % maxBurstLength)
    const length = Math.min(segmentBytes, burstRest, total - offset)
    const end = offset + length
    const final = end === total || end % maxBurstLength === 0
    pieces.push({ bufferOffset: offset, length, chunks: taker.take(length), final })
    offset = end
  }
  return pieces
}

/** Takes views of so many bytes off a list of buffers. */
class ChunkTaker {
  readonly #chunks: readonly Buffer[]
  #index = 0
  #offset = 0

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks
  }

  take(length: number): Buffer[] {
    const taken: Buffer[] = []
    for (let left = length; left > 0; ) {
      const chunk = this.#chunks[this.#index] as Buffer
      const part = chunk.subarray(this.#offset, this.#offset + left)
      if (part.length > 0) taken.push(part)
      left -= part.length
      this.#offset += part.length
      if (this.#offset < chunk.length) continue
      this.#index++
      this.#offset = 0
    }
    return taken
  }
}

/** 11.4.5. @param expected what the initiator is ready for @param asked what the CDB asked for */
export function residualBetween(expected: number, asked: number): Residual {
  if (asked > expected) return { kind: 'overflow', count: asked - expected }
  if (asked < expected) return { kind: 'underflow', count: expected - asked }
  return NO_RESIDUAL
}
