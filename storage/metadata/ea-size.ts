/** MS-FSCC 2.4.12 FileEaInformation: the size of a file's extended attributes, counted as FILE_FULL_EA_INFORMATION (2.4.15). */

import type { ExtendedAttribute } from '../file-system.ts'

/** NextEntryOffset, Flags, EaNameLength, EaValueLength, and the NUL after the name. */
const ENTRY_OVERHEAD_BYTES = 4 + 1 + 1 + 2 + 1
const ENTRY_ALIGNMENT = 4

/**
 * Bytes of the list that reports these attributes, each entry but the last padded to four; 0 when
 * there are none.
 */
export function extendedAttributesSize(attributes: readonly ExtendedAttribute[]): number {
  return attributes.reduce((size, { name, value }) => {
    const aligned = Math.ceil(size / ENTRY_ALIGNMENT) * ENTRY_ALIGNMENT
    return aligned + ENTRY_OVERHEAD_BYTES + Buffer.byteLength(name, 'latin1') + value.length
  }, 0)
}
