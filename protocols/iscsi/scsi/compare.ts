/** SBC-3 5.3: where two runs of bytes differ. */

/** The first byte that differs, counted from the beginning; undefined when they are equal as far as the shorter goes. */
export function firstDifference(one: Buffer, other: Buffer): number | undefined {
  const length = Math.min(one.length, other.length)
  if (one.compare(other, 0, length, 0, length) === 0) return undefined
  for (let i = 0; i < length; i++) if (one[i] !== other[i]) return i
  return undefined
}
