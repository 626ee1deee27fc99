/** RFC 7143 6.1: text as pairs of keys and values. */

import { DecodeError } from '../../wire/errors.ts'

export type TextKey = readonly [key: string, value: string]

const MAXIMUM_KEY_BYTES = 63
/** Room for a CHAP challenge of 1024 bytes in hexadecimal, and for lists; names are shorter. */
const MAXIMUM_VALUE_BYTES = 8192
const MAXIMUM_KEYS = 64
const NUL = 0
const EQUALS = '='

/**
 * @param text a whole text, without what C bits have cut apart
 * @throws DecodeError when it is no list of pairs, or has more than anybody needs
 */
export function decodeTextKeys(text: Buffer): TextKey[] {
  if (text.length === 0) return []
  if (text[text.length - 1] !== NUL) throw new DecodeError('a text does not end with NUL')
  const pairs: TextKey[] = []
  for (const pair of text.toString('utf8', 0, text.length - 1).split('\0')) {
    // Some initiators pad text with NULs.
    if (pair === '') continue
    const at = pair.indexOf(EQUALS)
    if (at < 1) throw new DecodeError('a text has no key=value')
    const key = pair.slice(0, at)
    const value = pair.slice(at + 1)
    if (key.length > MAXIMUM_KEY_BYTES) throw new DecodeError('a key is too long')
    if (value.length > MAXIMUM_VALUE_BYTES) throw new DecodeError(`the value of ${key} is too long`)
    if (pairs.length === MAXIMUM_KEYS) throw new DecodeError('a text has too many keys')
    pairs.push([key, value])
  }
  return pairs
}

export function encodeTextKeys(pairs: readonly TextKey[]): Buffer {
  return Buffer.from(pairs.map(([key, value]) => `${key}${EQUALS}${value}\0`).join(''))
}
