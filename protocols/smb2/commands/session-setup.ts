/** MS-SMB2 3.3.5.5: receiving a SESSION_SETUP Request: a new session, its next step, or its re-authentication. */

import { type AcceptorResult, createAcceptor } from '../../auth/acceptor.ts'
import { type CommandContext, command } from '../context.ts'
import { deriveKeys } from '../crypto/keys.ts'
import { updatePreauthHash } from '../crypto/preauth.ts'
import { Command } from '../messages/commands.ts'
import { SecurityMode } from '../messages/dialects.ts'
import {
  decodeSessionSetupRequest,
  encodeSessionSetupResponse,
  SESSION_FLAG_BINDING,
  SessionFlag,
  type SessionSetupRequest,
  type SessionSetupResponse,
} from '../messages/session-setup.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Connection } from '../state/connection.ts'
import type { Principal, Server } from '../state/server.ts'
import { Session } from '../state/session.ts'
import { isFull } from '../state/usage.ts'
import { type NtStatus, Status } from '../status.ts'
import { acceptorOptions, delayRefusal, signingKeyOf, statusOfFailure } from './login.ts'
import { bindSession } from './session-bind.ts'
import { disconnectSession, tearDownSession } from './teardown.ts'
import { readmit } from './tree-connect.ts'

type Failed = Extract<AcceptorResult, { kind: 'failed' }>
type Done = Extract<AcceptorResult, { kind: 'done' }>

/** Random, so that ids of an earlier run are hardly met again; 32 bits, since some clients keep no more. */
const RANDOM_ID_BYTES = 4
const MILLISECONDS_PER_SECOND = 1000

export const sessionSetup = command<SessionSetupResponse, SessionSetupRequest>({
  code: Command.SESSION_SETUP,
  name: 'SESSION_SETUP',
  needs: 'nothing',
  decode: decodeSessionSetupRequest,
  encode: encodeSessionSetupResponse,
  run: runSessionSetup,
})

async function runSessionSetup(
  context: CommandContext,
  request: SessionSetupRequest,
): Promise<Outcome<SessionSetupResponse>> {
  if ((request.flags & SESSION_FLAG_BINDING) !== 0) return bindSession(context, request)
  const session = findOrMakeSession(context)
  if (!(session instanceof Session)) return session
  context.session = session
  const { server, connection } = context
  if (server.settings.encryption === 'required' && connection.cipherId === 0) {
    return abandon(context, session, Status.ACCESS_DENIED)
  }
  if (session.state === 'in-progress') followPreauthIntegrity(context, session)
  const channel = session.channelList.get(connection)
  // Logged off while this request was on its way.
  if (channel === undefined) return fail(Status.USER_SESSION_DELETED)
  channel.acceptor ??= createAcceptor(acceptorOptions(server))
  // A copy: the exchange keeps its messages (for the MIC), the frame's memory is used again.
  const result = channel.acceptor.step(Buffer.from(request.securityBuffer))
  if (result.kind === 'continue') {
    const body = { sessionFlags: 0, securityBuffer: result.token }
    return ok(body, Status.MORE_PROCESSING_REQUIRED)
  }
  channel.acceptor = undefined
  if (result.kind === 'failed') return refuseLogin(context, session, result)
  return acceptLogin(context, session, request, result)
}

/** 3.3.5.5.1, 3.3.5.5.2 */
function findOrMakeSession(context: CommandContext): Session | Outcome<never> {
  const { server, connection, header } = context
  if (header.sessionId !== 0n) {
    return connection.sessionTable.get(header.sessionId) ?? fail(Status.USER_SESSION_DELETED)
  }
  if (tooManySessions(server, connection)) return fail(Status.INSUFFICIENT_RESOURCES)
  const session = new Session(newSessionId(server), connection, server.environment.now())
  connection.sessionTable.set(session.sessionId, session)
  session.channelList.set(connection, { connection, signingKey: undefined, acceptor: undefined })
  return session
}

function tooManySessions(server: Server, connection: Connection): boolean {
  if (connection.sessionTable.size < server.limits.sessionsPerConnection) {
    return isFull(server, 'sessions', undefined)
  }
  server.usage.refuse('sessions')
  return true
}

function newSessionId(server: Server): bigint {
  for (;;) {
    const id = BigInt(server.environment.random(RANDOM_ID_BYTES).readUInt32LE())
    if (id !== 0n && !server.globalSessionTable.has(id)) return id
  }
}

/** 3.3.5.5: Session.PreauthIntegrityHashValue covers each request and each response but the last. */
function followPreauthIntegrity(context: CommandContext, session: Session): void {
  const start = session.preauthIntegrityHashValue ?? context.connection.preauthIntegrityHashValue
  if (start === undefined) return
  const afterRequest = updatePreauthHash(start, [context.message])
  session.preauthIntegrityHashValue = afterRequest
  context.onResponse = (message) => {
    if (session.state !== 'in-progress') return
    session.preauthIntegrityHashValue = updatePreauthHash(afterRequest, [message])
  }
}

/** Unknown users become guests where that is configured; a known user with a wrong password never does. */
async function refuseLogin(
  context: CommandContext,
  session: Session,
  result: Failed,
): Promise<Outcome<SessionSetupResponse>> {
  if (result.reason === 'no-such-user' && guestsMayEnter(context.server)) {
    return establish(context, session, { kind: 'guest', user: result.user ?? '', domain: '' }, result.token)
  }
  await delayRefusal(context, result.reason, result.user)
  return abandon(context, session, statusOfFailure(result.reason))
}

/** A guest has no key, so nobody who insists on signing or encryption lets one in. */
function guestsMayEnter(server: Server): boolean {
  const { guest, requireMessageSigning, encryption } = server.settings
  return guest && !requireMessageSigning && encryption !== 'required'
}

/** The session does not come to be; one that was re-authenticating is over. */
async function abandon(context: CommandContext, session: Session, status: NtStatus): Promise<Outcome<never>> {
  if (session.state === 'in-progress') context.connection.sessionTable.delete(session.sessionId)
  else await tearDownSession(context.server, session)
  return fail(status)
}

/** 3.3.5.5.3 */
async function acceptLogin(
  context: CommandContext,
  session: Session,
  request: SessionSetupRequest,
  result: Done,
): Promise<Outcome<SessionSetupResponse>> {
  const { server, connection } = context
  const address = connection.peer.remoteAddress
  if (server.loginThrottle.blocked(address)) {
    await delayRefusal(context, 'too many failures', undefined)
    return abandon(context, session, Status.LOGON_FAILURE)
  }
  if (result.principal.kind === 'anonymous') {
    if (!server.settings.anonymous) return abandon(context, session, Status.ACCESS_DENIED)
    return establish(context, session, { kind: 'anonymous', user: '', domain: '' }, result.token)
  }
  server.loginThrottle.succeeded(address)
  const { user, domain } = result.principal
  const isFirst = session.state === 'in-progress'
  if (isFirst) giveKeys(context, session, request, result.sessionKey)
  const outcome = establish(context, session, { kind: 'user', user, domain }, result.token)
  if (isFirst) await endPreviousSession(server, session, request.previousSessionId)
  return outcome
}

/** Keys are made once: re-authentication leaves them as they are (3.3.5.5.2). */
function giveKeys(
  context: CommandContext,
  session: Session,
  request: SessionSetupRequest,
  sessionKey: Buffer,
): void {
  const { server, connection } = context
  session.sessionKey = sessionKey
  session.keys = deriveKeys({
    dialect: connection.dialect,
    sessionKey,
    cipher: connection.cipherId,
    preauthIntegrityHash: session.preauthIntegrityHashValue,
  })
  session.signingKey = signingKeyOf(connection, session.keys)
  session.channelList.set(connection, { connection, signingKey: session.signingKey, acceptor: undefined })
  session.signingRequired =
    server.settings.requireMessageSigning ||
    ((request.securityMode | connection.clientSecurityMode) & SecurityMode.SIGNING_REQUIRED) !== 0
  session.encryptData = server.settings.encryption === 'required'
}

function establish(
  context: CommandContext,
  session: Session,
  principal: Principal,
  token: Buffer | undefined,
): Outcome<SessionSetupResponse> {
  const { server } = context
  const { sessionTimeoutSeconds } = server.settings
  const before = session.principal
  session.principal = principal
  if (before !== undefined && !isSame(before, principal)) readmit(session)
  session.state = 'valid'
  session.expirationTime =
    sessionTimeoutSeconds === 0
      ? undefined
      : server.environment.now() + sessionTimeoutSeconds * MILLISECONDS_PER_SECOND
  server.globalSessionTable.set(session.sessionId, session)
  // 3.3.5.5.3: a session with keys has its last response signed; on 3.1.1 clients insist.
  context.signingKey = session.channelList.get(context.connection)?.signingKey
  server.log('info', 'session set up', {
    peer: context.connection.peer.remoteAddress,
    user: principal.user,
    kind: principal.kind,
  })
  const sessionFlags =
    (principal.kind === 'guest' ? SessionFlag.IS_GUEST : 0) |
    (principal.kind === 'anonymous' ? SessionFlag.IS_NULL : 0) |
    (session.encryptData ? SessionFlag.ENCRYPT_DATA : 0)
  return ok({ sessionFlags, securityBuffer: token ?? Buffer.alloc(0) })
}

function isSame(one: Principal, other: Principal): boolean {
  return one.kind === other.kind && one.user === other.user && one.domain === other.domain
}

/** 3.3.5.5.3: a client that comes back ends its session of before, when it was the same user's. */
async function endPreviousSession(
  server: Server,
  session: Session,
  previousSessionId: bigint,
): Promise<void> {
  if (previousSessionId === 0n || previousSessionId === session.sessionId) return
  const previous = server.globalSessionTable.get(previousSessionId)
  if (previous === undefined || previous.principal?.user !== session.principal?.user) return
  await disconnectSession(server, previous)
}
