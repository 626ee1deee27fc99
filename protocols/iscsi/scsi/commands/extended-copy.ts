/** SPC-4 6.4: EXTENDED COPY (LID1): blocks copied between logical units of this target, without going to the initiator. */

import { blob, struct, u8, u16be, u32be } from 'buffer-layout'
import { outOfRange } from '../block-range.ts'
import { cut, joined, u64be } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { blockDeviceLimits, Segment, Target } from '../copy-limits.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { done, fail, invalidParameter, type Outcome } from '../outcome.ts'
import { type Sense, senses } from '../sense.ts'
import { senseOfStorageError } from '../storage-sense.ts'

const EXTENDED_COPY = 0x83
const HEAD_BYTES = 16
const TARGET_BYTES = 32
const SEGMENT_BYTES = 28
/** What DESCRIPTOR LENGTH of a segment does not count. */
const SEGMENT_HEAD_BYTES = 4
const NUL = 0x20
const PERIPHERAL_TYPE_MASK = 0x1f
const CHUNK_BYTES = 1024 * 1024

interface Header {
  list: number
  flags: number
  targetBytes: number
  reserved: number
  segmentBytes: number
  inlineBytes: number
}
const headerLayout = struct<Header>([
  u8('list'),
  u8('flags'),
  u16be('targetBytes'),
  u32be('reserved'),
  u32be('segmentBytes'),
  u32be('inlineBytes'),
])

interface TargetDescriptor {
  code: number
  flags: number
  relativePort: number
  codeSet: number
  designatorType: number
  reserved: number
  designatorLength: number
  designator: Buffer
  parameters: Buffer
}
const targetLayout = struct<TargetDescriptor>([
  u8('code'),
  u8('flags'),
  u16be('relativePort'),
  u8('codeSet'),
  u8('designatorType'),
  u8('reserved'),
  u8('designatorLength'),
  blob(20, 'designator'),
  blob(4, 'parameters'),
])
const DESIGNATOR_TYPE_MASK = 0x0f
const DESIGNATOR_NAA = 3

interface SegmentDescriptor {
  code: number
  flags: number
  length: number
  source: number
  destination: number
  reserved: number
  blocks: number
  sourceLba: bigint
  destinationLba: bigint
}
const segmentLayout = struct<SegmentDescriptor>([
  u8('code'),
  u8('flags'),
  u16be('length'),
  u16be('source'),
  u16be('destination'),
  u16be('reserved'),
  u16be('blocks'),
  u64be('sourceLba'),
  u64be('destinationLba'),
])

interface CopyList {
  readonly list: number
  /** undefined: a NUL descriptor, or a unit that is not here. */
  readonly units: readonly (LogicalUnit | undefined)[]
  readonly segments: readonly SegmentDescriptor[]
}

async function extendedCopy(request: Request): Promise<Outcome> {
  const { cdb, task, target, nexus } = request
  const length = cdb.readUInt32BE(10)
  if (length === 0) return done()
  if (length > blockDeviceLimits.descriptorBytes) return fail(senses.parameterListLength)
  const parsed = parse(request, joined(cut(task.dataOut, length)))
  if ('status' in parsed) return parsed
  let copied = 0
  let segments = 0
  for (const segment of parsed.segments) {
    const result = await copySegment(request, parsed.units, segment)
    if (typeof result !== 'number') {
      target.copies.note(nexus.key, parsed.list, { hasFailed: true, segments, bytes: copied })
      return fail(result)
    }
    copied += result
    segments++
  }
  target.copies.note(nexus.key, parsed.list, { hasFailed: false, segments, bytes: copied })
  return done(length)
}

function parse(request: Request, list: Buffer): CopyList | Outcome {
  if (list.length < HEAD_BYTES) return fail(senses.parameterListLength)
  const header = headerLayout.decode(list)
  if (header.targetBytes / TARGET_BYTES > blockDeviceLimits.targets)
    return fail(senses.tooManyTargetDescriptors)
  if (header.segmentBytes / SEGMENT_BYTES > blockDeviceLimits.segments) {
    return fail(senses.tooManySegmentDescriptors)
  }
  if (header.inlineBytes > 0) return fail(senses.inlineDataExceeded)
  if (header.targetBytes % TARGET_BYTES !== 0) return invalidParameter(2)
  if (list.length < HEAD_BYTES + header.targetBytes + header.segmentBytes)
    return fail(senses.parameterListLength)
  const units: (LogicalUnit | undefined)[] = []
  const segmentsAt = HEAD_BYTES + header.targetBytes
  for (let at = HEAD_BYTES; at < segmentsAt; at += TARGET_BYTES) {
    const descriptor = targetLayout.decode(list, at)
    if (descriptor.code !== Target.identification) return fail(senses.unsupportedTargetDescriptor)
    if ((descriptor.flags & PERIPHERAL_TYPE_MASK) !== 0) return fail(senses.unsupportedTargetDescriptor)
    units.push(unitOf(request, descriptor))
  }
  const segments = segmentsOf(list, segmentsAt, segmentsAt + header.segmentBytes)
  return 'status' in segments ? segments : { list: header.list, units, segments }
}

function segmentsOf(list: Buffer, from: number, end: number): SegmentDescriptor[] | Outcome {
  const segments: SegmentDescriptor[] = []
  for (let at = from; at < end; at += SEGMENT_BYTES) {
    if (list[at] !== Segment.blockToBlock) return fail(senses.unsupportedSegmentDescriptor)
    if (end - at < SEGMENT_BYTES) return fail(senses.parameterListLength)
    const segment = segmentLayout.decode(list, at)
    if (segment.length !== SEGMENT_BYTES - SEGMENT_HEAD_BYTES) return invalidParameter(at + 2)
    segments.push(segment)
  }
  return segments
}

/** By the NAA designator that a unit shows in its identification page. LU ID TYPE is not looked at (SPC-4). */
function unitOf({ target }: Request, descriptor: TargetDescriptor): LogicalUnit | undefined {
  if ((descriptor.flags & NUL) !== 0) return undefined
  if ((descriptor.designatorType & DESIGNATOR_TYPE_MASK) !== DESIGNATOR_NAA) return undefined
  const wanted = descriptor.designator.subarray(0, descriptor.designatorLength)
  return [...target.units.values()].find((unit) => unit.options.identity.naa.equals(wanted))
}

/** @returns the bytes copied, or why not */
async function copySegment(
  request: Request,
  units: readonly (LogicalUnit | undefined)[],
  segment: SegmentDescriptor,
): Promise<number | Sense> {
  const source = units[segment.source]
  const destination = units[segment.destination]
  if (source === undefined || destination === undefined) return senses.copyTargetUnreachable
  const refused = refusal(request, source, destination)
  if (refused !== undefined) return refused
  const length = segment.blocks * source.blockSize
  const from = { lba: Number(segment.sourceLba), blocks: segment.blocks }
  const to = { lba: Number(segment.destinationLba), blocks: Math.ceil(length / destination.blockSize) }
  if (length % destination.blockSize !== 0) return senses.copyAborted
  if (outOfRange(source, from) !== undefined || outOfRange(destination, to) !== undefined) {
    return senses.copyAborted
  }
  return await copyBytes(request, source, destination, {
    from: from.lba * source.blockSize,
    to: to.lba * destination.blockSize,
    length,
  })
}

/** What the destination and the source would answer to this nexus. */
function refusal({ nexus }: Request, source: LogicalUnit, destination: LogicalUnit): Sense | undefined {
  for (const [unit, access] of [
    [source, 'read'],
    [destination, 'write'],
  ] as const) {
    const isReserved = unit.reservedBy !== undefined && unit.reservedBy !== nexus.key
    if (isReserved || unit.persistent.conflicts(nexus.key, access)) return senses.copyTargetReservation
    if (unit.medium !== 'ready' || unit.sanitize !== undefined) return senses.copyAborted
  }
  return destination.isWriteProtected ? senses.copyAborted : undefined
}

interface CopyRange {
  readonly from: number
  readonly to: number
  readonly length: number
}

async function copyBytes(
  { task, target }: Request,
  source: LogicalUnit,
  destination: LogicalUnit,
  { from, to, length }: CopyRange,
): Promise<number | Sense> {
  // Ranges that overlap are copied from the end when they move up.
  const isUpwards = source === destination && to > from
  const lease = target.acquire(Math.min(CHUNK_BYTES, length))
  try {
    for (let done = 0; done < length; done += CHUNK_BYTES) {
      if (task.signal.aborted) return senses.copyAborted
      const size = Math.min(CHUNK_BYTES, length - done)
      const at = isUpwards ? length - done - size : done
      const piece = lease.buffer.subarray(0, size)
      await holding(source, from + at, size, false, () => source.device.read(piece, from + at))
      await holding(destination, to + at, size, true, () => destination.write([piece], to + at))
    }
    if (!destination.mode.writeCacheEnabled) await destination.sync()
    return length
  } catch (error) {
    if (senseOfStorageError(error, true) === undefined) throw error
    return senses.copyAborted
  } finally {
    lease.release()
  }
}

/** Works on bytes while their blocks are held. */
async function holding(
  { ranges, blockSize }: LogicalUnit,
  offset: number,
  length: number,
  exclusive: boolean,
  work: () => Promise<void>,
): Promise<void> {
  const release = await ranges.acquire(offset / blockSize, length / blockSize, exclusive)
  try {
    await work()
  } finally {
    release()
  }
}

export const extendedCopyCommand: Command = {
  name: 'EXTENDED COPY(LID1)',
  opcode: EXTENDED_COPY,
  serviceAction: 0,
  usage: '83 1f 0000000000000000 ffffffff 00 00',
  needsMedium: true,
  reservation: 'write',
  run: extendedCopy,
}
