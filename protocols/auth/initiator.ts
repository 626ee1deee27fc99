/** RFC 4178 and MS-SPNG 3.1: the client's side of an authentication: SPNEGO around NTLM, or NTLM alone. */

import { timingSafeEqual } from 'node:crypto'
import { DecodeError } from '../wire/errors.ts'
import { NtlmClient, type NtlmClientAnswer, type NtlmClientOptions } from './ntlm/client.ts'
import { signFirstMessage } from './ntlm/session-security.ts'
import {
  decodeSpnego,
  encodeMechTypeList,
  encodeNegTokenInit,
  encodeNegTokenResp,
  NegState,
  type NegTokenResp,
  Oid,
} from './spnego.ts'

export interface InitiatorOptions extends NtlmClientOptions {
  /** Mechanisms to offer, the preferred one first; NTLMSSP alone when left out. */
  readonly mechTypes?: readonly Buffer[]
  /** NTLM messages without SPNEGO around them. */
  readonly raw?: boolean
}

export interface InitiatorStep {
  /** For the server; undefined when there is nothing more to say. */
  readonly token: Buffer | undefined
  readonly done: boolean
  /** 16 bytes, from the answer to the challenge on. */
  readonly sessionKey: Buffer | undefined
  /** Why the server is not to be trusted or not to be understood; nothing follows it. */
  readonly failure?: string
}

export interface Initiator {
  /** Takes the server's next token; without one, begins. Never throws for what is in it. */
  step(token?: Buffer): InitiatorStep
}

/** An initiator for one exchange. */
export function createInitiator(options: InitiatorOptions): Initiator {
  return new SpnegoInitiator(options)
}

class SpnegoInitiator implements Initiator {
  readonly #ntlm: NtlmClient
  readonly #mechTypes: readonly Buffer[]
  readonly #isRaw: boolean
  readonly #isAnonymous: boolean
  #negotiated = false
  #answer: NtlmClientAnswer | undefined

  constructor(options: InitiatorOptions) {
    this.#ntlm = new NtlmClient(options)
    this.#mechTypes = options.mechTypes ?? [Oid.NTLMSSP]
    this.#isRaw = options.raw ?? false
    this.#isAnonymous = options.user === ''
  }

  step(token?: Buffer): InitiatorStep {
    if (token === undefined) return this.#begin()
    try {
      if (this.#answer !== undefined) return this.#finish(this.#answer, token)
      return this.#isRaw ? this.#authenticate(token) : this.#respond(decodeResponse(token))
    } catch (error) {
      if (error instanceof DecodeError) return failed(error.message)
      throw error
    }
  }

  #begin(): InitiatorStep {
    if (this.#isRaw) return proceed(this.#negotiate())
    const isPreferred = this.#mechTypes[0]?.equals(Oid.NTLMSSP) === true
    return proceed(encodeNegTokenInit(this.#mechTypes, isPreferred ? this.#negotiate() : undefined))
  }

  #negotiate(): Buffer {
    this.#negotiated = true
    return this.#ntlm.negotiate()
  }

  #respond({ negState, supportedMech, responseToken }: NegTokenResp): InitiatorStep {
    if (negState === NegState.REJECT) return failed('the server rejected every mechanism')
    if (this.#negotiated) {
      return responseToken === undefined ? failed('no challenge came') : this.#authenticate(responseToken)
    }
    if (supportedMech?.equals(Oid.NTLMSSP) !== true) return failed('the server chose another mechanism')
    return proceed(encodeNegTokenResp({ responseToken: this.#negotiate() }))
  }

  #authenticate(challenge: Buffer): InitiatorStep {
    const answer = this.#ntlm.authenticate(challenge)
    this.#answer = answer
    const { message, sessionKey } = answer
    if (this.#isRaw) return { token: message, done: false, sessionKey }
    const mechListMic = this.#isAnonymous ? undefined : this.#mechListMic(answer, 'client')
    const token = encodeNegTokenResp({ responseToken: message, mechListMic })
    return { token, done: false, sessionKey }
  }

  /** The server's last token: it must show that it saw the same list of mechanisms. */
  #finish(answer: NtlmClientAnswer, token: Buffer): InitiatorStep {
    const { sessionKey } = answer
    if (this.#isRaw) return { token: undefined, done: true, sessionKey }
    const { negState, mechListMic } = decodeResponse(token)
    if (negState !== NegState.ACCEPT_COMPLETED) return failed('the server did not complete the exchange')
    const expected = this.#mechListMic(answer, 'server')
    const isIntact = mechListMic?.length === expected.length && timingSafeEqual(mechListMic, expected)
    return this.#isAnonymous || isIntact
      ? { token: undefined, done: true, sessionKey }
      : failed("the server's mechListMIC is missing or wrong")
  }

  #mechListMic({ flags, sessionKey }: NtlmClientAnswer, sender: 'client' | 'server'): Buffer {
    return signFirstMessage(flags, sessionKey, sender, encodeMechTypeList(this.#mechTypes))
  }
}

/** @throws DecodeError */
function decodeResponse(token: Buffer): NegTokenResp {
  const spnego = decodeSpnego(token)
  if (spnego.kind !== 'response') throw new DecodeError('a NegTokenInit from the server')
  return spnego.response
}

function proceed(token: Buffer): InitiatorStep {
  return { token, done: false, sessionKey: undefined }
}

function failed(failure: string): InitiatorStep {
  return { token: undefined, done: false, sessionKey: undefined, failure }
}
