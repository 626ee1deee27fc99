/** MS-SMB2 3.3.5.2: from one request of a frame to the outcome of its command. */

import { StorageError } from '../../storage/errors.ts'
import { DecodeError } from '../wire/errors.ts'
import { type CompoundChain, isRelated, type Member } from './compound.ts'
import type { AnyCommandRow, CommandContext, CommandRow } from './context.ts'
import { commandName } from './messages/commands.ts'
import { fail, type Outcome } from './outcome.ts'
import { Open } from './state/open.ts'
import { Status } from './status.ts'
import { statusOfStorageError } from './storage-status.ts'
import {
  bodyReader,
  findOpen,
  verifyChannelSequence,
  verifyCreditCharge,
  verifyNegotiated,
  verifyRequest,
} from './verify.ts'

type Result = Outcome<unknown> | Promise<Outcome<unknown>>

/**
 * Verifies a request and runs its command. Whatever a handler throws becomes a status; the
 * connection lives.
 * @param row undefined for a command code that the table lacks
 */
export function dispatch(
  row: AnyCommandRow | undefined,
  context: CommandContext,
  member: Member,
  chain: CompoundChain,
): Result {
  try {
    const result = verifyAndRun(row, context, member, chain)
    return result instanceof Promise ? result.catch((error) => failureOf(error, context)) : result
  } catch (error) {
    return failureOf(error, context)
  }
}

function verifyAndRun(
  row: AnyCommandRow | undefined,
  context: CommandContext,
  member: Member,
  chain: CompoundChain,
): Result {
  const early = verifyNegotiated(context.connection, context.header.command)
  if (early !== undefined) return early
  if (row === undefined) return fail(Status.INVALID_PARAMETER)
  const served = (row as unknown as CommandRow).runOnConnection?.(context, bodyReader(member))
  if (served !== undefined) return served
  const refusal = verifyRequest(context, row, chain)
  if (refusal !== undefined) return refusal
  // The table's rows have forgotten their types; decode and run of one row agree.
  const typed = row as unknown as CommandRow<unknown, unknown>
  const request = typed.decode(bodyReader(member))
  const unpaid = typed.payloadBytes && verifyCreditCharge(context, typed.payloadBytes(request))
  if (unpaid !== undefined) return unpaid
  const fileId = typed.fileId?.(request)
  if (fileId === undefined) return typed.run(context, request)
  const open = findOpen(context, fileId, chain)
  if (!(open instanceof Open)) return open
  context.open = open
  const late = verifyChannelSequence(context, open, row)
  if (late !== undefined) return late
  return runOnOpen(open, () => typed.run(context, request))
}

/** Runs with the open held, so that a CLOSE waits until its handle is no longer used. */
function runOnOpen(open: Open, run: () => Result): Result {
  open.hold()
  let result: Result
  try {
    result = run()
  } catch (error) {
    open.letGo()
    throw error
  }
  if (result instanceof Promise) return result.finally(() => open.letGo())
  open.letGo()
  return result
}

/** The one place where errors become statuses. */
export function failureOf(error: unknown, context: CommandContext): Outcome<never> {
  const expected = error instanceof StorageError || error instanceof DecodeError
  if (expected) {
    const details = { command: commandName(context.header.command), reason: error.message }
    context.server.log('debug', 'a command failed', details)
    return fail(error instanceof StorageError ? statusOfStorageError(error.code) : Status.INVALID_PARAMETER)
  }
  context.server.log('error', 'a command failed unexpectedly: this is a bug', {
    command: commandName(context.header.command),
    peer: context.connection.peer.remoteAddress,
    error,
  })
  return fail(Status.INTERNAL_ERROR)
}

/** Leaves in the chain what the next related request inherits. */
export function updateChain(chain: CompoundChain, context: CommandContext, outcome: Outcome<unknown>): void {
  const open = context.openIfAny
  if (open !== undefined) {
    chain.open = open
    chain.failure = undefined
  } else if (outcome.kind === 'fail') {
    chain.failure = outcome.status
    if (!isRelated(context.header)) chain.open = undefined
  }
}
