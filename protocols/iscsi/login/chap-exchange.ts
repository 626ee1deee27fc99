/** RFC 7143 12.1.3: CHAP's steps within a login, the target's side. */

import {
  type ChapCredentials,
  chapBytes,
  chapResponse,
  decodeBinaryValue,
  encodeBinaryValue,
  knowsChapAlgorithm,
  sameBytes,
} from '../../auth/chap.ts'
import type { TextKey } from '../pdu/text-keys.ts'

const MAXIMUM_CHALLENGE_BYTES = 1024
const HIGHEST_IDENTIFIER = 255
const IDENTIFIER = /^(?:0[xX][0-9a-fA-F]{1,2}|\d{1,3})$/
const ALGORITHM = /^\d{1,3}$/

export interface ChapStep {
  readonly answers: readonly TextKey[]
  readonly result: 'continues' | 'succeeded' | 'failed'
}

const FAILED: ChapStep = { answers: [], result: 'failed' }

interface Challenge {
  readonly algorithm: number
  readonly identifier: number
  readonly bytes: Buffer
}

export class ChapExchange {
  readonly #credentials: ChapCredentials
  readonly #random: (count: number) => Buffer
  #challenge: Challenge | undefined

  constructor(credentials: ChapCredentials, random: (count: number) => Buffer) {
    this.#credentials = credentials
    this.#random = random
  }

  /** @param keys of one text; without CHAP's keys nothing happens yet */
  take(keys: ReadonlyMap<string, string>): ChapStep {
    const algorithms = keys.get('CHAP_A')
    if (algorithms !== undefined) return this.#begin(algorithms)
    if (!keys.has('CHAP_N') && !keys.has('CHAP_R')) return { answers: [], result: 'continues' }
    const challenge = this.#challenge
    // A challenge is answered once.
    this.#challenge = undefined
    return challenge === undefined ? FAILED : this.#finish(keys, challenge)
  }

  #begin(algorithms: string): ChapStep {
    if (this.#challenge !== undefined) return FAILED
    const offers = algorithms.split(',').map((offer) => (ALGORITHM.test(offer) ? Number(offer) : 0))
    const algorithm = offers.find(knowsChapAlgorithm)
    if (algorithm === undefined) return FAILED
    const identifier = this.#random(1).readUInt8()
    const bytes = this.#random(chapBytes(algorithm))
    this.#challenge = { algorithm, identifier, bytes }
    return {
      answers: [
        ['CHAP_A', String(algorithm)],
        ['CHAP_I', String(identifier)],
        ['CHAP_C', encodeBinaryValue(bytes)],
      ],
      result: 'continues',
    }
  }

  #finish(keys: ReadonlyMap<string, string>, challenge: Challenge): ChapStep {
    const { user, secret } = this.#credentials
    const given = decodeBinaryValue(keys.get('CHAP_R') ?? '')
    const expected = chapResponse(challenge.algorithm, challenge.identifier, secret, challenge.bytes)
    // Both are looked at in any case: a wrong name takes as long as a wrong secret.
    const isRight = given !== undefined && sameBytes(given, expected)
    if (keys.get('CHAP_N') !== user || !isRight) return FAILED
    if (!keys.has('CHAP_I') && !keys.has('CHAP_C')) return { answers: [], result: 'succeeded' }
    return this.#authenticateTarget(keys, challenge)
  }

  /** 9.2.1: an initiator that hands our own challenge back, or wants what we do not have, is refused. */
  #authenticateTarget(keys: ReadonlyMap<string, string>, { algorithm, bytes }: Challenge): ChapStep {
    const { mutual } = this.#credentials
    const theirs = decodeBinaryValue(keys.get('CHAP_C') ?? '')
    const text = keys.get('CHAP_I') ?? ''
    const identifier = IDENTIFIER.test(text) ? Number(text) : HIGHEST_IDENTIFIER + 1
    const isUsable =
      theirs !== undefined && theirs.length <= MAXIMUM_CHALLENGE_BYTES && !sameBytes(theirs, bytes)
    if (mutual === undefined || !isUsable || identifier > HIGHEST_IDENTIFIER) return FAILED
    const response = chapResponse(algorithm, identifier, mutual.secret, theirs)
    return {
      answers: [
        ['CHAP_N', mutual.user],
        ['CHAP_R', encodeBinaryValue(response)],
      ],
      result: 'succeeded',
    }
  }
}
