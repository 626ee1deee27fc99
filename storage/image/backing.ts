/** One file or block device, or a part of it, as a disk. */

import { fdatasync, read, write, writev } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { BlockDevice, BlockExtent } from '../block-device.ts'
import { StorageError } from '../errors.ts'
import type { Lane } from '../lane.ts'
import { fromNodeError } from '../posix/errno.ts'
import { readNow, writeNow } from '../posix/page-cache.ts'
import { blockDeviceSize, discardBlocks, punchHole, seekData, seekHole, zeroBlocks } from './native.ts'

export const SECTOR_BYTES = 512
export const DEFAULT_GRANULARITY_BYTES = 4096
/** Zeros that are written where nothing better exists. */
const ZEROS = Buffer.alloc(1024 * 1024)
/** Up to here copying costs less than handing the work to a thread, and holds up others no longer than that. */
const MAXIMUM_NOW_BYTES = 256 * 1024
const DONE = Promise.resolve()

export interface BackingOptions {
  readonly path: string
  readonly readOnly: boolean
  /** First byte that is used. */
  readonly start?: number
  /** Bytes that are used; absent: up to the end. */
  readonly length?: number
  /** A missing file is made this long, a shorter one grown; absent: it must exist. */
  readonly size?: number
  /** The way to its disks; absent: one that never stops. */
  readonly lane?: Lane
}

export type Kind = 'file' | 'device' | 'zvol'

export interface Handles {
  readonly handle: FileHandle
  /** Of a device that is claimed: what has its lock. */
  readonly lock?: FileHandle
}

export class Backing implements BlockDevice {
  readonly isReadOnly: boolean
  readonly discardGranularity: number
  readonly #handle: FileHandle
  /** -1 when it is closed: its number may belong to another file then. */
  #fd: number
  readonly #lock: FileHandle | undefined
  readonly #options: BackingOptions
  readonly #lane: Lane
  readonly #kind: Kind
  readonly #start: number
  #size = 0
  #canDiscard = false
  /** A sync that failed: the kernel has dropped what was to be written, so later ones must not say that all is well. */
  #lost: StorageError | undefined
  /** What the page cache can do at once is done at once, where the file system can tell. */
  #readsNow = true
  #writesNow = true
  #syncing: Promise<void> | undefined
  #nextSync: Promise<void> | undefined

  constructor(
    { handle, lock }: Handles,
    options: BackingOptions & { readonly lane: Lane },
    kind: Kind,
    granularity: number,
  ) {
    this.#handle = handle
    this.#lock = lock
    this.#fd = handle.fd
    this.#options = options
    this.#lane = options.lane
    this.#kind = kind
    this.#start = options.start ?? 0
    this.isReadOnly = options.readOnly
    this.discardGranularity = granularity
  }

  get size(): number {
    return this.#size
  }

  get canDiscard(): boolean {
    return this.#canDiscard
  }

  get knowsHoles(): boolean {
    return this.#kind === 'file'
  }

  async prepare(isNew: boolean): Promise<void> {
    const { size, path } = this.#options
    await this.#refresh(size)
    if (isNew) await syncFolder(path)
    if (this.#size === 0) throw new StorageError('invalid', `${path} is empty; set size, or give it one`)
    // Beyond the end there is nothing to lose: it only tells whether the call exists.
    if (!this.isReadOnly) this.#canDiscard = await this.#probeDiscard()
  }

  async #probeDiscard(): Promise<boolean> {
    if (this.#kind !== 'file') return true
    return await punchHole(this.#fd, (await this.#handle.stat()).size, DEFAULT_GRANULARITY_BYTES)
  }

  async refresh(size?: number): Promise<void> {
    await this.#lane.run(() => this.#refresh(size))
  }

  async #refresh(size?: number): Promise<void> {
    const { path, length } = this.#options
    let whole = await this.#wholeSize()
    if (size !== undefined && this.#kind === 'file' && !this.isReadOnly && size > whole) {
      await this.#handle.truncate(size)
      await this.#handle.sync()
      whole = size
    }
    if (length !== undefined && this.#start + length > whole) {
      throw new StorageError(
        'invalid',
        `${path} has ${whole} bytes, and ${this.#start + length} are to be used`,
      )
    }
    this.#size = length ?? Math.max(0, whole - this.#start)
  }

  async #wholeSize(): Promise<number> {
    return this.#kind === 'file' ? (await this.#handle.stat()).size : await blockDeviceSize(this.#fd)
  }

  read(into: Buffer, offset: number): Promise<void> {
    if (
      this.#readsNow &&
      this.#lane.stopped === undefined &&
      into.length <= MAXIMUM_NOW_BYTES &&
      into.length > 0
    ) {
      const result = readNow(this.#fd, into, this.#start + offset)
      if (result === 'done') return DONE
      if (result === 'never') this.#readsNow = false
    }
    return this.#lane.run(() => this.#readWaiting(into, offset))
  }

  #readWaiting(into: Buffer, offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void => {
        read(this.#fd, into, done, into.length - done, this.#start + offset + done, (error, count) => {
          if (error) reject(fromNodeError(error))
          else if (count === 0) reject(new StorageError('io', `${this.#options.path} became shorter`))
          else if (done + count < into.length) next(done + count)
          else resolve()
        })
      }
      if (into.length === 0) resolve()
      else next(0)
    })
  }

  write(chunks: readonly Buffer[], offset: number): Promise<void> {
    const mayNow = this.#writesNow && !this.isReadOnly && this.#lane.stopped === undefined
    if (mayNow && lengthOf(chunks) <= MAXIMUM_NOW_BYTES) {
      const result = writeNow(this.#fd, chunks, this.#start + offset)
      if (result === 'done') return DONE
      if (result === 'never') this.#writesNow = false
    }
    return this.#lane.run(() => this.#writeWaiting(chunks, this.#start + offset))
  }

  async #writeWaiting(chunks: readonly Buffer[], position: number): Promise<void> {
    if (this.isReadOnly) throw new StorageError('read-only', `${this.#options.path} is read-only`)
    let rest = chunks.filter((chunk) => chunk.length > 0)
    let at = position
    while (rest.length > 0) {
      const written = await this.#writeSome(rest, at)
      at += written
      rest = after(rest, written)
    }
  }

  #writeSome(chunks: readonly Buffer[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, count: number): void => {
        if (error) reject(fromNodeError(error))
        else if (count === 0) reject(new StorageError('io', `${this.#options.path} took nothing`))
        else resolve(count)
      }
      const [first] = chunks
      if (first !== undefined && chunks.length === 1) write(this.#fd, first, 0, first.length, position, done)
      else writev(this.#fd, chunks, position, done)
    })
  }

  /** One runs, one waits and serves all that came meanwhile. */
  sync(): Promise<void> {
    if (this.isReadOnly) return Promise.resolve()
    if (this.#syncing === undefined) {
      this.#syncing = this.#lane
        .run(() => this.#syncNow())
        .finally(() => {
          this.#syncing = undefined
        })
      return this.#syncing
    }
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = undefined
        return this.sync()
      })
    return this.#nextSync
  }

  #syncNow(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost)
        return
      }
      fdatasync(this.#fd, (error) => {
        if (error)
          this.#lost = new StorageError(
            'io',
            `${this.#options.path}: written data was lost: ${error.message}`,
          )
        if (this.#lost !== undefined) reject(this.#lost)
        else resolve()
      })
    })
  }

  async discard(offset: number, length: number): Promise<void> {
    if (this.isReadOnly) throw new StorageError('read-only', `${this.#options.path} is read-only`)
    if (length === 0) return
    const at = this.#start + offset
    if (this.#kind !== 'file') return await this.#discardBlocks(at, length)
    if (!this.#canDiscard || !(await this.#lane.run(() => punchHole(this.#fd, at, length))))
      await this.#zero(at, length)
  }

  /**
   * Devices take whole sectors, and a zvol frees whole blocks alone (they read as zeros then, and parts at both
   * ends are passed over): those ends are written.
   */
  async #discardBlocks(at: number, length: number): Promise<void> {
    const unit = this.#kind === 'zvol' ? this.discardGranularity : SECTOR_BYTES
    const first = Math.ceil(at / unit) * unit
    const last = Math.floor((at + length) / unit) * unit
    if (first >= last) return await this.#zero(at, length)
    await this.#zero(at, first - at)
    await this.#zero(last, at + length - last)
    const give = this.#kind === 'zvol' ? discardBlocks : punchHole
    await this.#lane.run(async () => {
      if (!(await give(this.#fd, first, last - first))) await zeroBlocks(this.#fd, first, last - first)
    })
  }

  async #zero(at: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROS.length) {
      const piece = ZEROS.subarray(0, Math.min(ZEROS.length, length - done))
      await this.write([piece], at + done - this.#start)
    }
  }

  async extentAt(offset: number, length: number): Promise<BlockExtent> {
    // Devices cannot tell: what they have must be taken for stored.
    if (!this.knowsHoles) return { isMapped: true, length }
    const at = this.#start + offset
    const end = at + length
    const data = (await this.#lane.run(() => seekData(this.#fd, at))) ?? end
    if (data > at) return { isMapped: false, length: Math.min(data, end) - at }
    const hole = await this.#lane.run(() => seekHole(this.#fd, at))
    return { isMapped: true, length: Math.min(hole, end) - at }
  }

  async close(): Promise<void> {
    this.#fd = -1
    const closing = this.#lane.release(async () => {
      await this.#handle.close()
      await this.#lock?.close()
    })
    await this.#lane.unlessStopped(closing)
  }
}

function lengthOf(chunks: readonly Buffer[]): number {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return length
}

/** What is left of the chunks after `count` bytes. */
function after(chunks: readonly Buffer[], count: number): Buffer[] {
  const rest: Buffer[] = []
  let skip = count
  for (const chunk of chunks) {
    if (skip < chunk.length) rest.push(chunk.subarray(skip))
    skip = Math.max(0, skip - chunk.length)
  }
  return rest
}

/** A new file is there after a power cut only when its folder is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } catch (error) {
    throw new StorageError(
      'io',
      `the folder of ${basename(path)} cannot be synced: ${(error as Error).message}`,
    )
  } finally {
    await folder.close()
  }
}
