/** MS-FSCC 2.1.5: which names of components and streams a client may use. */

import type { StorageErrorCode } from '../errors.ts'
import { toNative } from './sfm.ts'

/** MS-FSCC 2.1.5.2: "a pathname component is at most 255 characters", in UTF-16 units. */
export const MAXIMUM_NAME_UNITS = 255
/** NAME_MAX of Linux file systems, in bytes of UTF-8. */
export const MAXIMUM_NAME_BYTES = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: MS-FSCC 2.1.5.2 forbids 0x00 to 0x1F
const FORBIDDEN_IN_COMPONENT = /[\x00-\x1f"*:<>?/\\|]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: MS-FSCC 2.1.5.3 forbids NUL, the slashes and the colon
const FORBIDDEN_IN_STREAM = /[\x00:/\\]/
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/**
 * Why a component of a path cannot be used, or undefined when it can. Windows also keeps clients
 * from names that end in a space or a period; they are let through, since Macs and Linux have such
 * files, and their clients send the private characters of `sfm.ts` for them.
 */
export function componentError(name: string): StorageErrorCode | undefined {
  if (name === '' || FORBIDDEN_IN_COMPONENT.test(name) || LONE_SURROGATE.test(name)) return 'name-invalid'
  if (name.length > MAXIMUM_NAME_UNITS) return 'name-too-long'
  const native = toNative(name)
  // U+F029 stands for a period: a name of such must not become the directory above.
  if (native === '.' || native === '..') return 'name-invalid'
  return Buffer.byteLength(native) > MAXIMUM_NAME_BYTES ? 'name-too-long' : undefined
}

/** Why a stream's name (without ':' and type) cannot be used, or undefined when it can. */
export function streamNameError(name: string): StorageErrorCode | undefined {
  if (name === '' || FORBIDDEN_IN_STREAM.test(name) || LONE_SURROGATE.test(name)) return 'name-invalid'
  return name.length > MAXIMUM_NAME_UNITS ? 'name-too-long' : undefined
}
