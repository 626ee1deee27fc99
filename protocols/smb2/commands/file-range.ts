/** MS-FSA 2.1.5.3, 2.1.5.4: which offsets and lengths can be a range of a file, and whether others have it locked. */

import type { Open } from '../state/open.ts'

/** Offsets are signed 64-bit numbers that must not overflow (MS-FSA 2.1.5.3). */
const MAXIMUM_OFFSET = 0x7fff_ffff_ffff_ffffn
/** MAXFILESIZE of MS-FSA 2.1.5.4: what NTFS can hold, 16 TiB less 64 KiB. */
export const MAXIMUM_FILE_BYTES = 0xfff_ffff_0000

/** Whether a range on the wire can be one of a file at all; one beyond any file's end can. */
export function isFileRange(offset: bigint, length: number): boolean {
  return offset + BigInt(length) <= MAXIMUM_OFFSET
}

/** Whether a file can have bytes there. */
export function fitsInFile(offset: bigint, length: number): boolean {
  return offset + BigInt(length) <= BigInt(MAXIMUM_FILE_BYTES)
}

/** SMB2 has no lock keys (MS-FSA 2.1.5.8 OpLockKey): an open owns its locks. */
export const NO_LOCK_KEY = 0

export function isLockedForRead({ file }: Open, offset: bigint, length: bigint): boolean {
  return file.node.locks.conflictsWithRead(file.shared, NO_LOCK_KEY, { offset, length })
}

export function isLockedForWrite({ file }: Open, offset: bigint, length: bigint): boolean {
  return file.node.locks.conflictsWithWrite(file.shared, NO_LOCK_KEY, { offset, length })
}
