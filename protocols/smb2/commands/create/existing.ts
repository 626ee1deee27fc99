/** MS-SMB2 3.3.5.9, 3.3.5.9.7, 3.3.5.9.12: CREATEs that are about an open that there is already: coming back for it, or asking once more. */

import type { CommandContext } from '../../context.ts'
import { CreateAction } from '../../fscc/create-options.ts'
import { type CreateRequest, type CreateResponse, OplockLevel } from '../../messages/create.ts'
import { HeaderFlag } from '../../messages/header.ts'
import { fail, type Outcome, ok } from '../../outcome.ts'
import type { Open } from '../../state/open.ts'
import { replayKeyOf } from '../../state/replay-cache.ts'
import { Status } from '../../status.ts'
import { closeOpen } from '../close-open.ts'
import type { RequestedContexts } from './contexts.ts'
import { answerLease, type RequestedLease } from './lease.ts'
import { type Claimed, durableOpen, reconnect, refuseReconnect } from './reconnect.ts'
import { responseTo } from './response.ts'

type Result = Outcome<CreateResponse>

/** 3.3.5.9.7, 3.3.5.9.12: DHnC or DH2C. */
export function comeBack(
  context: CommandContext,
  contexts: RequestedContexts,
  claimed: Claimed,
): Result | Promise<Result> {
  const open = durableOpen(context, contexts.durable)
  return open === undefined
    ? fail(Status.OBJECT_NAME_NOT_FOUND)
    : takeOver(context, open, contexts, claimed, CreateAction.OPENED)
}

function takeOver(
  context: CommandContext,
  open: Open,
  contexts: RequestedContexts,
  claimed: Claimed,
  createAction: number,
): Result | Promise<Result> {
  const refusal = refuseReconnect(context, open, contexts.durable, claimed)
  if (refusal !== undefined) return fail(refusal)
  reconnect(context, open)
  return answer(context, open, contexts, { createAction, durable: false })
}

/** A CREATE that may be sent once more, under the key that it is then found by. */
interface Repeatable {
  readonly replayKey: string
}

/**
 * 3.3.5.9: "If the CreateGuid matches": whether a CREATE with a CreateGuid is one that the server
 * knows. When it is not, `remember` must be called with its outcome.
 */
export function findReplay(
  context: CommandContext,
  request: CreateRequest,
  contexts: RequestedContexts,
  claimed: Claimed,
): Repeatable | Result | Promise<Result> | undefined {
  const { server, connection, session, header } = context
  const createGuid = contexts.durable.requestV2?.createGuid
  if (createGuid === undefined) return undefined
  const replayKey = replayKeyOf(connection.clientGuid, createGuid)
  const known = server.replays.find(replayKey)
  if (known === undefined) {
    server.replays.begin(replayKey)
    return { replayKey }
  }
  // Not in the specification: Windows and Samba tell the client to ask again later.
  if (known === 'pending') return fail(Status.FILE_NOT_AVAILABLE)
  if ((header.flags & HeaderFlag.REPLAY_OPERATION) === 0) return fail(Status.DUPLICATE_OBJECTID)
  if (known.absence !== undefined) return takeOver(context, known, contexts, claimed, known.createAction)
  if (known.session !== session) return fail(Status.DUPLICATE_OBJECTID)
  if (!hasSameLease(known, claimed.lease)) return fail(Status.ACCESS_DENIED)
  const { requestedOplockLevel: level } = request
  return answer(context, known, contexts, {
    createAction: known.createAction,
    durable: DURABLE_LEVELS.has(level),
    // As Windows does: told what was asked for, though the open has what it had.
    ...(level === OplockLevel.LEASE ? {} : { oplockLevel: level }),
  })
}

/** What could have made the handle durable; Windows looks at the request, whatever the open has. */
const DURABLE_LEVELS: ReadonlySet<number> = new Set([OplockLevel.BATCH, OplockLevel.LEASE])

/** 3.3.5.9: a replay that asks for a lease is of an open with that lease. */
function hasSameLease(open: Open, lease: RequestedLease | undefined): boolean {
  return lease === undefined || open.lease?.leaseKey.equals(lease.context.leaseKey) === true
}

/** A CREATE is found by its key from now on when it led to an open, and is unknown otherwise. */
export function remember(context: CommandContext, replayKey: string, outcome: Result): Result {
  const { replays } = context.server
  if (outcome.kind === 'pending') {
    const completion = outcome.completion.then(
      (settled) => remember(context, replayKey, settled),
      (error) => {
        replays.forget(replayKey)
        throw error
      },
    )
    return { ...outcome, completion }
  }
  if (outcome.kind === 'ok' && !context.open.closing) replays.finish(replayKey, context.open)
  else replays.forget(replayKey)
  return outcome
}

/** Between the first answer about an open and this one. */
interface Differences {
  readonly createAction: number
  /** The client is told that the handle is durable. */
  readonly durable: boolean
  /** In place of Open.OplockLevel. */
  readonly oplockLevel?: number
}

async function answer(
  context: CommandContext,
  open: Open,
  contexts: RequestedContexts,
  { createAction, durable, oplockLevel }: Differences,
): Promise<Result> {
  const { oplocks } = context.server
  try {
    // What was under way on a lost connection is over before the client goes on.
    await open.drained(0)
    const stat = await open.file.handle.stat()
    if (open.closing) return fail(Status.FILE_CLOSED)
    context.open = open
    const response = responseTo(context, open, {
      ...{ stat, createAction, oplockLevel: oplockLevel ?? oplocks.oplockLevelOf(open) },
      contexts: {
        requested: contexts,
        grantedLease: open.lease && contexts.lease && answerLease(open.lease),
        grantedDurable: durable ? open.durable : undefined,
      },
    })
    return ok(response)
  } catch (error) {
    await closeOpen(context.server, open)
    throw error
  }
}
