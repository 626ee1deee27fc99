/** MS-SMB2 2.2.5 and 2.2.6: SESSION_SETUP Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { readStructureSize, variablePart, writeVariablePart } from './structure.ts'

export interface SessionSetupRequest {
  flags: number
  securityMode: number
  capabilities: number
  previousSessionId: bigint
  /** The SPNEGO or raw NTLMSSP token. */
  securityBuffer: Buffer
}

export interface SessionSetupResponse {
  sessionFlags: number
  securityBuffer: Buffer
}

/** 2.2.5 Flags: join this connection to an existing session. */
export const SESSION_FLAG_BINDING = 0x01

/** 2.2.6 SessionFlags */
export const SessionFlag = {
  IS_GUEST: 0x0001,
  IS_NULL: 0x0002,
  ENCRYPT_DATA: 0x0004,
} as const

const REQUEST_STRUCTURE_SIZE = 25
const RESPONSE_STRUCTURE_SIZE = 9

export function decodeSessionSetupRequest(reader: Reader): SessionSetupRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const flags = reader.u8()
  const securityMode = reader.u8()
  const capabilities = reader.u32()
  reader.skip(4) // Channel: reserved
  const offset = reader.u16()
  const length = reader.u16()
  const previousSessionId = reader.u64()
  const securityBuffer = variablePart(reader, offset, length)
  return { flags, securityMode, capabilities, previousSessionId, securityBuffer }
}

export function encodeSessionSetupRequest(writer: Writer, m: SessionSetupRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u8(m.flags).u8(m.securityMode).u32(m.capabilities).u32(0)
  const offset = writer.reserve(2)
  const length = writer.reserve(2)
  writer.u64(m.previousSessionId)
  writeVariablePart(writer, offset, length, () => writer.bytes(m.securityBuffer))
}

export function decodeSessionSetupResponse(reader: Reader): SessionSetupResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const sessionFlags = reader.u16()
  const offset = reader.u16()
  const length = reader.u16()
  return { sessionFlags, securityBuffer: variablePart(reader, offset, length) }
}

export function encodeSessionSetupResponse(writer: Writer, m: SessionSetupResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u16(m.sessionFlags)
  const offset = writer.reserve(2)
  const length = writer.reserve(2)
  writeVariablePart(writer, offset, length, () => writer.bytes(m.securityBuffer))
}
