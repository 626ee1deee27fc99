/** RFC 7143 11.18 and 11.19: NOP-Out and NOP-In. */

import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readRequestNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

interface NopFields {
  readonly lun: bigint
  /** RESERVED_TAG: no answer is wanted. */
  readonly initiatorTaskTag: number
  /** Not RESERVED_TAG: the target asks, or is answered. */
  readonly targetTransferTag: number
}

export interface NopOut extends NopFields, RequestNumbers {
  readonly immediate: boolean
}

export interface NopIn extends NopFields, ResponseNumbers {}

function readFields(bhs: Buffer): NopFields {
  return {
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    targetTransferTag: bhs.readUInt32BE(20),
  }
}

function writeFields(bhs: Buffer, fields: NopFields): void {
  bhs[1] = FINAL
  bhs.writeBigUInt64BE(fields.lun, 8)
  bhs.writeUInt32BE(fields.initiatorTaskTag, 16)
  bhs.writeUInt32BE(fields.targetTransferTag, 20)
}

export function decodeNopOut({ bhs, immediate }: Pdu): NopOut {
  return { ...readFields(bhs), ...readRequestNumbers(bhs), immediate }
}

export function encodeNopOut(nop: NopOut): Buffer {
  const bhs = newHeader(Opcode.nopOut, nop.immediate)
  writeFields(bhs, nop)
  writeRequestNumbers(bhs, nop)
  return bhs
}

export function decodeNopIn({ bhs }: Pdu): NopIn {
  return { ...readFields(bhs), ...readResponseNumbers(bhs) }
}

export function encodeNopIn(nop: NopIn): Buffer {
  const bhs = newHeader(Opcode.nopIn)
  writeFields(bhs, nop)
  writeResponseNumbers(bhs, nop)
  return bhs
}
