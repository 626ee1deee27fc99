/** MS-FSCC 2.1.5.2.1: 8.3 names, and a short name for every long one, computed from it alone, so that nothing need be stored. */

import { normalKey } from './fold.ts'

const MAXIMUM_EXTENSION = 3
/** Letters, digits and the marks that MS-FSCC 2.1.5.2.1 allows; case does not count. */
const ALLOWED = "A-Z0-9$%'\\-_@~`!(){}^#&"
const SHORT_NAME = new RegExp(`^[${ALLOWED}]{1,8}(\\.[${ALLOWED}]{1,3})?$`, 'i')
const NOT_ALLOWED = new RegExp(`[^${ALLOWED}]`, 'g')

/** A generated name: one character of the long one, '~', the hash, and the extension. */
const HASH_DIGITS = 6
const HASH_RADIX = 36
const HASH_VALUES = HASH_RADIX ** HASH_DIGITS
const GENERATED = new RegExp(`^[${ALLOWED}]~[0-9A-Z]{${HASH_DIGITS}}(\\.[${ALLOWED}]{1,3})?$`, 'i')

/** Whether a name is an 8.3 name, in whatever case, and so needs no other. */
export function isShortName(name: string): boolean {
  return SHORT_NAME.test(name)
}

/**
 * Whether a name could have come from `shortNameOf` a long one: only then is it worth searching a
 * directory for it.
 */
export function looksGenerated(name: string): boolean {
  return GENERATED.test(name)
}

/**
 * The 8.3 name of any name: itself in upper case when it is one, otherwise a generated one.
 * Names that differ only in case or Unicode form share it; others collide once in 2^31.
 */
export function shortNameOf(name: string): string {
  if (isShortName(name)) return name.toUpperCase()
  const key = normalKey(name)
  const extensionAt = key.lastIndexOf('.')
  const hasExtension = extensionAt > 0
  const base = hasExtension ? key.slice(0, extensionAt) : key
  const extension = hasExtension
    ? key
        .slice(extensionAt + 1)
        .replace(NOT_ALLOWED, '')
        .slice(0, MAXIMUM_EXTENSION)
    : ''
  const first = base.replace(NOT_ALLOWED, '').slice(0, 1) || '_'
  const digits = hash(key).toString(HASH_RADIX).toUpperCase().padStart(HASH_DIGITS, '0')
  return `${first}~${digits}${extension === '' ? '' : `.${extension}`}`
}

/**
 * FNV-1a over the UTF-16 units with the finalizer of MurmurHash3, since neighbouring names must not be
 * neighbours here.
 */
function hash(key: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < key.length; at++) value = Math.imul(value ^ key.charCodeAt(at), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return ((value ^ (value >>> 16)) >>> 0) % HASH_VALUES
}
