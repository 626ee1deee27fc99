/** MS-FSA 2.1.4.10, 2.1.5.8 and 2.1.5.9: byte-range locks of one stream, and the requests that wait for them. */

import { type Interval, IntervalList } from './interval-list.ts'

/** Bytes of a stream: 64-bit, and possibly empty. */
export interface LockRange {
  readonly offset: bigint
  readonly length: bigint
}

export interface LockRequest extends LockRange {
  /** The open; locks of the same open with another key are another's. */
  readonly owner: object
  /** OpLock key of MS-FSA; 0 for SMB2, which has none. */
  readonly key: number
  readonly exclusive: boolean
}

/** A lock that was granted. */
export interface HeldLock extends LockRequest, Interval {}

/** A request that waits. */
export interface LockTicket {
  /** Gives up waiting, without a callback. Returns false when it was over already. */
  cancel(): boolean
}

/** 'released': the owner let go of everything while this waited. */
export type WaitOutcome = HeldLock | 'released'

/** What one owner holds. */
interface Holdings {
  /** By key and range, in the order they were granted. */
  readonly locks: Map<string, HeldLock[]>
  /** How many exclusive ones, by key. */
  readonly exclusive: Map<number, number>
}

interface Waiter {
  readonly request: LockRequest
  readonly done: (outcome: WaitOutcome) => void
}

const LAST_OFFSET = 0xffff_ffff_ffff_ffffn

/**
 * An empty range {offset, 0} lies between two bytes: its last byte is before its first, so it
 * overlaps only what has both, and {0, 0} overlaps nothing, as MS-FSA 2.1.4.10 says.
 */
function lastOf({ offset, length }: LockRange): bigint {
  return offset + length - 1n
}

export class ByteRangeLocks {
  /** Two lists, so that shared locks, which may pile up, are asked only whether there is any. */
  readonly #exclusive = new IntervalList<HeldLock>()
  readonly #shared = new IntervalList<HeldLock>()
  readonly #owners = new Map<object, Holdings>()
  readonly #waiters = new Set<Waiter>()
  #sequence = 0

  /** Locks held. */
  get size(): number {
    return this.#exclusive.size + this.#shared.size
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** The locks of one owner, in the order they were granted. */
  heldBy(owner: object): readonly HeldLock[] {
    const stacks = [...(this.#owners.get(owner)?.locks.values() ?? [])]
    return stacks.flat().sort((one, other) => one.sequence - other.sequence)
  }

  /** MS-FSA 2.1.5.8: takes a lock at once, or says why not. */
  lock(request: LockRequest): HeldLock | 'conflict' | 'invalid-lock-range' {
    if (lastOf(request) > LAST_OFFSET) return 'invalid-lock-range'
    return this.#conflictsWithLock(request) ? 'conflict' : this.#grant(request)
  }

  /**
   * Waits for a lock that `lock` just answered with 'conflict'. `done` is called once, when it is
   * granted or the owner lets go of everything; whoever waits longer is served first, as far as
   * the locks allow. @throws Error when there is nothing to wait for
   */
  wait(request: LockRequest, done: (outcome: WaitOutcome) => void): LockTicket {
    if (!this.#conflictsWithLock(request)) throw new Error('waiting for a lock that is free')
    const waiter: Waiter = { request, done }
    this.#waiters.add(waiter)
    return { cancel: () => this.#waiters.delete(waiter) }
  }

  /**
   * MS-FSA 2.1.5.9: gives up a lock of exactly this range; of several stacked ones an exclusive
   * one first. Returns false when there is none (STATUS_RANGE_NOT_LOCKED).
   */
  unlock(owner: object, key: number, range: LockRange): boolean {
    const stack = this.#owners.get(owner)?.locks.get(holdingKey(key, range))
    const held = stack?.find((lock) => lock.exclusive) ?? stack?.[0]
    if (held === undefined) return false
    this.release(held)
    return true
  }

  /** Gives up one particular lock, for a request of several of which a later one failed. */
  release(held: HeldLock): void {
    this.#forget(held)
    this.#serve([held])
  }

  /** Gives up all locks of an owner, and its requests that wait: when it closes. */
  releaseAll(owner: object): void {
    const dropped = [...this.#waiters].filter((waiter) => waiter.request.owner === owner)
    for (const waiter of dropped) this.#waiters.delete(waiter)
    const held = [...(this.#owners.get(owner)?.locks.values() ?? [])].flat()
    for (const lock of held) this.#forget(lock)
    for (const waiter of dropped) waiter.done('released')
    this.#serve(held)
  }

  /** Whether a read touches what another has locked exclusively. */
  conflictsWithRead(owner: object, key: number, range: LockRange): boolean {
    return range.length > 0n && this.#lockedByAnother(owner, key, range)
  }

  /**
   * Whether a write touches what another has locked exclusively, or anyone, itself included, has
   * locked shared.
   */
  conflictsWithWrite(owner: object, key: number, range: LockRange): boolean {
    if (range.length === 0n) return false
    return this.#lockedByAnother(owner, key, range) || this.#anyShared(range)
  }

  /**
   * MS-FSA 2.1.4.10 with LockIntent: exclusive locks don't stack, not even on the owner's; shared ones
   * do on the owner's exclusive one.
   */
  #conflictsWithLock(request: LockRequest): boolean {
    if (!request.exclusive) return this.#lockedByAnother(request.owner, request.key, request)
    return (
      this.#exclusive.someOverlap(request.offset, lastOf(request), () => true) || this.#anyShared(request)
    )
  }

  #lockedByAnother(owner: object, key: number, range: LockRange): boolean {
    const own = this.#owners.get(owner)?.exclusive.get(key) ?? 0
    if (own === this.#exclusive.size) return false
    return this.#exclusive.someOverlap(
      range.offset,
      lastOf(range),
      (lock) => lock.owner !== owner || lock.key !== key,
    )
  }

  #anyShared(range: LockRange): boolean {
    return this.#shared.someOverlap(range.offset, lastOf(range), () => true)
  }

  #grant(request: LockRequest): HeldLock {
    const held: HeldLock = { ...request, last: lastOf(request), sequence: this.#sequence++ }
    const list = held.exclusive ? this.#exclusive : this.#shared
    list.insert(held)
    let holdings = this.#owners.get(held.owner)
    if (holdings === undefined) {
      holdings = { locks: new Map(), exclusive: new Map() }
      this.#owners.set(held.owner, holdings)
    }
    const key = holdingKey(held.key, held)
    const stack = holdings.locks.get(key)
    if (stack === undefined) holdings.locks.set(key, [held])
    else stack.push(held)
    if (held.exclusive) holdings.exclusive.set(held.key, (holdings.exclusive.get(held.key) ?? 0) + 1)
    return held
  }

  #forget(held: HeldLock): void {
    const holdings = this.#owners.get(held.owner)
    const key = holdingKey(held.key, held)
    const stack = holdings?.locks.get(key)
    if (holdings === undefined || stack?.includes(held) !== true)
      throw new Error('releasing a lock that is not held')
    const list = held.exclusive ? this.#exclusive : this.#shared
    list.remove(held)
    stack.splice(stack.indexOf(held), 1)
    if (stack.length === 0) holdings.locks.delete(key)
    if (held.exclusive) holdings.exclusive.set(held.key, (holdings.exclusive.get(held.key) ?? 0) - 1)
    if (holdings.locks.size === 0) this.#owners.delete(held.owner)
  }

  /** Grants what waited for the ranges that were released, oldest first, and then tells the owners. */
  #serve(released: readonly HeldLock[]): void {
    const granted: (() => void)[] = []
    for (const waiter of this.#waiters) {
      const { request, done } = waiter
      const last = lastOf(request)
      const concerned = released.some((lock) => lock.offset <= last && request.offset <= lock.last)
      if (!concerned || this.#conflictsWithLock(request)) continue
      this.#waiters.delete(waiter)
      const held = this.#grant(request)
      granted.push(() => done(held))
    }
    for (const tell of granted) tell()
  }
}

function holdingKey(key: number, { offset, length }: LockRange): string {
  return `${key}:${offset}:${length}`
}
