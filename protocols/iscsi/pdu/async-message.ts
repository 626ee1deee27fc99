/** RFC 7143 11.9: Asynchronous Message. */

import { FINAL, newHeader, Opcode, type Pdu, RESERVED_TAG } from './segments.ts'
import { type ResponseNumbers, readResponseNumbers, writeResponseNumbers } from './sequence.ts'

/** 11.9.1: AsyncEvent. */
export const AsyncEvent = {
  scsiEvent: 0,
  /** The initiator is to log out within Parameter3 seconds. */
  logoutRequest: 1,
  /** The connection with the CID of Parameter1 is dropped; to be used again after Parameter2, within Parameter3 seconds. */
  dropsConnection: 2,
  /** All connections of the session are dropped; Parameter2 and Parameter3 likewise. */
  dropsSession: 3,
  negotiationRequest: 4,
  vendorSpecific: 255,
} as const
export type AsyncEvent = (typeof AsyncEvent)[keyof typeof AsyncEvent]

export interface AsyncMessage extends ResponseNumbers {
  /** Of a SCSI event; otherwise 0. */
  readonly lun: bigint
  readonly event: AsyncEvent
  readonly vendorCode: number
  /** 16 bits each; what they mean depends on the event. */
  readonly parameter1: number
  readonly parameter2: number
  readonly parameter3: number
}

export function decodeAsyncMessage({ bhs }: Pdu): AsyncMessage {
  return {
    ...readResponseNumbers(bhs),
    lun: bhs.readBigUInt64BE(8),
    event: bhs.readUInt8(36) as AsyncEvent,
    vendorCode: bhs.readUInt8(37),
    parameter1: bhs.readUInt16BE(38),
    parameter2: bhs.readUInt16BE(40),
    parameter3: bhs.readUInt16BE(42),
  }
}

export function encodeAsyncMessage(message: AsyncMessage): Buffer {
  const bhs = newHeader(Opcode.asyncMessage)
  bhs[1] = FINAL
  bhs.writeBigUInt64BE(message.lun, 8)
  bhs.writeUInt32BE(RESERVED_TAG, 16)
  writeResponseNumbers(bhs, message)
  bhs[36] = message.event
  bhs[37] = message.vendorCode
  bhs.writeUInt16BE(message.parameter1, 38)
  bhs.writeUInt16BE(message.parameter2, 40)
  bhs.writeUInt16BE(message.parameter3, 42)
  return bhs
}
