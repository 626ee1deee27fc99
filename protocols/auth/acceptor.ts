/** RFC 4178 and MS-SPNG 3.2: the server's side of an authentication: SPNEGO around NTLM, or NTLM alone. */

import { timingSafeEqual } from 'node:crypto'
import { DecodeError } from '../wire/errors.ts'
import type { AuthenticatedPrincipal, FailureReason } from './credentials.ts'
import { hasFlags, NegotiateFlag } from './ntlm/flags.ts'
import { isNtlmMessage } from './ntlm/message.ts'
import { type NtlmResult, NtlmServer, type NtlmServerOptions } from './ntlm/server.ts'
import { signFirstMessage } from './ntlm/session-security.ts'
import { decodeSpnego, encodeNegTokenResp, NegState, type NegTokenInit, Oid } from './spnego.ts'

export type { AuthenticatedPrincipal, Credential, CredentialLookup, FailureReason } from './credentials.ts'

export type AcceptorOptions = NtlmServerOptions

export type AcceptorResult =
  | { readonly kind: 'continue'; readonly token: Buffer }
  | {
      readonly kind: 'done'
      /** For the client; empty when it spoke NTLM without SPNEGO. */
      readonly token: Buffer
      readonly principal: AuthenticatedPrincipal
      /** 16 bytes. */
      readonly sessionKey: Buffer
      /** The negotiated flags of NTLM. */
      readonly flags: number
    }
  | {
      readonly kind: 'failed'
      readonly reason: FailureReason
      /** The name the client gave, when it got so far. */
      readonly user?: string
      /** With no-such-user: ends the exchange well, for a caller who lets strangers in as guests. */
      readonly token?: Buffer
    }

export interface Acceptor {
  /** Takes the client's next token. Never throws for what is in it; nothing follows `done` and `failed`. */
  step(token: Buffer): AcceptorResult
}

/** Windows' own limit is 12,000 bytes with Kerberos; NTLM stays below 2,000. */
const MAXIMUM_TOKEN_BYTES = 65_536
const NO_TOKEN = Buffer.alloc(0)

/** An acceptor for one exchange. */
export function createAcceptor(options: AcceptorOptions): Acceptor {
  return new SpnegoAcceptor(options)
}

/** What the next token must be: the first one, the chosen mechanism's first one, or the answer to the challenge. */
type State = 'start' | 'selected' | 'challenged' | 'ended'

class SpnegoAcceptor implements Acceptor {
  readonly #ntlm: NtlmServer
  #state: State = 'start'
  /** The client's NegTokenInit; undefined while it speaks NTLM alone. */
  #init: NegTokenInit | undefined

  constructor(options: AcceptorOptions) {
    this.#ntlm = new NtlmServer(options)
  }

  step(token: Buffer): AcceptorResult {
    const result = this.#decode(token)
    if (result.kind !== 'continue') this.#state = 'ended'
    return result
  }

  #decode(token: Buffer): AcceptorResult {
    if (token.length > MAXIMUM_TOKEN_BYTES) return failed('malformed')
    try {
      return this.#step(token)
    } catch (error) {
      if (error instanceof DecodeError) return failed('malformed')
      throw error
    }
  }

  #step(token: Buffer): AcceptorResult {
    switch (this.#state) {
      case 'start':
        return isNtlmMessage(token) ? this.#challenge(token) : this.#select(token)
      case 'selected': {
        const { responseToken } = responseIn(token)
        if (responseToken === undefined) return failed('malformed')
        return this.#challenge(responseToken)
      }
      case 'challenged':
        return this.#finish(token)
      case 'ended':
        return failed('malformed')
    }
  }

  /** RFC 4178 4.2.1: chooses NTLMSSP, whose token is at hand only when the client put it first. */
  #select(token: Buffer): AcceptorResult {
    const spnego = decodeSpnego(token)
    if (spnego.kind !== 'init') return failed('malformed')
    const { init } = spnego
    if (!init.mechTypes.some((mechanism) => mechanism.equals(Oid.NTLMSSP))) return failed('not-supported')
    // Copied, because the caller's buffer goes back to its pool.
    this.#init = { ...init, mechTypeList: Buffer.from(init.mechTypeList) }
    const isPreferred = init.mechTypes[0]?.equals(Oid.NTLMSSP) === true
    if (isPreferred && init.mechToken !== undefined) {
      return this.#challenge(init.mechToken, Oid.NTLMSSP)
    }
    this.#state = 'selected'
    // 4.2.2: a choice other than the client's first has to be protected by a MIC.
    const negState = isPreferred ? NegState.ACCEPT_INCOMPLETE : NegState.REQUEST_MIC
    return { kind: 'continue', token: encodeNegTokenResp({ negState, supportedMech: Oid.NTLMSSP }) }
  }

  /** @param supportedMech in the first NegTokenResp only */
  #challenge(message: Buffer, supportedMech?: Buffer): AcceptorResult {
    const responseToken = this.#ntlm.challenge(message)
    if (responseToken === undefined) return failed('not-supported')
    this.#state = 'challenged'
    if (this.#init === undefined) return { kind: 'continue', token: responseToken }
    const negState = NegState.ACCEPT_INCOMPLETE
    return { kind: 'continue', token: encodeNegTokenResp({ negState, supportedMech, responseToken }) }
  }

  #finish(token: Buffer): AcceptorResult {
    const init = this.#init
    if (init === undefined) {
      const result = this.#ntlm.authenticate(token)
      return result.kind === 'done' ? { ...result, token: NO_TOKEN } : result
    }
    const { responseToken, mechListMic } = responseIn(token)
    if (responseToken === undefined) return failed('malformed')
    const result = this.#ntlm.authenticate(responseToken)
    if (result.kind === 'failed') {
      const isStranger = result.reason === 'no-such-user'
      return isStranger ? { ...result, token: completed(undefined) } : result
    }
    return exchangeMics(result, init, mechListMic)
  }
}

/**
 * RFC 4178 5: verifies the client's mechListMIC and gives back the server's. Neither is needed
 * when the client's first choice was taken, but one that is sent counts, and is answered.
 */
function exchangeMics(
  result: Extract<NtlmResult, { kind: 'done' }>,
  init: NegTokenInit,
  mechListMic: Buffer | undefined,
): AcceptorResult {
  const { flags, sessionKey, principal } = result
  const badMic: AcceptorResult =
    principal.kind === 'user'
      ? { kind: 'failed', reason: 'bad-mic', user: principal.user }
      : { kind: 'failed', reason: 'bad-mic' }
  if (mechListMic === undefined) {
    const isPreferred = init.mechTypes[0]?.equals(Oid.NTLMSSP) === true
    // 3.2.5.1.2 of MS-NLMP: an anonymous context signs nothing.
    const canSign = principal.kind === 'user' && hasFlags(flags, NegotiateFlag.SIGN)
    return !isPreferred && canSign ? badMic : { ...result, token: completed(undefined) }
  }
  if (!hasFlags(flags, NegotiateFlag.EXTENDED_SESSION_SECURITY)) return badMic
  const expected = signFirstMessage(flags, sessionKey, 'client', init.mechTypeList)
  const isIntact = mechListMic.length === expected.length && timingSafeEqual(mechListMic, expected)
  if (!isIntact) return badMic
  const answer = signFirstMessage(flags, sessionKey, 'server', init.mechTypeList)
  return { ...result, token: completed(answer) }
}

function completed(mechListMic: Buffer | undefined): Buffer {
  return encodeNegTokenResp({ negState: NegState.ACCEPT_COMPLETED, mechListMic })
}

/** @throws DecodeError */
function responseIn(token: Buffer) {
  const spnego = decodeSpnego(token)
  if (spnego.kind !== 'response') throw new DecodeError('a second NegTokenInit')
  return spnego.response
}

function failed(reason: FailureReason): AcceptorResult {
  return { kind: 'failed', reason }
}
