/** SBC-3 5.24: UNMAP; 5.43, 5.44: WRITE SAME (10) and (16). */

import { asksForProtection, lengthByte, outOfRange, rangeOf } from '../block-range.ts'
import { cut, joined, lengthOf, readLength64 } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { UNMAP_DESCRIPTORS_MAXIMUM, WRITE_SAME_BLOCKS_MAXIMUM } from '../limits.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { done, fail, invalidField, invalidParameter, type Outcome, withStatus } from '../outcome.ts'
import { senses } from '../sense.ts'
import { ScsiStatus } from '../task.ts'
import { isWorthHole, isZero } from '../zeros.ts'

const UNMAP_ANCHOR = 0x01
const UNMAP_HEAD_BYTES = 8
const UNMAP_DESCRIPTOR_BYTES = 16

async function unmap({ unit, cdb, task }: Request): Promise<Outcome> {
  const length = cdb.readUInt16BE(7)
  // Nothing is anchored here: ANC_SUP of the provisioning page is 0.
  if (((cdb[1] ?? 0) & UNMAP_ANCHOR) !== 0) return invalidField(1)
  if (length === 0) return done()
  const list = joined(cut(task.dataOut, length))
  if (list.length < UNMAP_HEAD_BYTES) return fail(senses.parameterListLength)
  // What is cut short at the end is left out (SBC-3 5.24.2).
  const announced = Math.min(list.readUInt16BE(2), list.length - UNMAP_HEAD_BYTES)
  const count = Math.floor(announced / UNMAP_DESCRIPTOR_BYTES)
  if (count > UNMAP_DESCRIPTORS_MAXIMUM) return invalidParameter(2)
  const ranges = Array.from({ length: count }, (_, index) => {
    const at = UNMAP_HEAD_BYTES + index * UNMAP_DESCRIPTOR_BYTES
    return { lba: readLength64(list, at), blocks: list.readUInt32BE(at + 8) }
  })
  for (const { lba, blocks } of ranges) {
    // A descriptor without blocks is no error, wherever it points.
    const fault = blocks === 0 ? undefined : outOfRange(unit, { lba, blocks })
    if (fault !== undefined) return fault
  }
  for (const { lba, blocks } of ranges) {
    if (blocks > 0) await discard(unit, lba, blocks)
  }
  if (!unit.mode.writeCacheEnabled) await unit.sync()
  return done(length)
}

async function discard(unit: LogicalUnit, lba: number, blocks: number): Promise<void> {
  const release = await unit.ranges.acquire(lba, blocks, true)
  try {
    await unit.discard(lba * unit.blockSize, blocks * unit.blockSize)
  } finally {
    release()
  }
}

const WRITE_SAME_16 = 0x93
const ANCHOR = 0x10
const UNMAP_BIT = 0x08
/** PBDATA and LBDATA are obsolete. */
const OBSOLETE_DATA_BITS = 0x06
const NDOB = 0x01
const CHUNK_BYTES = 1024 * 1024

async function writeSame(request: Request): Promise<Outcome> {
  const { unit, cdb, task } = request
  const flags = cdb[1] ?? 0
  const unmaps = (flags & UNMAP_BIT) !== 0
  const hasNoData = cdb[0] === WRITE_SAME_16 && (flags & NDOB) !== 0
  if (asksForProtection(cdb) || (flags & (ANCHOR | OBSOLETE_DATA_BITS)) !== 0) return invalidField(1)
  if ((unmaps && !unit.isThin) || (cdb[0] !== WRITE_SAME_16 && (flags & NDOB) !== 0)) return invalidField(1)
  const { lba, blocks } = rangeOf(cdb)
  const refused = outOfRange(unit, { lba, blocks })
  if (refused !== undefined) return refused
  // WSNZ is 1: no length does not mean to the end.
  if (blocks === 0 || blocks > WRITE_SAME_BLOCKS_MAXIMUM) return invalidField(lengthByte(cdb))
  const sent = lengthOf(task.dataOut)
  const isEmpty = hasNoData || (unmaps && sent === 0)
  if (!isEmpty && sent !== unit.blockSize) return invalidField(lengthByte(cdb))
  const pattern = isEmpty ? undefined : joined(task.dataOut)
  const dataOutLength = isEmpty ? 0 : unit.blockSize
  // Blocks that are given back read as zeros, so only zeros may become such (SBC-3 5.43.1); of a thin disk it may take
  // zeros for such without being told to (4.7.3).
  const areZeros = pattern === undefined || isZero(pattern)
  const isHole = unmaps || (unit.keepsHoles && isWorthHole(blocks * unit.blockSize))
  if (areZeros && isHole) await discard(unit, lba, blocks)
  else {
    const isWhole = await repeat(request, lba, blocks, pattern ?? Buffer.alloc(unit.blockSize))
    if (!isWhole) return withStatus(ScsiStatus.taskAborted)
  }
  if (!unit.mode.writeCacheEnabled) await unit.sync()
  return done(dataOutLength)
}

/** Writes a block again and again. @returns false when the task was aborted amid it */
async function repeat({ unit, task }: Request, lba: number, blocks: number, block: Buffer): Promise<boolean> {
  const perChunk = Math.min(blocks, CHUNK_BYTES / unit.blockSize)
  const chunk = Buffer.alloc(perChunk * unit.blockSize, block)
  const release = await unit.ranges.acquire(lba, blocks, true)
  try {
    for (let done = 0; done < blocks; done += perChunk) {
      if (task.signal.aborted) return false
      const count = Math.min(perChunk, blocks - done)
      await unit.write([chunk.subarray(0, count * unit.blockSize)], (lba + done) * unit.blockSize)
    }
    return true
  } finally {
    release()
  }
}

const needs = { needsMedium: true, writes: true, reservation: 'write' } as const

export const provisioningCommands: readonly Command[] = [
  {
    name: 'UNMAP',
    opcode: 0x42,
    usage: '42 01 00000000 1f ffff 00',
    ...needs,
    isPresent: (unit) => unit.isThin,
    run: unmap,
  },
  { name: 'WRITE SAME(10)', opcode: 0x41, usage: '41 08 ffffffff 1f ffff 00', ...needs, run: writeSame },
  {
    name: 'WRITE SAME(16)',
    opcode: 0x93,
    usage: '93 09 ffffffffffffffff ffffffff 1f 00',
    ...needs,
    run: writeSame,
  },
]
