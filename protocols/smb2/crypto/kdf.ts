/** MS-SMB2 3.1.4.2: the key derivation of NIST SP800-108 section 5.1, counter mode with HMAC-SHA256. */

import { createHmac } from 'node:crypto'

const BITS_PER_BYTE = 8
/** One HMAC-SHA256 block, so that the counter never gets beyond 1. */
const MAXIMUM_KEY_BYTES = 32

/**
 * Derives a key. `label` and `context` are taken as they are: where MS-SMB2 wants them ended
 * with a zero byte, the caller writes it.
 * @param bytes length of the key, 1 to 32
 * @throws RangeError for another length
 */
export function deriveKey(key: Buffer, label: Buffer, context: Buffer, bytes: number): Buffer {
  if (bytes < 1 || bytes > MAXIMUM_KEY_BYTES) throw new RangeError(`a key of ${bytes} bytes`)
  // "r" is 32: counter i and length L are 32 bits, big-endian.
  const counter = Buffer.from([0, 0, 0, 1])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes * BITS_PER_BYTE)
  return createHmac('sha256', key)
    .update(counter)
    .update(label)
    .update(Buffer.alloc(1))
    .update(context)
    .update(length)
    .digest()
    .subarray(0, bytes)
}
