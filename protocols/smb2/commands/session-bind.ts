/** MS-SMB2 3.3.5.5 (3.x, SMB2_SESSION_FLAG_BINDING) and 3.3.5.5.2: a session gets one more connection. */

import { type AcceptorResult, createAcceptor } from '../../auth/acceptor.ts'
import type { CommandContext } from '../context.ts'
import { SigningAlgorithm } from '../crypto/algorithms.ts'
import { deriveKeys } from '../crypto/keys.ts'
import { updatePreauthHash } from '../crypto/preauth.ts'
import { verify } from '../crypto/signing.ts'
import { Dialect } from '../messages/dialects.ts'
import { HeaderFlag } from '../messages/header.ts'
import type { SessionSetupRequest, SessionSetupResponse } from '../messages/session-setup.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Binding, Connection } from '../state/connection.ts'
import type { Session } from '../state/session.ts'
import { type NtStatus, Status } from '../status.ts'
import { acceptorOptions, delayRefusal } from './login.ts'

/** Channels of one session: Windows allows 32 as well. */
const MAXIMUM_CHANNELS = 32

type Done = Extract<AcceptorResult, { kind: 'done' }>

export async function bindSession(
  context: CommandContext,
  request: SessionSetupRequest,
): Promise<Outcome<SessionSetupResponse>> {
  const { server, connection, header } = context
  const session = server.globalSessionTable.get(header.sessionId)
  if (session === undefined || session.closing) return fail(Status.USER_SESSION_DELETED)
  const refusal = whyNot(context, session)
  if (refusal !== undefined) return fail(refusal)
  context.session = session
  const binding = bindingOf(context)
  followPreauthIntegrity(context, binding)
  const result = binding.acceptor.step(Buffer.from(request.securityBuffer))
  if (result.kind === 'continue') {
    // 3.3.4.1.1: until the channel has a key of its own, the session's signs.
    context.signingKey = session.keys?.signingKey
    return ok({ sessionFlags: 0, securityBuffer: result.token }, Status.MORE_PROCESSING_REQUIRED)
  }
  connection.preauthSessionTable.delete(header.sessionId)
  if (result.kind === 'failed') {
    await delayRefusal(context, result.reason, result.user)
    return fail(Status.LOGON_FAILURE)
  }
  return complete(context, session, binding, result)
}

/** 3.3.5.5, in Windows' order. */
function whyNot(context: CommandContext, session: Session): NtStatus | undefined {
  const { connection, header } = context
  const [first] = session.channelList.keys()
  const key = session.keys?.signingKey
  if (first === undefined || !first.clientGuid.equals(connection.clientGuid))
    return Status.USER_SESSION_DELETED
  if (session.principal?.kind !== 'user' || key === undefined) return Status.NOT_SUPPORTED
  if ((header.flags & HeaderFlag.SIGNED) === 0) return Status.INVALID_PARAMETER
  const algorithm = connection.signingAlgorithmId
  if (algorithm === undefined || !verify(algorithm, key, [context.message])) return Status.ACCESS_DENIED
  // Refusals are signed as well: the client believes no others.
  context.signingKey = key
  return (
    signingConflict(first, connection) ??
    (connection.dialect < Dialect.SMB_3_0 ? Status.REQUEST_NOT_ACCEPTED : undefined) ??
    (session.dialect !== connection.dialect || first.cipherId !== connection.cipherId
      ? Status.INVALID_PARAMETER
      : undefined) ??
    (session.channelList.has(connection) ? Status.REQUEST_NOT_ACCEPTED : undefined) ??
    (session.state !== 'valid' ? Status.NETWORK_SESSION_EXPIRED : undefined) ??
    (session.channelList.size >= MAXIMUM_CHANNELS ? Status.INSUFFICIENT_RESOURCES : undefined)
  )
}

/** GMAC goes with GMAC only: its keys are not used with another algorithm. */
function signingConflict(first: Connection, second: Connection): NtStatus | undefined {
  if (first.signingAlgorithmId === second.signingAlgorithmId) return undefined
  if (first.signingAlgorithmId === SigningAlgorithm.aesGmac) return Status.REQUEST_OUT_OF_SEQUENCE
  return second.signingAlgorithmId === SigningAlgorithm.aesGmac ? Status.NOT_SUPPORTED : undefined
}

/** Connection.PreauthSessionTable: the exchange under way. */
function bindingOf({ server, connection, header }: CommandContext): Binding {
  const known = connection.preauthSessionTable.get(header.sessionId)
  if (known !== undefined) return known
  const binding: Binding = {
    acceptor: createAcceptor(acceptorOptions(server)),
    preauthIntegrityHashValue: connection.preauthIntegrityHashValue,
  }
  connection.preauthSessionTable.set(header.sessionId, binding)
  return binding
}

/** As for a session of its own: each request, and each response but the last. */
function followPreauthIntegrity(context: CommandContext, binding: Binding): void {
  if (binding.preauthIntegrityHashValue === undefined) return
  const afterRequest = updatePreauthHash(binding.preauthIntegrityHashValue, [context.message])
  binding.preauthIntegrityHashValue = afterRequest
  context.onResponse = (message) => {
    binding.preauthIntegrityHashValue = updatePreauthHash(afterRequest, [message])
  }
}

/** 3.3.5.5.3: only the same user; Channel.SigningKey comes from this authentication. */
function complete(
  context: CommandContext,
  session: Session,
  binding: Binding,
  result: Done,
): Outcome<SessionSetupResponse> {
  const { connection, server } = context
  const isSame = result.principal.kind === 'user' && result.principal.user === session.principal?.user
  if (!isSame) return fail(Status.ACCESS_DENIED)
  const { signingKey } = deriveKeys({
    dialect: connection.dialect,
    sessionKey: result.sessionKey,
    cipher: connection.cipherId,
    preauthIntegrityHash: binding.preauthIntegrityHashValue,
  })
  // Below 3.1.1 the keys of all channels are made alike; each connection signs with its own.
  session.channelList.set(connection, { connection, signingKey })
  connection.sessionTable.set(session.sessionId, session)
  context.signingKey = signingKey
  server.log('info', 'channel added to a session', {
    peer: connection.peer.remoteAddress,
    user: session.principal?.user,
  })
  return ok({ sessionFlags: 0, securityBuffer: result.token })
}
