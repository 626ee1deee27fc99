/** MS-DTYP 2.3.3: FILETIME, 100-nanosecond intervals since 1601-01-01 UTC, to and from nanoseconds since 1970. */

const UNIX_EPOCH_AS_FILETIME = 116_444_736_000_000_000n
const NANOSECONDS_PER_TICK = 100n
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** Nanoseconds since 1970 (negative before) as FILETIME; what lies before 1601 becomes 0. */
export function toFiletime(nanoseconds: bigint): bigint {
  const ticks = nanoseconds / NANOSECONDS_PER_TICK + UNIX_EPOCH_AS_FILETIME
  return ticks < 0n ? 0n : ticks
}

/** FILETIME as nanoseconds since 1970. */
export function fromFiletime(filetime: bigint): bigint {
  return (filetime - UNIX_EPOCH_AS_FILETIME) * NANOSECONDS_PER_TICK
}

/** Milliseconds since 1970 (Date.now()) as FILETIME. */
export function filetimeOfMilliseconds(milliseconds: number): bigint {
  return toFiletime(BigInt(Math.floor(milliseconds)) * NANOSECONDS_PER_MILLISECOND)
}
