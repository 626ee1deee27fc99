/** MS-SMB2 3.3.5.2.4 to 3.3.5.2.11: what must hold of a request before its command runs, for all commands in one place. */

import { Reader } from '../wire/reader.ts'
import { type CompoundChain, isRelated, type Member } from './compound.ts'
import type { AnyCommandRow, CommandContext, Needs } from './context.ts'
import { requiredCharge } from './credits.ts'
import { verify } from './crypto/signing.ts'
import { Command } from './messages/commands.ts'
import { HEADER_BYTES, HeaderFlag } from './messages/header.ts'
import { type FileId, RELATED_FILE_ID } from './messages/structure.ts'
import { disconnect, fail, type Outcome } from './outcome.ts'
import type { Connection } from './state/connection.ts'
import type { Open } from './state/open.ts'
import type { Session } from './state/session.ts'
import { Status } from './status.ts'

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
  const session = context.sessionIfAny
  const signed = (context.header.flags & HeaderFlag.SIGNED) !== 0
  if (!signed) {
    const exempt = row.code === Command.NEGOTIATE || row.code === Command.SESSION_SETUP
    const required = session?.signingRequired === true && session.state !== 'in-progress'
    return required && !exempt ? fail(Status.ACCESS_DENIED) : undefined
  }
  if (session === undefined) {
    // A SESSION_SETUP that binds a session is verified with that session's key, by its handler.
    const exempt = row.code === Command.NEGOTIATE || row.code === Command.SESSION_SETUP
    return exempt ? undefined : fail(Status.USER_SESSION_DELETED)
  }
  const key = signingKey(session, context.connection)
  // A first SESSION_SETUP may carry the flag; there is no key to verify it with yet.
  if (key === undefined) return undefined
  const algorithm = context.connection.signingAlgorithmId
  if (algorithm === undefined || !verify(algorithm, key, [context.message])) {
    return fail(Status.ACCESS_DENIED)
  }
  context.signingKey = key
  return undefined
}

/** Channel.SigningKey of the connection. */
function signingKey(session: Session, connection: Connection): Buffer | undefined {
  return session.channelList.get(connection)?.signingKey
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
  return found ? open : fail(Status.FILE_CLOSED)
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
