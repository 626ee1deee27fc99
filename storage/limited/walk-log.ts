/** What changed a count while the tree was walked: a change may be in the walk's sum or not. */

export class WalkLog {
  #gained: number
  #lost = 0

  /** @param underWay what may come without being told */
  constructor(underWay = 0) {
    this.#gained = underWay
  }

  /** The count was changed. */
  changed(by: number): void {
    if (by > 0) this.#gained += by
    else this.#lost -= by
  }

  /** Part of the count, which the walk may miss. */
  mayMiss(amount: number): void {
    this.#gained += amount
  }

  /** What is known when nothing was counted before. */
  sumOf(found: number): number {
    return found + this.#gained - this.#lost
  }

  /** The most there can be. */
  highest(found: number): number {
    return found + this.#gained
  }

  /** The count that was kept, where the changes explain how it differs from what was found; otherwise moved as far as needed. */
  corrected(kept: number, found: number): number {
    return Math.min(Math.max(kept, found - this.#lost), this.highest(found))
  }
}
