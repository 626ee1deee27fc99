/** Services for Macintosh names: characters that SMB forbids travel in the private range U+F001 to U+F029 and are stored as themselves. */

const PRIVATE_BASE = 0xf000
const LAST_CONTROL = 0x1f
const TRAILING_SPACE = '\uf028'
const TRAILING_PERIOD = '\uf029'

/** U+F020 onwards stand for these, in this order. */
const ILLEGAL = '"*:<>?\\|'
const FIRST_ILLEGAL = 0xf020

const PRIVATE = /[\uf001-\uf029]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is mapped
const NATIVE = /[\x01-\x1f"*:<>?\\|]/g

/**
 * The name on disk of a name that a client sent. Every character of the private range becomes the
 * one it stands for, the two for a trailing space and period also elsewhere. What results may be
 * '.' or '..', so it is this form that `componentError` judges.
 */
export function toNative(clientName: string): string {
  return clientName.replace(PRIVATE, (unit) => {
    if (unit === TRAILING_SPACE) return ' '
    if (unit === TRAILING_PERIOD) return '.'
    const offset = unit.charCodeAt(0) - PRIVATE_BASE
    if (offset <= LAST_CONTROL) return String.fromCharCode(offset)
    return ILLEGAL.charAt(unit.charCodeAt(0) - FIRST_ILLEGAL)
  })
}

/**
 * The name that clients see of a name on disk: `toNative` of it is the disk's, unless the disk's
 * has characters of the private range itself (written by a server that stores them as sent).
 * Such a name is found by comparing `toNative` of both.
 */
export function toClient(nativeName: string): string {
  if (nativeName === '.' || nativeName === '..') return nativeName
  const mapped = nativeName.replace(NATIVE, (unit) => {
    const illegal = ILLEGAL.indexOf(unit)
    return String.fromCharCode(illegal < 0 ? PRIVATE_BASE + unit.charCodeAt(0) : FIRST_ILLEGAL + illegal)
  })
  if (mapped.endsWith(' ')) return mapped.slice(0, -1) + TRAILING_SPACE
  if (mapped.endsWith('.')) return mapped.slice(0, -1) + TRAILING_PERIOD
  return mapped
}

const NATIVE_IN_STREAM = /[:\\]/g

const PRIVATE_IN_STREAM = /[\uf022\uf026]/g

/** The stored form of a stream's name, of which `streamToClient` makes what was sent: attributes of Macs have colons. */
export function streamToNative(sent: string): string {
  return sent.replace(PRIVATE_IN_STREAM, (unit) => toNative(unit))
}

/** What clients see of a stream's stored name: fewer characters are forbidden in these than in names of files. */
export function streamToClient(stored: string): string {
  return stored.replace(NATIVE_IN_STREAM, (unit) => toClient(unit))
}
