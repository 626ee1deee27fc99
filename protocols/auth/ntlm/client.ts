/** MS-NLMP 3.1: the client's side of an NTLM exchange, without what carries its messages. */

import { filetimeOfMilliseconds } from '../../wire/filetime.ts'
import { rc4 } from '../rc4.ts'
import { encodeAuthenticateMessage, micOf } from './authenticate-message.ts'
import { AV_FLAG_MIC, AvId, type AvPair, avFlags, findAvPair } from './av-pairs.ts'
import { decodeChallengeMessage } from './challenge-message.ts'
import { NegotiateFlag } from './flags.ts'
import type { Version } from './message.ts'
import { encodeNegotiateMessage } from './negotiate-message.ts'
import { encodeTemp, messageIntegrityCode, ntowfv2, ntProofStr, sessionBaseKey } from './ntlmv2.ts'

export interface NtlmClientOptions {
  /** Empty: anonymous. */
  readonly user: string
  readonly domain: string
  readonly workstation: string
  /** 16 bytes. */
  readonly ntHash: Buffer
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly random: (bytes: number) => Buffer
}

export interface NtlmClientAnswer {
  readonly message: Buffer
  /** ExportedSessionKey, 16 bytes. */
  readonly sessionKey: Buffer
  readonly flags: number
}

/** For debugging only (2.2.2.10). */
const VERSION: Version = { major: 6, minor: 1, build: 0 }
const CLIENT_CHALLENGE_BYTES = 8
const SESSION_KEY_BYTES = 16
const CLIENT_FLAGS =
  (NegotiateFlag.UNICODE |
    NegotiateFlag.REQUEST_TARGET |
    NegotiateFlag.SIGN |
    NegotiateFlag.NTLM |
    NegotiateFlag.ALWAYS_SIGN |
    NegotiateFlag.EXTENDED_SESSION_SECURITY |
    NegotiateFlag.TARGET_INFO |
    NegotiateFlag.VERSION |
    NegotiateFlag.NEGOTIATE_128 |
    NegotiateFlag.KEY_EXCHANGE) >>>
  0
/** 3.1.5.1.2: in place of an LM response, beside an NTLMv2 response with a timestamp. */
const NO_LM_RESPONSE = Buffer.alloc(24)

/** What is sent in answer to a challenge, and the KeyExchangeKey that follows from it. */
interface Responses {
  readonly lmResponse: Buffer
  readonly ntResponse: Buffer
  readonly keyExchangeKey: Buffer
  readonly hasMic: boolean
}

const ANONYMOUS: Responses = {
  lmResponse: Buffer.alloc(1),
  ntResponse: Buffer.alloc(0),
  keyExchangeKey: Buffer.alloc(SESSION_KEY_BYTES),
  hasMic: false,
}

/** One exchange: `negotiate`, then `authenticate`. */
export class NtlmClient {
  readonly #options: NtlmClientOptions
  #negotiateMessage: Buffer = Buffer.alloc(0)

  constructor(options: NtlmClientOptions) {
    this.#options = options
  }

  /** The NEGOTIATE_MESSAGE. */
  negotiate(): Buffer {
    this.#negotiateMessage = encodeNegotiateMessage(CLIENT_FLAGS, VERSION)
    return this.#negotiateMessage
  }

  /** 3.1.5.1.2: answers a CHALLENGE_MESSAGE. @throws DecodeError */
  authenticate(challengeMessage: Buffer): NtlmClientAnswer {
    const { user, domain, workstation, random } = this.#options
    const challenge = decodeChallengeMessage(challengeMessage)
    const isAnonymous = user === ''
    const flags = (challenge.flags & CLIENT_FLAGS) >>> 0
    const { lmResponse, ntResponse, keyExchangeKey, hasMic } = isAnonymous
      ? ANONYMOUS
      : this.#respond(challenge.serverChallenge, challenge.targetInfo)
    const exchanges = (flags & NegotiateFlag.KEY_EXCHANGE) !== 0
    const sessionKey = exchanges ? random(SESSION_KEY_BYTES) : keyExchangeKey
    const encryptedSessionKey = exchanges ? rc4(keyExchangeKey, sessionKey) : Buffer.alloc(0)
    const sentFlags = isAnonymous ? (flags | NegotiateFlag.ANONYMOUS) >>> 0 : flags
    const message = encodeAuthenticateMessage(
      { lmResponse, ntResponse, domain, user, workstation, encryptedSessionKey, flags: sentFlags },
      VERSION,
      hasMic,
    )
    if (hasMic) {
      const messages = [this.#negotiateMessage, challengeMessage, message]
      messageIntegrityCode(sessionKey, messages).copy(micOf(message))
    }
    return { message, sessionKey, flags }
  }

  /** 3.3.2, with the MIC that a server's timestamp asks for. */
  #respond(serverChallenge: Buffer, targetInfo: readonly AvPair[]): Responses {
    const { user, domain, ntHash, now, random } = this.#options
    const serverTime = findAvPair(targetInfo, AvId.TIMESTAMP)
    const timestamp = serverTime?.length === 8 ? serverTime.readBigUInt64LE() : filetimeOfMilliseconds(now())
    const hasMic = serverTime !== undefined
    const temp = encodeTemp(
      timestamp,
      random(CLIENT_CHALLENGE_BYTES),
      hasMic ? withMicFlag(targetInfo) : targetInfo,
    )
    const responseKey = ntowfv2(ntHash, user, domain)
    const proof = ntProofStr(responseKey, serverChallenge, temp)
    return {
      lmResponse: NO_LM_RESPONSE,
      ntResponse: Buffer.concat([proof, temp]),
      keyExchangeKey: sessionBaseKey(responseKey, proof),
      hasMic,
    }
  }
}

function withMicFlag(targetInfo: readonly AvPair[]): AvPair[] {
  const flags = Buffer.alloc(4)
  flags.writeUInt32LE(avFlags(targetInfo) | AV_FLAG_MIC)
  return [...targetInfo.filter(([id]) => id !== AvId.FLAGS), [AvId.FLAGS, flags]]
}
