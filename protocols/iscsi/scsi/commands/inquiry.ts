/** SPC-4 6.6: INQUIRY, standard data and vital product data. */

import { blob, struct, u8 } from 'buffer-layout'
import { encode, padded } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { answer, invalidField, type Outcome } from '../outcome.ts'
import { PRODUCT, REVISION, VENDOR } from '../product.ts'
import { vitalProductData } from './vital-product-data.ts'

const EVPD = 0x01
/** PERIPHERAL QUALIFIER 3, DEVICE TYPE 1Fh: there is no such unit (SPC-4 table 177). */
const NO_SUCH_UNIT = 0x7f
const RMB = 0x80
const VERSION_SPC_4 = 0x06
/** HISUP: LUNs are as SAM-5 has them; RESPONSE DATA FORMAT 2. */
const HISUP_FORMAT_2 = 0x12
/** TPGS: implicit asymmetric access; 3PC: third-party copy. */
const TPGS_IMPLICIT_3PC = 0x18
const CMDQUE = 0x02
/** SAM-5, SPC-4, SBC-3, iSCSI, without versions (SPC-4 6.6.2). */
const VERSION_DESCRIPTORS = [0x00a0, 0x0460, 0x04c0, 0x0960]
const VERSION_DESCRIPTOR_COUNT = 8

interface StandardInquiry {
  peripheral: number
  removable: number
  version: number
  format: number
  additionalLength: number
  flags5: number
  flags6: number
  flags7: number
  vendor: Buffer
  product: Buffer
  revision: Buffer
  vendorSpecific: Buffer
  clocking: number
  reserved: number
  versionDescriptors: Buffer
  reserved2: Buffer
}

const standardLayout = struct<StandardInquiry>([
  u8('peripheral'),
  u8('removable'),
  u8('version'),
  u8('format'),
  u8('additionalLength'),
  u8('flags5'),
  u8('flags6'),
  u8('flags7'),
  blob(8, 'vendor'),
  blob(16, 'product'),
  blob(4, 'revision'),
  blob(20, 'vendorSpecific'),
  u8('clocking'),
  u8('reserved'),
  blob(2 * VERSION_DESCRIPTOR_COUNT, 'versionDescriptors'),
  blob(22, 'reserved2'),
])
/** What ADDITIONAL LENGTH does not count. */
const HEAD_BYTES = 5

/** @param unit undefined: for a LUN that does not exist */
export function standardInquiry(unit: LogicalUnit | undefined): Buffer {
  const versionDescriptors = Buffer.alloc(2 * VERSION_DESCRIPTOR_COUNT)
  VERSION_DESCRIPTORS.forEach((version, index) => void versionDescriptors.writeUInt16BE(version, 2 * index))
  return encode(standardLayout, {
    peripheral: unit === undefined ? NO_SUCH_UNIT : 0,
    removable: unit?.options.removable ? RMB : 0,
    version: VERSION_SPC_4,
    format: HISUP_FORMAT_2,
    additionalLength: standardLayout.span - HEAD_BYTES,
    flags5: TPGS_IMPLICIT_3PC,
    flags6: 0,
    flags7: CMDQUE,
    vendor: padded(VENDOR, 8),
    product: padded(PRODUCT, 16),
    revision: padded(REVISION, 4),
    vendorSpecific: Buffer.alloc(20),
    clocking: 0,
    reserved: 0,
    versionDescriptors,
    reserved2: Buffer.alloc(22),
  })
}

/** For a LUN that does not exist (SPC-4 6.6.1): standard data alone. */
export function inquiryWithoutUnit(cdb: Buffer): Outcome {
  if (((cdb[1] ?? 0) & EVPD) !== 0 || cdb[2] !== 0) return invalidField(1)
  return answer(standardInquiry(undefined), cdb.readUInt16BE(3))
}

function inquiry({ cdb, unit, target }: Request): Outcome {
  const allocationLength = cdb.readUInt16BE(3)
  const page = cdb[2] ?? 0
  // CMDDT, bit 1, is obsolete.
  if (((cdb[1] ?? 0) & ~EVPD) !== 0) return invalidField(1)
  if (((cdb[1] ?? 0) & EVPD) === 0) {
    return page === 0 ? answer(standardInquiry(unit), allocationLength) : invalidField(2)
  }
  const data = vitalProductData(page, unit, target)
  return data === undefined ? invalidField(2) : answer(data, allocationLength)
}

export const inquiryCommand: Command = {
  name: 'INQUIRY',
  opcode: 0x12,
  usage: '12 01 ff ffff 00',
  reservation: 'never',
  ignoresAttention: true,
  whileSanitizing: true,
  run: inquiry,
}
