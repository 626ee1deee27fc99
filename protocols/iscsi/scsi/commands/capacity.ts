/** SBC-3 5.15 and 5.16: READ CAPACITY (10) and (16); 5.5 GET LBA STATUS; 5.17 READ DEFECT DATA. */

import { struct, u8, u16be, u32be } from 'buffer-layout'
import { encode, readLength64, u64be } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { answer, fail, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'

const LARGEST_U32 = 0xffff_ffff
/** LBPME: blocks can be given back; LBPRZ: they read as zeros then. */
const LBPME_LBPRZ = 0xc000

const capacity16Layout = struct<{
  lastBlock: bigint
  blockSize: number
  protection: number
  exponents: number
  provisioning: number
  reserved0: bigint
  reserved1: bigint
}>([
  u64be('lastBlock'),
  u32be('blockSize'),
  u8('protection'),
  u8('exponents'),
  u16be('provisioning'),
  u64be('reserved0'),
  u64be('reserved1'),
])

async function readCapacity10({ unit, nexus }: Request): Promise<Outcome> {
  await unit.refresh(nexus)
  const data = Buffer.alloc(8)
  data.writeUInt32BE(Math.min(unit.blocks - 1, LARGEST_U32), 0)
  data.writeUInt32BE(unit.blockSize, 4)
  return answer(data, data.length)
}

async function readCapacity16({ unit, nexus, cdb }: Request): Promise<Outcome> {
  await unit.refresh(nexus)
  const data = encode(capacity16Layout, {
    lastBlock: BigInt(unit.blocks - 1),
    blockSize: unit.blockSize,
    protection: 0,
    exponents: Math.log2(unit.options.physicalBlockSize / unit.blockSize),
    provisioning: unit.isThin ? LBPME_LBPRZ : 0,
    reserved0: 0n,
    reserved1: 0n,
  })
  return answer(data, cdb.readUInt32BE(10))
}

const STATUS_HEAD_BYTES = 8
const STATUS_DESCRIPTOR_BYTES = 16
const STATUS_DESCRIPTORS_MAXIMUM = 1024
/** What PARAMETER DATA LENGTH counts of the head. */
const STATUS_COUNTED_HEAD_BYTES = 4
const ProvisioningStatus = { mapped: 0, deallocated: 1 } as const

interface StatusRun {
  readonly lba: number
  readonly blocks: number
  readonly isMapped: boolean
}

async function getLbaStatus({ unit, cdb }: Request): Promise<Outcome> {
  const lba = readLength64(cdb, 2)
  const allocationLength = cdb.readUInt32BE(10)
  if (lba >= unit.blocks) return fail(senses.addressOutOfRange)
  const room = Math.floor((allocationLength - STATUS_HEAD_BYTES) / STATUS_DESCRIPTOR_BYTES)
  const runs = await statusRuns(unit, lba, Math.max(1, Math.min(room, STATUS_DESCRIPTORS_MAXIMUM)))
  const data = Buffer.alloc(STATUS_HEAD_BYTES + runs.length * STATUS_DESCRIPTOR_BYTES)
  data.writeUInt32BE(STATUS_COUNTED_HEAD_BYTES + runs.length * STATUS_DESCRIPTOR_BYTES, 0)
  runs.forEach((run, index) => {
    const at = STATUS_HEAD_BYTES + index * STATUS_DESCRIPTOR_BYTES
    data.writeBigUInt64BE(BigInt(run.lba), at)
    data.writeUInt32BE(run.blocks, at + 8)
    data[at + 12] = run.isMapped ? ProvisioningStatus.mapped : ProvisioningStatus.deallocated
  })
  return answer(data, allocationLength)
}

/** From a block on, alternating; each as long as its field can say. */
async function statusRuns(unit: LogicalUnit, from: number, limit: number): Promise<StatusRun[]> {
  const runs: StatusRun[] = []
  for (let lba = from; lba < unit.blocks && runs.length < limit; ) {
    const run = await runAt(unit, lba)
    const last = runs.at(-1)
    if (last !== undefined && last.isMapped === run.isMapped && last.blocks + run.blocks <= LARGEST_U32) {
      runs[runs.length - 1] = { ...last, blocks: last.blocks + run.blocks }
    } else runs.push(run)
    lba += run.blocks
  }
  return runs
}

/** A block of which any part is stored is mapped. */
async function runAt(unit: LogicalUnit, lba: number): Promise<StatusRun> {
  const most = Math.min(unit.blocks - lba, LARGEST_U32)
  if (!unit.isThin) return { lba, blocks: most, isMapped: true }
  const extent = await unit.device.extentAt(lba * unit.blockSize, most * unit.blockSize)
  const blocks = extent.isMapped
    ? Math.ceil(extent.length / unit.blockSize)
    : Math.floor(extent.length / unit.blockSize)
  return blocks === 0 ? { lba, blocks: 1, isMapped: true } : { lba, blocks, isMapped: extent.isMapped }
}

const READ_DEFECT_DATA_12 = 0xb7
/** REQ_PLIST, REQ_GLIST and the format that were asked for, given back. */
const DEFECT_LIST_MASK = 0x1f

/** There are no defects: the disk below takes care of its own. */
function readDefectData({ cdb }: Request): Outcome {
  const isTwelve = cdb[0] === READ_DEFECT_DATA_12
  const asked = ((isTwelve ? cdb[1] : cdb[2]) ?? 0) & DEFECT_LIST_MASK
  const data = Buffer.alloc(isTwelve ? 8 : 4)
  data[1] = asked
  return answer(data, isTwelve ? cdb.readUInt32BE(6) : cdb.readUInt16BE(7))
}

export const capacityCommands: readonly Command[] = [
  {
    name: 'READ CAPACITY(10)',
    opcode: 0x25,
    usage: '25 00 ffffffff 0000 00 00',
    needsMedium: true,
    reservation: 'never',
    run: readCapacity10,
  },
  {
    name: 'READ CAPACITY(16)',
    opcode: 0x9e,
    serviceAction: 0x10,
    usage: '9e 10 0000000000000000 ffffffff 00 00',
    needsMedium: true,
    reservation: 'never',
    run: readCapacity16,
  },
  {
    name: 'GET LBA STATUS',
    opcode: 0x9e,
    serviceAction: 0x12,
    usage: '9e 12 ffffffffffffffff ffffffff 00 00',
    needsMedium: true,
    reservation: 'read',
    run: getLbaStatus,
  },
  {
    name: 'READ DEFECT DATA(10)',
    opcode: 0x37,
    usage: '37 00 1f 00000000 ffff 00',
    needsMedium: true,
    reservation: 'read',
    run: readDefectData,
  },
  {
    name: 'READ DEFECT DATA(12)',
    opcode: 0xb7,
    usage: 'b7 1f ffffffff ffffffff 00 00',
    needsMedium: true,
    reservation: 'read',
    run: readDefectData,
  },
]
