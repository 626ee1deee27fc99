/** RFC 7143 11.7 and 11.8: Data-Out, Data-In and R2T. */

import { type Residual, residualFlags, residualOf } from './scsi-command.ts'
import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import { type ResponseNumbers, readResponseNumbers, writeResponseNumbers } from './sequence.ts'

const STATUS_FOLLOWS = 0x01

export interface DataOut {
  /** The last of its sequence. */
  readonly final: boolean
  readonly lun: bigint
  readonly initiatorTaskTag: number
  /** RESERVED_TAG: unsolicited. */
  readonly targetTransferTag: number
  readonly expStatSN: number
  readonly dataSN: number
  readonly bufferOffset: number
}

export function decodeDataOut({ bhs }: Pdu): DataOut {
  return {
    final: (bhs.readUInt8(1) & FINAL) !== 0,
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    targetTransferTag: bhs.readUInt32BE(20),
    expStatSN: bhs.readUInt32BE(28),
    dataSN: bhs.readUInt32BE(36),
    bufferOffset: bhs.readUInt32BE(40),
  }
}

export function encodeDataOut(data: DataOut): Buffer {
  const bhs = newHeader(Opcode.dataOut)
  bhs[1] = data.final ? FINAL : 0
  bhs.writeBigUInt64BE(data.lun, 8)
  bhs.writeUInt32BE(data.initiatorTaskTag, 16)
  bhs.writeUInt32BE(data.targetTransferTag, 20)
  bhs.writeUInt32BE(data.expStatSN, 28)
  bhs.writeUInt32BE(data.dataSN, 36)
  bhs.writeUInt32BE(data.bufferOffset, 40)
  return bhs
}

/** Phase collapse: the last Data-In says how the command ended. */
export interface CollapsedStatus {
  readonly status: number
  readonly residual: Residual
}

export interface DataIn extends ResponseNumbers {
  readonly final: boolean
  readonly lun: bigint
  readonly initiatorTaskTag: number
  readonly targetTransferTag: number
  readonly dataSN: number
  readonly bufferOffset: number
  /** StatSN counts only with it. */
  readonly status: CollapsedStatus | undefined
}

export function decodeDataIn({ bhs }: Pdu): DataIn {
  const flags = bhs.readUInt8(1)
  const collapsed = { status: bhs.readUInt8(3), residual: residualOf(flags, bhs.readUInt32BE(44)) }
  return {
    ...readResponseNumbers(bhs),
    final: (flags & FINAL) !== 0,
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    targetTransferTag: bhs.readUInt32BE(20),
    dataSN: bhs.readUInt32BE(36),
    bufferOffset: bhs.readUInt32BE(40),
    status: (flags & STATUS_FOLLOWS) !== 0 ? collapsed : undefined,
  }
}

export function encodeDataIn(data: DataIn): Buffer {
  const bhs = newHeader(Opcode.dataIn)
  bhs[1] = data.final ? FINAL : 0
  bhs.writeBigUInt64BE(data.lun, 8)
  bhs.writeUInt32BE(data.initiatorTaskTag, 16)
  bhs.writeUInt32BE(data.targetTransferTag, 20)
  writeResponseNumbers(bhs, data)
  bhs.writeUInt32BE(data.dataSN, 36)
  bhs.writeUInt32BE(data.bufferOffset, 40)
  if (data.status !== undefined) {
    bhs[1] |= STATUS_FOLLOWS | residualFlags(data.status.residual)
    bhs[3] = data.status.status
    bhs.writeUInt32BE(data.status.residual.count, 44)
  }
  return bhs
}

/** StatSN is the next one, which this does not use up. */
export interface ReadyToTransfer extends ResponseNumbers {
  readonly lun: bigint
  readonly initiatorTaskTag: number
  readonly targetTransferTag: number
  readonly r2tSN: number
  readonly bufferOffset: number
  readonly desiredDataTransferLength: number
}

export function decodeReadyToTransfer({ bhs }: Pdu): ReadyToTransfer {
  return {
    ...readResponseNumbers(bhs),
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    targetTransferTag: bhs.readUInt32BE(20),
    r2tSN: bhs.readUInt32BE(36),
    bufferOffset: bhs.readUInt32BE(40),
    desiredDataTransferLength: bhs.readUInt32BE(44),
  }
}

export function encodeReadyToTransfer(ready: ReadyToTransfer): Buffer {
  const bhs = newHeader(Opcode.readyToTransfer)
  bhs[1] = FINAL
  bhs.writeBigUInt64BE(ready.lun, 8)
  bhs.writeUInt32BE(ready.initiatorTaskTag, 16)
  bhs.writeUInt32BE(ready.targetTransferTag, 20)
  writeResponseNumbers(bhs, ready)
  bhs.writeUInt32BE(ready.r2tSN, 36)
  bhs.writeUInt32BE(ready.bufferOffset, 40)
  bhs.writeUInt32BE(ready.desiredDataTransferLength, 44)
  return bhs
}
