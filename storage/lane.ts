/**
 * The way to one set of disks: what goes there keeps threads of the process that serve other disks, too. So a bounded number of
 * calls is under way at a time, and none is begun while the disks are known to have stopped.
 */

import { StorageError } from './errors.ts'

interface Waiting {
  readonly begin: () => void
  /** Absent: it waits for its turn all the same. */
  readonly refuse?: (error: StorageError) => void
}

export class Lane {
  #limit: number | undefined
  #underWay = 0
  #waiting: Waiting[] = []
  #stopped: string | undefined
  readonly #onStop = new Set<(error: StorageError) => void>()

  /** @param limit calls under way at a time, 1 or more; absent: as many as come, for disks of which nobody can tell that they stop */
  constructor(limit?: number) {
    this.#limit = limit
  }

  /** As many may be under way from now on. */
  set limit(limit: number) {
    this.#limit = limit
    this.#beginWaiting()
  }

  /** Why nothing is begun at this moment, in a sentence for the owner; undefined: the disks answer. */
  get stopped(): string | undefined {
    return this.#stopped
  }

  /** Runs a call in its turn. @throws StorageError 'not-ready' when the disks have stopped before */
  run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#stopped !== undefined) return Promise.reject(this.#error(this.#stopped))
    return this.#enter(call, true)
  }

  /** The same for what gives something back: it is done when the disks answer again. */
  release<T>(call: () => Promise<T>): Promise<T> {
    return this.#enter(call, false)
  }

  #enter<T>(call: () => Promise<T>, isRefused: boolean): Promise<T> {
    if (this.#limit === undefined) return call()
    if (this.#underWay < this.#limit) return this.#begin(call)
    return new Promise((resolve, reject) => {
      const begin = () => this.#begin(call).then(resolve, reject)
      this.#waiting.push(isRefused ? { begin, refuse: reject } : { begin })
    })
  }

  async #begin<T>(call: () => Promise<T>): Promise<T> {
    this.#underWay += 1
    try {
      return await call()
    } finally {
      this.#underWay -= 1
      this.#beginWaiting()
    }
  }

  #beginWaiting(): void {
    while (this.#underWay < (this.#limit ?? 0)) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next.begin()
    }
  }

  /** The disks do not answer. What waits is refused; what is under way ends when they answer again: it may be done yet. */
  stop(reason: string): void {
    if (this.#stopped !== undefined) return
    this.#stopped = reason
    const error = this.#error(reason)
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ refuse }) => refuse === undefined)
    for (const { refuse } of waiting) refuse?.(error)
    for (const told of this.#onStop) told(error)
  }

  /** They answer again. */
  resume(): void {
    this.#stopped = undefined
  }

  /** @returns how to be told no more */
  onStop(told: (error: StorageError) => void): () => void {
    this.#onStop.add(told)
    return () => this.#onStop.delete(told)
  }

  /** Resolves with the work, or when the disks have stopped: it ends by itself then, and nobody asks how. */
  async unlessStopped(work: Promise<unknown>): Promise<void> {
    if (this.#limit === undefined) return void (await work)
    let cancel = (): unknown => undefined
    const stopped = new Promise<void>((resolve) => {
      if (this.#stopped === undefined) cancel = this.onStop(() => resolve())
      else resolve()
    })
    try {
      await Promise.race([work, stopped])
    } finally {
      cancel()
      work.catch(() => undefined)
    }
  }

  #error(reason: string): StorageError {
    return new StorageError('not-ready', reason)
  }
}
