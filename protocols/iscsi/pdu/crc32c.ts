/** RFC 7143 13.1: CRC32C, by eight tables, so that eight bytes are taken at a time. */

/** Castagnoli's polynomial, its bits reversed. */
const POLYNOMIAL = 0x82f63b78
const SLICES = 8
const ENTRIES = 256

const TABLES: readonly Int32Array[] = makeTables()

function makeTables(): Int32Array[] {
  const first = Int32Array.from({ length: ENTRIES }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL
    return crc
  })
  const tables = [first]
  for (let slice = 1; slice < SLICES; slice++) {
    const before = tables[slice - 1] as Int32Array
    tables.push(before.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number)))
  }
  return tables
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
]

/**
 * @param earlier what was returned for the bytes before, where a digest is made of several buffers
 * @returns 32 bits, unsigned
 */
export function crc32c(bytes: Uint8Array, earlier = 0): number {
  let crc = ~earlier
  const { length } = bytes
  const whole = length - (length % SLICES)
  let at = 0
  // Asserted instead of checked: indices are in range by the loop, and this is the hottest loop of a digest.
  for (; at < whole; at += SLICES) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (T7[low & 0xff] as number) ^
      (T6[(low >>> 8) & 0xff] as number) ^
      (T5[(low >>> 16) & 0xff] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number)
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ (T0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}

/** As a digest stands on the wire: least significant byte first. */
export function digestOf(chunks: readonly Uint8Array[]): Buffer {
  let crc = 0
  for (const chunk of chunks) crc = crc32c(chunk, crc)
  const digest = Buffer.allocUnsafe(4)
  digest.writeUInt32LE(crc)
  return digest
}
