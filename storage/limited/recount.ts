/** When a limited volume is walked: at the start, now and then, and when the disk's free space tells of changes that nobody counted. */

import type { FileSystem } from '../file-system.ts'
import type { SparseBundles } from './sparse-bundles.ts'
import type { VolumeCounter } from './volume-counter.ts'

/** The clock of those who use storage. */
export interface RecountClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls `run` once, unless cancelled. */
  after(milliseconds: number, run: () => void): () => void
}

/** Between two looks at the disk's free space. */
const LOOK_MILLISECONDS = 60_000
/** Between two walks, though nothing tells of changes. */
const WALK_MILLISECONDS = 3_600_000
/** The same when free space tells of changes: on a disk with other users it often does. */
const SUSPICION_MILLISECONDS = 300_000
/** A walk that took long is not repeated before ten times as long has passed. */
const PAUSE_FACTOR = 10
/** Free space that went or came unexplained: other users of the disk are not worth a walk each time. */
const UNEXPLAINED_BYTES = 64 * 1024 * 1024

export interface RecountEvents {
  /** A walk has ended, and moved the count by so many bytes. */
  counted?(used: number, correction: number): void
  failed?(error: unknown): void
}

/** What a walk corrects. */
export interface Counted {
  readonly counter: VolumeCounter
  readonly bundles: SparseBundles
}

export class Recount {
  readonly #fileSystem: FileSystem
  readonly #counter: VolumeCounter
  readonly #bundles: SparseBundles
  readonly #clock: RecountClock
  readonly #events: RecountEvents
  #cancel: () => void = () => undefined
  #walking: Promise<void> | undefined
  #isClosed = false
  #lastWalk = Number.NEGATIVE_INFINITY
  #lastDuration = 0
  #isSuspicious = false
  /** Free space at the last look, and what was counted then. */
  #seen: { readonly free: number; readonly used: number } | undefined

  constructor(
    fileSystem: FileSystem,
    { counter, bundles }: Counted,
    clock: RecountClock,
    events: RecountEvents = {},
  ) {
    this.#fileSystem = fileSystem
    this.#counter = counter
    this.#bundles = bundles
    this.#clock = clock
    this.#events = events
  }

  /** Walks the tree; who comes while it is walked waits for that walk. */
  walk(): Promise<void> {
    this.#walking ??= this.#walk().finally(() => (this.#walking = undefined))
    return this.#walking
  }

  /** Something happened that only a walk can count; the next may come earlier. */
  suspect(): void {
    this.#isSuspicious = true
  }

  /** Walks no more until it is asked to. */
  pause(): void {
    this.#cancel()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    await this.#walking
  }

  async #walk(): Promise<void> {
    const begun = this.#clock.now()
    this.#isSuspicious = false
    await this.#counter.beginWalk()
    this.#bundles.beginWalk()
    let bytes: number | undefined
    try {
      const goesOn = (soFar: number): boolean => {
        this.#counter.met(soFar)
        return !this.#isClosed
      }
      bytes = await this.#fileSystem.occupied(goesOn, (name, bands) => this.#bundles.met(name, bands))
    } catch (error) {
      this.#events.failed?.(error)
    }
    const correction = this.#counter.endWalk(bytes)
    await this.#bundles.endWalk(bytes !== undefined)
    this.#lastWalk = this.#clock.now()
    this.#lastDuration = this.#lastWalk - begun
    if (bytes !== undefined) this.#events.counted?.(this.#counter.used, correction)
    await this.#isUnexplained()
    this.#cancel()
    if (!this.#isClosed) this.#cancel = this.#clock.after(LOOK_MILLISECONDS, () => void this.#look())
  }

  async #look(): Promise<void> {
    const since = this.#clock.now() - this.#lastWalk
    const isUnexplained = await this.#isUnexplained()
    if (this.#isClosed) return
    if (isUnexplained) this.#isSuspicious = true
    const pause = this.#isSuspicious ? SUSPICION_MILLISECONDS : WALK_MILLISECONDS
    const isDue = since >= pause || !this.#counter.isKnown
    if (isDue && since >= this.#lastDuration * PAUSE_FACTOR) await this.walk()
    else this.#cancel = this.#clock.after(LOOK_MILLISECONDS, () => void this.#look())
  }

  /** Whether the disk's free space changed by something else than what was counted since it was last asked. */
  async #isUnexplained(): Promise<boolean> {
    try {
      await this.#counter.settle()
      const { free } = await this.#fileSystem.space()
      const before = this.#seen
      const { used } = this.#counter
      this.#seen = { free, used }
      return before !== undefined && Math.abs(before.free - free - (used - before.used)) > UNEXPLAINED_BYTES
    } catch (error) {
      this.#events.failed?.(error)
      return false
    }
  }
}
