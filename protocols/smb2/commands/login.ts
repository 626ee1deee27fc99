/** MS-SMB2 3.3.5.5.3: what all kinds of SESSION_SETUP do with the authentication protocol. */

import type { AcceptorOptions, FailureReason } from '../../auth/acceptor.ts'
import type { CommandContext } from '../context.ts'
import type { SessionKeys } from '../crypto/keys.ts'
import type { SigningKey } from '../crypto/signing.ts'
import type { Connection } from '../state/connection.ts'
import type { Server } from '../state/server.ts'
import { type NtStatus, Status } from '../status.ts'

/** What an exchange needs of the server. */
export function acceptorOptions(server: Server): AcceptorOptions {
  return {
    targetName: server.settings.name,
    dnsName: server.settings.name.toLowerCase(),
    now: () => server.environment.now(),
    random: (count) => server.environment.random(count),
    lookup: (user, domain) => server.lookup(user, domain),
  }
}

/** Notes a failed login; resolves when it may be answered: the later, the more often the address has failed. */
export async function delayRefusal(
  { server, connection }: CommandContext,
  reason: string,
  user: string | undefined,
): Promise<void> {
  const peer = connection.peer.remoteAddress
  const delay = server.loginThrottle.failed(peer)
  server.counters.failedLogins++
  server.log('warn', 'login failed', { peer, user, reason })
  await new Promise<void>((resolve) => server.environment.after(delay, resolve))
}

/** SEC_E_INVALID_TOKEN and SEC_E_LOGON_DENIED as statuses: who sends no proper token has not given a wrong password. */
export function statusOfFailure(reason: FailureReason): NtStatus {
  return reason === 'malformed' ? Status.INVALID_PARAMETER : Status.LOGON_FAILURE
}

/** The key an authentication on this connection made, with what the connection signs with; none before NEGOTIATE. */
export function signingKeyOf(connection: Connection, keys: SessionKeys): SigningKey | undefined {
  const algorithm = connection.signingAlgorithmId
  return algorithm === undefined ? undefined : { algorithm, key: keys.signingKey }
}
