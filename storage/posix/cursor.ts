/** A listing in progress, the main thread's side: decodes the pages that a worker makes. */

import type { DirectoryCursor, DirectoryEntry, FileStat } from '../file-system.ts'
import { toNative } from '../names/sfm.ts'
import { isShortName, shortNameOf } from '../names/short-name.ts'
import type { Details } from './entry-details.ts'
import { decodeStat, RECORD_BYTES, type Volume } from './stat-record.ts'
import type { WorkerPool } from './worker-pool.ts'

export class PosixCursor implements DirectoryCursor {
  readonly #workers: WorkerPool
  readonly #key: number
  readonly #id: number
  readonly #volume: Volume
  readonly #forget: () => void
  #isDone = false
  #isClosed = false

  constructor(workers: WorkerPool, key: number, id: number, volume: Volume, forget: () => void) {
    this.#workers = workers
    this.#key = key
    this.#id = id
    this.#volume = volume
    this.#forget = forget
  }

  async next(count: number): Promise<readonly DirectoryEntry[]> {
    if (this.#isDone || this.#isClosed || count < 1) return []
    const page = await this.#workers.run(this.#key, 'nextPage', { cursor: this.#id, count })
    this.#isDone = page.done
    const records = Buffer.from(page.records.buffer, page.records.byteOffset, page.records.byteLength)
    return page.names.map((name, index) => {
      const stat = decodeStat(records, index * RECORD_BYTES, this.#volume)
      const entry = entryOf(name, stat, page.targets.get(index))
      const descriptor = page.descriptors.get(index)
      const details = page.details[index]
      if (details !== undefined) return withDetails(entry, details, descriptor)
      return descriptor === undefined ? entry : { ...entry, securityDescriptor: Buffer.from(descriptor) }
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#forget()
    await this.#workers.run(this.#key, 'endListing', this.#id)
  }
}

function withDetails(
  { name, shortName, stat }: DirectoryEntry,
  { permissions, mac }: Details,
  descriptor: Uint8Array | undefined,
): DirectoryEntry {
  return {
    ...{ name, shortName, stat, permissions },
    ...(mac !== undefined && { mac }),
    ...(descriptor !== undefined && { securityDescriptor: Buffer.from(descriptor) }),
  }
}

function entryOf(name: string, stat: FileStat, linkTarget: string | undefined): DirectoryEntry {
  const native = toNative(name)
  const shortName = isShortName(native) || name === '.' || name === '..' ? '' : shortNameOf(native)
  return linkTarget === undefined ? { name, shortName, stat } : { name, shortName, stat, linkTarget }
}
