/** SBC-4 5.48: WRITE ATOMIC(16): other commands, and power cuts, see all of it or nothing. */

import { writeAtomically } from '../atomic-write.ts'
import { asksForProtection, outOfRange } from '../block-range.ts'
import { joined, lengthOf, readLength64 } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { ATOMIC_BYTES_MAXIMUM } from '../limits.ts'
import { done, fail, invalidField, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'

const LBA_BYTE = 2
const BOUNDARY_BYTE = 10
const LENGTH_BYTE = 12

/** It is on the disk when it is answered: nothing less tells whether it is whole. So FUA makes no difference. */
async function writeAtomic({ unit, cdb, task, target }: Request): Promise<Outcome> {
  const { blockSize, undoLog, atomicBlocks } = unit
  if (undoLog === undefined) return fail(senses.invalidOperationCode)
  if (asksForProtection(cdb)) return invalidField(1)
  const lba = readLength64(cdb, LBA_BYTE)
  const blocks = cdb.readUInt16BE(LENGTH_BYTE)
  const refused = outOfRange(unit, { lba, blocks })
  if (refused !== undefined) return refused
  if (lba % atomicBlocks !== 0) return invalidField(LBA_BYTE)
  // MAXIMUM ATOMIC BOUNDARY SIZE is 0.
  if (cdb.readUInt16BE(BOUNDARY_BYTE) !== 0) return invalidField(BOUNDARY_BYTE)
  const length = blocks * blockSize
  if (blocks % atomicBlocks !== 0 || length > ATOMIC_BYTES_MAXIMUM) return invalidField(LENGTH_BYTE)
  // A part of it is no atomic write.
  if (lengthOf(task.dataOut) < length) return invalidField(LENGTH_BYTE)
  if (length === 0) return done()
  const after = joined(task.dataOut).subarray(0, length)
  const release = await unit.ranges.acquire(lba, blocks, true)
  const lease = target.acquire(length)
  try {
    await writeAtomically(unit, undoLog, lba * blockSize, after, lease.buffer)
    return done(length)
  } finally {
    lease.release()
    release()
  }
}

export const writeAtomicCommand: Command = {
  name: 'WRITE ATOMIC(16)',
  opcode: 0x9c,
  usage: '9c 18 ffffffffffffffff ffff ffff 1f 00',
  needsMedium: true,
  writes: true,
  reservation: 'write',
  isPresent: (unit) => unit.undoLog !== undefined,
  run: writeAtomic,
}
