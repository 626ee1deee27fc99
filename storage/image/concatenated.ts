/** Several disks end to end as one. */

import type { BlockDevice, BlockExtent } from '../block-device.ts'

interface Piece {
  readonly device: BlockDevice
  /** From the device's beginning. */
  readonly offset: number
  readonly length: number
}

/** The parts' sizes are those they have now. Closes them all, with the first. */
export function concatenate(parts: readonly BlockDevice[]): BlockDevice {
  const [only] = parts
  return only !== undefined && parts.length === 1 ? only : new Concatenated(parts)
}

class Concatenated implements BlockDevice {
  readonly isReadOnly: boolean
  readonly canDiscard: boolean
  readonly knowsHoles: boolean
  readonly discardGranularity: number
  readonly size: number
  readonly #parts: readonly { readonly device: BlockDevice; readonly start: number; readonly size: number }[]

  constructor(parts: readonly BlockDevice[]) {
    let start = 0
    this.#parts = parts.map((device) => {
      const part = { device, start, size: device.size }
      start += device.size
      return part
    })
    this.size = start
    this.isReadOnly = parts.some((part) => part.isReadOnly)
    this.canDiscard = parts.every((part) => part.canDiscard)
    this.knowsHoles = parts.every((part) => part.knowsHoles)
    this.discardGranularity = Math.max(...parts.map((part) => part.discardGranularity))
  }

  #pieces(offset: number, length: number): Piece[] {
    return this.#parts.flatMap(({ device, start, size }) => {
      const from = Math.max(offset, start)
      const to = Math.min(offset + length, start + size)
      return from < to ? [{ device, offset: from - start, length: to - from }] : []
    })
  }

  async read(into: Buffer, offset: number): Promise<void> {
    let done = 0
    const reads = this.#pieces(offset, into.length).map((piece) => {
      const target = into.subarray(done, done + piece.length)
      done += piece.length
      return piece.device.read(target, piece.offset)
    })
    await Promise.all(reads)
  }

  async write(chunks: readonly Buffer[], offset: number): Promise<void> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    let done = 0
    for (const piece of this.#pieces(offset, length)) {
      await piece.device.write(slice(chunks, done, piece.length), piece.offset)
      done += piece.length
    }
  }

  async sync(): Promise<void> {
    await this.#all((device) => device.sync())
  }

  async discard(offset: number, length: number): Promise<void> {
    for (const piece of this.#pieces(offset, length)) await piece.device.discard(piece.offset, piece.length)
  }

  async extentAt(offset: number, length: number): Promise<BlockExtent> {
    let extent: { isMapped: boolean; length: number } | undefined
    for (const piece of this.#pieces(offset, length)) {
      const found = await piece.device.extentAt(piece.offset, piece.length)
      if (extent !== undefined && extent.isMapped !== found.isMapped) break
      extent = { isMapped: found.isMapped, length: (extent?.length ?? 0) + found.length }
      if (found.length < piece.length) break
    }
    return extent ?? { isMapped: false, length }
  }

  /** The parts have the lengths they were given. */
  async refresh(): Promise<void> {}

  async close(): Promise<void> {
    await this.#all((device) => device.close())
  }

  /** All are done, whichever fail; the first failure counts. */
  async #all(work: (device: BlockDevice) => Promise<void>): Promise<void> {
    const results = await Promise.allSettled(this.#parts.map(({ device }) => work(device)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

/** `length` bytes of the chunks from an offset, as views. */
function slice(chunks: readonly Buffer[], offset: number, length: number): Buffer[] {
  const views: Buffer[] = []
  let at = 0
  for (const chunk of chunks) {
    const from = Math.max(offset - at, 0)
    const to = Math.min(offset + length - at, chunk.length)
    if (from < to) views.push(chunk.subarray(from, to))
    at += chunk.length
  }
  return views
}
