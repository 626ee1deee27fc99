/** SBC-3 5.10 to 5.13: READ(6), (10), (12) and (16). */

import { checkTransfer, FUA, rangeOf } from '../block-range.ts'
import type { Command, Request } from '../command.ts'
import { done, type Outcome } from '../outcome.ts'
import { ScsiStatus } from '../task.ts'

async function read(request: Request): Promise<Outcome> {
  const { unit, cdb, task, target } = request
  const range = rangeOf(cdb)
  const refused = checkTransfer(request, range)
  if (refused !== undefined) return refused
  const dataInLength = range.blocks * unit.blockSize
  const length = Math.min(dataInLength, task.dataInLimit)
  if (length === 0) return { ...done(), dataInLength }
  const taken = unit.ranges.acquire(range.lba, range.blocks, false)
  const release = typeof taken === 'function' ? taken : await taken
  const lease = target.acquire(length)
  try {
    // FUA: from the medium, so what the cache has newer goes there first (SBC-3 4.15).
    if (cdb.length > 6 && ((cdb[1] ?? 0) & FUA) !== 0 && unit.isDirty) await unit.sync()
    await unit.device.read(lease.buffer, range.lba * unit.blockSize)
  } catch (error) {
    lease.release()
    throw error
  } finally {
    release()
  }
  return {
    status: ScsiStatus.good,
    dataIn: [lease.buffer],
    dataInLength,
    dataOutLength: 0,
    release: () => lease.release(),
  }
}

const needs = { needsMedium: true, reservation: 'read', run: read } as const

export const readCommands: readonly Command[] = [
  { name: 'READ(6)', opcode: 0x08, usage: '08 1fffff ff 00', ...needs },
  { name: 'READ(10)', opcode: 0x28, usage: '28 18 ffffffff 1f ffff 00', ...needs },
  { name: 'READ(12)', opcode: 0xa8, usage: 'a8 18 ffffffff ffffffff 1f 00', ...needs },
  { name: 'READ(16)', opcode: 0x88, usage: '88 18 ffffffffffffffff ffffffff 1f 00', ...needs },
]
