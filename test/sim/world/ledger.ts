/** What a piece of a file may hold, given the writes that were acknowledged and those whose end nobody knows. */

/** Every write has a value of its own; 0 is what was never written. */
export type Value = number

/** A write on its way. */
interface Pending {
  /** Values acknowledged since it was sent: which of the two came later nobody knows. */
  readonly meanwhile: Set<Value>
}

/** A write that one client keeps for itself, as nobody else may look at the file. */
interface Kept {
  readonly value: Value
  /** The client can still be asked for it: else it may be lost, and what the server has shows again. */
  readonly isCertain: () => boolean
}

/** A read on its way: whatever was possible at any moment of it may come back. */
export interface Reading {
  readonly possible: Set<Value>
  /** What may come back as well, if by now that is lost which a client kept when the read began. */
  readonly beneath: ReadonlySet<Value>
  readonly kept: Kept | undefined
}

export class Ledger {
  /** What the server may have. */
  #possible = new Set<Value>([0])
  #kept: Kept | undefined
  readonly #pending = new Map<Value, Pending>()
  readonly #readings = new Set<Reading>()

  /** A client keeps a write for itself: others have to see it all the same when they look. */
  keep(value: Value, isCertain: () => boolean): void {
    this.#kept = { value, isCertain }
  }

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
    if (this.#kept?.value === value) this.#kept = undefined
    const still = [...pending.meanwhile].filter((other) => this.#possible.has(other))
    for (const other of this.#pending.values()) other.meanwhile.add(value)
    this.#possible = new Set([value, ...still, ...this.#pending.keys()])
  }

  /** A write was refused: it does not show, ever. */
  refused(value: Value): void {
    this.#pending.delete(value)
    this.#possible.delete(value)
    if (this.#kept?.value === value) this.#kept = undefined
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
    const kept = this.#kept
    const beneath = new Set(this.#possible)
    const possible = kept?.isCertain() === true ? new Set([kept.value]) : new Set(beneath)
    const reading = { possible, beneath, kept }
    this.#readings.add(reading)
    return reading
  }

  /** A read has ended. @returns why what it brought is wrong */
  judge(reading: Reading, value: Value): string | undefined {
    this.#readings.delete(reading)
    const isLost = reading.kept !== undefined && !reading.kept.isCertain()
    return reading.possible.has(value) || (isLost && reading.beneath.has(value))
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
