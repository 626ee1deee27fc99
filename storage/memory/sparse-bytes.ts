/** The bytes of a file or stream in RAM, in pages that exist only where something was written, so that holes are real. */

import { StorageError } from '../errors.ts'
import type { ByteRange } from '../file-system.ts'

export const PAGE_BYTES = 4096
/** 16 TiB, as ext4 has it with pages of this size. */
const MAXIMUM_FILE_BYTES = 2 ** 44

/** The pages that all files of one file system share out. */
export interface PageBudget {
  readonly capacityBytes: number
  usedBytes: number
}

/** Pages that more than one file points at; they are copied before they are written. */
const shared = new WeakSet<Buffer>()

export class SparseBytes {
  readonly #budget: PageBudget
  readonly #pages = new Map<number, Buffer>()
  #size = 0
  #reservedBytes = 0

  constructor(budget: PageBudget) {
    this.#budget = budget
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of the pages that exist, or that were reserved. */
  get allocated(): number {
    return Math.max(this.#pages.size * PAGE_BYTES, this.#reservedBytes)
  }

  /** Fills `target` from a position; returns the bytes there were. */
  read(target: Buffer, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.#size - position))
    this.#eachPage(position, length, (index, from, to, done) => {
      const page = this.#pages.get(index)
      if (page === undefined) target.fill(0, done, done + to - from)
      else page.copy(target, done, from, to)
    })
    return length
  }

  /** @throws StorageError 'disk-full' (then nothing was written) or 'file-too-large' */
  write(source: Buffer, position: number): void {
    const end = position + source.length
    if (end > MAXIMUM_FILE_BYTES) throw new StorageError('file-too-large')
    this.#claim(position, source.length)
    this.#eachPage(position, source.length, (index, from, to, done) => {
      source.copy(this.#writablePage(index), from, done, done + to - from)
    })
    if (source.length > 0) this.#size = Math.max(this.#size, end)
  }

  /** @throws StorageError 'file-too-large' */
  setSize(size: number): void {
    if (size > MAXIMUM_FILE_BYTES) throw new StorageError('file-too-large')
    if (size < this.#size) {
      this.#reservedBytes = Math.min(this.#reservedBytes, roundUp(size))
      this.zeroRange({ offset: size, length: roundUp(this.#size) - size })
    }
    this.#size = size
  }

  /** Reserves up to a size without changing the end of file. @throws StorageError 'disk-full' */
  reserve(bytes: number): void {
    if (roundUp(bytes) - this.allocated > this.#freeBytes()) throw new StorageError('disk-full')
    this.#reservedBytes = roundUp(bytes)
  }

  /** Drops the pages that lie wholly in a range and clears the rest of it. */
  zeroRange({ offset, length }: ByteRange): void {
    for (const [index] of this.#pages) {
      const begin = index * PAGE_BYTES
      const from = Math.max(offset - begin, 0)
      const to = Math.min(offset + length - begin, PAGE_BYTES)
      if (from >= to) continue
      if (from === 0 && to === PAGE_BYTES) this.#drop(index)
      else this.#writablePage(index).fill(0, from, to)
    }
  }

  /** The parts of a range that have pages, joined where they touch. */
  allocatedRanges(range: ByteRange, limit: number): ByteRange[] {
    const end = Math.min(range.offset + range.length, this.#size)
    const found: { offset: number; length: number }[] = []
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const from = Math.max(index * PAGE_BYTES, range.offset)
      const to = Math.min((index + 1) * PAGE_BYTES, end)
      if (from >= to) continue
      const last = found.at(-1)
      if (last !== undefined && last.offset + last.length === from) last.length += to - from
      else if (found.length === limit) break
      else found.push({ offset: from, length: to - from })
    }
    return found
  }

  /**
   * Points at the pages of another file. All numbers are multiples of PAGE_BYTES, except where the
   * source ends.
   */
  sharePages(source: SparseBytes, from: ByteRange, to: number): void {
    this.#claim(to, from.length)
    for (let done = 0; done < from.length; done += PAGE_BYTES) {
      const page = source.#pages.get((from.offset + done) / PAGE_BYTES)
      const index = (to + done) / PAGE_BYTES
      this.#drop(index)
      if (page === undefined) continue
      shared.add(page)
      this.#pages.set(index, page)
      this.#budget.usedBytes += PAGE_BYTES
    }
    this.#size = Math.max(this.#size, to + from.length)
  }

  /** Gives all pages back. */
  clear(): void {
    for (const [index] of this.#pages) this.#drop(index)
    this.#size = 0
    this.#reservedBytes = 0
  }

  #eachPage(
    position: number,
    length: number,
    visit: (index: number, from: number, to: number, done: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const index = Math.floor((position + done) / PAGE_BYTES)
      const from = position + done - index * PAGE_BYTES
      const to = Math.min(PAGE_BYTES, from + length - done)
      visit(index, from, to, done)
      done += to - from
    }
  }

  #freeBytes(): number {
    return this.#budget.capacityBytes - this.#budget.usedBytes
  }

  #claim(position: number, length: number): void {
    let missing = 0
    this.#eachPage(position, length, (index) => {
      if (!this.#pages.has(index)) missing += PAGE_BYTES
    })
    if (missing > this.#freeBytes()) throw new StorageError('disk-full')
  }

  #writablePage(index: number): Buffer {
    const page = this.#pages.get(index)
    if (page !== undefined && !shared.has(page)) return page
    const own = page === undefined ? Buffer.alloc(PAGE_BYTES) : Buffer.from(page)
    if (page === undefined) this.#budget.usedBytes += PAGE_BYTES
    this.#pages.set(index, own)
    return own
  }

  #drop(index: number): void {
    if (this.#pages.delete(index)) this.#budget.usedBytes -= PAGE_BYTES
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}
