/** MS-SMB2 3.2.4.2.2, 3.2.4.2.3: how a client negotiates a dialect and sets up a session. */

import { createInitiator } from '../../protocols/auth/initiator.ts'
import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { type Cipher, SigningAlgorithm } from '../../protocols/smb2/crypto/algorithms.ts'
import { deriveKeys, type SessionKeys } from '../../protocols/smb2/crypto/keys.ts'
import { updatePreauthHash } from '../../protocols/smb2/crypto/preauth.ts'
import type { SigningKey } from '../../protocols/smb2/crypto/signing.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { Capability, Dialect, SecurityMode } from '../../protocols/smb2/messages/dialects.ts'
import {
  decodeNegotiateResponse,
  encodeNegotiateRequest,
  type NegotiateRequest,
} from '../../protocols/smb2/messages/negotiate.ts'
import { HashAlgorithm, type NegotiateContext } from '../../protocols/smb2/messages/negotiate-contexts.ts'
import {
  decodeSessionSetupResponse,
  encodeSessionSetupRequest,
  SESSION_FLAG_BINDING,
  SessionFlag,
} from '../../protocols/smb2/messages/session-setup.ts'
import { Status } from '../../protocols/smb2/status.ts'
import type { Writer } from '../../protocols/wire/writer.ts'
import { SIM_PASSWORD, SIM_USER } from './sim-server.ts'
import type { SimAnswer, SimConnection } from './smb2-connection.ts'

export interface SimSession {
  readonly id: bigint
  /** Named as the server names them; absent for guests and strangers. */
  keys: SessionKeys | undefined
  /** Of the channel, when the session has several. */
  signingKey: SigningKey | undefined
  /** Every request goes out encrypted. */
  encrypts: boolean
}

const SALT_BYTES = 32
const GUID_BYTES = 16

/** The contexts that a client of 3.1.1 sends. */
export function negotiateContexts(
  random: (bytes: number) => Buffer,
  ciphers: readonly number[] = [],
  signing: readonly number[] = [],
): NegotiateContext[] {
  return [
    { kind: 'preauthIntegrity', hashAlgorithms: [HashAlgorithm.SHA_512], salt: random(SALT_BYTES) },
    ...(ciphers.length === 0 ? [] : [{ kind: 'encryption' as const, ciphers: [...ciphers] }]),
    ...(signing.length === 0 ? [] : [{ kind: 'signing' as const, algorithms: [...signing] }]),
  ]
}

/** Negotiates; when that succeeds, the connection knows dialect, cipher and signing algorithm. */
export async function negotiate(
  connection: SimConnection,
  fields: Partial<NegotiateRequest> = {},
): Promise<SimAnswer> {
  const random = (bytes: number) => connection.sim.environment.random(bytes)
  const dialects = fields.dialects ?? [Dialect.SMB_2_1]
  const request: NegotiateRequest = {
    securityMode: SecurityMode.SIGNING_ENABLED,
    capabilities: dialects.some((dialect) => dialect >= Dialect.SMB_3_0)
      ? Capability.ENCRYPTION | Capability.MULTI_CHANNEL | Capability.DIRECTORY_LEASING
      : 0,
    clientGuid: random(GUID_BYTES),
    negotiateContexts: dialects.includes(Dialect.SMB_3_1_1) ? negotiateContexts(random) : [],
    ...fields,
    dialects,
  }
  connection.negotiateRequest = request
  const answer = await connection.request({
    command: Command.NEGOTIATE,
    write: (writer) => encodeNegotiateRequest(writer, request),
    creditCharge: 0,
  })
  if (answer.status !== Status.SUCCESS) return answer
  const response = decodeNegotiateResponse(answer.body)
  connection.negotiated = response
  const { dialectRevision, negotiateContexts: contexts, capabilities } = response
  const signing = contexts.find((context) => context.kind === 'signing')
  const encryption = contexts.find((context) => context.kind === 'encryption')
  const byDialect =
    dialectRevision >= Dialect.SMB_3_0 ? SigningAlgorithm.aesCmac : SigningAlgorithm.hmacSha256
  connection.signingAlgorithm = (signing?.algorithms[0] ?? byDialect) as SigningAlgorithm
  const isSmb30 = dialectRevision === Dialect.SMB_3_0 || dialectRevision === Dialect.SMB_3_0_2
  const ccm = isSmb30 && (capabilities & Capability.ENCRYPTION) !== 0 ? 1 : 0
  connection.cipher = (encryption?.ciphers[0] ?? ccm) as Cipher | 0
  if (dialectRevision === Dialect.SMB_3_1_1)
    connection.preauthHash = hashOf(connection, connection.preauthHash)
  return answer
}

/** The hash after the last request and its answer. */
function hashOf({ lastSent, lastReceived }: SimConnection, hash: Buffer): Buffer {
  return updatePreauthHash(updatePreauthHash(hash, [lastSent]), [lastReceived])
}

export interface LogOnOptions {
  /** Default SIM_USER; '' is anonymous. */
  readonly user?: string
  readonly password?: string
  readonly previousSessionId?: bigint
  readonly securityMode?: number
  /** Authenticates this one again. */
  readonly session?: SimSession
  /** Adds the connection to this one, of another connection. */
  readonly binds?: SimSession
}

export interface LogOnResult {
  readonly status: number
  readonly answer: SimAnswer
  readonly sessionFlags: number
  /** The new session, or the one that was authenticated again. @throws Error when it failed */
  readonly session: SimSession
}

/** Sets up a session; it becomes the connection's. */
export async function logOn(connection: SimConnection, options: LogOnOptions = {}): Promise<LogOnResult> {
  const { environment } = connection.sim
  const initiator = createInitiator({
    ...{ user: options.user ?? SIM_USER, domain: '', workstation: 'SIM' },
    ntHash: ntHash(options.password ?? SIM_PASSWORD),
    ...{ now: () => environment.now(), random: (bytes: number) => environment.random(bytes) },
  })
  let hash = connection.preauthHash
  const { binds } = options
  if (binds !== undefined) connection.sessions.set(binds.id, binds)
  let sessionId = (options.session ?? binds)?.id ?? 0n
  let { token } = initiator.step()
  let sessionKey: Buffer | undefined
  for (;;) {
    const securityBuffer = token ?? Buffer.alloc(0)
    const request = {
      command: Command.SESSION_SETUP,
      sessionId,
      treeId: 0,
      ...(binds === undefined ? {} : { signed: true }),
      write: (writer: Writer) =>
        encodeSessionSetupRequest(writer, {
          ...{
            flags: binds === undefined ? 0 : SESSION_FLAG_BINDING,
            securityMode: options.securityMode ?? SecurityMode.SIGNING_ENABLED,
            capabilities: 0,
          },
          ...{ previousSessionId: options.previousSessionId ?? 0n, securityBuffer },
        }),
    }
    const answer = await connection.request(request, { encrypted: options.session?.encrypts ?? false })
    sessionId = answer.header.sessionId
    if (answer.status === Status.SUCCESS) {
      const { sessionFlags } = decodeSessionSetupResponse(answer.body)
      // The last response is signed with the keys that the last request has decided.
      const finalHash = updatePreauthHash(hash, [connection.lastSent])
      const fresh = sessionOf(connection, sessionId, sessionFlags, sessionKey, finalHash)
      const bound = binds && { ...binds, signingKey: fresh.signingKey }
      const session = options.session ?? bound ?? fresh
      connection.sessions.set(sessionId, session)
      connection.session = session
      return { status: answer.status, answer: connection.reread(answer), sessionFlags, session }
    }
    if (answer.status !== Status.MORE_PROCESSING_REQUIRED) return failed(answer)
    hash = hashOf(connection, hash)
    const step = initiator.step(decodeSessionSetupResponse(answer.body).securityBuffer)
    token = step.token
    sessionKey = step.sessionKey
    if (token === undefined) throw new Error(`the exchange ended: ${step.failure}`)
  }
}

function sessionOf(
  { dialect, cipher, signingAlgorithm }: SimConnection,
  id: bigint,
  sessionFlags: number,
  sessionKey: Buffer | undefined,
  preauthIntegrityHash: Buffer,
): SimSession {
  const hasKeys =
    (sessionFlags & (SessionFlag.IS_GUEST | SessionFlag.IS_NULL)) === 0 && sessionKey !== undefined
  const keys = hasKeys ? deriveKeys({ dialect, sessionKey, cipher, preauthIntegrityHash }) : undefined
  const encrypts = (sessionFlags & SessionFlag.ENCRYPT_DATA) !== 0
  const signingKey = keys && { algorithm: signingAlgorithm, key: keys.signingKey }
  return { id, keys, signingKey, encrypts }
}

function failed(answer: SimAnswer): LogOnResult {
  return {
    status: answer.status,
    answer,
    sessionFlags: 0,
    get session(): never {
      throw new Error(`no session was granted: 0x${answer.status.toString(16)}`)
    },
  }
}
