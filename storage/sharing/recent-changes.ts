/** Which streams were changed since a client was told of them (MS-FSA 2.1.5.18: what may be kept must be current). */

/** What a change is of. */
export interface Changed {
  readonly node: { readonly fileId: bigint }
}

/** Slots of the table: two files that share one are taken for each other. */
const CHANGE_SLOTS = 1024

export class RecentChanges {
  /** When the streams of a slot were last changed, in changes of all. */
  readonly #lastChange = new Float64Array(CHANGE_SLOTS)
  #sequence = 0

  add(changed: Changed): void {
    this.#lastChange[slotOf(changed)] = ++this.#sequence
  }

  /** Now, for `since`. */
  mark(): number {
    return this.#sequence
  }

  /** Whether it may have been changed since. */
  since(changed: Changed, mark: number): boolean {
    return (this.#lastChange[slotOf(changed)] ?? 0) > mark
  }
}

function slotOf({ node }: Changed): number {
  return Number(node.fileId % BigInt(CHANGE_SLOTS))
}
