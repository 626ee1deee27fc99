/** SPC-4 6.4: EXTENDED COPY (LID1): blocks copied between logical units of this target, without going to the initiator. */

import { blob, struct, u8, u16be, u32be } from 'buffer-layout'
import { type BlockRange, outOfRange } from '../block-range.ts'
import { cut, joined, u64be } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { blockDeviceLimits, MAXIMUM_COPY_BYTES, Segment, Target } from '../copy-limits.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { done, fail, invalidParameter, type Outcome } from '../outcome.ts'
import { type Sense, senses } from '../sense.ts'
import { senseOfStorageError } from '../storage-sense.ts'

const EXTENDED_COPY = 0x83
const HEAD_BYTES = 16
const TARGET_BYTES = 32
/** By descriptor type code. */
const SEGMENT_BYTES: ReadonlyMap<number, number> = new Map([
  [Segment.blockToBlock, 28],
  [Segment.blockToBlockWithOffset, 32],
])
const SHORTEST_SEGMENT_BYTES = 28
/** DC: NUMBER OF BLOCKS counts the destination's. */
const DC = 0x02
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

interface SegmentHead {
  code: number
  flags: number
  length: number
  source: number
  destination: number
}
interface BlockSegment extends SegmentHead {
  reserved: number
  blocks: number
  sourceLba: bigint
  destinationLba: bigint
}
interface OffsetSegment extends SegmentHead {
  bytes: number
  sourceLba: bigint
  destinationLba: bigint
  sourceOffset: number
  destinationOffset: number
}
const segmentHead = [u8('code'), u8('flags'), u16be('length'), u16be('source'), u16be('destination')]
/** SPC-4 6.4.6.3. */
const blockSegmentLayout = struct<BlockSegment>([
  ...segmentHead,
  u16be('reserved'),
  u16be('blocks'),
  u64be('sourceLba'),
  u64be('destinationLba'),
])
/** SPC-4 6.4.6.11. */
const offsetSegmentLayout = struct<OffsetSegment>([
  ...segmentHead,
  u32be('bytes'),
  u64be('sourceLba'),
  u64be('destinationLba'),
  u16be('sourceOffset'),
  u16be('destinationOffset'),
])

/** Either form. */
interface CopySegment {
  /** Indices of target descriptors. */
  readonly source: number
  readonly destination: number
  readonly sourceLba: number
  readonly destinationLba: number
  /** Bytes after the beginning of these blocks. */
  readonly sourceOffset: number
  readonly destinationOffset: number
  /** In `bytes`, or in blocks of one of the two. */
  readonly count: number
  readonly unit: 'bytes' | 'source' | 'destination'
}

interface CopyList {
  readonly list: number
  /** undefined: a NUL descriptor, or a unit that is not here. */
  readonly units: readonly (LogicalUnit | undefined)[]
  readonly segments: readonly CopySegment[]
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
  if (header.segmentBytes / SHORTEST_SEGMENT_BYTES > blockDeviceLimits.segments) {
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

function segmentsOf(list: Buffer, from: number, end: number): CopySegment[] | Outcome {
  const segments: CopySegment[] = []
  for (let at = from; at < end; ) {
    const bytes = SEGMENT_BYTES.get(list[at] ?? 0)
    if (bytes === undefined) return fail(senses.unsupportedSegmentDescriptor)
    if (end - at < bytes) return fail(senses.parameterListLength)
    if (list.readUInt16BE(at + 2) !== bytes - SEGMENT_HEAD_BYTES) return invalidParameter(at + 2)
    segments.push(segmentAt(list, at))
    at += bytes
  }
  return segments
}

function segmentAt(list: Buffer, at: number): CopySegment {
  if (list[at] === Segment.blockToBlock) {
    const { flags, source, destination, blocks, ...rest } = blockSegmentLayout.decode(list, at)
    const lbas = { sourceLba: Number(rest.sourceLba), destinationLba: Number(rest.destinationLba) }
    const unit = (flags & DC) === 0 ? 'source' : 'destination'
    return { source, destination, ...lbas, sourceOffset: 0, destinationOffset: 0, count: blocks, unit }
  }
  const { source, destination, bytes, ...rest } = offsetSegmentLayout.decode(list, at)
  const { sourceOffset, destinationOffset } = rest
  const lbas = { sourceLba: Number(rest.sourceLba), destinationLba: Number(rest.destinationLba) }
  return { source, destination, ...lbas, sourceOffset, destinationOffset, count: bytes, unit: 'bytes' }
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
  segment: CopySegment,
): Promise<number | Sense> {
  const source = units[segment.source]
  const destination = units[segment.destination]
  if (source === undefined || destination === undefined) return senses.copyTargetUnreachable
  const refused = refusal(request, source, destination)
  if (refused !== undefined) return refused
  const blockSizes = { bytes: 1, source: source.blockSize, destination: destination.blockSize }
  const length = segment.count * blockSizes[segment.unit]
  const from = segment.sourceLba * source.blockSize + segment.sourceOffset
  const to = segment.destinationLba * destination.blockSize + segment.destinationOffset
  if (length > MAXIMUM_COPY_BYTES) return senses.copyAborted
  // Blocks are copied whole; who counts bytes means parts of blocks too.
  if (segment.unit !== 'bytes' && (length % destination.blockSize !== 0 || length % source.blockSize !== 0)) {
    return senses.copyAborted
  }
  if (outOfRange(source, blocksOf(source, from, length)) !== undefined) return senses.copyAborted
  if (outOfRange(destination, blocksOf(destination, to, length)) !== undefined) return senses.copyAborted
  return await copyBytes(request, source, destination, { from, to, length })
}

/** The blocks that bytes lie in. */
function blocksOf({ blockSize }: LogicalUnit, offset: number, length: number): BlockRange {
  const lba = Math.floor(offset / blockSize)
  return { lba, blocks: Math.ceil((offset + length) / blockSize) - lba }
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
  unit: LogicalUnit,
  offset: number,
  length: number,
  exclusive: boolean,
  work: () => Promise<void>,
): Promise<void> {
  const { lba, blocks } = blocksOf(unit, offset, length)
  const release = await unit.ranges.acquire(lba, blocks, exclusive)
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
