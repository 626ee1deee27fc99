/** SPC-4 6.9 to 6.12: MODE SELECT and MODE SENSE, (6) and (10). */

import { cut, joined } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { applyModePage, modePages, PageControl } from '../mode-parameters.ts'
import { answer, done, fail, invalidField, invalidParameter, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'

const MODE_SENSE_10 = 0x5a
const MODE_SELECT_10 = 0x55
const DBD = 0x08
const LLBAA = 0x10
const PF = 0x10
const SP = 0x01
const ALL_PAGES = 0x3f
const ALL_SUBPAGES = 0xff
const PAGE_CODE_MASK = 0x3f
/** Device-specific parameter (SBC-3 6.4.1). */
const WP = 0x80
const DPOFUA = 0x10
const SHORT_DESCRIPTOR_BYTES = 8
const LONG_DESCRIPTOR_BYTES = 16
const LONGLBA = 0x01
const LARGEST_U32 = 0xffff_ffff
const LARGEST_U24 = 0xff_ffff

function blockDescriptor(unit: LogicalUnit, isLong: boolean): Buffer {
  const bytes = Buffer.alloc(isLong ? LONG_DESCRIPTOR_BYTES : SHORT_DESCRIPTOR_BYTES)
  if (isLong) {
    bytes.writeBigUInt64BE(BigInt(unit.blocks), 0)
    bytes.writeUInt32BE(unit.blockSize, 12)
  } else {
    bytes.writeUInt32BE(Math.min(unit.blocks, LARGEST_U32), 0)
    bytes.writeUInt32BE(unit.blockSize & LARGEST_U24, 4)
  }
  return bytes
}

function modeSense({ cdb, unit }: Request): Outcome {
  const isTen = cdb[0] === MODE_SENSE_10
  const code = (cdb[2] ?? 0) & PAGE_CODE_MASK
  const pageControl = (cdb[2] ?? 0) >> 6
  const subpage = cdb[3] ?? 0
  if (pageControl === PageControl.saved) return fail(senses.savingNotSupported)
  const pages = modePages(unit.mode, pageControl).filter((page) => code === ALL_PAGES || page[0] === code)
  if (pages.length === 0) return invalidField(2)
  if (subpage !== 0 && subpage !== ALL_SUBPAGES) return invalidField(3)
  const isLong = isTen && ((cdb[1] ?? 0) & LLBAA) !== 0
  const descriptor = ((cdb[1] ?? 0) & DBD) !== 0 ? Buffer.alloc(0) : blockDescriptor(unit, isLong)
  const device = DPOFUA | (unit.isWriteProtected ? WP : 0)
  const rest = Buffer.concat([descriptor, ...pages])
  const head = isTen
    ? Buffer.from([0, 0, 0, device, isLong ? LONGLBA : 0, 0, 0, descriptor.length])
    : Buffer.from([0, 0, device, descriptor.length])
  // MODE DATA LENGTH does not count itself.
  if (isTen) head.writeUInt16BE(head.length + rest.length - 2)
  else head[0] = head.length + rest.length - 1
  const allocationLength = isTen ? cdb.readUInt16BE(7) : (cdb[4] ?? 0)
  return answer(Buffer.concat([head, rest]), allocationLength)
}

function modeSelect(request: Request): Outcome {
  const { cdb, task, unit, nexus } = request
  const isTen = cdb[0] === MODE_SELECT_10
  const length = isTen ? cdb.readUInt16BE(7) : (cdb[4] ?? 0)
  if (((cdb[1] ?? 0) & SP) !== 0) return invalidField(1)
  if (length === 0) return done()
  if (((cdb[1] ?? 0) & PF) === 0) return invalidField(1)
  const list = joined(cut(task.dataOut, length))
  const headBytes = isTen ? 8 : 4
  if (list.length < headBytes) return fail(senses.parameterListLength)
  const descriptorBytes = isTen ? list.readUInt16BE(6) : (list[3] ?? 0)
  const isLong = isTen && ((list[4] ?? 0) & LONGLBA) !== 0
  const begin = headBytes + descriptorBytes
  if (list.length < begin) return fail(senses.parameterListLength)
  const wrong = descriptorFault(unit, list.subarray(headBytes, begin), isLong)
  if (wrong !== undefined) return invalidParameter(headBytes + wrong)
  const refused = applyPages(unit, list, begin)
  if (refused !== undefined) return refused
  unit.establish(senses.modeParametersChanged, nexus)
  return done(length)
}

/** Neither the size nor the number of blocks can be changed. @returns the byte that asks for it */
function descriptorFault(unit: LogicalUnit, descriptor: Buffer, isLong: boolean): number | undefined {
  if (descriptor.length === 0) return undefined
  if (descriptor.length !== (isLong ? LONG_DESCRIPTOR_BYTES : SHORT_DESCRIPTOR_BYTES)) return 0
  const blocks = isLong ? Number(descriptor.readBigUInt64BE(0)) : descriptor.readUInt32BE(0)
  const blockSize = isLong ? descriptor.readUInt32BE(12) : descriptor.readUInt32BE(4) & LARGEST_U24
  if (blocks !== 0 && blocks !== Math.min(unit.blocks, isLong ? Infinity : LARGEST_U32)) return 0
  return blockSize === unit.blockSize ? undefined : isLong ? 12 : 5
}

/** All pages or none. */
function applyPages(unit: LogicalUnit, list: Buffer, begin: number): Outcome | undefined {
  const changed = { ...unit.mode }
  for (let at = begin; at < list.length; ) {
    const end = at + 2 + (list[at + 1] ?? 0)
    if (end > list.length) return fail(senses.parameterListLength)
    const page = Buffer.from(list.subarray(at, end))
    // PS is reserved here; a page comes back as it was sensed.
    page[0] = (page[0] ?? 0) & PAGE_CODE_MASK
    const wrong = applyModePage(changed, page)
    if (wrong !== undefined) return invalidParameter(at + wrong)
    at = end
  }
  Object.assign(unit.mode, changed)
  return undefined
}

const sensing = { reservation: 'write', run: modeSense } as const
const selecting = { reservation: 'write', run: modeSelect } as const

export const modeCommands: readonly Command[] = [
  { name: 'MODE SENSE(6)', opcode: 0x1a, usage: '1a 08 ff ff ff 00', ...sensing },
  { name: 'MODE SENSE(10)', opcode: 0x5a, usage: '5a 18 ff ff 000000 ffff 00', ...sensing },
  { name: 'MODE SELECT(6)', opcode: 0x15, usage: '15 11 0000 ff 00', ...selecting },
  { name: 'MODE SELECT(10)', opcode: 0x55, usage: '55 11 0000000000 ffff 00', ...selecting },
]
