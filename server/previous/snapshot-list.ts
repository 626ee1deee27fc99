/** The snapshots of one tree: read once, and again every few seconds for as long as someone asks. */

import { StorageError } from '../../storage/errors.ts'
import type { SnapshotMoment } from '../../storage/zfs/snapshot.ts'
import type { Logger } from '../logging/logger.ts'

/** How old what clients are told may be. */
const POLL_MILLISECONDS = 10_000
/** Nobody has asked for so long: the next who does waits for a new list. */
const ATTENTION_MILLISECONDS = 120_000
/** Tokens have no finer times. */
const SECOND = 1000

export interface ListClock {
  /** Milliseconds since 1970. */
  now(): number
  after(milliseconds: number, run: () => void): () => void
}

/** What is there, under times of which no two are the same. */
export interface Snapshots {
  /** Milliseconds since 1970, whole seconds, newest first. */
  readonly times: readonly number[]
  /** Names by time. */
  readonly names: ReadonlyMap<number, string>
}

/** @param moments in any order; of one second the later ones follow, and are shown seconds later */
export function snapshotsOf(moments: readonly SnapshotMoment[]): Snapshots {
  const names = new Map<number, string>()
  let last = Number.NEGATIVE_INFINITY
  for (const { name, created } of moments.toSorted((one, other) => one.created - other.created)) {
    last = Math.max(Math.floor(created / SECOND) * SECOND, last + SECOND)
    names.set(last, name)
  }
  return { times: [...names.keys()].reverse(), names }
}

/** Then the old one stays, with all that was made of it. */
function isSame(one: Snapshots, other: Snapshots): boolean {
  return (
    one.names.size === other.names.size &&
    one.times.every((time) => one.names.get(time) === other.names.get(time))
  )
}

export class SnapshotList {
  readonly #read: () => Promise<readonly SnapshotMoment[]>
  readonly #clock: ListClock
  readonly #log: Logger
  #known: Promise<Snapshots> | undefined
  #cancelPoll: (() => void) | undefined
  #askedAt = 0
  #isClosed = false

  constructor(read: () => Promise<readonly SnapshotMoment[]>, clock: ListClock, log: Logger) {
    this.#read = read
    this.#clock = clock
    this.#log = log
  }

  /** What was there a few seconds ago. @throws StorageError when it cannot be told */
  async current(): Promise<Snapshots> {
    this.#askedAt = this.#clock.now()
    if (this.#known === undefined) {
      const reading = this.#load()
      this.#known = reading
      reading.then(
        () => this.#pollLater(),
        () => {
          if (this.#known === reading) this.#known = undefined
        },
      )
    }
    return await this.#known
  }

  close(): void {
    this.#isClosed = true
    this.#cancelPoll?.()
  }

  async #load(): Promise<Snapshots> {
    try {
      return snapshotsOf(await this.#read())
    } catch (error) {
      const { message } = error as Error
      this.#log.warn(`previous versions cannot be listed: ${message}`)
      throw new StorageError('io', message)
    }
  }

  #pollLater(): void {
    if (this.#isClosed) return
    this.#cancelPoll = this.#clock.after(POLL_MILLISECONDS, () => void this.#poll())
  }

  async #poll(): Promise<void> {
    if (this.#clock.now() - this.#askedAt >= ATTENTION_MILLISECONDS) {
      this.#known = undefined
      return
    }
    const before = await this.#known
    const fresh = await this.#load().catch(() => undefined)
    if (fresh === undefined) {
      // What cannot be read again may be gone: nobody is told of it any longer.
      this.#known = undefined
      return
    }
    if (before === undefined || !isSame(before, fresh)) this.#known = Promise.resolve(fresh)
    this.#pollLater()
  }
}
