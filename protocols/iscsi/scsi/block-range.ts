/** SBC-3 5: addresses and lengths of CDBs of 6, 10, 12 and 16 bytes, and what each command that reads or writes checks. */

import { readLength64 } from './bytes.ts'
import type { Request } from './command.ts'
import type { LogicalUnit } from './logical-unit.ts'
import { fail, invalidField, type Outcome } from './outcome.ts'
import { senses } from './sense.ts'

/** MAXIMUM TRANSFER LENGTH (SBC-3 6.5.3), in bytes. */
export const MAXIMUM_TRANSFER_BYTES = 8 * 1024 * 1024
/** RDPROTECT, WRPROTECT, VRPROTECT, ORPROTECT. */
const PROTECT = 0xe0
export const DPO = 0x10
export const FUA = 0x08
/** LBAs have 21 bits in CDBs of 6 bytes. */
const LBA_6_MASK = 0x1f_ffff
/** TRANSFER LENGTH 0 of READ(6) and WRITE(6). */
const BLOCKS_6_ZERO = 256

export interface BlockRange {
  readonly lba: number
  readonly blocks: number
}

/** By the group code, which gives the CDB's length (SPC-4 4.2.5.1). */
export function rangeOf(cdb: Buffer): BlockRange {
  switch ((cdb[0] ?? 0) >> 5) {
    case 0:
      return { lba: cdb.readUIntBE(1, 3) & LBA_6_MASK, blocks: cdb[4] || BLOCKS_6_ZERO }
    case 4:
      return { lba: readLength64(cdb, 2), blocks: cdb.readUInt32BE(10) }
    case 5:
      return { lba: cdb.readUInt32BE(2), blocks: cdb.readUInt32BE(6) }
    default:
      return { lba: cdb.readUInt32BE(2), blocks: cdb.readUInt16BE(7) }
  }
}

/** Where the length stands, for field pointers. */
export function lengthByte(cdb: Buffer): number {
  return [4, 7, 7, 0, 10, 6][(cdb[0] ?? 0) >> 5] ?? 0
}

/** Length 0 at an address that does not exist is refused too (SBC-3 5.7). */
export function outOfRange(unit: LogicalUnit, { lba, blocks }: BlockRange): Outcome | undefined {
  if (lba < unit.blocks && lba + blocks <= unit.blocks) return undefined
  const information = lba < unit.blocks ? unit.blocks : lba
  return fail({ ...senses.addressOutOfRange, information: Math.min(information, Number.MAX_SAFE_INTEGER) })
}

/** No protection information is kept (INQUIRY's PROTECT is 0), so none can be asked for. */
export function asksForProtection(cdb: Buffer): boolean {
  return (cdb[0] ?? 0) >> 5 !== 0 && ((cdb[1] ?? 0) & PROTECT) !== 0
}

/** What all that move data check; undefined when it may go on. */
export function checkTransfer({ unit, cdb }: Request, range: BlockRange): Outcome | undefined {
  if (asksForProtection(cdb)) return invalidField(1)
  const refused = outOfRange(unit, range)
  if (refused !== undefined) return refused
  return range.blocks * unit.blockSize > MAXIMUM_TRANSFER_BYTES ? invalidField(lengthByte(cdb)) : undefined
}
