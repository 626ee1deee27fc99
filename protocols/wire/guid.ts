/** MS-DTYP 2.3.4: GUIDs, 16 bytes whose first three fields are little-endian, and their text form. */

import { DecodeError } from './errors.ts'

export const GUID_BYTES = 16

/** 16 bytes as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. @throws DecodeError for another length */
export function formatGuid(bytes: Buffer): string {
  if (bytes.length !== GUID_BYTES) throw new DecodeError('a GUID has 16 bytes')
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  return [
    hex(bytes.readUInt32LE(0), 8),
    hex(bytes.readUInt16LE(4), 4),
    hex(bytes.readUInt16LE(6), 4),
    bytes.toString('hex', 8, 10),
    bytes.toString('hex', 10, 16),
  ].join('-')
}

/** The text form as 16 bytes. @throws DecodeError when it is not a GUID */
export function parseGuid(text: string): Buffer {
  const hex = text.replaceAll('-', '')
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw new DecodeError(`"${text}" is not a GUID`)
  const bytes = Buffer.from(hex, 'hex')
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}
