/** What a property list can hold. */

export type PlistValue =
  | string
  | bigint
  | number
  | boolean
  | Date
  | Buffer
  | readonly PlistValue[]
  | ReadonlyMap<string, PlistValue>

/** What is not a property list, or is too much. */
export class PlistError extends Error {
  override readonly name = 'PlistError'
}

/** Bounds of one file: a history of ten years has some 500 entries of 4 values. */
export const PLIST_DEPTH_MAXIMUM = 16
export const PLIST_VALUES_MAXIMUM = 65_536
