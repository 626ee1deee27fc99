/** MS-FSA 2.1.1.10, 2.1.4.12, 2.1.5.18, 2.1.5.19: oplocks and leases: who may cache a stream, and what ends that. It waits for nothing. */

import {
  type Acknowledgment,
  afterAcknowledgment,
  afterOperation,
  type BreakNotice,
  Caching,
  type CachingKind,
  type CachingState,
  cachingOf,
  grantable,
  levelOf,
  NOTHING_CACHED,
  type Operation,
  type OplockLevel,
  type Others,
  upgraded,
} from './caching.ts'
import { DirectoryCaches, type DirectoryPlace } from './directory-leases.ts'
import type { NodeObserver, SharedOpen, StreamNode } from './node-table.ts'
import { RecentChanges } from './recent-changes.ts'

/** Whose cache it is: a key that a client has chosen. */
export interface OplockKey {
  readonly client: string
  readonly key: string
}

/** An open that may hold an oplock. */
export interface CachingOpen extends SharedOpen {
  /** Nothing but attributes and SYNCHRONIZE was granted: it needs no one's data and breaks no oplock. */
  readonly attributesOnly: boolean
  /** READ_CONTROL at most besides: it breaks no lease. */
  readonly metadataOnly: boolean
  readonly isDirectory: boolean
  /** Open.TargetOplockKey: whose cache it shares; undefined: nobody's. */
  readonly oplockKey?: OplockKey | undefined
  /** Open.ParentOplockKey: who, of whichever client, knows what it does to the entries of its directory. */
  readonly parentOplockKey?: string | undefined
}

/** What one holder may cache of a stream: an oplock of one open, or a lease of all opens with its key. */
export interface Oplock<O extends CachingOpen> {
  readonly stream: StreamNode<O>
  readonly kind: CachingKind
  /** TargetOplockKey of a lease. */
  readonly key: OplockKey | undefined
  /** Those it is for; of an oplock that was broken to none, the one it was for. */
  readonly opens: ReadonlySet<O>
  readonly state: CachingState
  /** `state.held` of an oplock. */
  readonly level: OplockLevel
}

/** A holder to be told that its oplock is broken. */
export interface OplockBreak<O extends CachingOpen> extends BreakNotice {
  readonly oplock: Oplock<O>
}

/** What must happen before an operation may go on: tell these, then wait for those (to acknowledge, or close). */
export interface Check<O extends CachingOpen> {
  readonly breaks: readonly OplockBreak<O>[]
  readonly waitFor: readonly Oplock<O>[]
}

/** Who does something: the open, or what is known of one that is not made yet. */
export type Actor<O extends CachingOpen> =
  | O
  | Pick<CachingOpen, 'metadataOnly' | 'oplockKey' | 'parentOplockKey'>

/** What came of asking for a lease. */
export interface LeaseGrant<O extends CachingOpen> {
  readonly oplock: Oplock<O>
  /** It allows more than before. */
  readonly upgraded: boolean
}

/** What came of an acknowledgment, and what is broken further. */
export interface Acknowledged<O extends CachingOpen> {
  readonly result: Acknowledgment
  readonly breaks: readonly OplockBreak<O>[]
}

class Holder<O extends CachingOpen> implements Oplock<O> {
  readonly stream: StreamNode<O>
  readonly kind: CachingKind
  readonly key: OplockKey | undefined
  readonly opens = new Set<O>()
  state = NOTHING_CACHED

  get level(): OplockLevel {
    return levelOf(this.state.held)
  }

  constructor(stream: StreamNode<O>, key: OplockKey | undefined) {
    this.stream = stream
    this.kind = key === undefined ? 'oplock' : 'lease'
    this.key = key
  }
}

/** The oplocks of one stream. */
interface Caches<O extends CachingOpen> {
  readonly holders: Set<Holder<O>>
  /** Changes under way: what is read now may be old in a moment, so no one may keep it. */
  changes: number
}

export class Oplocks<O extends CachingOpen> implements NodeObserver<O> {
  readonly #streams = new Map<StreamNode<O>, Caches<O>>()
  /** By open, for questions about one. */
  readonly #holderOf = new Map<O, Holder<O>>()
  readonly #directories = new DirectoryCaches<Holder<O>>()
  readonly #changes = new RecentChanges()

  attached(): void {}

  /** 2.1.5.5: an oplock ends with its open, a lease with the last of its opens. */
  detaching(_stream: StreamNode<O>, open: O): void {
    const holder = this.#holderOf.get(open)
    if (holder !== undefined) this.#leave(holder, open)
  }

  /** What an open may cache, when it ever was granted anything. */
  oplockOf(open: O): Oplock<O> | undefined {
    return this.#holderOf.get(open)
  }

  /**
   * 2.1.5.18: gives an attached open the level it asks for, or the one below that it can have. An
   * open holds at most one oplock. @throws Error when it holds one already
   */
  request(stream: StreamNode<O>, open: O, wanted: OplockLevel): Oplock<O> | undefined {
    if (this.#holderOf.has(open)) throw new Error('the open holds an oplock already')
    const held = this.#grantable(stream, open, cachingOf(wanted), 'oplock')
    if (held === Caching.none) return undefined
    const holder = new Holder(stream, undefined)
    holder.state = { held, breaking: undefined }
    this.#join(holder, open)
    return holder
  }

  /**
   * 2.1.5.18: gives an attached open a part in the lease of its key, which is made or upgraded as far
   * as that is possible; it may be left without anything.
   * @param wanted bits of Caching
   * @throws Error when the open has no key, or holds an oplock already
   */
  requestLease(stream: StreamNode<O>, open: O, wanted: number): LeaseGrant<O> {
    if (this.#holderOf.has(open)) throw new Error('the open holds an oplock already')
    if (open.oplockKey === undefined) throw new Error('the open has no lease key')
    // MS-FSA would refuse WRITE_CACHING for a directory; Windows passes over it.
    const possible = open.isDirectory ? wanted & ~Caching.write : wanted
    const granted = this.#grantable(stream, open, possible, 'lease')
    const known = this.#leaseOf(stream, open.oplockKey)
    const holder = known ?? new Holder(stream, open.oplockKey)
    const grows = upgraded(holder.state, possible, granted)
    const isNew = known === undefined && granted !== Caching.none
    if (grows || isNew) holder.state = { held: granted, breaking: undefined }
    this.#join(holder, open)
    return { oplock: holder, upgraded: grows || isNew }
  }

  #leaseOf(stream: StreamNode<O>, key: OplockKey): Holder<O> | undefined {
    for (const holder of this.#streams.get(stream)?.holders ?? [])
      if (isSameKey(holder.key, key)) return holder
    return undefined
  }

  #grantable(stream: StreamNode<O>, open: O, wanted: number, kind: CachingKind): number {
    if (wanted === Caching.none) return Caching.none
    const caches = this.#streams.get(stream)
    // 2.1.5.18: "If Open.Stream.ByteRangeLockList is not empty", as caches know no locks of others.
    if (stream.locks.size > 0 || (caches?.changes ?? 0) > 0) return Caching.none
    return grantable(wanted, kind, this.#othersOf(stream, open))
  }

  #othersOf(stream: StreamNode<O>, open: O): Others {
    let [present, held, oplocks] = [false, 0, false]
    for (const holder of this.#streams.get(stream)?.holders ?? []) {
      if (isOwn(holder, open)) continue
      present = true
      held |= holder.state.held
      oplocks ||= holder.kind === 'oplock'
    }
    for (const other of stream.opens) {
      if (present) break
      present = other !== open && !isSameKey(other.oplockKey, open.oplockKey) && !other.attributesOnly
    }
    return { present, held, oplocks }
  }

  /**
   * 2.1.4.12: what an operation on a stream brings about. When there is something to wait for, it
   * must be checked again afterwards, for others may have come in between.
   * @param by the open that does it, or the keys that it is going to have
   */
  check(stream: StreamNode<O>, operation: Operation, by?: Actor<O>): Check<O> {
    const holders = this.#streams.get(stream)?.holders
    if (holders === undefined) return NOTHING_TO_BREAK
    // Most WRITEs are of one who has the file to itself.
    if (holders.size === 1 && by !== undefined) {
      for (const only of holders) if (only.kind === 'lease' && isOwn(only, by)) return NOTHING_TO_BREAK
    }
    return this.#checkHolders(holders, operation, by)
  }

  /** The same, of some opens only: those that are in the way. */
  checkOpens(opens: Iterable<O>, operation: Operation, by?: Actor<O>): Check<O> {
    const holders = new Set<Holder<O>>()
    for (const open of opens) {
      const holder = this.#holderOf.get(open)
      if (holder !== undefined) holders.add(holder)
    }
    return this.#checkHolders(holders, operation, by)
  }

  /** 2.1.4.12 PARENT_OBJECT: an entry of a directory comes, goes or changes. */
  checkParent(entry: DirectoryPlace, by?: Actor<O>): Check<O> {
    const knows = by?.parentOplockKey
    const caches = this.#directories.ofParent(entry)
    if (caches === undefined) return NOTHING_TO_BREAK
    const breaks: OplockBreak<O>[] = []
    for (const holder of caches) {
      if (knows === undefined || holder.key?.key !== knows) this.#break(holder, 'change', breaks)
    }
    // What is cached of a directory is never written back: there is nothing to wait for.
    return { breaks, waitFor: [] }
  }

  #checkHolders(holders: Iterable<Holder<O>>, operation: Operation, by: Actor<O> | undefined): Check<O> {
    const breaks: OplockBreak<O>[] = []
    const waitFor: Oplock<O>[] = []
    for (const holder of holders) {
      // Level II is broken by the holder's own changes too; the others are what allows it to make them.
      const ownLevelTwo = operation === 'change' && isLevelTwo(holder)
      if (!ownLevelTwo && by !== undefined && isOwn(holder, by)) continue
      if (operation === 'open' && holder.kind === 'lease' && by?.metadataOnly === true) continue
      if (this.#break(holder, operation, breaks)) waitFor.push(holder)
    }
    return { breaks, waitFor }
  }

  /** @returns whether the operation waits */
  #break(holder: Holder<O>, operation: Operation, breaks: OplockBreak<O>[]): boolean {
    const { state, waits, notice } = afterOperation(holder.state, operation, holder.kind)
    if (notice !== undefined) breaks.push({ oplock: holder, ...notice })
    this.#set(holder, state)
    return waits
  }

  /** As `check` for 'change'; until `endChange` no one is allowed to keep what it reads. */
  beginChange(stream: StreamNode<O>, by?: O): Check<O> {
    const result = this.check(stream, 'change', by)
    this.#cachesOf(stream).changes++
    this.#changes.add(stream)
    return result
  }

  endChange(stream: StreamNode<O>): void {
    const caches = this.#streams.get(stream)
    if (caches === undefined || caches.changes === 0) throw new Error('no change has begun')
    caches.changes--
    this.#changes.add(stream)
    this.#forget(stream, caches)
  }

  /** Now, for `changedSince`. */
  mark(): number {
    return this.#changes.mark()
  }

  /**
   * Whether a stream may have been changed since: what was known of it then must not be told to a
   * client that is allowed to keep it.
   */
  changedSince(stream: StreamNode<O>, mark: number): boolean {
    return this.#changes.since(stream, mark)
  }

  /** 2.1.5.19: the holder of an oplock has written back what it must. */
  acknowledgeLevel(open: O, level: OplockLevel): Acknowledged<O> {
    const holder = this.#holderOf.get(open)
    if (holder?.kind !== 'oplock') return { result: 'not-held', breaks: [] }
    const isLower = level === 'none' || (level === 'II' && holder.level !== 'II')
    if (holder.state.breaking !== undefined) return this.acknowledge(holder, cachingOf(level))
    return { result: isLower ? 'not-breaking' : 'violation', breaks: [] }
  }

  /**
   * 2.1.5.19: the holder has written back what it must.
   * @param kept bits of Caching
   */
  acknowledge(oplock: Oplock<O>, kept: number): Acknowledged<O> {
    const holder = this.#holder(oplock)
    if (holder === undefined) return { result: 'not-held', breaks: [] }
    const { state, result, notice } = afterAcknowledgment(holder.state, kept)
    const isOver = result === 'violation' && holder.kind === 'oplock'
    this.#set(holder, isOver ? NOTHING_CACHED : state)
    return { result, breaks: notice === undefined ? [] : [{ oplock, ...notice }] }
  }

  /** The holder has not answered in time: it caches nothing any longer, as far as others are concerned. */
  expire(oplock: Oplock<O>): void {
    const holder = this.#holder(oplock)
    if (holder !== undefined) this.#set(holder, NOTHING_CACHED)
  }

  /** The path of a directory that may be cached has changed. */
  moved(open: O, before: string): void {
    const holder = this.#holderOf.get(open)
    if (holder === undefined || !isDirectory(holder, open)) return
    this.#directories.delete({ root: open.root, path: before }, holder)
    this.#directories.add(open, holder)
  }

  /** The holder as this object knows it, unless it is gone. */
  #holder({ opens }: Oplock<O>): Holder<O> | undefined {
    for (const open of opens) return this.#holderOf.get(open)
    return undefined
  }

  #set(holder: Holder<O>, state: CachingState): void {
    holder.state = state
    // An oplock that is broken to none is no more; a lease stays with its opens and may be upgraded.
    if (holder.kind === 'lease' || state.held !== Caching.none) return
    for (const open of holder.opens) this.#holderOf.delete(open)
    this.#drop(holder)
  }

  #join(holder: Holder<O>, open: O): void {
    holder.opens.add(open)
    this.#holderOf.set(open, holder)
    this.#cachesOf(holder.stream).holders.add(holder)
    if (isDirectory(holder, open)) this.#directories.add(open, holder)
  }

  #leave(holder: Holder<O>, open: O): void {
    holder.opens.delete(open)
    this.#holderOf.delete(open)
    if (holder.opens.size > 0) return
    if (isDirectory(holder, open)) this.#directories.delete(open, holder)
    this.#drop(holder)
  }

  #drop(holder: Holder<O>): void {
    const caches = this.#streams.get(holder.stream)
    caches?.holders.delete(holder)
    if (caches !== undefined) this.#forget(holder.stream, caches)
  }

  #cachesOf(stream: StreamNode<O>): Caches<O> {
    let caches = this.#streams.get(stream)
    if (caches === undefined) {
      caches = { holders: new Set(), changes: 0 }
      this.#streams.set(stream, caches)
    }
    return caches
  }

  #forget(stream: StreamNode<O>, caches: Caches<O>): void {
    if (caches.holders.size === 0 && caches.changes === 0) this.#streams.delete(stream)
  }
}

const NOTHING_TO_BREAK: Check<never> = { breaks: [], waitFor: [] }

/** Whether both have a key, and the same. */
function isSameKey(one: OplockKey | undefined, other: OplockKey | undefined): boolean {
  return one !== undefined && one.key === other?.key && one.client === other.client
}

/** 2.1.4.12: a key never breaks itself. */
function isOwn<O extends CachingOpen>(holder: Holder<O>, by: Actor<O>): boolean {
  if (holder.key !== undefined) return isSameKey(holder.key, by.oplockKey)
  return holder.opens.has(by as O)
}

function isLevelTwo({ kind, state }: Pick<Oplock<never>, 'kind' | 'state'>): boolean {
  return kind === 'oplock' && state.held === Caching.read
}

/** Streams of a directory are cached as files are. */
function isDirectory<O extends CachingOpen>(holder: Holder<O>, open: O): boolean {
  return open.isDirectory && holder.stream.name === ''
}
