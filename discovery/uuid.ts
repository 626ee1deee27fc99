/** Name-based UUIDs, RFC 9562 5.5 (version 5): the same for the same server and name, without a file for each. */

import { createHash } from 'node:crypto'

const UUID_BYTES = 16
const VERSION_5 = 0x50
const VARIANT = 0x80

/**
 * @param namespace 16 bytes, the server's own
 * @returns lower case, `xxxxxxxx-xxxx-5xxx-xxxx-xxxxxxxxxxxx`
 */
export function nameUuid(namespace: Buffer, name: string): string {
  if (namespace.length !== UUID_BYTES) throw new RangeError('a namespace has 16 bytes')
  const bytes = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, UUID_BYTES)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | VERSION_5, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | VARIANT, 8)
  const hex = bytes.toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return parts.join('-')
}
