/** MS-SMB2 3.3.5.14: receiving a LOCK Request. */

import type { HeldLock, LockRequest as RangeLockRequest } from '../../../storage/sharing/byte-range-locks.ts'
import { type CommandContext, command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import { Capability } from '../messages/dialects.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import {
  decodeLockRequest,
  encodeLockResponse,
  type LockElement,
  LockFlag,
  type LockRequest,
} from '../messages/lock.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import { lapsedLockers } from '../state/durable-handle.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { countLocks, isFull } from '../state/usage.ts'
import { Status } from '../status.ts'
import { whenBrokenOn } from './caching.ts'
import { closeOpen } from './close-open.ts'
import { NO_LOCK_KEY } from './file-range.ts'

/** Open.LockSequenceArray has the entries 1 to 64. */
const LOCK_SEQUENCES = 64
const { SHARED_LOCK, EXCLUSIVE_LOCK, UNLOCK, FAIL_IMMEDIATELY } = LockFlag

type Result = Outcome<EmptyBody>

/** The entry of Open.LockSequenceArray that a request names. */
interface LockSequence {
  isReplay(): boolean
  forget(): void
  remember(): void
}

export const lock = command<EmptyBody, LockRequest>({
  code: Command.LOCK,
  name: 'LOCK',
  needs: 'open',
  whenExpired: true,
  decode: decodeLockRequest,
  encode: encodeLockResponse,
  fileId: (request) => request.fileId,
  run: runLock,
})

function runLock(context: CommandContext, request: LockRequest): Result {
  const { open } = context
  const [first] = request.locks
  // 3.3.5.14: "LockCount MUST be greater than or equal to 1".
  if (first === undefined || open.isPipe) return fail(Status.INVALID_PARAMETER)
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
  const sequence = sequenceOf(context, request)
  if (sequence?.isReplay() === true) return ok({})
  sequence?.forget()
  const outcome =
    (first.flags & UNLOCK) !== 0 ? unlockAll(context, request.locks) : breakAndLock(context, request.locks)
  return sequence === undefined ? outcome : remembering(outcome, () => sequence.remember())
}

function breakAndLock(context: CommandContext, elements: readonly LockElement[]): Result {
  const { open, server } = context
  if (tooManyLocks(context, elements.length)) return fail(Status.INSUFFICIENT_RESOURCES)
  // MS-FSA 2.1.5.8: what is locked is not cached, by the locker neither.
  const wait = server.oplocks.breakForLock(open)
  return wait === undefined
    ? lockAll(context, elements)
    : whenBrokenOn(open, wait, () => lockAll(context, elements))
}

function tooManyLocks({ open, server, session }: CommandContext, more: number): boolean {
  if (open.lockCount + more <= server.limits.locksPerOpen) return isFull(server, 'locks', session, more)
  server.usage.refuse('locks')
  return true
}

/** 3.3.5.14, Open.LockSequenceArray: of handles that a client may come back to, over another channel too. */
function sequenceOf({ open, connection }: CommandContext, request: LockRequest): LockSequence | undefined {
  const { lockSequenceIndex, lockSequenceNumber } = request
  if (lockSequenceIndex === 0 || lockSequenceIndex > LOCK_SEQUENCES) return undefined
  const hasChannels = (connection.serverCapabilities & Capability.MULTI_CHANNEL) !== 0
  if (!hasChannels && open.durable === undefined) return undefined
  open.lockSequenceArray ??= new Map()
  const { lockSequenceArray } = open
  return {
    isReplay: () => lockSequenceArray.get(lockSequenceIndex) === lockSequenceNumber,
    forget: () => void lockSequenceArray.delete(lockSequenceIndex),
    remember: () => void lockSequenceArray.set(lockSequenceIndex, lockSequenceNumber),
  }
}

/** Only a request that succeeds can have been carried out before. */
function remembering(outcome: Result, remember: () => void): Result {
  if (outcome.kind === 'ok') remember()
  if (outcome.kind !== 'pending') return outcome
  const completion = outcome.completion.then((settled) => remembering(settled, remember))
  return { ...outcome, completion }
}

/** 3.3.5.14.1: one after the other; those before a failure stay unlocked. */
function unlockAll({ server, open }: CommandContext, elements: readonly LockElement[]): Result {
  const { node, shared } = open.file
  for (const element of elements) {
    if (element.flags !== UNLOCK) return fail(Status.INVALID_PARAMETER)
    if (!node.locks.unlock(shared, NO_LOCK_KEY, element)) return fail(Status.RANGE_NOT_LOCKED)
    countLocks(server, open, -1)
  }
  return ok({})
}

/** 3.3.5.14.2: all or none; only a single lock may wait. */
function lockAll(context: CommandContext, elements: readonly LockElement[]): Result {
  const { server, open } = context
  const { locks } = open.file.node
  const taken: HeldLock[] = []
  const end = (outcome: Result): Result => {
    for (const held of taken) locks.release(held)
    return outcome
  }
  for (const element of elements) {
    const kind = element.flags & ~FAIL_IMMEDIATELY
    const waits = (element.flags & FAIL_IMMEDIATELY) === 0
    if (kind !== SHARED_LOCK && kind !== EXCLUSIVE_LOCK) return end(fail(Status.INVALID_PARAMETER))
    if (waits && elements.length > 1) return end(fail(Status.INVALID_PARAMETER))
    const request = lockRequestOf(open, element)
    const result = locks.lock(request)
    if (result === 'invalid-lock-range') return end(fail(Status.INVALID_LOCK_RANGE))
    if (result === 'conflict') {
      const lapsed = lapsedLockers(server, open)
      if (lapsed.length > 0) return end(lockAfter(context, lapsed, elements))
      return end(waits ? waitForLock(server, open, request) : fail(Status.LOCK_NOT_GRANTED))
    }
    taken.push(result)
  }
  countLocks(server, open, taken.length)
  return ok({})
}

/** The same once those are closed who locked something and went away. */
function lockAfter(
  context: CommandContext,
  lapsed: readonly Open[],
  elements: readonly LockElement[],
): Result {
  const { server, open } = context
  const closed = Promise.all(lapsed.map((locker) => closeOpen(server, locker)))
  const completion = closed.then(() => (open.closing ? fail(Status.FILE_CLOSED) : lockAll(context, elements)))
  return { kind: 'pending', completion, cancel: () => undefined }
}

function lockRequestOf(open: Open, { offset, length, flags }: LockElement): RangeLockRequest {
  return {
    owner: open.file.shared,
    key: NO_LOCK_KEY,
    offset,
    length,
    exclusive: (flags & EXCLUSIVE_LOCK) !== 0,
  }
}

/** Granted when the locks in its way are gone, unless it is cancelled or the open closes first. */
function waitForLock(server: Server, open: Open, request: RangeLockRequest): Result {
  let settle: (outcome: Result) => void = () => undefined
  const completion = new Promise<Result>((resolve) => {
    settle = resolve
  })
  const ticket = open.file.node.locks.wait(request, (outcome) => {
    // 3.3.5.10: a lock that waits on an open being closed is answered RANGE_NOT_LOCKED.
    if (outcome === 'released') return settle(fail(Status.RANGE_NOT_LOCKED))
    countLocks(server, open, 1)
    settle(ok({}))
  })
  const cancel = (): void => {
    if (ticket.cancel()) settle(fail(Status.CANCELLED))
  }
  return { kind: 'pending', completion, cancel }
}
