/** What a piece of a file may hold, given the writes that were acknowledged and those whose end nobody knows. */

/** Every write has a value of its own; 0 is what was never written. */
export type Value = number

/** A write on its way. */
interface Pending {
  /** Values acknowledged since it was sent: which of the two came later nobody knows. */
  readonly meanwhile: Set<Value>
}

/** A read on its way: whatever was possible at any moment of it may come back. */
export interface Reading {
  readonly possible: Set<Value>
}

export class Ledger {
  #possible = new Set<Value>([0])
  readonly #pending = new Map<Value, Pending>()
  readonly #readings = new Set<Reading>()

  /** A write is sent: it may show from now on. */
  sent(value: Value): void {
    this.#pending.set(value, { meanwhile: new Set() })
    this.#add(value)
  }

  /** A write was acknowledged: what was there before must not come back. */
  acknowledged(value: Value): void {
    const pending = this.#pending.get(value)
    if (pending === undefined) throw new Error('a write that was not sent was acknowledged')
    this.#pending.delete(value)
    const still = [...pending.meanwhile].filter((other) => this.#possible.has(other))
    for (const other of this.#pending.values()) other.meanwhile.add(value)
    this.#possible = new Set([value, ...still, ...this.#pending.keys()])
  }

  /** A write was refused: it does not show, ever. */
  refused(value: Value): void {
    this.#pending.delete(value)
    this.#possible.delete(value)
  }

  /**
   * A write has either been done by now or never will be. (Until then it stays pending: when its
   * connection is lost, it may still be on its way to the disk.)
   */
  settled(value: Value): void {
    this.#pending.delete(value)
    for (const other of this.#pending.values()) other.meanwhile.add(value)
  }

  /** A read begins. */
  read(): Reading {
    const reading = { possible: new Set(this.#possible) }
    this.#readings.add(reading)
    return reading
  }

  /** A read has ended. @returns why what it brought is wrong */
  judge(reading: Reading, value: Value): string | undefined {
    this.#readings.delete(reading)
    return reading.possible.has(value)
      ? undefined
      : `${value} was read where only ${[...reading.possible].join(', ')} can be`
  }

  /** The same for a read that takes no time. */
  judgeNow(value: Value): string | undefined {
    return this.judge(this.read(), value)
  }

  #add(value: Value): void {
    this.#possible.add(value)
    for (const reading of this.#readings) reading.possible.add(value)
  }
}
