/** Ranges in short sorted runs, with the furthest end up to each run: overlaps are found with few looks at memory, however many there are. */

export interface Interval {
  readonly offset: bigint
  /** Inclusive; one before `offset` when the range is empty. */
  readonly last: bigint
  /** Unique, and in the order of insertion. */
  readonly sequence: number
}

/** Neighbours in one block of memory. Longer runs take longer to look through, shorter ones are more to search among. */
const RUN_ITEMS = 32

/**
 * By start, and items of one start as they were inserted, in runs of successive items. Starts and ends are kept apart
 * from the items and rounded to doubles: that keeps their order, so that they tell nearly all ranges apart, and of
 * the items, which lie all over the heap, only those are asked that may overlap.
 */
export class IntervalList<T extends Interval> {
  /** No run is empty. They are not joined again: there are never more than there once had to be. */
  readonly #runs: T[][] = []
  /** Of each run: start and end of its first item, of its second, and so on. */
  readonly #bounds: number[][] = []
  /** Each run's first start. */
  readonly #firsts: number[] = []
  /** The furthest end in each run and all before it. */
  readonly #furthest: number[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** @param item with a larger sequence than all before it */
  insert(item: T): void {
    const [start, end] = [Number(item.offset), Number(item.last)]
    this.#size++
    const index = Math.max(0, this.#runOf(start, item.sequence))
    const run = this.#runs[index]
    const bounds = this.#bounds[index]
    if (run === undefined || bounds === undefined) {
      this.#addRun(0, [item], [start, end])
      return
    }
    let at = run.length
    while (at > 0 && (bounds[2 * at - 2] as number) > start) at--
    run.splice(at, 0, item)
    bounds.splice(2 * at, 0, start, end)
    if (at === 0) this.#firsts[index] = start
    if (run.length > RUN_ITEMS) {
      // What grows at its end leaves full runs behind.
      const keep = at === RUN_ITEMS ? at : run.length >>> 1
      this.#addRun(index + 1, run.splice(keep), bounds.splice(2 * keep))
    }
    this.#measureFrom(index)
  }

  /** Removes an item that was inserted. */
  remove(item: T): void {
    const index = this.#runOf(Number(item.offset), item.sequence)
    const run = this.#runs[index]
    const bounds = this.#bounds[index]
    const at = run?.indexOf(item) ?? -1
    if (run === undefined || bounds === undefined || at < 0)
      throw new Error('removing an interval that is not in the list')
    this.#size--
    run.splice(at, 1)
    bounds.splice(2 * at, 2)
    const [first] = bounds
    if (first !== undefined) this.#firsts[index] = first
    else for (const list of [this.#runs, this.#bounds, this.#firsts, this.#furthest]) list.splice(index, 1)
    this.#measureFrom(index)
  }

  /** Whether any item that overlaps the range is one that `matches`; asked in order, until one does. */
  someOverlap(offset: bigint, last: bigint, matches: (item: T) => boolean): boolean {
    const [start, end] = [Number(offset), Number(last)]
    const lastRun = this.#runOf(end, Number.POSITIVE_INFINITY)
    for (let index = this.#firstReaching(start, lastRun); index <= lastRun; index++) {
      const bounds = this.#bounds[index] as number[]
      for (let at = 0; at < bounds.length && (bounds[at] as number) <= end; at += 2) {
        if ((bounds[at + 1] as number) < start) continue
        const item = this.#runs[index]?.[at / 2] as T
        if (item.offset <= last && item.last >= offset && matches(item)) return true
      }
    }
    return false
  }

  /** The run that has the item with this start and sequence, or would get it; -1: it would come before all. */
  #runOf(start: number, sequence: number): number {
    let [low, high] = [0, this.#firsts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const first = this.#firsts[middle] as number
      if (first < start || (first === start && this.#firstSequence(middle) <= sequence)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The first run in which something may end at `start` or later; at most `last`, which is mostly the one. */
  #firstReaching(start: number, last: number): number {
    if (last <= 0) return 0
    return (this.#furthest[last - 1] as number) < start ? last : countBelow(this.#furthest, start)
  }

  #firstSequence(index: number): number {
    return this.#runs[index]?.[0]?.sequence ?? 0
  }

  #addRun(index: number, run: T[], bounds: number[]): void {
    this.#runs.splice(index, 0, run)
    this.#bounds.splice(index, 0, bounds)
    this.#firsts.splice(index, 0, bounds[0] as number)
    this.#furthest.splice(index, 0, Number.NaN)
    this.#measureFrom(index)
  }

  /** After a change of a run: the furthest ends from there on, as far as they change. */
  #measureFrom(changed: number): void {
    let furthest = changed === 0 ? Number.NEGATIVE_INFINITY : (this.#furthest[changed - 1] as number)
    for (let index = changed; index < this.#runs.length; index++) {
      const bounds = this.#bounds[index] as number[]
      for (let at = 1; at < bounds.length; at += 2) furthest = Math.max(furthest, bounds[at] as number)
      if (index > changed && this.#furthest[index] === furthest) return
      this.#furthest[index] = furthest
    }
  }
}

/** How many numbers of a sorted list are smaller. */
function countBelow(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
