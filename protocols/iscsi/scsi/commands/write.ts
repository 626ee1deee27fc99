/** SBC-3 5.32 to 5.42: WRITE(6) to (16), WRITE AND VERIFY, and ORWRITE. */

import { checkTransfer, FUA, rangeOf } from '../block-range.ts'
import { cut, joined } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { firstDifference } from '../compare.ts'
import { done, fail, invalidField, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'

/** BYTCHK (SBC-3 5.26). */
const BYTCHK_SHIFT = 1
const BYTCHK_MASK = 0x03

/** On the disk at once: FUA, or a cache that was switched off. */
export function writesThrough({ cdb, unit }: Request): boolean {
  return !unit.mode.writeCacheEnabled || (cdb.length > 6 && ((cdb[1] ?? 0) & FUA) !== 0)
}

async function write(request: Request): Promise<Outcome> {
  const { unit, cdb, task } = request
  const range = rangeOf(cdb)
  const refused = checkTransfer(request, range)
  if (refused !== undefined) return refused
  const dataOutLength = range.blocks * unit.blockSize
  const data = cut(task.dataOut, dataOutLength)
  if (data.length === 0) return done(dataOutLength)
  const taken = unit.ranges.acquire(range.lba, range.blocks, true)
  const release = typeof taken === 'function' ? taken : await taken
  try {
    await unit.write(data, range.lba * unit.blockSize)
  } finally {
    release()
  }
  if (writesThrough(request)) await unit.sync()
  return done(dataOutLength)
}

/** "Verifies" what is on the medium: written, forced there, read again. */
async function writeAndVerify(request: Request): Promise<Outcome> {
  const { unit, cdb, task, target } = request
  const range = rangeOf(cdb)
  const bytchk = ((cdb[1] ?? 0) >> BYTCHK_SHIFT) & BYTCHK_MASK
  if (bytchk > 1) return invalidField(1)
  const refused = checkTransfer(request, range)
  if (refused !== undefined) return refused
  const dataOutLength = range.blocks * unit.blockSize
  const data = joined(cut(task.dataOut, dataOutLength))
  if (data.length === 0) return done(dataOutLength)
  const release = await unit.ranges.acquire(range.lba, range.blocks, true)
  const lease = target.acquire(data.length)
  try {
    await unit.write([data], range.lba * unit.blockSize)
    await unit.sync()
    await unit.device.read(lease.buffer, range.lba * unit.blockSize)
    const at = bytchk === 1 ? firstDifference(lease.buffer, data) : undefined
    return at === undefined ? done(dataOutLength) : fail({ ...senses.miscompare, information: at })
  } finally {
    lease.release()
    release()
  }
}

/** SBC-3 5.8: what is there, or what is sent, bit by bit. */
async function orWrite(request: Request): Promise<Outcome> {
  const { unit, cdb, task, target } = request
  const range = rangeOf(cdb)
  const refused = checkTransfer(request, range)
  if (refused !== undefined) return refused
  const dataOutLength = range.blocks * unit.blockSize
  const data = joined(cut(task.dataOut, dataOutLength))
  if (data.length === 0) return done(dataOutLength)
  const release = await unit.ranges.acquire(range.lba, range.blocks, true)
  const lease = target.acquire(data.length)
  try {
    const { buffer } = lease
    await unit.device.read(buffer, range.lba * unit.blockSize)
    for (let i = 0; i < buffer.length; i++) buffer[i] = (buffer[i] ?? 0) | (data[i] ?? 0)
    await unit.write([buffer], range.lba * unit.blockSize)
    if (writesThrough(request)) await unit.sync()
    return done(dataOutLength)
  } finally {
    lease.release()
    release()
  }
}

const needs = { needsMedium: true, writes: true, reservation: 'write' } as const
const writing = { ...needs, run: write } as const
const verifying = { ...needs, run: writeAndVerify } as const

export const writeCommands: readonly Command[] = [
  { name: 'WRITE(6)', opcode: 0x0a, usage: '0a 1fffff ff 00', ...writing },
  { name: 'WRITE(10)', opcode: 0x2a, usage: '2a 18 ffffffff 1f ffff 00', ...writing },
  { name: 'WRITE(12)', opcode: 0xaa, usage: 'aa 18 ffffffff ffffffff 1f 00', ...writing },
  { name: 'WRITE(16)', opcode: 0x8a, usage: '8a 18 ffffffffffffffff ffffffff 1f 00', ...writing },
  { name: 'WRITE AND VERIFY(10)', opcode: 0x2e, usage: '2e 16 ffffffff 1f ffff 00', ...verifying },
  { name: 'WRITE AND VERIFY(12)', opcode: 0xae, usage: 'ae 16 ffffffff ffffffff 1f 00', ...verifying },
  {
    name: 'WRITE AND VERIFY(16)',
    opcode: 0x8e,
    usage: '8e 16 ffffffffffffffff ffffffff 1f 00',
    ...verifying,
  },
  {
    name: 'ORWRITE(16)',
    opcode: 0x8b,
    usage: '8b 18 ffffffffffffffff ffffffff 1f 00',
    ...needs,
    run: orWrite,
  },
]
