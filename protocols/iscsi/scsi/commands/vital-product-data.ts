/** SPC-4 7.8 and SBC-3 6.5: vital product data pages. */

import { struct, u8, u16be, u32be } from 'buffer-layout'
import { MAXIMUM_TRANSFER_BYTES } from '../block-range.ts'
import { encode, padded, u64be } from '../bytes.ts'
import type { TargetContext } from '../command.ts'
import {
  ATOMIC_BYTES_MAXIMUM,
  COMPARE_AND_WRITE_BLOCKS_MAXIMUM,
  UNMAP_BLOCKS_MAXIMUM,
  UNMAP_DESCRIPTORS_MAXIMUM,
  WRITE_SAME_BLOCKS_MAXIMUM,
} from '../limits.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { PRODUCT, VENDOR } from '../product.ts'
import { thirdPartyCopyPage } from './third-party-copy-page.ts'

const Page = {
  supported: 0x00,
  serial: 0x80,
  identification: 0x83,
  extendedInquiry: 0x86,
  thirdPartyCopy: 0x8f,
  blockLimits: 0xb0,
  blockCharacteristics: 0xb1,
  provisioning: 0xb2,
} as const
const PAGES: readonly number[] = Object.values(Page)
const PAGE_HEAD_BYTES = 4

/** One page with its head; undefined when there is none of this code. */
export function vitalProductData(code: number, unit: LogicalUnit, target: TargetContext): Buffer | undefined {
  const body = bodyOf(code, unit, target)
  if (body === undefined) return undefined
  const page = Buffer.alloc(PAGE_HEAD_BYTES + body.length)
  page[1] = code
  page.writeUInt16BE(body.length, 2)
  body.copy(page, PAGE_HEAD_BYTES)
  return page
}

function bodyOf(code: number, unit: LogicalUnit, target: TargetContext): Buffer | undefined {
  switch (code) {
    case Page.supported:
      return Buffer.from(PAGES)
    case Page.serial:
      return Buffer.from(unit.options.identity.serial, 'latin1')
    case Page.identification:
      return identification(unit, target)
    case Page.extendedInquiry:
      return extendedInquiry()
    case Page.thirdPartyCopy:
      return thirdPartyCopyPage()
    case Page.blockLimits:
      return blockLimits(unit)
    case Page.blockCharacteristics:
      return blockCharacteristics()
    case Page.provisioning:
      return provisioning(unit)
    default:
      return undefined
  }
}

const CodeSet = { binary: 1, ascii: 2, utf8: 3 } as const
const Association = { unit: 0x00, port: 0x10, device: 0x20 } as const
const Designator = { t10: 1, naa: 3, relativePort: 4, portGroup: 5, scsiName: 8 } as const
/** PIV, and PROTOCOL IDENTIFIER 5 in the high half byte of the first: iSCSI (SPC-4 table 477). */
const PIV = 0x80
const PROTOCOL_ISCSI = 0x50

/** SPC-4 7.8.6. */
function identification(unit: LogicalUnit, target: TargetContext): Buffer {
  const { serial, naa } = unit.options.identity
  const port = target.relativeTargetPorts[0] ?? 1
  const portName = `${target.name},t,0x${port.toString(16).padStart(4, '0')}`
  return Buffer.concat([
    designator(CodeSet.binary, Association.unit, Designator.naa, naa),
    designator(
      CodeSet.ascii,
      Association.unit,
      Designator.t10,
      Buffer.concat([padded(VENDOR, 8), padded(PRODUCT, 16), Buffer.from(serial, 'latin1')]),
    ),
    designator(CodeSet.binary, Association.port, Designator.relativePort, Buffer.from([0, 0, 0, port])),
    designator(CodeSet.binary, Association.port, Designator.portGroup, Buffer.from([0, 0, 0, 1])),
    designator(CodeSet.utf8, Association.port, Designator.scsiName, scsiName(portName)),
    designator(CodeSet.utf8, Association.device, Designator.scsiName, scsiName(target.name)),
  ])
}

function designator(codeSet: number, association: number, type: number, value: Buffer): Buffer {
  const isOfPort = association !== Association.unit
  const protocol = isOfPort ? PROTOCOL_ISCSI : 0
  const head = [protocol | codeSet, (isOfPort ? PIV : 0) | association | type, 0, value.length]
  return Buffer.concat([Buffer.from(head), value])
}

/** Ends with a zero and is a multiple of four long (SPC-4 7.8.6.10). */
function scsiName(name: string): Buffer {
  const bytes = Buffer.from(`${name}\0`)
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

/** HEADSUP, ORDSUP, SIMPSUP. */
const TASK_ATTRIBUTES = 0x07
/** V_SUP: there is a volatile cache. */
const V_SUP = 0x01
const EXTENDED_INQUIRY_BODY_BYTES = 60

/** SPC-4 7.8.7. */
function extendedInquiry(): Buffer {
  const body = Buffer.alloc(EXTENDED_INQUIRY_BODY_BYTES)
  body[1] = TASK_ATTRIBUTES
  body[2] = V_SUP
  return body
}

interface BlockLimits {
  flags: number
  compareAndWrite: number
  optimalGranularity: number
  maximumTransfer: number
  optimalTransfer: number
  maximumPrefetch: number
  unmapBlocks: number
  unmapDescriptors: number
  unmapGranularity: number
  unmapAlignment: number
  writeSame: bigint
  maximumAtomicTransfer: number
  atomicAlignment: number
  atomicGranularity: number
  maximumAtomicTransferWithBoundary: number
  maximumAtomicBoundary: number
}

const blockLimitsLayout = struct<BlockLimits>([
  u8('flags'),
  u8('compareAndWrite'),
  u16be('optimalGranularity'),
  u32be('maximumTransfer'),
  u32be('optimalTransfer'),
  u32be('maximumPrefetch'),
  u32be('unmapBlocks'),
  u32be('unmapDescriptors'),
  u32be('unmapGranularity'),
  u32be('unmapAlignment'),
  u64be('writeSame'),
  u32be('maximumAtomicTransfer'),
  u32be('atomicAlignment'),
  u32be('atomicGranularity'),
  u32be('maximumAtomicTransferWithBoundary'),
  u32be('maximumAtomicBoundary'),
])
/** WRITE SAME of no blocks is refused: no slip of an initiator reaches to the end of the disk. */
const WSNZ = 0x01
/** UNMAP GRANULARITY ALIGNMENT counts. */
const UGAVALID = 0x8000_0000
const OPTIMAL_TRANSFER_BYTES = 1024 * 1024
const LARGEST_U16 = 0xffff

/** SBC-3 6.5.3. */
function blockLimits({ blockSize, isThin, device, options, undoLog, atomicBlocks }: LogicalUnit): Buffer {
  const isAtomic = undoLog !== undefined
  const granularity = Math.max(device.discardGranularity, options.physicalBlockSize) / blockSize
  return encode(blockLimitsLayout, {
    flags: WSNZ,
    compareAndWrite: COMPARE_AND_WRITE_BLOCKS_MAXIMUM,
    optimalGranularity: Math.min(granularity, LARGEST_U16),
    maximumTransfer: MAXIMUM_TRANSFER_BYTES / blockSize,
    optimalTransfer: OPTIMAL_TRANSFER_BYTES / blockSize,
    maximumPrefetch: 0,
    unmapBlocks: isThin ? UNMAP_BLOCKS_MAXIMUM : 0,
    unmapDescriptors: isThin ? UNMAP_DESCRIPTORS_MAXIMUM : 0,
    unmapGranularity: isThin ? granularity : 0,
    unmapAlignment: isThin ? UGAVALID : 0,
    writeSame: BigInt(WRITE_SAME_BLOCKS_MAXIMUM),
    maximumAtomicTransfer: isAtomic ? ATOMIC_BYTES_MAXIMUM / blockSize : 0,
    atomicAlignment: isAtomic ? atomicBlocks : 0,
    atomicGranularity: isAtomic ? atomicBlocks : 0,
    // No boundary within a write: each is atomic as a whole.
    maximumAtomicTransferWithBoundary: 0,
    maximumAtomicBoundary: 0,
  })
}

/** As a solid-state disk: order on the disk means nothing to an initiator. */
const NON_ROTATING = 1
/** WABEREQ 01b: after SANITIZE BLOCK ERASE reads succeed. */
const WABEREQ_READABLE = 0x40
const BLOCK_CHARACTERISTICS_BODY_BYTES = 60

/** SBC-3 6.5.2. */
function blockCharacteristics(): Buffer {
  const body = Buffer.alloc(BLOCK_CHARACTERISTICS_BODY_BYTES)
  body.writeUInt16BE(NON_ROTATING, 0)
  body[3] = WABEREQ_READABLE
  return body
}

/** LBPU, LBPWS, LBPWS10: UNMAP and both WRITE SAMEs give space back; LBPRZ: what was given back reads as zeros. */
const GIVES_BACK = 0xe4
const PROVISIONING_THIN = 2
const PROVISIONING_FULL = 0

/** SBC-3 6.5.4. */
function provisioning({ isThin }: LogicalUnit): Buffer {
  return Buffer.from([0, isThin ? GIVES_BACK : 0, isThin ? PROVISIONING_THIN : PROVISIONING_FULL, 0])
}
