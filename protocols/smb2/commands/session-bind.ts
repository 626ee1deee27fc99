/** MS-SMB2 3.3.5.5 (3.x, SMB2_SESSION_FLAG_BINDING) and 3.3.5.5.2: a session gets one more connection. */

import { type AcceptorResult, createAcceptor } from '../../auth/acceptor.ts'
import type { CommandContext } from '../context.ts'
import { SigningAlgorithm } from '../crypto/algorithms.ts'
import { deriveKeys } from '../crypto/keys.ts'
import { updatePreauthHash } from '../crypto/preauth.ts'
import { Dialect } from '../messages/dialects.ts'
import { HeaderFlag } from '../messages/header.ts'
import type { SessionSetupRequest, SessionSetupResponse } from '../messages/session-setup.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Binding } from '../state/connection.ts'
import type { Session } from '../state/session.ts'
import { type NtStatus, Status } from '../status.ts'
import { acceptorOptions, delayRefusal, signingKeyOf, statusOfFailure } from './login.ts'

/** Channels of one session: Windows allows 32 as well. */
const MAXIMUM_CHANNELS = 32

type Done = Extract<AcceptorResult, { kind: 'done' }>

export async function bindSession(
  context: CommandContext,
  request: SessionSetupRequest,
): Promise<Outcome<SessionSetupResponse>> {
  const { server, connection, header } = context
  if (header.sessionId === 0n) return fail(Status.INVALID_PARAMETER)
  const session = server.globalSessionTable.get(header.sessionId)
  if (session === undefined || session.closing) return fail(Status.USER_SESSION_DELETED)
  const refusal = whyNot(context, session)
  if (refusal !== undefined) return fail(refusal)
  context.session = session
  const binding = bindingOf(context)
  followPreauthIntegrity(context, binding)
  const result = binding.acceptor.step(Buffer.from(request.securityBuffer))
  if (result.kind === 'continue') {
    return ok({ sessionFlags: 0, securityBuffer: result.token }, Status.MORE_PROCESSING_REQUIRED)
  }
  connection.preauthSessionTable.delete(header.sessionId)
  if (result.kind === 'failed') {
    await delayRefusal(context, result.reason, result.user)
    return fail(statusOfFailure(result.reason))
  }
  return complete(context, session, binding, result)
}

/**
 * 3.3.5.5, in the order in which Windows finds fault. The ClientGuid may differ ("the server MAY fail"): the signature
 * and the same user's password say enough, and Windows binds such connections.
 */
function whyNot(context: CommandContext, session: Session): NtStatus | undefined {
  const { connection, header, signingKey } = context
  const key = session.signingKey
  if (session.principal?.kind !== 'user' || key === undefined) return Status.NOT_SUPPORTED
  const conflict = signingConflict(key.algorithm, connection.signingAlgorithmId)
  if (conflict !== undefined) return conflict
  if (connection.dialect < Dialect.SMB_3_0) return Status.REQUEST_NOT_ACCEPTED
  if ((header.flags & HeaderFlag.SIGNED) === 0) return Status.INVALID_PARAMETER
  if (signingKey === undefined) return Status.ACCESS_DENIED
  if (session.dialect !== connection.dialect || session.cipherId !== connection.cipherId) {
    return Status.INVALID_PARAMETER
  }
  if (session.channelList.has(connection)) return Status.REQUEST_NOT_ACCEPTED
  if (session.state !== 'valid') return Status.NETWORK_SESSION_EXPIRED
  return session.channelList.size >= MAXIMUM_CHANNELS ? Status.INSUFFICIENT_RESOURCES : undefined
}

/** GMAC goes with GMAC only: its keys are not used with another algorithm. */
function signingConflict(
  first: SigningAlgorithm,
  second: SigningAlgorithm | undefined,
): NtStatus | undefined {
  if (first === second) return undefined
  if (first === SigningAlgorithm.aesGmac) return Status.REQUEST_OUT_OF_SEQUENCE
  return second === SigningAlgorithm.aesGmac ? Status.NOT_SUPPORTED : undefined
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
  const keys = deriveKeys({
    dialect: connection.dialect,
    sessionKey: result.sessionKey,
    cipher: connection.cipherId,
    preauthIntegrityHash: binding.preauthIntegrityHashValue,
  })
  const signingKey = signingKeyOf(connection, keys)
  // Below 3.1.1 the keys of all channels are made alike; each connection signs with its own.
  session.channelList.set(connection, { connection, signingKey, acceptor: undefined })
  connection.sessionTable.set(session.sessionId, session)
  context.signingKey = signingKey
  server.log('info', 'channel added to a session', {
    peer: connection.peer.remoteAddress,
    user: session.principal?.user,
  })
  return ok({ sessionFlags: 0, securityBuffer: result.token })
}
