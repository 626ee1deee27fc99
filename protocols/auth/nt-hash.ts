/** MS-NLMP 3.3.1: NTOWFv1, the hash of a password that is stored in its place. */

import { md4 } from './md4.ts'

export const NT_HASH_BYTES = 16

/** MD4 of the password in UTF-16LE: 16 bytes, as good as the password to whoever has them. */
export function ntHash(password: string): Buffer {
  return md4(Buffer.from(password, 'utf16le'))
}
