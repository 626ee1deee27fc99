/** Apple's property lists, XML or binary, as far as Time Machine writes them into its bundles. */

import { readBinaryPlist } from './plist-binary.ts'
import type { PlistValue } from './plist-value.ts'
import { readXmlPlist } from './plist-xml.ts'

const BINARY_MAGIC = 'bplist00'

/** Reads a whole file. @throws PlistError for what is none, or more than a bundle's files ever hold */
export function readPlist(bytes: Buffer): PlistValue {
  return bytes.toString('latin1', 0, BINARY_MAGIC.length) === BINARY_MAGIC
    ? readBinaryPlist(bytes)
    : readXmlPlist(bytes)
}

/** The member of a dictionary; undefined when it is none, or has no such member. */
export function member(value: PlistValue | undefined, key: string): PlistValue | undefined {
  return value instanceof Map ? value.get(key) : undefined
}
