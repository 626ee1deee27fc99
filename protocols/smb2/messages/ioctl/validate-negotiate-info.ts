/** MS-SMB2 2.2.31.4 and 2.2.32.6: VALIDATE_NEGOTIATE_INFO Request and Response. */

import { GUID_BYTES } from '../../../wire/guid.ts'
import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'
import { MAX_DIALECTS } from '../negotiate.ts'
import { checkCount } from '../structure.ts'

/** What the client said in NEGOTIATE. */
export interface ValidateNegotiateInfoRequest {
  capabilities: number
  guid: Buffer
  securityMode: number
  dialects: number[]
}

/** What the server said in NEGOTIATE. */
export interface ValidateNegotiateInfoResponse {
  capabilities: number
  guid: Buffer
  securityMode: number
  dialect: number
}

/** Bytes that a client has to offer for the response: 3.3.5.15.12. */
export const VALIDATE_NEGOTIATE_INFO_RESPONSE_BYTES = 24

export function decodeValidateNegotiateInfoRequest(reader: Reader): ValidateNegotiateInfoRequest {
  const capabilities = reader.u32()
  const guid = reader.bytes(GUID_BYTES)
  const securityMode = reader.u16()
  const dialectCount = reader.u16()
  checkCount(dialectCount, MAX_DIALECTS, 'dialects')
  const dialects = Array.from({ length: dialectCount }, () => reader.u16())
  return { capabilities, guid, securityMode, dialects }
}

export function encodeValidateNegotiateInfoRequest(writer: Writer, m: ValidateNegotiateInfoRequest): void {
  writer.u32(m.capabilities).bytes(m.guid).u16(m.securityMode).u16(m.dialects.length)
  for (const dialect of m.dialects) writer.u16(dialect)
}

export function decodeValidateNegotiateInfoResponse(reader: Reader): ValidateNegotiateInfoResponse {
  return {
    capabilities: reader.u32(),
    guid: reader.bytes(GUID_BYTES),
    securityMode: reader.u16(),
    dialect: reader.u16(),
  }
}

export function encodeValidateNegotiateInfoResponse(writer: Writer, m: ValidateNegotiateInfoResponse): void {
  writer.u32(m.capabilities).bytes(m.guid).u16(m.securityMode).u16(m.dialect)
}
