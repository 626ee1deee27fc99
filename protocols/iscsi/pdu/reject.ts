/** RFC 7143 11.17: Reject. */

import { FINAL, newHeader, Opcode, type Pdu, RESERVED_TAG } from './segments.ts'
import { type ResponseNumbers, readResponseNumbers, writeResponseNumbers } from './sequence.ts'

export const RejectReason = {
  dataDigestError: 0x02,
  snack: 0x03,
  protocolError: 0x04,
  commandNotSupported: 0x05,
  tooManyImmediateCommands: 0x06,
  taskInProgress: 0x07,
  invalidPduField: 0x09,
  outOfResources: 0x0a,
} as const
export type RejectReason = (typeof RejectReason)[keyof typeof RejectReason]

/** Its data segment is the header of the PDU that is rejected. */
export interface Reject extends ResponseNumbers {
  readonly reason: RejectReason
}

export function decodeReject({ bhs }: Pdu): Reject {
  return { ...readResponseNumbers(bhs), reason: bhs.readUInt8(2) as RejectReason }
}

export function encodeReject(reject: Reject): Buffer {
  const bhs = newHeader(Opcode.reject)
  bhs[1] = FINAL
  bhs[2] = reject.reason
  bhs.writeUInt32BE(RESERVED_TAG, 16)
  writeResponseNumbers(bhs, reject)
  return bhs
}
