/** MS-FSA 2.1.1.10, 2.1.4.12, 2.1.5.18, 2.1.5.19: oplocks: who may cache a stream, and what ends that. Pure: it waits for nothing. */

import type { NodeObserver, SharedOpen, StreamNode } from './node-table.ts'

/**
 * What a client may do on its own: 'II' keep what it read, 'exclusive' also what it wrote and locked,
 * 'batch' also delay its CLOSE.
 */
export type OplockLevel = 'none' | 'II' | 'exclusive' | 'batch'

/** What a break leaves. */
export type BrokenLevel = 'none' | 'II'

/** Oplock.State as one open has it; 'batch>II' is BATCH_OPLOCK | BREAK_TO_TWO: its acknowledgment is awaited. */
export type OplockState = OplockLevel | `${'exclusive' | 'batch'}>${BrokenLevel}`

/** What is done to a stream (MS-FSA 2.1.4.12 Operation), as far as others' caches are concerned. */
export type Operation =
  /** OPEN: one more open, of more than attributes. */
  | 'open'
  /** OPEN with a disposition that empties the file. */
  | 'overwrite'
  /** OPEN_BREAK_H: an open, or another name, that is impossible while the holder's handle is open. */
  | 'conflict'
  /** WRITE, SET_INFORMATION of a size, FS_CONTROL that changes data, LOCK_CONTROL. */
  | 'change'

/** An open that may hold an oplock. */
export interface CachingOpen extends SharedOpen {
  /** Nothing but attributes and SYNCHRONIZE was granted: it needs no one's data and breaks no oplock. */
  readonly attributesOnly: boolean
}

/** A holder to be told that its oplock is broken. */
export interface OplockBreak<O> {
  readonly open: O
  readonly to: BrokenLevel
  /** It has to acknowledge; level II is gone at once. */
  readonly acknowledges: boolean
}

/** What must happen before an operation may go on: tell these, then wait for those (to acknowledge, or close). */
export interface Check<O> {
  readonly breaks: readonly OplockBreak<O>[]
  readonly waitFor: readonly O[]
}

/** 'not-held' and 'not-breaking' change nothing; a 'violation' amid a break ends the oplock. */
export type Acknowledgment = 'accepted' | 'not-held' | 'not-breaking' | 'violation'

type Rules<Key extends string> = Readonly<Record<Key, Readonly<Partial<Record<OplockState, OplockState>>>>>

const AWAITED = {
  'batch>II': 'batch>II',
  'batch>none': 'batch>none',
} as const
const ALL_AWAITED = {
  ...AWAITED,
  'exclusive>II': 'exclusive>II',
  'exclusive>none': 'exclusive>none',
} as const
const TO_NONE = { II: 'none', exclusive: 'exclusive>none', batch: 'batch>none', ...ALL_AWAITED } as const

/**
 * 2.1.4.12: what an operation of another makes of a state, and it waits where that is one with '>'.
 * What isn't listed stays, and doesn't hold the operation up. One that wants more than the break
 * under way gives is checked again after it, and then finds level II.
 */
const CHECKS: Rules<Operation> = {
  open: { exclusive: 'exclusive>II', batch: 'batch>II', ...ALL_AWAITED },
  overwrite: TO_NONE,
  // Only batch: a client that holds an exclusive one has no handle open that its user has closed.
  conflict: { batch: 'batch>II', ...AWAITED },
  change: TO_NONE,
}

/** 2.1.5.19: what an acknowledged level makes of a state that is being broken. Anything else is a violation. */
const ACKNOWLEDGMENTS: Rules<BrokenLevel> = {
  II: { 'exclusive>II': 'II', 'batch>II': 'II' },
  none: { 'exclusive>II': 'none', 'batch>II': 'none', 'exclusive>none': 'none', 'batch>none': 'none' },
}

export function isBreaking(state: OplockState): boolean {
  return state.includes('>')
}

/** What an operation makes of a state, and whether it has to wait. `own`: it is the holder's. */
export function stateAfter(
  state: OplockState,
  operation: Operation,
  own: boolean,
): { readonly state: OplockState; readonly waits: boolean } {
  // Level II is broken by the holder's own changes too; the others are what allows it to make them.
  const next = own && state !== 'II' ? undefined : CHECKS[operation][state]
  return { state: next ?? state, waits: next !== undefined && isBreaking(next) }
}

/** The oplocks of one stream. */
interface Caches<O> {
  readonly states: Map<O, OplockState>
  /** Changes under way: what is read now may be old in a moment, so no one may keep it. */
  changes: number
}

export class Oplocks<O extends CachingOpen> implements NodeObserver<O> {
  readonly #streams = new Map<StreamNode<O>, Caches<O>>()
  /** By open, for questions about one. */
  readonly #streamOf = new Map<O, StreamNode<O>>()
  /** When the streams of a slot were last changed, in changes of all. */
  readonly #lastChange = new Float64Array(CHANGE_SLOTS)
  #sequence = 0

  attached(): void {}

  /** 2.1.5.5: an oplock ends with its open. */
  detaching(stream: StreamNode<O>, open: O): void {
    this.#set(stream, open, 'none')
  }

  stateOf(open: O): OplockState {
    const stream = this.#streamOf.get(open)
    return (stream && this.#streams.get(stream)?.states.get(open)) ?? 'none'
  }

  /**
   * 2.1.5.18: gives an attached open the level it asks for, or the one below that it can have. An
   * open holds at most one oplock. @throws Error when it holds one already
   */
  request(stream: StreamNode<O>, open: O, wanted: OplockLevel): OplockLevel {
    if (this.#streamOf.has(open)) throw new Error('the open holds an oplock already')
    const granted = this.#grantable(stream, open, wanted)
    this.#set(stream, open, granted)
    return granted
  }

  #grantable(stream: StreamNode<O>, open: O, wanted: OplockLevel): OplockLevel {
    if (wanted === 'none') return 'none'
    const caches = this.#streams.get(stream)
    // 2.1.5.18: "If Open.Stream.ByteRangeLockList is not empty", as caches know no locks of others.
    if (stream.locks.size > 0 || (caches?.changes ?? 0) > 0) return 'none'
    const others = [...stream.opens].filter((other) => other !== open)
    const alone = others.every((other) => other.attributesOnly && this.stateOf(other) === 'none')
    if (alone) return wanted
    const onlyReaders = others.every((other) => ['none', 'II'].includes(this.stateOf(other)))
    return onlyReaders ? 'II' : 'none'
  }

  /**
   * 2.1.4.12: what an operation on a stream brings about. When there is something to wait for, it
   * must be checked again afterwards, for others may have come in between.
   * @param by the open that does it, when it has one already
   */
  check(stream: StreamNode<O>, operation: Operation, by?: O): Check<O> {
    const states = this.#streams.get(stream)?.states
    return states === undefined ? NOTHING_TO_BREAK : this.checkOpens(states.keys(), operation, by)
  }

  /** The same, of some opens only: those that are in the way. */
  checkOpens(opens: Iterable<O>, operation: Operation, by?: O): Check<O> {
    const breaks: OplockBreak<O>[] = []
    const waitFor: O[] = []
    for (const open of [...opens]) {
      const stream = this.#streamOf.get(open)
      if (stream === undefined) continue
      const before = this.stateOf(open)
      const { state, waits } = stateAfter(before, operation, open === by)
      if (waits) waitFor.push(open)
      if (state === before) continue
      this.#set(stream, open, state)
      breaks.push({ open, to: state.endsWith('II') ? 'II' : 'none', acknowledges: waits })
    }
    return { breaks, waitFor }
  }

  /** As `check` for 'change'; until `endChange` no one is allowed to keep what it reads. */
  beginChange(stream: StreamNode<O>, by?: O): Check<O> {
    const result = this.check(stream, 'change', by)
    this.#cachesOf(stream).changes++
    this.#lastChange[slotOf(stream)] = ++this.#sequence
    return result
  }

  endChange(stream: StreamNode<O>): void {
    const caches = this.#streams.get(stream)
    if (caches === undefined || caches.changes === 0) throw new Error('no change has begun')
    caches.changes--
    this.#lastChange[slotOf(stream)] = ++this.#sequence
    this.#forget(stream, caches)
  }

  /** Now, for `changedSince`. */
  mark(): number {
    return this.#sequence
  }

  /**
   * Whether a stream may have been changed since: what was known of it then must not be told to a
   * client that is allowed to keep it.
   */
  changedSince(stream: StreamNode<O>, mark: number): boolean {
    return (this.#lastChange[slotOf(stream)] ?? 0) > mark
  }

  /** 2.1.5.19: the holder has written back what it must. */
  acknowledge(open: O, level: OplockLevel): Acknowledgment {
    const state = this.stateOf(open)
    const stream = this.#streamOf.get(open)
    if (stream === undefined) return 'not-held'
    const isLower = level === 'none' || (level === 'II' && state !== 'II')
    if (!isBreaking(state)) return isLower ? 'not-breaking' : 'violation'
    const next = level === 'none' || level === 'II' ? ACKNOWLEDGMENTS[level][state] : undefined
    this.#set(stream, open, next ?? 'none')
    return next === undefined ? 'violation' : 'accepted'
  }

  /** The holder has not answered in time: it caches nothing any longer, as far as others are concerned. */
  expire(open: O): void {
    const stream = this.#streamOf.get(open)
    if (stream !== undefined) this.#set(stream, open, 'none')
  }

  #set(stream: StreamNode<O>, open: O, state: OplockState): void {
    if (state !== 'none') {
      this.#cachesOf(stream).states.set(open, state)
      this.#streamOf.set(open, stream)
      return
    }
    this.#streamOf.delete(open)
    const caches = this.#streams.get(stream)
    caches?.states.delete(open)
    if (caches !== undefined) this.#forget(stream, caches)
  }

  #cachesOf(stream: StreamNode<O>): Caches<O> {
    let caches = this.#streams.get(stream)
    if (caches === undefined) {
      caches = { states: new Map(), changes: 0 }
      this.#streams.set(stream, caches)
    }
    return caches
  }

  #forget(stream: StreamNode<O>, caches: Caches<O>): void {
    if (caches.states.size === 0 && caches.changes === 0) this.#streams.delete(stream)
  }
}

/** Slots of the table of recent changes: two files that share one are taken for each other. */
const CHANGE_SLOTS = 1024

const NOTHING_TO_BREAK: Check<never> = { breaks: [], waitFor: [] }

function slotOf({ node }: { readonly node: { readonly fileId: bigint } }): number {
  return Number(node.fileId % BigInt(CHANGE_SLOTS))
}
