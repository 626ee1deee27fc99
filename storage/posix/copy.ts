/** copy_file_range(2), and reading and writing where it cannot. */

import type { ByteRange, FileHandle } from '../file-system.ts'
import type { CopyJob } from './data.ts'
import type { WorkerPool } from './worker-pool.ts'

/** A worker is held for this much at a time. */
const KERNEL_PIECE_BYTES = 16 << 20
const PLAIN_PIECE_BYTES = 1 << 20

export interface KernelCopy {
  readonly bytes: number
  /** What is left must be read and written. */
  readonly needsPlain: boolean
}

export async function copyKernel(workers: WorkerPool, key: number, job: CopyJob): Promise<KernelCopy> {
  let bytes = 0
  while (bytes < job.length) {
    const length = Math.min(KERNEL_PIECE_BYTES, job.length - bytes)
    const piece = { ...job, at: job.at + bytes, toAt: job.toAt + bytes, length }
    const copied = await workers.run(key, 'copy', piece)
    if (copied < 0) return { bytes, needsPlain: true }
    if (copied === 0) break
    bytes += copied
  }
  return { bytes, needsPlain: false }
}

/**
 * Copies through memory. Where both are one file and the ranges overlap it goes from the end
 * backwards when the data moves up, so that nothing is read after it was overwritten.
 */
export async function copyPlain(
  source: FileHandle,
  target: FileHandle,
  from: ByteRange,
  to: number,
): Promise<number> {
  const { size } = await source.stat()
  const length = Math.max(0, Math.min(from.length, size - from.offset))
  const buffer = Buffer.allocUnsafe(Math.min(PLAIN_PIECE_BYTES, length))
  const pieces = length === 0 ? 0 : Math.ceil(length / buffer.length)
  for (let index = 0; index < pieces; index++) {
    const at = (to > from.offset ? pieces - 1 - index : index) * buffer.length
    const piece = buffer.subarray(0, Math.min(buffer.length, length - at))
    const count = await source.read(piece, from.offset + at)
    await target.write(piece.subarray(0, count), to + at)
  }
  return length
}
