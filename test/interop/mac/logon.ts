/** How macOS begins: negotiation through SMB 1, session setup, tree connect (macos.md 1 and 2); what it refuses fails here. */

import { randomBytes } from 'node:crypto'
import type { Cipher, SigningAlgorithm } from '../../../protocols/smb2/crypto/algorithms.ts'
import { deriveKeys } from '../../../protocols/smb2/crypto/keys.ts'
import { INITIAL_PREAUTH_HASH, updatePreauthHash } from '../../../protocols/smb2/crypto/preauth.ts'
import { expect } from '../report.ts'
import { type MacConnection, Smb } from './connection.ts'
import { MacNtlm } from './ntlm.ts'

/** DFS, LEASING, LARGE_MTU, MULTI_CHANNEL, PERSISTENT_HANDLES, DIRECTORY_LEASING, ENCRYPTION. */
const CAPABILITIES = 0x7f
const SIGNING_ENABLED = 1
const SIGNING_REQUIRED = 2
const DIALECTS = [0x0202, 0x0210, 0x0300, 0x0302, 0x0311]
const DIALECT_3_1_1 = 0x0311
const DIALECT_WILDCARD = 0x02ff
/** AES-256-GCM, AES-256-CCM, AES-128-GCM, AES-128-CCM. */
const CIPHERS = [4, 3, 2, 1]
/** AES-GMAC, AES-CMAC. */
const SIGNING_ALGORITHMS = [2, 1]
const NegotiateContext = { PREAUTH: 1, ENCRYPTION: 2, COMPRESSION: 3, NETNAME: 5, SIGNING: 8 } as const
const SESSION_IS_GUEST = 1
const SESSION_ENCRYPTS = 4
const MORE_PROCESSING = 0xc000_0016
const MINIMUM_CREDITS = 5

/** What the server said, and what a Mac that comes back holds on to. */
export interface Negotiated {
  readonly dialect: number
  readonly cipher: number
  readonly signing: number
  readonly capabilities: number
  readonly securityMode: number
  readonly serverGuid: string
  readonly maxTransact: number
  readonly maxRead: number
  readonly maxWrite: number
  /** OIDs of the server's first token are in it. */
  readonly token: Buffer
}

export interface Who {
  readonly host: string
  readonly user: string
  readonly password: string
  readonly clientGuid: Buffer
}

interface Greeting {
  readonly negotiated: Negotiated
  /** After NEGOTIATE and its answer. */
  readonly hash: Buffer
}

/** The first packet of a Mac: SMB_COM_NEGOTIATE with three dialects. */
export async function multiProtocolNegotiate(connection: MacConnection): Promise<void> {
  const dialects = ['NT LM 0.12', 'SMB 2.002', 'SMB 2.???'].map((name) => `\x02${name}\0`).join('')
  const frame = Buffer.alloc(35 + dialects.length)
  frame.writeUInt32BE(0xff53_4d42, 0)
  frame[4] = 0x72
  frame[9] = 0x08
  frame.writeUInt16LE(0x4801, 10)
  frame.writeUInt16LE(0xffff, 24)
  frame.writeUInt16LE(1, 26)
  frame.writeUInt16LE(dialects.length, 33)
  frame.write(dialects, 35, 'latin1')
  const { body, status } = await connection.exchangeRaw(frame)
  expect(status === 0, `the SMB 1 NEGOTIATE ended with 0x${status.toString(16)}`)
  const dialect = body.readUInt16LE(4)
  expect(dialect === DIALECT_WILDCARD, `the SMB 1 NEGOTIATE chose 0x${dialect.toString(16)}, not 0x02ff`)
}

/** SMB 2 NEGOTIATE. @param before offered alone by a Mac that comes back: what was in use */
export async function negotiate(connection: MacConnection, who: Who, before?: Negotiated): Promise<Greeting> {
  const dialects = before === undefined ? DIALECTS : [before.dialect]
  const fixed = Buffer.alloc((36 + 2 * dialects.length + 7) & ~7)
  const contexts = [
    preauth(),
    list(NegotiateContext.ENCRYPTION, before === undefined ? CIPHERS : [before.cipher]),
    // One algorithm, NONE; padding; no flags.
    contextOf(NegotiateContext.COMPRESSION, Buffer.from('01000000000000000000', 'hex')),
    list(NegotiateContext.SIGNING, before === undefined ? SIGNING_ALGORITHMS : [before.signing]),
    contextOf(NegotiateContext.NETNAME, Buffer.from(who.host, 'utf16le')),
  ]
  fixed.writeUInt16LE(36, 0)
  fixed.writeUInt16LE(dialects.length, 2)
  fixed.writeUInt16LE(SIGNING_ENABLED, 4)
  fixed.writeUInt32LE(CAPABILITIES, 8)
  who.clientGuid.copy(fixed, 12)
  fixed.writeUInt32LE(64 + fixed.length, 28)
  fixed.writeUInt16LE(contexts.length, 32)
  for (const [index, dialect] of dialects.entries()) fixed.writeUInt16LE(dialect, 36 + 2 * index)
  const body = Buffer.concat([fixed, ...contexts.map((context, index) => aligned(context, index < 4))])
  const answer = await connection.request({ command: Smb.NEGOTIATE, body })
  expect(answer.status === 0, `NEGOTIATE ended with 0x${answer.status.toString(16)}`)
  const hash = updatePreauthHash(updatePreauthHash(INITIAL_PREAUTH_HASH, [connection.lastSent]), [
    answer.message,
  ])
  const negotiated = parseNegotiate(answer.message)
  if (before !== undefined) {
    for (const key of ['cipher', 'signing', 'dialect', 'capabilities', 'serverGuid', 'securityMode'] as const)
      expect(negotiated[key] === before[key], `${key} is another one than before: ${negotiated[key]}`)
  }
  return { negotiated, hash }
}

function preauth(): Buffer {
  const data = Buffer.concat([Buffer.from('010020000100', 'hex'), randomBytes(32)])
  return contextOf(NegotiateContext.PREAUTH, data)
}

function list(type: number, values: readonly number[]): Buffer {
  const data = Buffer.alloc(2 + 2 * values.length)
  for (const [index, value] of [values.length, ...values].entries()) data.writeUInt16LE(value, 2 * index)
  return contextOf(type, data)
}

function contextOf(type: number, data: Buffer): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16LE(type, 0)
  header.writeUInt16LE(data.length, 2)
  return Buffer.concat([header, data])
}

function aligned(bytes: Buffer, fill: boolean): Buffer {
  return fill ? Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]) : bytes
}

/** smb2_smb_parse_negotiate and _parse_negotiate_contexts. */
function parseNegotiate(message: Buffer): Negotiated {
  const at = 64
  const dialect = message.readUInt16LE(at + 4)
  const chosen = new Map<number, number>()
  const count = message.readUInt16LE(at + 6)
  let context = message.readUInt32LE(at + 60)
  for (let index = 0; index < count; index++) {
    expect((context & 7) === 0, 'a negotiate context that is not aligned')
    const type = message.readUInt16LE(context)
    const length = message.readUInt16LE(context + 2)
    if (type === NegotiateContext.ENCRYPTION || type === NegotiateContext.SIGNING) {
      const many = message.readUInt16LE(context + 8)
      expect(many === 1, `negotiate context ${type} names ${many} algorithms; the Mac wants one`)
      chosen.set(type, message.readUInt16LE(context + 10))
    }
    context += (8 + length + 7) & ~7
  }
  const tokenAt = message.readUInt16LE(at + 56)
  return {
    dialect,
    cipher: chosen.get(NegotiateContext.ENCRYPTION) ?? 0,
    signing: chosen.get(NegotiateContext.SIGNING) ?? 1,
    securityMode: message.readUInt16LE(at + 2),
    serverGuid: message.toString('hex', at + 8, at + 24),
    capabilities: message.readUInt32LE(at + 24),
    maxTransact: message.readUInt32LE(at + 28),
    maxRead: message.readUInt32LE(at + 32),
    maxWrite: message.readUInt32LE(at + 36),
    token: Buffer.from(message.subarray(tokenAt, tokenAt + message.readUInt16LE(at + 58))),
  }
}

/**
 * Session setup; the connection signs with the session's key from then on.
 * @throws CheckError for what a Mac logs off for: a guest's session, a last response without a valid signature
 */
export async function setUpSession(
  connection: MacConnection,
  who: Who,
  { negotiated, hash: greetingHash }: Greeting,
  previousSessionId = 0n,
): Promise<void> {
  const ntlm = new MacNtlm(who.user, who.password, who.host)
  const first = await connection.request(sessionSetup(ntlm.begin(), previousSessionId))
  expect(
    first.status === MORE_PROCESSING,
    `the first SESSION_SETUP ended with 0x${first.status.toString(16)}`,
  )
  connection.sessionId = first.sessionId
  let hash = updatePreauthHash(updatePreauthHash(greetingHash, [connection.lastSent]), [first.message])
  const sent = connection.request(sessionSetup(ntlm.respond(tokenOf(first.body)), previousSessionId))
  hash = updatePreauthHash(hash, [connection.lastSent])
  const { dialect, cipher, signing, securityMode } = negotiated
  const { signingKey } = deriveKeys({
    dialect,
    cipher: cipher as Cipher | 0,
    sessionKey: ntlm.sessionKey,
    preauthIntegrityHash: hash,
  })
  const algorithm = signing as SigningAlgorithm
  connection.signingKey = { algorithm, key: signingKey }
  const last = await sent
  expect(last.status === 0, `the second SESSION_SETUP ended with 0x${last.status.toString(16)}`)
  const flags = last.body.readUInt16LE(2)
  expect((flags & SESSION_IS_GUEST) === 0, "the session is a guest's")
  expect((flags & SESSION_ENCRYPTS) === 0, 'the session wants encryption, which this Mac does not do')
  expect(dialect !== DIALECT_3_1_1 || last.signed, 'the last SESSION_SETUP response is not signed')
  ntlm.finish(tokenOf(last.body))
  connection.signsAll = (securityMode & SIGNING_REQUIRED) !== 0
  expect(connection.credits >= MINIMUM_CREDITS, `${connection.credits} credits after the session setup`)
}

function sessionSetup(token: Buffer, previousSessionId: bigint) {
  const fixed = Buffer.alloc(24)
  fixed.writeUInt16LE(25, 0)
  fixed[3] = SIGNING_ENABLED
  fixed.writeUInt32LE(1, 4)
  fixed.writeUInt16LE(88, 12)
  fixed.writeUInt16LE(token.length, 14)
  fixed.writeBigUInt64LE(previousSessionId, 16)
  return { command: Smb.SESSION_SETUP, body: Buffer.concat([fixed, token]) }
}

function tokenOf(body: Buffer): Buffer {
  const at = body.readUInt16LE(4) - 64
  return body.subarray(at, at + body.readUInt16LE(6))
}

/** TREE_CONNECT, signed in any case; so must the answer be on 3.1.1. */
export async function connectTree(
  connection: MacConnection,
  host: string,
  share: string,
  dialect: number,
): Promise<void> {
  const path = Buffer.from(`\\\\${host}\\${share}`, 'utf16le')
  const fixed = Buffer.alloc(8)
  fixed.writeUInt16LE(9, 0)
  fixed.writeUInt16LE(72, 4)
  fixed.writeUInt16LE(path.length, 6)
  const body = Buffer.concat([fixed, path])
  const answer = await connection.request({ command: Smb.TREE_CONNECT, body, signed: true })
  expect(answer.status === 0, `the TREE_CONNECT to ${share} ended with 0x${answer.status.toString(16)}`)
  expect(dialect !== DIALECT_3_1_1 || answer.signed, 'the TREE_CONNECT response is not signed')
  connection.treeId = answer.treeId
}
