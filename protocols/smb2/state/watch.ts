/** MS-FSA 2.1.1.1 ChangeNotifyEntry: an open's interest in a directory, and what it has not been told yet. */

import { notifyEntryBytes } from '../fscc/notify.ts'

export interface KeptChange {
  /** NotifyAction */
  readonly action: number
  /** Relative to the watched directory, '/'-separated. */
  readonly name: string
}

/** What ends the wait of a request. */
export type WatchEnd = 'changed' | 'deleted'

/** Changes that all watches together keep; owned by the server, so that watchers who never ask cannot fill memory. */
export interface KeptBudget {
  readonly limit: number
  used: number
}

export interface WatchFields {
  /** The share's tree. */
  readonly root: object
  /** The watched directory as it is named now. */
  readonly path: string
  /** Bits of NotifyFilter. */
  readonly filter: number
  readonly recursive: boolean
  /** Bytes of FILE_NOTIFY_INFORMATION that are kept between requests. */
  readonly limitBytes: number
  readonly budget: KeptBudget
}

/** From an open's first CHANGE_NOTIFY, which settles filter, depth and size, until it closes. */
export class Watch {
  readonly root: object
  readonly filter: number
  readonly recursive: boolean
  /** Kept right by the bus when directories move. */
  path: string
  readonly #limitBytes: number
  readonly #budget: KeptBudget
  #changes: KeptChange[] = []
  #bytes = 0
  #overflown = false
  /** In the order in which they came: each change answers one. */
  readonly #waiting = new Set<(end: WatchEnd) => void>()

  constructor(fields: WatchFields) {
    this.root = fields.root
    this.path = fields.path
    this.filter = fields.filter
    this.recursive = fields.recursive
    this.#limitBytes = fields.limitBytes
    this.#budget = fields.budget
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Calls back once: when there is something to take and all who asked earlier have been answered.
   * @returns takes the request back
   */
  wait(notify: (end: WatchEnd) => void): () => void {
    this.#waiting.add(notify)
    this.wake()
    return () => this.#waiting.delete(notify)
  }

  /** Keeps a change until it is taken. Whoever calls wakes when all that belongs together is kept. */
  keep(action: number, name: string): void {
    if (this.#overflown) return
    this.#bytes = notifyEntryBytes(this.#bytes, name)
    if (this.#bytes > this.#limitBytes || this.#budget.used >= this.#budget.limit) {
      this.discard()
      this.#overflown = true
      return
    }
    this.#budget.used++
    this.#changes.push({ action, name })
  }

  /** What has changed; undefined when it was too much to keep. */
  take(): readonly KeptChange[] | undefined {
    const changes = this.#overflown ? undefined : this.#changes
    this.discard()
    return changes
  }

  /** Forgets what was kept. */
  discard(): void {
    this.#budget.used -= this.#changes.length
    this.#changes = []
    this.#bytes = 0
    this.#overflown = false
  }

  /** Changes were missed. */
  overflow(): void {
    this.discard()
    this.#overflown = true
    this.wake()
  }

  /** The directory is about to be deleted: nothing will come any more. */
  endDeleted(): void {
    for (const notify of [...this.#waiting]) {
      this.#waiting.delete(notify)
      notify('deleted')
    }
  }

  /** Answers the request that has waited longest, if there is something to tell it. */
  wake(): void {
    if (this.#changes.length === 0 && !this.#overflown) return
    const [first] = this.#waiting
    if (first === undefined) return
    this.#waiting.delete(first)
    first('changed')
  }
}
