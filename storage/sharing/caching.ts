/** MS-FSA 2.1.1.10, 2.1.4.12, 2.1.5.18, 2.1.5.19: what a client may cache, and what operations and acknowledgments make of that. Pure. */

/** What a client may do on its own. Bits with the values of MS-SMB2 2.2.13.2.8 LeaseState. */
export const Caching = {
  none: 0,
  /** READ_CACHING: keep what it read. */
  read: 0x01,
  /** HANDLE_CACHING: delay its CLOSE. */
  handle: 0x02,
  /** WRITE_CACHING: keep what it wrote and locked. */
  write: 0x04,
} as const

const { none: NONE, read: READ, handle: HANDLE, write: WRITE } = Caching
const ALL = READ | HANDLE | WRITE

/** An oplock without a key: 'II' keeps what was read, 'exclusive' also what was written, 'batch' also its handle. */
export type OplockLevel = 'none' | 'II' | 'exclusive' | 'batch'

/** Whether it is an oplock of one open, or a lease, which all opens with its key share. */
export type CachingKind = 'oplock' | 'lease'

/** Oplock.State as one holder has it. */
export interface CachingState {
  /** Bits of Caching. Until an acknowledgment the holder has what it had. */
  readonly held: number
  /** An acknowledgment is awaited. */
  readonly breaking: Breaking | undefined
}

export interface Breaking {
  /** What the holder was told to break to. */
  readonly to: number
  /** What others need by now: below `to` when more was asked for meanwhile. */
  readonly required: number
}

/** What is done to a stream (MS-FSA 2.1.4.12 Operation), as far as others' caches are concerned. */
export type Operation =
  /** OPEN: one more open, of more than attributes. */
  | 'open'
  /** OPEN with a disposition that empties the file. */
  | 'overwrite'
  /** OPEN_BREAK_H, renaming, deleting: what a handle that no one uses must not be in the way of. */
  | 'conflict'
  /** WRITE, SET_INFORMATION of a size, FS_CONTROL that changes data, LOCK_CONTROL; PARENT_OBJECT for a directory. */
  | 'change'

/** What the holder is told. */
export interface BreakNotice {
  readonly from: number
  readonly to: number
  /** It has to acknowledge; what was only for reading is gone at once. */
  readonly acknowledges: boolean
}

export interface Transition {
  readonly state: CachingState
  /** The operation must wait until the break is over. */
  readonly waits: boolean
  readonly notice: BreakNotice | undefined
}

/** 'not-held' and 'not-breaking' change nothing; a 'violation' ends an oplock, and leaves a lease as it is. */
export type Acknowledgment = 'accepted' | 'not-held' | 'not-breaking' | 'violation'

/** 2.1.4.12 BreakCacheState: what an operation takes away. */
const BREAKS: Readonly<Record<Operation, number>> = {
  open: WRITE,
  overwrite: ALL,
  conflict: HANDLE,
  change: ALL,
}

/**
 * What an operation waits for the end of. What was read may be thrown away at any time after, and so
 * may a handle, unless that is what is in the way.
 */
const AWAITS: Readonly<Record<Operation, number>> = {
  open: WRITE,
  overwrite: WRITE,
  conflict: HANDLE,
  change: WRITE,
}

/** Nothing cached, nothing awaited: what a lease is left with. */
export const NOTHING_CACHED: CachingState = { held: NONE, breaking: undefined }

/** 2.1.4.12: what an operation of another holder makes of a state. */
export function afterOperation(state: CachingState, operation: Operation, kind: CachingKind): Transition {
  const { held, breaking } = state
  const taken = BREAKS[operation]
  if ((held & taken) === 0) return { state, waits: false, notice: undefined }
  const waits = (held & AWAITS[operation]) !== 0
  const left = possible(held & ~taken, kind)
  if (breaking === undefined) return { ...begun(held, left), waits }
  const required = possible(breaking.required & left, kind)
  const next = required === breaking.required ? state : { held, breaking: { ...breaking, required } }
  return { state: next, waits, notice: undefined }
}

/** 2.1.5.19: the holder says what it keeps. */
export function afterAcknowledgment(
  state: CachingState,
  kept: number,
): Omit<Transition, 'waits'> & { readonly result: Acknowledgment } {
  const { breaking } = state
  if (breaking === undefined) return { state, notice: undefined, result: 'not-breaking' }
  if ((kept & ~breaking.to) !== 0) return { state, notice: undefined, result: 'violation' }
  if ((kept & ~breaking.required) === 0) {
    return { state: { held: kept, breaking: undefined }, notice: undefined, result: 'accepted' }
  }
  // As Windows does it, step by step: what was read is what the holder gives up last.
  return { ...begun(kept, breaking.required, (breaking.required | READ) & kept), result: 'accepted' }
}

/** Starts a break, or its next step. */
function begun(held: number, required: number, to = required): Omit<Transition, 'waits'> {
  if (held === READ) {
    return { state: NOTHING_CACHED, notice: { from: held, to: NONE, acknowledges: false } }
  }
  return { state: { held, breaking: { to, required } }, notice: { from: held, to, acknowledges: true } }
}

/** Nobody holds anything without reading, and an oplock is broken to level II or to none. */
function possible(wanted: number, kind: CachingKind): number {
  if ((wanted & READ) === 0) return NONE
  return kind === 'oplock' ? READ : wanted
}

/** Those beside whom something is asked for: other opens of the stream, and what they may cache. */
export interface Others {
  /** Any that is of more than attributes, or any lease, whatever is left of that. */
  readonly present: boolean
  /** What all of them hold. */
  readonly held: number
  /** One has an oplock rather than a lease. */
  readonly oplocks: boolean
}

/**
 * 2.1.5.18: what can be granted of what is wanted.
 * @param kind of what is asked for
 */
export function grantable(wanted: number, kind: CachingKind, others: Others): number {
  if ((wanted & READ) === 0 || (others.held & WRITE) !== 0) return NONE
  // The clients of oplocks know nothing of handles that others keep.
  if (kind === 'oplock' && (others.held & HANDLE) !== 0) return NONE
  let granted = others.present ? wanted & ~WRITE : wanted
  if (kind === 'lease' && others.oplocks) granted &= ~HANDLE
  // Level II is all that there is between nothing and an exclusive one.
  return kind === 'oplock' && (granted & WRITE) === 0 ? READ : granted
}

/**
 * 2.1.5.18: a lease that is held already grows when it would get all that is asked for, never by a
 * part, and not amid a break.
 */
export function upgraded({ held, breaking }: CachingState, wanted: number, granted: number): boolean {
  return breaking === undefined && granted === wanted && granted !== held && (held & ~granted) === 0
}

const LEVELS: Readonly<Record<OplockLevel, number>> = {
  none: NONE,
  II: READ,
  exclusive: READ | WRITE,
  batch: ALL,
}

/** What an oplock of a level lets its holder cache. */
export function cachingOf(level: OplockLevel): number {
  return LEVELS[level]
}

/** The level of an oplock that lets its holder cache this. */
export function levelOf(held: number): OplockLevel {
  if ((held & WRITE) !== 0) return (held & HANDLE) !== 0 ? 'batch' : 'exclusive'
  return (held & READ) !== 0 ? 'II' : 'none'
}
