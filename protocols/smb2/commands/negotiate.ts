/** MS-SMB2 3.3.5.4: receiving an SMB2 NEGOTIATE Request. */

import { initialToken } from '../../auth/spnego.ts'
import { filetimeOfMilliseconds } from '../../wire/filetime.ts'
import { type CommandContext, command } from '../context.ts'
import { Cipher, SigningAlgorithm } from '../crypto/algorithms.ts'
import { INITIAL_PREAUTH_HASH, updatePreauthHash } from '../crypto/preauth.ts'
import { Command } from '../messages/commands.ts'
import { CreateContextName } from '../messages/create-contexts.ts'
import { Capability, Dialect, SecurityMode } from '../messages/dialects.ts'
import {
  decodeNegotiateRequest,
  encodeNegotiateResponse,
  type NegotiateRequest,
  type NegotiateResponse,
} from '../messages/negotiate.ts'
import { HashAlgorithm, type NegotiateContext } from '../messages/negotiate-contexts.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Connection } from '../state/connection.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'

/** Dialects below this one have no multi-credit requests (3.3.5.4). */
const SMALL_MAX_SIZE = 65536
const PREAUTH_SALT_BYTES = 32

type Supported = (typeof SUPPORTED_DIALECTS)[number]
const SUPPORTED_DIALECTS = [
  Dialect.SMB_3_1_1,
  Dialect.SMB_3_0_2,
  Dialect.SMB_3_0,
  Dialect.SMB_2_1,
  Dialect.SMB_2_0_2,
] as const

export const negotiate = command<NegotiateResponse, NegotiateRequest>({
  code: Command.NEGOTIATE,
  name: 'NEGOTIATE',
  needs: 'nothing',
  decode: decodeNegotiateRequest,
  encode: encodeNegotiateResponse,
  run: runNegotiate,
})

function runNegotiate(context: CommandContext, request: NegotiateRequest): Outcome<NegotiateResponse> {
  const { server, connection } = context
  if (request.dialects.length === 0) return fail(Status.INVALID_PARAMETER)
  const dialect = chooseDialect(server, request.dialects)
  if (dialect === undefined) return fail(Status.NOT_SUPPORTED)
  connection.clientCapabilities = request.capabilities
  connection.clientSecurityMode = request.securityMode
  connection.clientGuid = Buffer.from(request.clientGuid)
  connection.clientDialects = request.dialects
  const contexts = dialect === Dialect.SMB_3_1_1 ? negotiateContexts(server, connection, request) : []
  if (!Array.isArray(contexts)) return contexts
  establishDialect(server, connection, dialect)
  if (dialect === Dialect.SMB_3_1_1) {
    const afterRequest = updatePreauthHash(INITIAL_PREAUTH_HASH, [context.message])
    context.onResponse = (message) => {
      connection.preauthIntegrityHashValue = updatePreauthHash(afterRequest, [message])
    }
  }
  return ok(negotiateResponse(server, connection, dialect, contexts))
}

/** The highest dialect that both know, within the configured range. */
function chooseDialect(server: Server, offered: readonly number[]): Supported | undefined {
  const { minimumDialect, maximumDialect } = server.settings
  return SUPPORTED_DIALECTS.find(
    (dialect) => dialect >= minimumDialect && dialect <= maximumDialect && offered.includes(dialect),
  )
}

/** Sets what follows from the dialect alone. */
export function establishDialect(server: Server, connection: Connection, dialect: number): void {
  const { settings, limits } = server
  connection.dialect = dialect
  connection.negotiateDialect = dialect
  connection.supportsMultiCredit = dialect >= Dialect.SMB_2_1 && dialect !== Dialect.WILDCARD
  const large = connection.supportsMultiCredit
  connection.maxTransactSize = large ? limits.maxTransactSize : SMALL_MAX_SIZE
  connection.maxReadSize = large ? limits.maxReadSize : SMALL_MAX_SIZE
  connection.maxWriteSize = large ? limits.maxWriteSize : SMALL_MAX_SIZE
  connection.serverSecurityMode =
    SecurityMode.SIGNING_ENABLED | (settings.requireMessageSigning ? SecurityMode.SIGNING_REQUIRED : 0)
  const isSmb30 = dialect === Dialect.SMB_3_0 || dialect === Dialect.SMB_3_0_2
  const encrypts =
    isSmb30 && settings.encryption !== 'off' && (connection.clientCapabilities & Capability.ENCRYPTION) !== 0
  if (encrypts) connection.cipherId = Cipher.aes128ccm
  const isSmb3 = dialect >= Dialect.SMB_3_0 && dialect !== Dialect.WILDCARD
  const channels = isSmb3 && (connection.clientCapabilities & Capability.MULTI_CHANNEL) !== 0
  const directories = isSmb3 && (connection.clientCapabilities & Capability.DIRECTORY_LEASING) !== 0
  connection.serverCapabilities =
    (large ? Capability.LARGE_MTU | Capability.LEASING : 0) |
    (directories ? Capability.DIRECTORY_LEASING : 0) |
    (encrypts ? Capability.ENCRYPTION : 0) |
    (channels ? Capability.MULTI_CHANNEL : 0)
  if (dialect !== Dialect.SMB_3_1_1) {
    connection.signingAlgorithmId = isSmb30 ? SigningAlgorithm.aesCmac : SigningAlgorithm.hmacSha256
  }
}

/** 3.3.5.4, the contexts of 3.1.1: chooses from each the first of the client's that is known here. */
function negotiateContexts(
  server: Server,
  connection: Connection,
  request: NegotiateRequest,
): NegotiateContext[] | Outcome<never> {
  const contexts = request.negotiateContexts
  const preauths = contexts.filter((context) => context.kind === 'preauthIntegrity')
  const [preauth] = preauths
  // "If the negotiate context list does not contain exactly one SMB2_PREAUTH_INTEGRITY_CAPABILITIES".
  if (preauth === undefined || preauths.length > 1) return fail(Status.INVALID_PARAMETER)
  if (!preauth.hashAlgorithms.includes(HashAlgorithm.SHA_512)) {
    return fail(Status.SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP)
  }
  const answers: NegotiateContext[] = [
    {
      kind: 'preauthIntegrity',
      hashAlgorithms: [HashAlgorithm.SHA_512],
      salt: server.environment.random(PREAUTH_SALT_BYTES),
    },
  ]
  const encryption = contexts.find((context) => context.kind === 'encryption')
  if (encryption !== undefined && server.settings.encryption !== 'off') {
    connection.cipherId = firstKnown(encryption.ciphers, Object.values(Cipher)) ?? 0
    // "If there is no common cipher, the server sets ... Ciphers to 0": the client sees that there is none.
    answers.push({ kind: 'encryption', ciphers: [connection.cipherId] })
  }
  const posix = posixVersion(server, contexts)
  connection.posixExtensions = posix !== undefined
  if (posix !== undefined) answers.push({ kind: 'posix', versions: [posix] })
  const signing = contexts.find((context) => context.kind === 'signing')
  const algorithm = signing && firstKnown(signing.algorithms, Object.values(SigningAlgorithm))
  connection.signingAlgorithmId = algorithm ?? SigningAlgorithm.aesCmac
  if (algorithm !== undefined) answers.push({ kind: 'signing', algorithms: [algorithm] })
  return answers
}

/** POSIX-SMB2 3: the one version there is, when it is asked for; named as its create context. */
function posixVersion(server: Server, contexts: readonly NegotiateContext[]): Buffer | undefined {
  const offer = contexts.find((context) => context.kind === 'posix')
  if (offer === undefined || !server.settings.posixExtensions) return undefined
  return offer.versions.find((version) => version.toString('latin1') === CreateContextName.POSIX)
}

function firstKnown<Id extends number>(offered: readonly number[], known: readonly Id[]): Id | undefined {
  for (const id of offered) {
    const match = known.find((candidate) => candidate === id)
    if (match !== undefined) return match
  }
  return undefined
}

/** The response's fields (2.2.4), from what the connection was given. */
export function negotiateResponse(
  server: Server,
  connection: Connection,
  dialectRevision: number,
  contexts: NegotiateContext[],
): NegotiateResponse {
  return {
    securityMode: connection.serverSecurityMode,
    dialectRevision,
    serverGuid: server.serverGuid,
    capabilities: connection.serverCapabilities,
    maxTransactSize: connection.maxTransactSize,
    maxReadSize: connection.maxReadSize,
    maxWriteSize: connection.maxWriteSize,
    systemTime: filetimeOfMilliseconds(server.environment.now()),
    serverStartTime: 0n,
    securityBuffer: initialToken(),
    negotiateContexts: contexts,
  }
}
