/** SBC-3 5.2: COMPARE AND WRITE: one step towards all other commands on these blocks. */

import { asksForProtection, outOfRange } from '../block-range.ts'
import { joined, lengthOf, readLength64 } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { firstDifference } from '../compare.ts'
import { COMPARE_AND_WRITE_BLOCKS_MAXIMUM } from '../limits.ts'
import { done, fail, invalidField, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'
import { writesThrough } from './write.ts'

const BLOCKS_BYTE = 13

async function compareAndWrite(request: Request): Promise<Outcome> {
  const { unit, cdb, task, target } = request
  const range = { lba: readLength64(cdb, 2), blocks: cdb[BLOCKS_BYTE] ?? 0 }
  if (asksForProtection(cdb)) return invalidField(1)
  const refused = outOfRange(unit, range)
  if (refused !== undefined) return refused
  if (range.blocks > COMPARE_AND_WRITE_BLOCKS_MAXIMUM) return invalidField(BLOCKS_BYTE)
  const length = range.blocks * unit.blockSize
  if (lengthOf(task.dataOut) !== 2 * length) return invalidField(BLOCKS_BYTE)
  if (length === 0) return done()
  const data = joined(task.dataOut)
  const release = await unit.ranges.acquire(range.lba, range.blocks, true)
  const lease = target.acquire(length)
  try {
    await unit.device.read(lease.buffer, range.lba * unit.blockSize)
    const at = firstDifference(lease.buffer, data)
    if (at !== undefined) return fail({ ...senses.miscompare, information: at })
    await unit.write([data.subarray(length)], range.lba * unit.blockSize)
    if (writesThrough(request)) await unit.sync()
    return done(2 * length)
  } finally {
    lease.release()
    release()
  }
}

export const compareAndWriteCommand: Command = {
  name: 'COMPARE AND WRITE',
  opcode: 0x89,
  usage: '89 18 ffffffffffffffff 000000 ff 1f 00',
  needsMedium: true,
  writes: true,
  reservation: 'write',
  run: compareAndWrite,
}
