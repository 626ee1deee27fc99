/** RFC 7143 11.14 and 11.15: Logout Request and Logout Response. */

import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readRequestNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

export const LogoutReason = { closeSession: 0, closeConnection: 1, removeForRecovery: 2 } as const

export const LogoutResult = { closed: 0, cidNotFound: 1, recoveryNotSupported: 2, cleanupFailed: 3 } as const
export type LogoutResult = (typeof LogoutResult)[keyof typeof LogoutResult]

const REASON_MASK = 0x7f

export interface LogoutRequest extends RequestNumbers {
  readonly immediate: boolean
  readonly reason: number
  readonly initiatorTaskTag: number
  readonly cid: number
}

export function decodeLogoutRequest({ bhs, immediate }: Pdu): LogoutRequest {
  return {
    ...readRequestNumbers(bhs),
    immediate,
    reason: bhs.readUInt8(1) & REASON_MASK,
    initiatorTaskTag: bhs.readUInt32BE(16),
    cid: bhs.readUInt16BE(20),
  }
}

export function encodeLogoutRequest(request: LogoutRequest): Buffer {
  const bhs = newHeader(Opcode.logoutRequest, request.immediate)
  bhs[1] = FINAL | request.reason
  bhs.writeUInt32BE(request.initiatorTaskTag, 16)
  bhs.writeUInt16BE(request.cid, 20)
  writeRequestNumbers(bhs, request)
  return bhs
}

export interface LogoutResponse extends ResponseNumbers {
  readonly response: LogoutResult
  readonly initiatorTaskTag: number
  /** Seconds. */
  readonly time2Wait: number
  readonly time2Retain: number
}

export function decodeLogoutResponse({ bhs }: Pdu): LogoutResponse {
  return {
    ...readResponseNumbers(bhs),
    response: bhs.readUInt8(2) as LogoutResult,
    initiatorTaskTag: bhs.readUInt32BE(16),
    time2Wait: bhs.readUInt16BE(40),
    time2Retain: bhs.readUInt16BE(42),
  }
}

export function encodeLogoutResponse(response: LogoutResponse): Buffer {
  const bhs = newHeader(Opcode.logoutResponse)
  bhs[1] = FINAL
  bhs[2] = response.response
  bhs.writeUInt32BE(response.initiatorTaskTag, 16)
  writeResponseNumbers(bhs, response)
  bhs.writeUInt16BE(response.time2Wait, 40)
  bhs.writeUInt16BE(response.time2Retain, 42)
  return bhs
}
