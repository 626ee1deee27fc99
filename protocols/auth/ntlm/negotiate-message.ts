/** MS-NLMP 2.2.1.1: NEGOTIATE_MESSAGE, the client's first. */

import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import {
  MessageType,
  readMessageStart,
  reservePayloadField,
  type Version,
  writeMessageStart,
  writePayload,
  writeVersion,
} from './message.ts'

export interface NegotiateMessage {
  readonly flags: number
}

/**
 * Reads the flags. Domain and workstation, in the client's unknown code page, are advice that
 * nobody follows, and short forms without them are about; so they are not looked at.
 * @throws DecodeError
 */
export function decodeNegotiateMessage(message: Buffer): NegotiateMessage {
  const reader = new Reader(message)
  readMessageStart(reader, MessageType.NEGOTIATE)
  return { flags: reader.u32() }
}

/** Without domain and workstation. */
export function encodeNegotiateMessage(flags: number, version: Version): Buffer {
  const writer = new Writer()
  writeMessageStart(writer, MessageType.NEGOTIATE)
  writer.u32(flags)
  const domain = reservePayloadField(writer)
  const workstation = reservePayloadField(writer)
  writeVersion(writer, version)
  writePayload(writer, domain, Buffer.alloc(0))
  writePayload(writer, workstation, Buffer.alloc(0))
  return writer.finish()
}
