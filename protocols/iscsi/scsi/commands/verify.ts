/** SBC-3 5.26 to 5.31: VERIFY: reads what is there, and compares it where it is told to. */

import { asksForProtection, lengthByte, MAXIMUM_TRANSFER_BYTES, outOfRange, rangeOf } from '../block-range.ts'
import { cut, joined, lengthOf } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { firstDifference } from '../compare.ts'
import { done, fail, invalidField, type Outcome, withStatus } from '../outcome.ts'
import { senses } from '../sense.ts'
import { ScsiStatus } from '../task.ts'

/** BYTCHK: 0 nothing is compared, 1 all, 3 each block with the one that is sent. */
const Compare = { nothing: 0, all: 1, oneBlock: 3 } as const
const BYTCHK_SHIFT = 1
const BYTCHK_MASK = 0x03
const CHUNK_BYTES = 1024 * 1024

async function verify(request: Request): Promise<Outcome> {
  const { unit, cdb, task } = request
  const range = rangeOf(cdb)
  const mode = ((cdb[1] ?? 0) >> BYTCHK_SHIFT) & BYTCHK_MASK
  if (asksForProtection(cdb) || mode === 2) return invalidField(1)
  const refused = outOfRange(unit, range)
  if (refused !== undefined) return refused
  const length = range.blocks * unit.blockSize
  if (mode === Compare.nothing) return await compare(request, range.lba, length, undefined)
  if (mode === Compare.all) {
    if (length > MAXIMUM_TRANSFER_BYTES) return invalidField(lengthByte(cdb))
    const data = joined(cut(task.dataOut, length))
    const outcome = await compare(request, range.lba, data.length, data)
    return { ...outcome, dataOutLength: length }
  }
  if (range.blocks === 0) return done()
  if (lengthOf(task.dataOut) < unit.blockSize) return invalidField(lengthByte(cdb))
  const outcome = await compare(request, range.lba, length, joined(cut(task.dataOut, unit.blockSize)))
  return { ...outcome, dataOutLength: unit.blockSize }
}

/** Reads a range in pieces. @param pattern what it must hold, again and again; undefined: it need only be readable */
async function compare(
  { unit, task, target }: Request,
  lba: number,
  length: number,
  pattern: Buffer | undefined,
): Promise<Outcome> {
  const lease = target.acquire(Math.min(CHUNK_BYTES, length))
  try {
    for (let at = 0; at < length; at += CHUNK_BYTES) {
      if (task.signal.aborted) return withStatus(ScsiStatus.taskAborted)
      const piece = lease.buffer.subarray(0, Math.min(CHUNK_BYTES, length - at))
      await unit.device.read(piece, lba * unit.blockSize + at)
      const different = pattern === undefined ? undefined : differenceTo(pattern, piece, at)
      if (different !== undefined) return fail({ ...senses.miscompare, information: at + different })
    }
    return done()
  } finally {
    lease.release()
  }
}

/** A pattern shorter than a piece divides it; a longer one is compared from the same offset. */
function differenceTo(pattern: Buffer, piece: Buffer, offset: number): number | undefined {
  if (pattern.length > offset && pattern.length - offset >= piece.length) {
    return firstDifference(piece, pattern.subarray(offset))
  }
  for (let at = 0; at < piece.length; at += pattern.length) {
    const different = firstDifference(piece.subarray(at), pattern)
    if (different !== undefined) return at + different
  }
  return undefined
}

const needs = { needsMedium: true, reservation: 'read', run: verify } as const

export const verifyCommands: readonly Command[] = [
  { name: 'VERIFY(10)', opcode: 0x2f, usage: '2f 16 ffffffff 1f ffff 00', ...needs },
  { name: 'VERIFY(12)', opcode: 0xaf, usage: 'af 16 ffffffff ffffffff 1f 00', ...needs },
  { name: 'VERIFY(16)', opcode: 0x8f, usage: '8f 16 ffffffffffffffff ffffffff 1f 00', ...needs },
]
