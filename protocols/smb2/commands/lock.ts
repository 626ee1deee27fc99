/** MS-SMB2 3.3.5.14: receiving a LOCK Request. */

import type { HeldLock, LockRequest as RangeLockRequest } from '../../../storage/sharing/byte-range-locks.ts'
import { type CommandContext, command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import {
  decodeLockRequest,
  encodeLockResponse,
  type LockElement,
  LockFlag,
  type LockRequest,
} from '../messages/lock.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'
import { whenBrokenOn } from './caching.ts'
import { NO_LOCK_KEY } from './file-range.ts'

const { SHARED_LOCK, EXCLUSIVE_LOCK, UNLOCK, FAIL_IMMEDIATELY } = LockFlag

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

function runLock(context: CommandContext, request: LockRequest): Outcome<EmptyBody> {
  const { open, server } = context
  const [first] = request.locks
  // 3.3.5.14: "LockCount MUST be greater than or equal to 1".
  if (first === undefined || open.isPipe) return fail(Status.INVALID_PARAMETER)
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
  if ((first.flags & UNLOCK) !== 0) return unlockAll(open, request.locks)
  if (open.lockCount + request.locks.length > server.limits.locksPerOpen) {
    return fail(Status.INSUFFICIENT_RESOURCES)
  }
  // MS-FSA 2.1.5.8: what is locked is not cached, by the locker neither.
  const wait = server.oplocks.breakForLock(open)
  return wait === undefined
    ? lockAll(open, request.locks)
    : whenBrokenOn(open, wait, () => lockAll(open, request.locks))
}

/** 3.3.5.14.1: one after the other; those before a failure stay unlocked. */
function unlockAll(open: Open, elements: readonly LockElement[]): Outcome<EmptyBody> {
  const { node, shared } = open.file
  for (const element of elements) {
    if (element.flags !== UNLOCK) return fail(Status.INVALID_PARAMETER)
    if (!node.locks.unlock(shared, NO_LOCK_KEY, element)) return fail(Status.RANGE_NOT_LOCKED)
    open.lockCount--
  }
  return ok({})
}

/** 3.3.5.14.2: all or none; only a single lock may wait. */
function lockAll(open: Open, elements: readonly LockElement[]): Outcome<EmptyBody> {
  const { locks } = open.file.node
  const taken: HeldLock[] = []
  const end = (outcome: Outcome<EmptyBody>): Outcome<EmptyBody> => {
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
    if (result === 'conflict') return end(waits ? waitForLock(open, request) : fail(Status.LOCK_NOT_GRANTED))
    taken.push(result)
  }
  open.lockCount += taken.length
  return ok({})
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
function waitForLock(open: Open, request: RangeLockRequest): Outcome<EmptyBody> {
  let settle: (outcome: Outcome<EmptyBody>) => void = () => undefined
  const completion = new Promise<Outcome<EmptyBody>>((resolve) => {
    settle = resolve
  })
  const ticket = open.file.node.locks.wait(request, (outcome) => {
    // 3.3.5.10: a lock that waits on an open being closed is answered RANGE_NOT_LOCKED.
    if (outcome === 'released') return settle(fail(Status.RANGE_NOT_LOCKED))
    open.lockCount++
    settle(ok({}))
  })
  const cancel = (): void => {
    if (ticket.cancel()) settle(fail(Status.CANCELLED))
  }
  return { kind: 'pending', completion, cancel }
}
