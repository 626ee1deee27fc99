/** MS-NLMP 2.2.1.2: CHALLENGE_MESSAGE, the server's only one. */

import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { type AvPair, decodeAvPairs, encodeAvPairs } from './av-pairs.ts'
import {
  MessageType,
  payload,
  payloadText,
  readMessageStart,
  readPayloadField,
  reservePayloadField,
  utf16,
  type Version,
  writeMessageStart,
  writePayload,
  writeVersion,
} from './message.ts'

export const SERVER_CHALLENGE_BYTES = 8
const RESERVED_BYTES = 8

export interface ChallengeMessage {
  readonly flags: number
  /** 8 bytes. */
  readonly serverChallenge: Buffer
  readonly targetName: string
  readonly targetInfo: readonly AvPair[]
}

/** @throws DecodeError */
export function decodeChallengeMessage(message: Buffer): ChallengeMessage {
  const reader = new Reader(message)
  readMessageStart(reader, MessageType.CHALLENGE)
  const targetName = readPayloadField(reader)
  const flags = reader.u32()
  const serverChallenge = reader.bytes(SERVER_CHALLENGE_BYTES)
  reader.skip(RESERVED_BYTES)
  const targetInfo = readPayloadField(reader)
  return {
    flags,
    serverChallenge,
    targetName: payloadText(reader, targetName),
    targetInfo: targetInfo.length === 0 ? [] : decodeAvPairs(payload(reader, targetInfo)),
  }
}

/** @param version only with NegotiateFlag.VERSION */
export function encodeChallengeMessage(m: ChallengeMessage, version: Version | undefined): Buffer {
  const writer = new Writer()
  writeMessageStart(writer, MessageType.CHALLENGE)
  const targetName = reservePayloadField(writer)
  writer.u32(m.flags).bytes(m.serverChallenge).zeros(RESERVED_BYTES)
  const targetInfo = reservePayloadField(writer)
  writeVersion(writer, version)
  writePayload(writer, targetName, utf16(m.targetName))
  writePayload(writer, targetInfo, encodeAvPairs(m.targetInfo))
  return writer.finish()
}
