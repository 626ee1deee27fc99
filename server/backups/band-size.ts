/** The size of a sparse bundle's bands, by the Info.plist that macOS keeps beside them. */

import { member, readPlist } from './plist.ts'
import { PlistError } from './plist-value.ts'

/** @returns bytes, whatever was written there; undefined for what is no property list, yet or at all, and for one without that number */
export function bandSizeOf(info: Buffer): number | undefined {
  try {
    const size = member(readPlist(info), 'band-size')
    return typeof size === 'bigint' ? Number(size) : undefined
  } catch (error) {
    if (error instanceof PlistError) return undefined
    throw error
  }
}
