/** SBC-4 4.29: atomic writes: all of it is there or nothing, also when the power fails amid it. */

import type { BlockDevice } from '../../../storage/block-device.ts'
import type { LogicalUnit } from './logical-unit.ts'

/** What a write that the power must not tear changes. */
export interface UndoRecord {
  /** First byte on the disk. */
  readonly offset: number
  readonly before: Buffer
  readonly after: Buffer
}

/** Keeps one record over a power cut, apart from the disk. */
export interface UndoLog {
  /** Resolves when the record is on the disk, instead of an older one. */
  keep(record: UndoRecord): Promise<void>
  /** Resolves when no power cut brings the record back. */
  forget(): Promise<void>
  close(): Promise<void>
}

/** Disks below tear no less than this. */
const SECTOR_BYTES = 512

/**
 * What was there is noted before anything is written, and forgotten when all is on the disk, so that `mendTornWrite` can
 * bring it back. The caller holds the range until this returns: a newer write must not meet an older note.
 *
 * @param before room for what was there
 */
export async function writeAtomically(
  unit: LogicalUnit,
  log: UndoLog,
  offset: number,
  after: Buffer,
  before: Buffer,
): Promise<void> {
  const release = await unit.undoTurn.acquire(0, 1, true)
  try {
    await unit.device.read(before, offset)
    await log.keep({ offset, before, after })
    try {
      await unit.write([after], offset)
      await unit.sync()
    } catch (error) {
      await bringBack(unit, log, offset, before)
      throw error
    }
    await log.forget()
  } finally {
    release()
  }
}

/**
 * A disk that takes not even what was there stays torn, as the failed command says. While it cannot be synced the note stays:
 * none of what is written then is acknowledged as being on it.
 */
async function bringBack(unit: LogicalUnit, log: UndoLog, offset: number, before: Buffer): Promise<void> {
  try {
    await unit.write([before], offset)
  } finally {
    await unit.sync()
    await log.forget()
  }
}

/**
 * Looks for what a power cut has left of an atomic write.
 *
 * @returns `whole`: all of it, or nothing; `undone`: it was torn, and what was there before is there again; `foreign`: somebody
 *   else wrote there meanwhile, so nothing was touched
 */
export async function mendTornWrite(
  device: BlockDevice,
  { offset, before, after }: UndoRecord,
): Promise<'whole' | 'undone' | 'foreign'> {
  if (offset + before.length > device.size || before.length !== after.length) return 'foreign'
  const now = Buffer.alloc(before.length)
  await device.read(now, offset)
  if (now.equals(before) || now.equals(after)) return 'whole'
  for (let at = 0; at < now.length; at += SECTOR_BYTES) {
    const end = at + SECTOR_BYTES
    const sector = now.subarray(at, end)
    if (!sector.equals(before.subarray(at, end)) && !sector.equals(after.subarray(at, end))) return 'foreign'
  }
  await device.write([before], offset)
  await device.sync()
  return 'undone'
}
