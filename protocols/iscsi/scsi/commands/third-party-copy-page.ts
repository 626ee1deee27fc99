/** SPC-4 7.8.17: the third-party copy page: which forms of EXTENDED COPY there are. */

import { blockDeviceLimits, MAXIMUM_COPY_BYTES, Segment, Target } from '../copy-limits.ts'

const DescriptorType = {
  supportedCommands: 0x0001,
  parameterData: 0x0004,
  supportedDescriptors: 0x0008,
  generalOperations: 0x8001,
} as const

const EXTENDED_COPY = 0x83
const RECEIVE_COPY_RESULTS = 0x84
const HEAD_BYTES = 4

function descriptor(type: number, body: readonly number[]): Buffer {
  const padding = (4 - (body.length % 4)) % 4
  const bytes = Buffer.alloc(HEAD_BYTES + body.length + padding)
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(body.length + padding, 2)
  Buffer.from(body).copy(bytes, HEAD_BYTES)
  return bytes
}

/** Without the page's head. */
export function thirdPartyCopyPage(): Buffer {
  const commands = [
    ...[EXTENDED_COPY, 1, 0x00],
    // COPY STATUS, OPERATING PARAMETERS, FAILED SEGMENT DETAILS.
    ...[RECEIVE_COPY_RESULTS, 3, 0x00, 0x03, 0x04],
  ]
  const descriptors = [Segment.blockToBlock, Segment.blockToBlockWithOffset, Target.identification]
  const parameterData = Buffer.alloc(28)
  parameterData.writeUInt16BE(blockDeviceLimits.targets, 4)
  parameterData.writeUInt16BE(blockDeviceLimits.segments, 6)
  parameterData.writeUInt32BE(blockDeviceLimits.descriptorBytes, 8)
  const general = Buffer.alloc(32)
  general.writeUInt32BE(1, 0)
  general.writeUInt32BE(1, 4)
  general.writeUInt32BE(MAXIMUM_COPY_BYTES, 8)
  return Buffer.concat([
    descriptor(DescriptorType.supportedCommands, [commands.length, ...commands]),
    descriptor(DescriptorType.parameterData, [...parameterData]),
    descriptor(DescriptorType.supportedDescriptors, [descriptors.length, ...descriptors]),
    descriptor(DescriptorType.generalOperations, [...general]),
  ])
}
