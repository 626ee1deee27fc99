/** MS-NLMP 2.2: what the three messages have in common: signature, type, version and payload fields. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Slot, Writer } from '../../wire/writer.ts'

export const MessageType = { NEGOTIATE: 1, CHALLENGE: 2, AUTHENTICATE: 3 } as const

export type MessageType = (typeof MessageType)[keyof typeof MessageType]

/** 2.2.2.10: VERSION, for debugging only. */
export interface Version {
  readonly major: number
  readonly minor: number
  readonly build: number
}

/** UTF-16 units of a user, domain or computer name. */
const MAXIMUM_NAME_UNITS = 1024
const VERSION_BYTES = 8
/** NTLMSSP_REVISION_W2K3, the only revision there is. */
const REVISION = 0x0f
const VERSION_RESERVED_BYTES = 3

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1')

/** Does a token begin as an NTLM message, without SPNEGO around it? */
export function isNtlmMessage(token: Buffer): boolean {
  return token.subarray(0, SIGNATURE.length).equals(SIGNATURE)
}

/** @throws DecodeError when it is no NTLM message, or one of another type */
export function readMessageStart(reader: Reader, type: MessageType): void {
  if (!reader.bytes(SIGNATURE.length).equals(SIGNATURE)) throw new DecodeError('not an NTLM message')
  const received = reader.u32()
  if (received !== type) throw new DecodeError(`NTLM message ${received} where ${type} belongs`)
}

export function writeMessageStart(writer: Writer, type: MessageType): void {
  writer.bytes(SIGNATURE).u32(type)
}

/** Writes the version, or zeros: the place is kept in any case. */
export function writeVersion(writer: Writer, version: Version | undefined): void {
  if (version === undefined) {
    writer.zeros(VERSION_BYTES)
    return
  }
  writer.u8(version.major).u8(version.minor).u16(version.build).zeros(VERSION_RESERVED_BYTES).u8(REVISION)
}

/** Length, maximum length and offset of a part of the payload. */
export interface PayloadField {
  readonly length: number
  readonly offset: number
}

export function readPayloadField(reader: Reader): PayloadField {
  const length = reader.u16()
  reader.skip(2)
  return { length, offset: reader.u32() }
}

/** Fields that follow each other, by their names. */
export function readPayloadFields<Name extends string>(
  reader: Reader,
  names: readonly Name[],
): Record<Name, PayloadField> {
  return Object.fromEntries(names.map((name) => [name, readPayloadField(reader)])) as Record<
    Name,
    PayloadField
  >
}

/** The bytes of a field, as a view. @throws DecodeError when they lie outside the message */
export function payload(reader: Reader, field: PayloadField): Buffer {
  return reader.view(field.offset, field.length)
}

/** A name in UTF-16LE. @throws DecodeError when it lies outside, is no text or has more than 1024 units */
export function payloadText(reader: Reader, field: PayloadField): string {
  if (field.length > MAXIMUM_NAME_UNITS * 2) throw new DecodeError(`a name of ${field.length} bytes`)
  return reader.sub(field.offset, field.length).utf16(field.length)
}

export interface PayloadSlots {
  readonly length: Slot
  readonly maximum: Slot
  readonly offset: Slot
}

export function reservePayloadField(writer: Writer): PayloadSlots {
  return { length: writer.reserve(2), maximum: writer.reserve(2), offset: writer.reserve(4) }
}

/** Leaves room for fields that follow each other. */
export function reservePayloadFields<Name extends string>(
  writer: Writer,
  names: readonly Name[],
): Record<Name, PayloadSlots> {
  return Object.fromEntries(names.map((name) => [name, reservePayloadField(writer)])) as Record<
    Name,
    PayloadSlots
  >
}

/** Appends a field's bytes; an empty field still says where it would be, as Windows does. */
export function writePayload(writer: Writer, slots: PayloadSlots, bytes: Buffer): void {
  writer.patch(slots.length, bytes.length)
  writer.patch(slots.maximum, bytes.length)
  writer.patchOffset(slots.offset)
  writer.bytes(bytes)
}

export function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le')
}
