/** A listing in progress, the main thread's side: decodes the pages that a worker makes. */

import type { DirectoryCursor, DirectoryEntry } from '../file-system.ts'
import { toNative } from '../names/sfm.ts'
import { isShortName, shortNameOf } from '../names/short-name.ts'
import { NAME_END, type Page } from './listing-page.ts'
import { decodeStat, permissionsAt, RECORD_BYTES, type Volume } from './stat-record.ts'
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
    const entries: DirectoryEntry[] = []
    for (let from = 0, end = 0; from < page.names.length; from = end + NAME_END.length) {
      end = page.names.indexOf(NAME_END, from)
      entries.push(this.#entryOf(page.names.slice(from, end), page, records, entries.length))
    }
    return entries
  }

  #entryOf(name: string, page: Page, records: Buffer, index: number): DirectoryEntry {
    const at = index * RECORD_BYTES
    const stat = decodeStat(records, at, this.#volume)
    const permissions = permissionsAt(records, at)
    const linkTarget = page.targets.get(index)
    const descriptor = page.descriptors.get(index)
    const mac = page.mac.get(index)
    // Named one by one: measured, spreading them is slow.
    return {
      name,
      shortName: shortNameFor(name),
      stat,
      ...(permissions !== undefined && { permissions }),
      ...(linkTarget !== undefined && { linkTarget }),
      ...(descriptor !== undefined && { securityDescriptor: Buffer.from(descriptor) }),
      ...(mac !== undefined && { mac }),
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#forget()
    await this.#workers.run(this.#key, 'endListing', this.#id)
  }
}

function shortNameFor(name: string): string {
  const native = toNative(name)
  return isShortName(native) || name === '.' || name === '..' ? '' : shortNameOf(native)
}
