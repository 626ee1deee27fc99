/** MS-FSA 2.1.5.3, 2.1.5.4: which offsets and lengths can be a range of a file, and whether others have it locked. */

import type { Open } from '../state/open.ts'

/** Offsets are signed 64-bit numbers that must not overflow (MS-FSA 2.1.5.3). */
const MAXIMUM_FILE_OFFSET = 0x7fff_ffff_ffff_ffffn

/**
 * Whether a range on the wire can be one of a file. What lies between 2^53, the largest number
 * that is exact here, and 2^63 is past the end of every file there can be and is refused too.
 */
export function isFileRange(offset: bigint, length: number): boolean {
  const end = offset + BigInt(length)
  return end <= MAXIMUM_FILE_OFFSET && end <= BigInt(Number.MAX_SAFE_INTEGER)
}

/** SMB2 has no lock keys (MS-FSA 2.1.5.8 OpLockKey): an open owns its locks. */
export const NO_LOCK_KEY = 0

export function isLockedForRead({ file }: Open, offset: bigint, length: bigint): boolean {
  return file.node.locks.conflictsWithRead(file.shared, NO_LOCK_KEY, { offset, length })
}

export function isLockedForWrite({ file }: Open, offset: bigint, length: bigint): boolean {
  return file.node.locks.conflictsWithWrite(file.shared, NO_LOCK_KEY, { offset, length })
}
