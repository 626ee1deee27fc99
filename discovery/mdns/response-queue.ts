/** Multicast answers that wait: joined, delayed and held back as RFC 6762 6 and 6.3 say. */

import { type Environment, Timers } from '../environment.ts'
import { recordKey } from './compare.ts'
import { intoMessages, thatFit } from './packet.ts'
import type { OwnRecord } from './zone.ts'

/** RFC 6762 6: a record is not multicast again on a link before this; to defend a name against a probe, sooner. */
const REPEAT_MILLISECONDS = 1000
const DEFENCE_REPEAT_MILLISECONDS = 250
/** What is due this soon goes in the same message. */
const JOIN_MILLISECONDS = 20

export class ResponseQueue {
  readonly #environment: Environment
  readonly #timers: Timers
  readonly #send: (answers: OwnRecord[], additionals: readonly OwnRecord[]) => void
  readonly #additionalsFor: (answers: readonly OwnRecord[]) => OwnRecord[]
  readonly #waiting = new Map<string, { readonly record: OwnRecord; readonly due: number }>()
  readonly #lastSent = new Map<string, number>()
  #cancel: (() => void) | undefined

  /** @param send puts one message on the wire */
  constructor(
    environment: Environment,
    additionalsFor: (answers: readonly OwnRecord[]) => OwnRecord[],
    send: (answers: OwnRecord[], additionals: readonly OwnRecord[]) => void,
  ) {
    this.#environment = environment
    this.#timers = new Timers(environment)
    this.#additionalsFor = additionalsFor
    this.#send = send
  }

  /** Sends the records after a wait in milliseconds, or later when they were sent just before. */
  add(records: readonly OwnRecord[], wait: number, isDefence: boolean): void {
    const now = this.#environment.now()
    for (const record of records) {
      const key = recordKey(record)
      const gap = isDefence ? DEFENCE_REPEAT_MILLISECONDS : REPEAT_MILLISECONDS
      const due = Math.max(now + wait, (this.#lastSent.get(key) ?? Number.NEGATIVE_INFINITY) + gap)
      const waiting = this.#waiting.get(key)
      if (waiting === undefined || due < waiting.due) this.#waiting.set(key, { record, due })
    }
    this.#schedule()
  }

  /** Notes that records were multicast otherwise, by an announcement. */
  noteSent(records: readonly OwnRecord[]): void {
    for (const record of records) this.#lastSent.set(recordKey(record), this.#environment.now())
  }

  /** Milliseconds since the record was last multicast; infinite: never. */
  age(record: OwnRecord): number {
    return this.#environment.now() - (this.#lastSent.get(recordKey(record)) ?? Number.NEGATIVE_INFINITY)
  }

  /** Forgets what waits, and what was sent. */
  clear(): void {
    this.#timers.cancelAll()
    this.#cancel = undefined
    this.#waiting.clear()
    this.#lastSent.clear()
  }

  #schedule(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#waiting.size === 0) return
    const earliest = Math.min(...Array.from(this.#waiting.values(), ({ due }) => due))
    const wait = Math.max(0, earliest - this.#environment.now())
    this.#cancel = this.#timers.after(wait, () => this.#flush())
  }

  #flush(): void {
    const until = this.#environment.now() + JOIN_MILLISECONDS
    const due = [...this.#waiting].filter(([, waiting]) => waiting.due <= until)
    for (const [key] of due) this.#waiting.delete(key)
    const answers = due.map(([, { record }]) => record)
    this.noteSent(answers)
    for (const message of intoMessages(answers)) {
      const more = thatFit(this.#additionalsFor(message), message) as OwnRecord[]
      this.#send(message, more)
    }
    this.#schedule()
  }
}
