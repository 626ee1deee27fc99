/** RFC 7143 11.3 and 11.4: SCSI Command and SCSI Response. */

import { DecodeError } from '../../wire/errors.ts'
import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

const READ = 0x40
const WRITE = 0x20
const ATTRIBUTE_MASK = 0x07
const CDB_OFFSET = 32
const CDB_BYTES = 16
/** AHSLength and AHSType stand before what AHSLength counts. */
const AHS_HEAD_BYTES = 3
const EXTENDED_CDB = 1
const BIDIRECTIONAL_READ_LENGTH = 2

export interface ScsiCommand extends RequestNumbers {
  readonly immediate: boolean
  /** No unsolicited Data-Out follows. */
  readonly final: boolean
  readonly read: boolean
  readonly write: boolean
  /** 11.3.1.2: 0 untagged, 1 simple, 2 ordered, 3 head of queue, 4 ACA. */
  readonly attribute: number
  readonly lun: bigint
  readonly initiatorTaskTag: number
  readonly expectedDataTransferLength: number
  /** 16 bytes, or more with an extended CDB. */
  readonly cdb: Buffer
  /** Of a command that reads and writes; 0 without it. */
  readonly bidirectionalReadLength: number
}

/** @throws DecodeError when an additional header segment does not lie within what there is */
export function decodeScsiCommand({ bhs, ahs, immediate }: Pdu): ScsiCommand {
  const flags = bhs.readUInt8(1)
  const additional = ahs.length === 0 ? undefined : decodeAdditional(ahs)
  return {
    cmdSN: bhs.readUInt32BE(24),
    expStatSN: bhs.readUInt32BE(28),
    immediate,
    final: (flags & FINAL) !== 0,
    read: (flags & READ) !== 0,
    write: (flags & WRITE) !== 0,
    attribute: flags & ATTRIBUTE_MASK,
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    expectedDataTransferLength: bhs.readUInt32BE(20),
    cdb: copyCdb(bhs, additional?.cdb),
    bidirectionalReadLength: additional?.readLength ?? 0,
  }
}

/** It is needed longer than the PDU. */
function copyCdb(bhs: Buffer, more: Buffer | undefined): Buffer {
  const cdb = Buffer.allocUnsafe(CDB_BYTES + (more?.length ?? 0))
  bhs.copy(cdb, 0, CDB_OFFSET, CDB_OFFSET + CDB_BYTES)
  more?.copy(cdb, CDB_BYTES)
  return cdb
}

function decodeAdditional(ahs: Buffer): { cdb: Buffer; readLength: number } {
  let cdb = ahs.subarray(0, 0)
  let readLength = 0
  for (let at = 0; at < ahs.length; ) {
    if (at + AHS_HEAD_BYTES > ahs.length) throw new DecodeError('an additional header segment is cut off')
    const length = ahs.readUInt16BE(at)
    const end = at + AHS_HEAD_BYTES + length
    const type = ahs.readUInt8(at + 2)
    if (length < 1 || end > ahs.length) throw new DecodeError('an additional header segment is too long')
    // The first byte behind the type is reserved.
    const content = ahs.subarray(at + AHS_HEAD_BYTES + 1, end)
    if (type === EXTENDED_CDB) cdb = content
    if (type === BIDIRECTIONAL_READ_LENGTH) {
      if (content.length !== 4) throw new DecodeError('a bidirectional read length is not 4 bytes long')
      readLength = content.readUInt32BE()
    }
    at = end + (-end & 3)
  }
  return { cdb, readLength }
}

export function encodeScsiCommand(command: ScsiCommand): { bhs: Buffer; ahs: Buffer } {
  const bhs = newHeader(Opcode.scsiCommand, command.immediate)
  bhs[1] =
    (command.final ? FINAL : 0) |
    (command.read ? READ : 0) |
    (command.write ? WRITE : 0) |
    (command.attribute & ATTRIBUTE_MASK)
  bhs.writeBigUInt64BE(command.lun, 8)
  bhs.writeUInt32BE(command.initiatorTaskTag, 16)
  bhs.writeUInt32BE(command.expectedDataTransferLength, 20)
  writeRequestNumbers(bhs, command)
  command.cdb.copy(bhs, CDB_OFFSET, 0, CDB_BYTES)
  const segments: Buffer[] = []
  if (command.cdb.length > CDB_BYTES) {
    segments.push(additionalSegment(EXTENDED_CDB, command.cdb.subarray(CDB_BYTES)))
  }
  if (command.bidirectionalReadLength > 0) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(command.bidirectionalReadLength)
    segments.push(additionalSegment(BIDIRECTIONAL_READ_LENGTH, length))
  }
  return { bhs, ahs: Buffer.concat(segments) }
}

function additionalSegment(type: number, content: Buffer): Buffer {
  const bytes = AHS_HEAD_BYTES + 1 + content.length
  const segment = Buffer.alloc(bytes + (-bytes & 3))
  segment.writeUInt16BE(content.length + 1)
  segment[2] = type
  content.copy(segment, AHS_HEAD_BYTES + 1)
  return segment
}

const OVERFLOW = 0x04
const UNDERFLOW = 0x02

/** 11.4.5: how what moved differs from what the initiator expected. */
export interface Residual {
  readonly kind: 'none' | 'overflow' | 'underflow'
  readonly count: number
}

export const NO_RESIDUAL: Residual = { kind: 'none', count: 0 }

const RESIDUAL_FLAGS = { none: 0, overflow: OVERFLOW, underflow: UNDERFLOW } as const

export function residualFlags(residual: Residual): number {
  return RESIDUAL_FLAGS[residual.kind]
}

export function residualOf(flags: number, count: number): Residual {
  if ((flags & OVERFLOW) !== 0) return { kind: 'overflow', count }
  if ((flags & UNDERFLOW) !== 0) return { kind: 'underflow', count }
  return NO_RESIDUAL
}

export interface ScsiResponse extends ResponseNumbers {
  /** 11.4.3: 0 completed at target, 1 target failure. */
  readonly response: number
  readonly status: number
  readonly initiatorTaskTag: number
  /** Data-In and R2T PDUs that were sent. */
  readonly expDataSN: number
  readonly residual: Residual
}

export function decodeScsiResponse({ bhs }: Pdu): ScsiResponse {
  return {
    ...readResponseNumbers(bhs),
    response: bhs.readUInt8(2),
    status: bhs.readUInt8(3),
    initiatorTaskTag: bhs.readUInt32BE(16),
    expDataSN: bhs.readUInt32BE(36),
    residual: residualOf(bhs.readUInt8(1), bhs.readUInt32BE(44)),
  }
}

export function encodeScsiResponse(response: ScsiResponse): Buffer {
  const bhs = newHeader(Opcode.scsiResponse)
  bhs[1] = FINAL | residualFlags(response.residual)
  bhs[2] = response.response
  bhs[3] = response.status
  bhs.writeUInt32BE(response.initiatorTaskTag, 16)
  writeResponseNumbers(bhs, response)
  bhs.writeUInt32BE(response.expDataSN, 36)
  bhs.writeUInt32BE(response.residual.count, 44)
  return bhs
}

/** 11.4.7: sense data as a data segment. */
export function encodeSense(sense: Buffer): Buffer[] {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(sense.length)
  return [length, sense]
}

/** @throws DecodeError when it is shorter than it says */
export function decodeSense(data: Buffer): Buffer {
  if (data.length === 0) return data
  if (data.length < 2 || data.length < 2 + data.readUInt16BE())
    throw new DecodeError('sense data are cut off')
  return data.subarray(2, 2 + data.readUInt16BE())
}
