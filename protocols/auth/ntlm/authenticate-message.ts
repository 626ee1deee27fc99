/** MS-NLMP 2.2.1.3: AUTHENTICATE_MESSAGE, the client's answer to the challenge. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
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

const MIC_OFFSET = 72
const MIC_BYTES = 16
/** UTF-16 units of a user, domain or workstation name. */
const MAXIMUM_NAME_UNITS = 1024

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
  const lmResponse = readPayloadField(reader)
  const ntResponse = readPayloadField(reader)
  const domain = readPayloadField(reader)
  const user = readPayloadField(reader)
  const workstation = readPayloadField(reader)
  const encryptedSessionKey = readPayloadField(reader)
  return {
    flags: reader.u32(),
    lmResponse: payload(reader, lmResponse),
    ntResponse: payload(reader, ntResponse),
    domain: payloadText(reader, domain, MAXIMUM_NAME_UNITS),
    user: payloadText(reader, user, MAXIMUM_NAME_UNITS),
    workstation: payloadText(reader, workstation, MAXIMUM_NAME_UNITS),
    encryptedSessionKey: payload(reader, encryptedSessionKey),
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
  const lmResponse = reservePayloadField(writer)
  const ntResponse = reservePayloadField(writer)
  const domain = reservePayloadField(writer)
  const user = reservePayloadField(writer)
  const workstation = reservePayloadField(writer)
  const encryptedSessionKey = reservePayloadField(writer)
  writer.u32(m.flags)
  writeVersion(writer, version)
  if (hasMic) writer.zeros(MIC_BYTES)
  writePayload(writer, domain, utf16(m.domain))
  writePayload(writer, user, utf16(m.user))
  writePayload(writer, workstation, utf16(m.workstation))
  writePayload(writer, lmResponse, m.lmResponse)
  writePayload(writer, ntResponse, m.ntResponse)
  writePayload(writer, encryptedSessionKey, m.encryptedSessionKey)
  return writer.finish()
}
