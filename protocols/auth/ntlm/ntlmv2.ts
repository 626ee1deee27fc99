/** MS-NLMP 2.2.2.7, 2.2.2.8 and 3.3.2: the NTLMv2 response, its verification and the keys that follow from it. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { type AvPair, decodeAvPairs, encodeAvPairs } from './av-pairs.ts'
import { utf16 } from './message.ts'

/** 2.2.2.6: an NTLMv1 response is 24 bytes long, which no NTLMv2 response is. */
export const NTLMV1_RESPONSE_BYTES = 24

const PROOF_BYTES = 16
const CLIENT_CHALLENGE_BYTES = 8
const RESPONSE_VERSION = 1
/** Z(4) at the end of 3.3.2's `temp`. */
const TEMP_TRAILER_BYTES = 4
const ASCII_LIMIT = 0x80

/** 2.2.2.8: NTLMv2_RESPONSE and the NTLMv2_CLIENT_CHALLENGE in it. */
export interface NtlmV2Response {
  readonly ntProofStr: Buffer
  /** All after the proof, as received: what it proves. */
  readonly temp: Buffer
  /** FILETIME. */
  readonly timestamp: bigint
  readonly clientChallenge: Buffer
  readonly avPairs: readonly AvPair[]
}

/** @throws DecodeError */
export function decodeNtlmV2Response(response: Buffer): NtlmV2Response {
  const reader = new Reader(response)
  const ntProofStr = reader.bytes(PROOF_BYTES)
  const temp = response.subarray(PROOF_BYTES)
  if (reader.u8() !== RESPONSE_VERSION || reader.u8() !== RESPONSE_VERSION) {
    throw new DecodeError('an NTLMv2 response of another version')
  }
  reader.skip(6)
  const timestamp = reader.u64()
  const clientChallenge = reader.bytes(CLIENT_CHALLENGE_BYTES)
  reader.skip(4)
  return { ntProofStr, temp, timestamp, clientChallenge, avPairs: decodeAvPairs(reader.rest()) }
}

/** 3.3.2: `temp`. */
export function encodeTemp(timestamp: bigint, clientChallenge: Buffer, avPairs: readonly AvPair[]): Buffer {
  return new Writer()
    .u8(RESPONSE_VERSION)
    .u8(RESPONSE_VERSION)
    .zeros(6)
    .u64(timestamp)
    .bytes(clientChallenge)
    .zeros(4)
    .bytes(encodeAvPairs(avPairs))
    .zeros(TEMP_TRAILER_BYTES)
    .finish()
}

/**
 * 3.3.2: NTOWFv2, also called ResponseKeyNT.
 * @param user as sent; upper-cased here
 * @param domain as sent, in the client's own case
 */
export function ntowfv2(ntHash: Buffer, user: string, domain: string): Buffer {
  return hmacMd5(ntHash, utf16(upperCase(user) + domain))
}

/** 3.3.2: NTProofStr. */
export function ntProofStr(responseKey: Buffer, serverChallenge: Buffer, temp: Buffer): Buffer {
  return hmacMd5(responseKey, serverChallenge, temp)
}

/** Was the response made with the key, for this challenge? Takes the same time either way. */
export function isProven(responseKey: Buffer, serverChallenge: Buffer, response: NtlmV2Response): boolean {
  return timingSafeEqual(response.ntProofStr, ntProofStr(responseKey, serverChallenge, response.temp))
}

/** 3.3.2: SessionBaseKey; with NTLMv2 it is the KeyExchangeKey too (3.4.5.1). */
export function sessionBaseKey(responseKey: Buffer, proof: Buffer): Buffer {
  return hmacMd5(responseKey, proof)
}

/** 3.1.5.1.2: the MIC over the three messages, in the third of which the MIC is zeros. */
export function messageIntegrityCode(exportedSessionKey: Buffer, messages: readonly Buffer[]): Buffer {
  return hmacMd5(exportedSessionKey, ...messages)
}

/**
 * Upper case as Windows has it: unit by unit, none becoming two (ß), and none from outside
 * ASCII becoming a letter of it (dotless i, long s).
 */
export function upperCase(text: string): string {
  let upper = ''
  for (let index = 0; index < text.length; index++) {
    const unit = text.charAt(index)
    const folded = unit.toUpperCase()
    const intoAscii = unit.charCodeAt(0) >= ASCII_LIMIT && folded.charCodeAt(0) < ASCII_LIMIT
    upper += folded.length === 1 && !intoAscii ? folded : unit
  }
  return upper
}

function hmacMd5(key: Buffer, ...data: readonly Buffer[]): Buffer {
  const hmac = createHmac('md5', key)
  for (const part of data) hmac.update(part)
  return hmac.digest()
}
