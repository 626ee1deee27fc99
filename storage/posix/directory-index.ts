/** MS-FSA 2.1.5.1: "search for a name in a case-insensitive manner": what the folders of a share contain, by folded name, kept while they do not change. */

import { performance } from 'node:perf_hooks'
import { foldKey, normalKey } from '../names/fold.ts'
import { toNative } from '../names/sfm.ts'
import { looksGenerated, shortNameOf } from '../names/short-name.ts'
import { eachName } from './directory-read.ts'
import { decodeName, encodePath, wellFormed } from './disk-name.ts'
import { check } from './errno.ts'
import { asServer } from './identity.ts'
import { hashOf, NameTable } from './name-table.ts'
import { close, O_DIRECTORY, O_RDONLY, openBeneath, statOf } from './native.ts'
import { identityOf, newRecord, versionOf, writeTimeOf } from './stat-record.ts'

/** Names kept by one worker, in all folders; the folder in use may exceed it. */
export const MAXIMUM_CACHED_NAMES = 500_000

/** Times of a folder advance in steps of the kernel's tick: two changes this close may look like one. */
const TICK_MILLISECONDS = 20
/**
 * An index that such a pair may have left behind is read again, but not before this many times
 * as long as reading it took: 1 % of the time, however large the folder is.
 */
const RESCAN_FACTOR = 100
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** Beside 8.3 names: 'case': names that differ in case alone; 'any': also in Unicode form. */
export type MatchKind = 'case' | 'any'

interface Index {
  readonly table: NameTable
  /** `versionOf` the directory that it shows. */
  version: string
  /** Whether a change may have hidden in the same tick. */
  uncertain: boolean
  readonly scannedAt: number
  readonly scanMilliseconds: number
}

/** An index that was right before a change of ours, to be told of it. */
export type IndexMark = Index | undefined

const record = newRecord()

function keyOf(name: string): string {
  return normalKey(toNative(wellFormed(name)))
}

function shortOf(name: string): string {
  return shortNameOf(toNative(wellFormed(name)))
}

export class DirectoryIndexes {
  /** In order of use, the latest last. */
  readonly #indexes = new Map<string, Index>()
  readonly #limit: number
  #names = 0
  /** Directories read from beginning to end so far; for tests. */
  scans = 0

  constructor(limit = MAXIMUM_CACHED_NAMES) {
    this.#limit = limit
  }

  /** The name, as stored, of the entry that a client means by `name`; undefined when there is none. */
  find(directory: number, name: string, match: MatchKind): string | undefined {
    const { table } = this.#current(directory)
    const wanted = toNative(name)
    const key = keyOf(name)
    const hash = hashOf(key)
    const folded = foldKey(wanted)
    const same =
      table.find(hash, (stored) => toNative(stored) === wanted) ??
      table.find(hash, (stored) => foldKey(toNative(stored)) === folded)
    if (same !== undefined) return same
    const otherForm = match === 'any' ? table.find(hash, (stored) => keyOf(stored) === key) : undefined
    return otherForm ?? this.#findShort(table, name)
  }

  /** To be called before an entry of the directory is changed, and its answer given to `added` and `removed`. */
  mark(directory: number): IndexMark {
    if (this.#indexes.size === 0) return undefined
    check(statOf(directory, record), 'statx')
    const index = this.#indexes.get(identityOf(record))
    return index?.version === versionOf(record) ? index : undefined
  }

  added(mark: IndexMark, directory: number, name: string): void {
    if (mark === undefined) return
    this.#insert(mark.table, name)
    this.#advance(mark, directory)
  }

  removed(mark: IndexMark, directory: number, name: string): void {
    if (mark === undefined) return
    const before = mark.table.count
    mark.table.remove(hashOf(keyOf(name)), name)
    this.#names += mark.table.count - before
    this.#advance(mark, directory)
  }

  #insert(table: NameTable, name: string): void {
    const encoded = encodePath(name)
    const bytes = typeof encoded === 'string' ? Buffer.from(encoded) : encoded.subarray(0, -1)
    table.add(hashOf(keyOf(name)), bytes, 0, bytes.length, () => hashOf(shortOf(name)))
    this.#names++
  }

  #advance(index: Index, directory: number): void {
    check(statOf(directory, record), 'statx')
    index.version = versionOf(record)
    index.uncertain = true
  }

  #findShort(table: NameTable, name: string): string | undefined {
    if (!looksGenerated(name)) return undefined
    const wanted = name.toUpperCase()
    return table.findOther(
      hashOf(wanted),
      (stored) => hashOf(shortOf(stored)),
      (stored) => shortOf(stored) === wanted,
    )
  }

  #current(directory: number): Index {
    check(statOf(directory, record), 'statx')
    const identity = identityOf(record)
    const known = this.#indexes.get(identity)
    if (known !== undefined) {
      this.#indexes.delete(identity)
      if (known.version === versionOf(record) && !isDueForRescan(known)) {
        this.#indexes.set(identity, known)
        return known
      }
      this.#names -= known.table.count
    }
    const index = this.#scan(directory, record)
    this.#names += index.table.count
    this.#indexes.set(identity, index)
    this.#evict(index)
    return index
  }

  #scan(directory: number, before: Buffer): Index {
    this.scans++
    const version = versionOf(before)
    const ageOfVersion = BigInt(Date.now()) - writeTimeOf(before) / NANOSECONDS_PER_MILLISECOND
    const began = performance.now()
    const table = new NameTable(decodeName)
    // The index serves every account, so it is read as the server; opening what it finds is checked as theirs.
    const fd = asServer(() => check(openBeneath(directory, '', O_RDONLY | O_DIRECTORY), 'open directory'))
    try {
      eachName(fd, (bytes, from, to) => {
        const name = decodeName(bytes, from, to)
        table.add(hashOf(keyOf(name)), bytes, from, to, () => 0)
      })
    } finally {
      close(fd)
    }
    const scannedAt = performance.now()
    return {
      table,
      version,
      uncertain: ageOfVersion < TICK_MILLISECONDS,
      scannedAt,
      scanMilliseconds: scannedAt - began,
    }
  }

  #evict(keep: Index): void {
    for (const [identity, index] of this.#indexes) {
      if (this.#names <= this.#limit || index === keep) return
      this.#indexes.delete(identity)
      this.#names -= index.table.count
    }
  }
}

function isDueForRescan(index: Index): boolean {
  if (!index.uncertain) return false
  const pause = Math.max(TICK_MILLISECONDS, index.scanMilliseconds * RESCAN_FACTOR)
  return performance.now() - index.scannedAt > pause
}
