/** A disk in RAM whose every call can be made to fail or to wait. */

import type { BlockDevice, BlockExtent } from '../block-device.ts'
import { StorageError } from '../errors.ts'
import { Faults } from './faults.ts'
import { PAGE_BYTES, SparseBytes } from './sparse-bytes.ts'

export type BlockOperation = 'read' | 'write' | 'sync' | 'discard' | 'extentAt' | 'refresh' | 'close'

export interface MemoryDiskOptions {
  /** Bytes. */
  readonly size: number
  readonly isReadOnly?: boolean
  readonly canDiscard?: boolean
}

export class MemoryDisk implements BlockDevice {
  readonly faults = new Faults<BlockOperation>()
  readonly isReadOnly: boolean
  readonly canDiscard: boolean
  readonly knowsHoles = true
  readonly discardGranularity = PAGE_BYTES
  readonly #bytes = new SparseBytes({ capacityBytes: Number.MAX_SAFE_INTEGER, usedBytes: 0 })
  /** Calls of `sync` that ended well. */
  syncs = 0

  constructor(options: MemoryDiskOptions) {
    this.isReadOnly = options.isReadOnly ?? false
    this.canDiscard = options.canDiscard ?? true
    this.#bytes.setSize(options.size)
  }

  get size(): number {
    return this.#bytes.size
  }

  async read(into: Buffer, offset: number): Promise<void> {
    await this.faults.enter('read')
    this.#bytes.read(into, offset)
  }

  async write(chunks: readonly Buffer[], offset: number): Promise<void> {
    await this.#enterChanging('write')
    let at = offset
    for (const chunk of chunks) {
      this.#bytes.write(chunk, at)
      at += chunk.length
    }
  }

  async sync(): Promise<void> {
    await this.faults.enter('sync')
    this.syncs++
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#enterChanging('discard')
    this.#bytes.zeroRange({ offset, length })
  }

  async extentAt(offset: number, length: number): Promise<BlockExtent> {
    await this.faults.enter('extentAt')
    const [first] = this.#bytes.allocatedRanges({ offset, length }, 1)
    if (first === undefined) return { isMapped: false, length }
    return first.offset > offset
      ? { isMapped: false, length: first.offset - offset }
      : { isMapped: true, length: first.length }
  }

  async refresh(size?: number): Promise<void> {
    await this.faults.enter('refresh')
    if (size !== undefined && size > this.size) this.#bytes.setSize(size)
  }

  async close(): Promise<void> {
    await this.faults.enter('close')
  }

  async #enterChanging(operation: 'write' | 'discard'): Promise<void> {
    if (this.isReadOnly) throw new StorageError('read-only')
    await this.faults.enter(operation)
  }
}
