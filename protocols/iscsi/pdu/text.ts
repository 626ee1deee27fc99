/** RFC 7143 11.10 and 11.11: Text Request and Text Response. */

import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readRequestNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

const CONTINUE = 0x40

interface TextFields {
  readonly final: boolean
  /** C: the text is not complete. */
  readonly continues: boolean
  readonly lun: bigint
  readonly initiatorTaskTag: number
  readonly targetTransferTag: number
}

export interface TextRequest extends TextFields, RequestNumbers {
  readonly immediate: boolean
}

export interface TextResponse extends TextFields, ResponseNumbers {}

function readFields(bhs: Buffer): TextFields {
  const flags = bhs.readUInt8(1)
  return {
    final: (flags & FINAL) !== 0,
    continues: (flags & CONTINUE) !== 0,
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    targetTransferTag: bhs.readUInt32BE(20),
  }
}

function writeFields(bhs: Buffer, fields: TextFields): void {
  bhs[1] = (fields.final ? FINAL : 0) | (fields.continues ? CONTINUE : 0)
  bhs.writeBigUInt64BE(fields.lun, 8)
  bhs.writeUInt32BE(fields.initiatorTaskTag, 16)
  bhs.writeUInt32BE(fields.targetTransferTag, 20)
}

export function decodeTextRequest({ bhs, immediate }: Pdu): TextRequest {
  return { ...readFields(bhs), ...readRequestNumbers(bhs), immediate }
}

export function encodeTextRequest(request: TextRequest): Buffer {
  const bhs = newHeader(Opcode.textRequest, request.immediate)
  writeFields(bhs, request)
  writeRequestNumbers(bhs, request)
  return bhs
}

export function decodeTextResponse({ bhs }: Pdu): TextResponse {
  return { ...readFields(bhs), ...readResponseNumbers(bhs) }
}

export function encodeTextResponse(response: TextResponse): Buffer {
  const bhs = newHeader(Opcode.textResponse)
  writeFields(bhs, response)
  writeResponseNumbers(bhs, response)
  return bhs
}
