/** An extended attribute of our own: a ChangeTime (MS-FSCC 2.4.7) that a client set, which POSIX has no call for. */

import type { Nanoseconds } from '../file-system.ts'
import { OWN_PREFIX } from './reserved.ts'

export const CHANGE_TIME_XATTR = `${OWN_PREFIX}changetime`

/** MS-DTYP 2.3.3: times are kept as clients send them, which nanoseconds in 64 bits could not. */
const NANOSECONDS_PER_TICK = 100n
const VALUE_BYTES = 16

/**
 * Writing the attribute changes the file, and so the file system's own time of change, to an instant that is known only
 * afterwards. So the moment before is stored, and the attribute holds as long as the file system's time is this near to it.
 * Kernels take that time from a clock that ticks up to every 10 ms, hence the margin before.
 */
const MARGIN_BEFORE: Nanoseconds = 20_000_000n
const MARGIN_AFTER: Nanoseconds = 50_000_000n

/** Whether a file whose own time of change is `actual` has not been changed since `stamp`. */
export function isUnchangedSince(stamp: Nanoseconds, actual: Nanoseconds): boolean {
  return actual >= stamp - MARGIN_BEFORE && actual <= stamp + MARGIN_AFTER
}

export function encodeChangeTime(changeTime: Nanoseconds, stamp: Nanoseconds): Buffer {
  const value = Buffer.alloc(VALUE_BYTES)
  value.writeBigInt64LE(changeTime / NANOSECONDS_PER_TICK, 0)
  value.writeBigInt64LE(stamp / NANOSECONDS_PER_TICK, 8)
  return value
}

/** The stored time, unless the file was changed since or the value makes no sense. */
export function decodeChangeTime(value: Buffer, actual: Nanoseconds): Nanoseconds | undefined {
  if (value.length !== VALUE_BYTES) return undefined
  const stamp = value.readBigInt64LE(8) * NANOSECONDS_PER_TICK
  return isUnchangedSince(stamp, actual) ? value.readBigInt64LE(0) * NANOSECONDS_PER_TICK : undefined
}
