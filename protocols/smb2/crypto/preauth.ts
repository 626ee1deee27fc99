/** MS-SMB2 3.3.5.4 and 3.3.5.5: the preauthentication integrity hash, a SHA-512 chain over the messages up to the session's keys. */

import { createHash } from 'node:crypto'

const SHA_512_BYTES = 64

/** The value before the first message. Never written to. */
export const INITIAL_PREAUTH_HASH: Buffer = Buffer.alloc(SHA_512_BYTES)

/** The hash after one more message, given as the chunks it is sent or was received in, header included. */
export function updatePreauthHash(hash: Buffer, chunks: readonly Buffer[]): Buffer {
  const sha512 = createHash('sha512').update(hash)
  for (const chunk of chunks) sha512.update(chunk)
  return sha512.digest()
}
