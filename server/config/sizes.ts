/** Sizes in the configuration: `500G`, `1TiB`, bytes. One letter counts as in smb.conf, by 1024. */

const KIBI = 1024
const KILO = 1000
const LETTERS = 'KMGTPE'
const PATTERN = /^(\d+)\s*(?:([KMGTPE])(i?B)?|B)?$/i

/** What a size may look like, for messages. */
export const SIZE_FORMS =
  'use bytes or a size such as "500G", "1TiB" (powers of 1024) or "2TB" (powers of 1000)'

/**
 * Reads a size in bytes: a whole number, or digits with K, M, G, T, P, E (powers of 1024, as in
 * smb.conf), KiB ... EiB (the same) or KB ... EB (powers of 1000); case does not matter.
 *
 * @returns bytes, 0 to 2^53 - 1; undefined for anything else
 */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = PATTERN.exec(value.trim())
  if (!match) return undefined
  const [, digits, letter, suffix] = match
  const base = suffix?.toLowerCase() === 'b' ? KILO : KIBI
  const exponent = letter === undefined ? 0 : LETTERS.indexOf(letter.toUpperCase()) + 1
  const bytes = Number(digits) * base ** exponent
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Writes bytes for people: `10 GiB`, `1.5 TiB`, `512 B`. */
export function formatSize(bytes: number): string {
  if (bytes < KIBI) return `${bytes} B`
  const exponent = Math.min(Math.floor(Math.log2(bytes) / 10), LETTERS.length)
  const amount = bytes / KIBI ** exponent
  const digits = amount < 10 && !Number.isInteger(amount) ? 1 : 0
  return `${amount.toFixed(digits)} ${LETTERS.charAt(exponent - 1)}iB`
}
