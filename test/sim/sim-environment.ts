/** A clock that is moved by hand, and bytes that look random and are the same in every run. */

import { createHash } from 'node:crypto'
import type { Environment } from '../../protocols/transport/engine.ts'

/** 2026-01-01T00:00:00Z */
const START_MILLISECONDS = 1_767_225_600_000

interface Timer {
  readonly due: number
  readonly run: () => void
}

export class SimEnvironment implements Environment {
  #now = START_MILLISECONDS
  readonly #seed: number
  #drawn = 0
  readonly #timers = new Set<Timer>()

  constructor(seed = 1) {
    this.#seed = seed
  }

  now(): number {
    return this.#now
  }

  random(count: number): Buffer {
    const blocks: Buffer[] = []
    for (let bytes = 0; bytes < count; bytes += 32) {
      blocks.push(
        createHash('sha256')
          .update(`${this.#seed}:${this.#drawn++}`)
          .digest(),
      )
    }
    return Buffer.concat(blocks).subarray(0, count)
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { due: this.#now + milliseconds, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Moves the clock on, from timer to timer; each gets done what it sets off before the next. */
  async advance(milliseconds: number): Promise<void> {
    await settled()
    const until = this.#now + milliseconds
    for (;;) {
      const [next] = [...this.#timers].filter(({ due }) => due <= until).sort((one, two) => one.due - two.due)
      if (next === undefined) break
      this.#now = next.due
      this.#timers.delete(next)
      next.run()
      await settled()
    }
    this.#now = until
  }
}

/** Turns of the event loop after which nothing moves that needs no clock: storage in RAM answers in a few. */
const TURNS_TO_SETTLE = 20

/** All that can happen without the clock has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS_TO_SETTLE; turn++) await new Promise((resolve) => setImmediate(resolve))
}
