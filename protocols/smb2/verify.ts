/** MS-SMB2 3.3.5.2.4 to 3.3.5.2.11: what must hold of a request before its command runs, for all commands in one place. */

import { Reader } from '../wire/reader.ts'
import { type CompoundChain, isRelated, type Member } from './compound.ts'
import type { AnyCommandRow, CommandContext, Needs } from './context.ts'
import { requiredCharge } from './credits.ts'
import { type SigningKey, verify } from './crypto/signing.ts'
import { Command } from './messages/commands.ts'
import { Dialect } from './messages/dialects.ts'
import { HEADER_BYTES, HeaderFlag } from './messages/header.ts'
import { type FileId, RELATED_FILE_ID } from './messages/structure.ts'
import { disconnect, fail, type Outcome } from './outcome.ts'
import type { Connection } from './state/connection.ts'
import type { Open } from './state/open.ts'
import type { Request } from './state/request.ts'
import type { Session } from './state/session.ts'
import { Status } from './status.ts'

const CHANNEL_SEQUENCE_MASK = 0xffff

const RANK: Record<Needs, number> = { nothing: 0, session: 1, tree: 2, open: 3 }

/** Does a row that says `needs` need `what`? */
function needs(row: AnyCommandRow, what: Needs): boolean {
  return RANK[row.needs] >= RANK[what]
}

/**
 * Finds and checks session, signature, encryption and tree connect of a request and puts them
 * into its context.
 * @returns the outcome that ends the request, or undefined to go on
 */
export function verifyRequest(
  context: CommandContext,
  row: AnyCommandRow,
  chain: CompoundChain,
): Outcome<never> | undefined {
  const { header } = context
  if (isRelated(header)) {
    // 3.3.5.2.7.2: the first of a compound is never related, and nothing relates to a failed session.
    if (chain.broken) return fail(Status.INVALID_PARAMETER)
    if (chain.session !== undefined) context.session = chain.session
    if (chain.treeConnect !== undefined) context.treeConnect = chain.treeConnect
  } else {
    chain.restart()
    const session = context.connection.sessionTable.get(header.sessionId)
    if (session !== undefined) context.session = session
  }
  return (
    verifySignature(context, row) ??
    verifySession(context, row, chain) ??
    verifyTreeConnect(context, row, chain)
  )
}

/** 3.3.5.2.4 */
function verifySignature(context: CommandContext, row: AnyCommandRow): Outcome<never> | undefined {
  if (context.encrypted) return undefined
  const { header, connection, message } = context
  const session = context.sessionIfAny
  if ((header.flags & HeaderFlag.SIGNED) === 0) {
    return session !== undefined && mustSign(session) ? fail(Status.ACCESS_DENIED) : undefined
  }
  if (session === undefined) return verifyForeign(context, row)
  const key = channelKey(session, connection)
  // A first SESSION_SETUP may carry the flag; there is no key to verify it with yet.
  if (key === undefined) return undefined
  // A refusal is signed as well: the client believes no other.
  context.signingKey = key
  return verify(key, [message]) ? undefined : fail(Status.ACCESS_DENIED)
}

/**
 * A signed request of a session that the connection has not: one that binds it, which Session.SigningKey signs
 * (3.2.4.1.1), or one of a client that takes it for bound, and believes the refusal only when that key signs it.
 */
function verifyForeign(context: CommandContext, row: AnyCommandRow): Outcome<never> | undefined {
  if (row.code === Command.NEGOTIATE) return fail(Status.INVALID_PARAMETER)
  const key = context.server.globalSessionTable.get(context.header.sessionId)?.signingKey
  if (key !== undefined && verify(key, [context.message])) context.signingKey = key
  return row.code === Command.SESSION_SETUP ? undefined : fail(Status.USER_SESSION_DELETED)
}

function mustSign(session: Session): boolean {
  return session.signingRequired && session.state !== 'in-progress'
}

/** Channel.SigningKey of the connection. */
function channelKey(session: Session, connection: Connection): SigningKey | undefined {
  return session.channelList.get(connection)?.signingKey
}

/**
 * 3.3.5.2.4 for a CANCEL, which nobody answers: an unsigned or forged one ends nothing, and none ends what another
 * session asked for.
 * @param request the one to be cancelled
 */
export function mayCancel(
  connection: Connection,
  cancel: Member,
  encrypted: boolean,
  request: Request,
): boolean {
  const session = connection.sessionTable.get(cancel.header.sessionId)
  if (session !== request.session) return false
  if (session === undefined || encrypted) return true
  if ((cancel.header.flags & HeaderFlag.SIGNED) === 0) return !mustSign(session)
  const key = channelKey(session, connection)
  return key === undefined || verify(key, [cancel.message])
}

/** 3.3.5.2.9 */
function verifySession(
  context: CommandContext,
  row: AnyCommandRow,
  chain: CompoundChain,
): Outcome<never> | undefined {
  if (!needs(row, 'session')) return undefined
  const session = context.sessionIfAny
  if (session === undefined || session.closing || session.state === 'in-progress') {
    return fail(Status.USER_SESSION_DELETED)
  }
  chain.session = session
  chain.broken = false
  const now = context.server.environment.now()
  session.idleTime = now
  if (session.expirationTime !== undefined && session.expirationTime <= now) session.state = 'expired'
  if (session.state === 'expired' && row.whenExpired !== true) {
    return fail(Status.NETWORK_SESSION_EXPIRED)
  }
  if (session.encryptData && !context.encrypted) return fail(Status.ACCESS_DENIED)
  return undefined
}

/** 3.3.5.2.11 */
function verifyTreeConnect(
  context: CommandContext,
  row: AnyCommandRow,
  chain: CompoundChain,
): Outcome<never> | undefined {
  if (!needs(row, 'tree')) return undefined
  if (!isRelated(context.header)) {
    const treeConnect = context.session.treeConnectTable.get(context.header.treeId)
    if (treeConnect !== undefined) context.treeConnect = treeConnect
  }
  const treeConnect = context.treeConnectIfAny
  if (treeConnect === undefined) return fail(Status.NETWORK_NAME_DELETED)
  chain.treeConnect = treeConnect
  if (treeConnect.share.encryptData && !context.encrypted) return fail(Status.ACCESS_DENIED)
  return undefined
}

/** 3.3.5.2.5: the payload must be paid for. */
export function verifyCreditCharge(
  context: CommandContext,
  payloadBytes: number,
): Outcome<never> | undefined {
  if (!context.connection.supportsMultiCredit) return undefined
  const paid = Math.max(1, context.header.creditCharge)
  return requiredCharge(payloadBytes) > paid ? fail(Status.INVALID_PARAMETER) : undefined
}

/** 3.3.5.2.10, and 3.3.5.2.7.2 for the handle of the request before: finds the open that a request names. */
export function findOpen(
  context: CommandContext,
  fileId: FileId,
  chain: CompoundChain,
): Open | Outcome<never> {
  const inherits =
    isRelated(context.header) &&
    fileId.volatile === RELATED_FILE_ID.volatile &&
    fileId.persistent === RELATED_FILE_ID.persistent
  const open = inherits ? chain.open : context.session.openTable.get(fileId.volatile)
  if (inherits && open === undefined) return fail(chain.failure ?? Status.FILE_CLOSED)
  const found =
    open !== undefined &&
    !open.closing &&
    open.treeConnect === context.treeConnect &&
    (inherits || open.fileId.persistent === fileId.persistent)
  if (!found) return fail(Status.FILE_CLOSED)
  // 3.3.5.9: who uses the FileId has seen the answer that gave it.
  if (!inherits) context.server.replays.forgetOpen(open)
  return open
}

/** 3.3.5.2.10: what a client sent before it lost a channel must not overtake what it sends now. */
export function verifyChannelSequence(
  context: CommandContext,
  open: Open,
  row: AnyCommandRow,
): Outcome<never> | undefined {
  const { connection, header } = context
  if (connection.dialect < Dialect.SMB_3_0) return undefined
  // In a request of 3.x the lower half of what is Status in a response.
  const channelSequence = header.status & CHANNEL_SEQUENCE_MASK
  const isReplay = (header.flags & HeaderFlag.REPLAY_OPERATION) !== 0
  context.admission = open.channelSequence.admit(channelSequence, isReplay)
  return context.admission === undefined && row.modifies === true
    ? fail(Status.FILE_NOT_AVAILABLE)
    : undefined
}

/** A reader of a member's body. */
export function bodyReader(member: Member): Reader {
  return new Reader(member.message).skip(HEADER_BYTES)
}

/** 3.3.5.2: nothing but NEGOTIATE before a dialect is chosen, and no second NEGOTIATE afterwards. */
export function verifyNegotiated(connection: Connection, command: number): Outcome<never> | undefined {
  const isNegotiate = command === Command.NEGOTIATE
  if (isNegotiate === (connection.dialect === 0)) return undefined
  return disconnect(isNegotiate ? 'a second NEGOTIATE' : 'a request before NEGOTIATE')
}
