/** SBC-3 4.27: commands that overlap must not mix: one writer, or many readers, per block. */

interface Held {
  readonly start: number
  readonly end: number
  readonly exclusive: boolean
}

interface Waiting extends Held {
  readonly grant: () => void
}

export type ReleaseRange = () => void

/** First come, first served among those that overlap; others pass. */
export class RangeLock {
  readonly #held = new Set<Held>()
  readonly #waiting: Waiting[] = []

  /**
   * Any numbers that order a range.
   *
   * @returns at once the way to give it back, when nobody is in the way; otherwise a promise of it
   */
  acquire(start: number, length: number, exclusive: boolean): ReleaseRange | Promise<ReleaseRange> {
    const wanted: Held = { start, end: start + length, exclusive }
    if (this.#isFree(wanted, this.#waiting.length)) return this.#take(wanted)
    return new Promise((resolve) => {
      this.#waiting.push({ ...wanted, grant: () => resolve(this.#take(wanted)) })
    })
  }

  #take(range: Held): ReleaseRange {
    this.#held.add(range)
    return () => {
      this.#held.delete(range)
      if (this.#waiting.length > 0) this.#wake()
    }
  }

  /** Whether neither a holder nor one of the first `ahead` in the queue is in the way. */
  #isFree(wanted: Held, ahead: number): boolean {
    for (const held of this.#held) if (conflicts(held, wanted)) return false
    for (let i = 0; i < ahead; i++) if (conflicts(this.#waiting[i] as Waiting, wanted)) return false
    return true
  }

  #wake(): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const next = this.#waiting[i] as Waiting
      if (this.#isFree(next, i)) {
        this.#waiting.splice(i, 1)
        next.grant()
      } else i++
    }
  }
}

function conflicts(one: Held, other: Held): boolean {
  return (one.exclusive || other.exclusive) && one.start < other.end && other.start < one.end
}
