/** MS-NLMP 3.2: the server's side of an NTLM exchange, without what carries its messages. */

import { timingSafeEqual } from 'node:crypto'
import { filetimeOfMilliseconds } from '../../wire/filetime.ts'
import type { AuthenticatedPrincipal, CredentialLookup, FailureReason } from '../credentials.ts'
import { NT_HASH_BYTES } from '../nt-hash.ts'
import { rc4 } from '../rc4.ts'
import { type AuthenticateMessage, decodeAuthenticateMessage, micOf } from './authenticate-message.ts'
import { AV_FLAG_MIC, AvId, type AvPair, avFlags } from './av-pairs.ts'
import { encodeChallengeMessage, SERVER_CHALLENGE_BYTES } from './challenge-message.ts'
import { hasFlags, NegotiateFlag } from './flags.ts'
import { utf16, type Version } from './message.ts'
import { decodeNegotiateMessage } from './negotiate-message.ts'
import {
  decodeNtlmV2Response,
  isProven,
  messageIntegrityCode,
  NTLMV1_RESPONSE_BYTES,
  ntowfv2,
  sessionBaseKey,
} from './ntlmv2.ts'

export interface NtlmServerOptions {
  /** NetBIOS name of the computer, at most 15 characters in upper case by custom. */
  readonly targetName: string
  readonly dnsName: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly random: (bytes: number) => Buffer
  readonly lookup: CredentialLookup
}

export type NtlmResult =
  | {
      readonly kind: 'done'
      readonly principal: AuthenticatedPrincipal
      /** ExportedSessionKey, 16 bytes. */
      readonly sessionKey: Buffer
      /** NegotiateFlags that both sides set. */
      readonly flags: number
    }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly user?: string }

const SESSION_KEY_BYTES = 16
/** For debugging only (2.2.2.10). */
const VERSION: Version = { major: 6, minor: 1, build: 0 }
/** Without these there is no NTLMv2 worth having; every client since Windows 2000 offers them. */
const REQUIRED_FLAGS = NegotiateFlag.UNICODE | NegotiateFlag.EXTENDED_SESSION_SECURITY
/** What the server does whenever the client offers it. */
const OFFERED_FLAGS =
  REQUIRED_FLAGS |
  NegotiateFlag.REQUEST_TARGET |
  NegotiateFlag.SIGN |
  NegotiateFlag.SEAL |
  NegotiateFlag.ALWAYS_SIGN |
  NegotiateFlag.VERSION |
  NegotiateFlag.NEGOTIATE_128 |
  NegotiateFlag.KEY_EXCHANGE |
  NegotiateFlag.NEGOTIATE_56
const SERVER_FLAGS = NegotiateFlag.NTLM | NegotiateFlag.TARGET_TYPE_SERVER | NegotiateFlag.TARGET_INFO
/** Stands in for the hash of a user who does not exist, so that the answer takes as long. */
const NO_ONES_HASH = Buffer.alloc(NT_HASH_BYTES)

/** One exchange: `challenge`, then `authenticate`. */
export class NtlmServer {
  readonly #options: NtlmServerOptions
  #negotiateMessage: Buffer = Buffer.alloc(0)
  #challengeMessage: Buffer = Buffer.alloc(0)
  #serverChallenge: Buffer = Buffer.alloc(0)
  #flags = 0

  constructor(options: NtlmServerOptions) {
    this.#options = options
  }

  /**
   * 3.2.5.1.1: answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE.
   * @returns undefined when the client lacks what the server insists on
   * @throws DecodeError
   */
  challenge(message: Buffer): Buffer | undefined {
    const { flags } = decodeNegotiateMessage(message)
    if (!hasFlags(flags, REQUIRED_FLAGS)) return undefined
    const { targetName, random } = this.#options
    this.#flags = ((flags & OFFERED_FLAGS) | SERVER_FLAGS) >>> 0
    this.#serverChallenge = random(SERVER_CHALLENGE_BYTES)
    const version = hasFlags(flags, NegotiateFlag.VERSION) ? VERSION : undefined
    // Copied, because the MIC covers it later and the caller's buffer goes back to its pool.
    this.#negotiateMessage = Buffer.from(message)
    this.#challengeMessage = encodeChallengeMessage(
      {
        flags: this.#flags,
        serverChallenge: this.#serverChallenge,
        targetName,
        targetInfo: this.#targetInfo(),
      },
      version,
    )
    return this.#challengeMessage
  }

  /** 3.2.5.1.2: verifies an AUTHENTICATE_MESSAGE. @throws DecodeError */
  authenticate(message: Buffer): NtlmResult {
    const authenticate = decodeAuthenticateMessage(message)
    if (isAnonymous(authenticate)) {
      const sessionKey = this.#exportedSessionKey(authenticate, Buffer.alloc(SESSION_KEY_BYTES))
      if (sessionKey === undefined) return { kind: 'failed', reason: 'malformed' }
      return { kind: 'done', principal: { kind: 'anonymous' }, sessionKey, flags: this.#both(authenticate) }
    }
    const isTooShort = authenticate.ntResponse.length <= NTLMV1_RESPONSE_BYTES
    return isTooShort ? this.#refuse(authenticate) : this.#verify(message, authenticate)
  }

  /** Neither NTLMv1 nor an LM or LMv2 response alone; a name without any response is a client that has no password. */
  #refuse({ user, domain, ntResponse }: AuthenticateMessage): NtlmResult {
    const exists = this.#options.lookup(user, domain) !== undefined
    if (!exists) return { kind: 'failed', reason: 'no-such-user', user }
    return { kind: 'failed', reason: ntResponse.length === 0 ? 'wrong-password' : 'not-supported', user }
  }

  #verify(message: Buffer, authenticate: AuthenticateMessage): NtlmResult {
    const { user, domain, workstation } = authenticate
    const response = decodeNtlmV2Response(authenticate.ntResponse)
    const hasMic = (avFlags(response.avPairs) & AV_FLAG_MIC) !== 0
    const credential = this.#options.lookup(user, domain)
    const responseKey = ntowfv2(credential?.ntHash ?? NO_ONES_HASH, user, domain)
    const proven = isProven(responseKey, this.#serverChallenge, response)
    const failed = (reason: FailureReason): NtlmResult => ({ kind: 'failed', reason, user })
    if (credential === undefined) return failed('no-such-user')
    if (!proven) return failed('wrong-password')
    const sessionKey = this.#exportedSessionKey(
      authenticate,
      sessionBaseKey(responseKey, response.ntProofStr),
    )
    if (sessionKey === undefined) return failed('malformed')
    if (hasMic && !this.#isIntact(message, sessionKey)) return failed('bad-mic')
    if (credential.disabled === true) return failed('account-disabled')
    const principal = { kind: 'user', user: credential.name, domain, workstation } as const
    return { kind: 'done', principal, sessionKey, flags: this.#both(authenticate) }
  }

  #both(authenticate: AuthenticateMessage): number {
    return (authenticate.flags & this.#flags) >>> 0
  }

  /** 3.2.5.1.2: ExportedSessionKey; undefined when the client promised one and sent none. */
  #exportedSessionKey(authenticate: AuthenticateMessage, keyExchangeKey: Buffer): Buffer | undefined {
    if (!hasFlags(this.#both(authenticate), NegotiateFlag.KEY_EXCHANGE)) return keyExchangeKey
    if (authenticate.encryptedSessionKey.length !== SESSION_KEY_BYTES) return undefined
    return rc4(keyExchangeKey, authenticate.encryptedSessionKey)
  }

  #isIntact(message: Buffer, sessionKey: Buffer): boolean {
    const zeroed = Buffer.from(message)
    micOf(zeroed).fill(0)
    const messages = [this.#negotiateMessage, this.#challengeMessage, zeroed]
    return timingSafeEqual(micOf(message), messageIntegrityCode(sessionKey, messages))
  }

  /** Names as a Windows host of no domain gives them: the computer is its own domain. */
  #targetInfo(): AvPair[] {
    const { targetName, dnsName, now } = this.#options
    const timestamp = Buffer.alloc(8)
    timestamp.writeBigUInt64LE(filetimeOfMilliseconds(now()))
    return [
      [AvId.NB_DOMAIN_NAME, utf16(targetName)],
      [AvId.NB_COMPUTER_NAME, utf16(targetName)],
      [AvId.DNS_DOMAIN_NAME, utf16(dnsName)],
      [AvId.DNS_COMPUTER_NAME, utf16(dnsName)],
      // It makes clients add a MIC and leave out the LM response.
      [AvId.TIMESTAMP, timestamp],
    ]
  }
}

/** 3.2.5.1.2: no user, no NT response, and an LM response that is empty or Z(1). */
function isAnonymous({ user, ntResponse, lmResponse }: AuthenticateMessage): boolean {
  const noLmResponse = lmResponse.length === 0 || lmResponse.equals(Buffer.alloc(1))
  return user === '' && ntResponse.length === 0 && noLmResponse
}
