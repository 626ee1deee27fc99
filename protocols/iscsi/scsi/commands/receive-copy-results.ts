/** SPC-4 6.24 to 6.27: RECEIVE COPY RESULTS: how a copy went, and what copies may ask for. */

import type { Command, Request } from '../command.ts'
import { blockDeviceLimits, MAXIMUM_COPY_BYTES, Segment, Target } from '../copy-limits.ts'
import { answer, invalidField, type Outcome } from '../outcome.ts'
import { ScsiStatus } from '../task.ts'

const RECEIVE_COPY_RESULTS = 0x84
const ServiceAction = { copyStatus: 0, operatingParameters: 3, failedSegmentDetails: 4 } as const
const CopyStatus = { done: 0x01, failed: 0x02 } as const
const STATUS_BYTES = 12
const PARAMETERS_BYTES = 44
const FAILED_SEGMENT_BYTES = 60
/** EXTENDED COPY COMMAND STATUS. */
const COMMAND_STATUS_BYTE = 56
/** SNLID is not there: each copy has its list identifier. */
const CONCURRENT_COPIES = 16
/** TRANSFER COUNT UNITS: bytes. */
const UNITS_BYTES = 0

function copyStatus({ cdb, target, nexus }: Request): Outcome {
  const result = target.copies.find(nexus.key, cdb[2] ?? 0)
  if (result === undefined) return invalidField(2)
  const data = Buffer.alloc(STATUS_BYTES)
  data.writeUInt32BE(STATUS_BYTES - 4, 0)
  data[4] = result.hasFailed ? CopyStatus.failed : CopyStatus.done
  data.writeUInt16BE(result.segments, 5)
  data[7] = UNITS_BYTES
  data.writeUInt32BE(Math.min(result.bytes, 0xffff_ffff), 8)
  return answer(data, cdb.readUInt32BE(10))
}

function operatingParameters({ cdb }: Request): Outcome {
  const descriptors = [Segment.blockToBlock, Segment.blockToBlockWithOffset, Target.identification]
  const data = Buffer.alloc(PARAMETERS_BYTES + descriptors.length)
  data.writeUInt32BE(data.length - 4, 0)
  data.writeUInt16BE(blockDeviceLimits.targets, 8)
  data.writeUInt16BE(blockDeviceLimits.segments, 10)
  data.writeUInt32BE(blockDeviceLimits.descriptorBytes, 12)
  data.writeUInt32BE(MAXIMUM_COPY_BYTES, 16)
  data.writeUInt16BE(CONCURRENT_COPIES, 34)
  data[36] = CONCURRENT_COPIES
  data[43] = descriptors.length
  Buffer.from(descriptors).copy(data, PARAMETERS_BYTES)
  return answer(data, cdb.readUInt32BE(10))
}

/** The sense data of a copy that failed was its answer: nothing is held back. */
function failedSegmentDetails({ cdb, target, nexus }: Request): Outcome {
  const result = target.copies.find(nexus.key, cdb[2] ?? 0)
  if (result === undefined || !result.hasFailed) return invalidField(2)
  const data = Buffer.alloc(FAILED_SEGMENT_BYTES)
  data.writeUInt32BE(data.length - 4, 0)
  data[COMMAND_STATUS_BYTE] = ScsiStatus.checkCondition
  return answer(data, cdb.readUInt32BE(10))
}

function row(name: string, serviceAction: number, run: Command['run']): Command {
  const usage = `84 ${serviceAction.toString(16).padStart(2, '0')} ff 00000000000000 ffffffff 00 00`
  return { name, opcode: RECEIVE_COPY_RESULTS, serviceAction, usage, reservation: 'write', run }
}

export const receiveCopyResultsCommands: readonly Command[] = [
  row('RECEIVE COPY STATUS(LID1)', ServiceAction.copyStatus, copyStatus),
  row('RECEIVE COPY OPERATING PARAMETERS', ServiceAction.operatingParameters, operatingParameters),
  row('RECEIVE COPY FAILURE DETAILS(LID1)', ServiceAction.failedSegmentDetails, failedSegmentDetails),
]
