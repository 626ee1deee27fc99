/** MS-NLMP 2.2.1.3: AUTHENTICATE_MESSAGE, the client's answer to the challenge. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import {
  MessageType,
  payload,
  payloadText,
  readMessageStart,
  readPayloadFields,
  reservePayloadFields,
  utf16,
  type Version,
  writeMessageStart,
  writePayload,
  writeVersion,
} from './message.ts'

const MIC_OFFSET = 72
const MIC_BYTES = 16
/** As they stand in the header; their bytes may lie in any order. */
const FIELDS = ['lmResponse', 'ntResponse', 'domain', 'user', 'workstation', 'encryptedSessionKey'] as const

export interface AuthenticateMessage {
  readonly lmResponse: Buffer
  readonly ntResponse: Buffer
  readonly domain: string
  readonly user: string
  readonly workstation: string
  readonly encryptedSessionKey: Buffer
  readonly flags: number
}

/** Views of the message. @throws DecodeError */
export function decodeAuthenticateMessage(message: Buffer): AuthenticateMessage {
  const reader = new Reader(message)
  readMessageStart(reader, MessageType.AUTHENTICATE)
  const fields = readPayloadFields(reader, FIELDS)
  return {
    flags: reader.u32(),
    lmResponse: payload(reader, fields.lmResponse),
    ntResponse: payload(reader, fields.ntResponse),
    domain: payloadText(reader, fields.domain),
    user: payloadText(reader, fields.user),
    workstation: payloadText(reader, fields.workstation),
    encryptedSessionKey: payload(reader, fields.encryptedSessionKey),
  }
}

/** The MIC field, as a view; it is there only when MsvAvFlags says so. @throws DecodeError when there is no place for it */
export function micOf(message: Buffer): Buffer {
  if (message.length < MIC_OFFSET + MIC_BYTES)
    throw new DecodeError('an AUTHENTICATE_MESSAGE without its MIC')
  return message.subarray(MIC_OFFSET, MIC_OFFSET + MIC_BYTES)
}

/** Encodes with a MIC of zeros, to be filled in through `micOf`; `hasMic` false leaves its place out. */
export function encodeAuthenticateMessage(m: AuthenticateMessage, version: Version, hasMic: boolean): Buffer {
  const writer = new Writer()
  writeMessageStart(writer, MessageType.AUTHENTICATE)
  const slots = reservePayloadFields(writer, FIELDS)
  writer.u32(m.flags)
  writeVersion(writer, version)
  if (hasMic) writer.zeros(MIC_BYTES)
  writePayload(writer, slots.domain, utf16(m.domain))
  writePayload(writer, slots.user, utf16(m.user))
  writePayload(writer, slots.workstation, utf16(m.workstation))
  writePayload(writer, slots.lmResponse, m.lmResponse)
  writePayload(writer, slots.ntResponse, m.ntResponse)
  writePayload(writer, slots.encryptedSessionKey, m.encryptedSessionKey)
  return writer.finish()
}
