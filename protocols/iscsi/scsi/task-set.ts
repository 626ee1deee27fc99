/** SAM-5 8.6: order among the tasks of a logical unit, by their attributes. */

import type { TaskAttribute } from './task.ts'

interface Entry {
  readonly isOrdered: boolean
  hasBegun: boolean
  begin: (() => void) | undefined
}

export type LeaveTaskSet = () => void

/** Simple tasks run beside each other, an ordered one after all before it and before all after it; head of queue at once. */
export class TaskSet {
  /** In order of arrival. */
  readonly #entries = new Set<Entry>()
  #orderedCount = 0

  get size(): number {
    return this.#entries.size
  }

  /** @returns the way out, at once or when the task's turn has come */
  enter(attribute: TaskAttribute): LeaveTaskSet | Promise<LeaveTaskSet> {
    const isOrdered = attribute === 'ordered'
    const mayBegin =
      attribute === 'head-of-queue' || this.#entries.size === 0 || (!isOrdered && this.#orderedCount === 0)
    const entry: Entry = { isOrdered, hasBegun: mayBegin, begin: undefined }
    this.#entries.add(entry)
    if (isOrdered) this.#orderedCount++
    const leave = (): void => this.#leave(entry)
    if (mayBegin) return leave
    return new Promise((resolve) => {
      entry.begin = () => resolve(leave)
    })
  }

  #leave(entry: Entry): void {
    this.#entries.delete(entry)
    if (this.#orderedCount === 0) return
    if (entry.isOrdered) this.#orderedCount--
    let isFirst = true
    for (const next of this.#entries) {
      if (next.isOrdered && !isFirst) return
      if (!next.hasBegun) {
        next.hasBegun = true
        next.begin?.()
      }
      if (next.isOrdered) return
      isFirst = false
    }
  }
}
