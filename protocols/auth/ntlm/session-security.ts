/** MS-NLMP 3.4: signing and sealing keys, and the signature of a context's first message, which is all that SPNEGO asks for. */

import { createHash, createHmac } from 'node:crypto'
import { rc4 } from '../rc4.ts'
import { hasFlags, NegotiateFlag } from './flags.ts'

export type Sender = 'client' | 'server'

const SIGNATURE_VERSION = Buffer.from([1, 0, 0, 0])
const FIRST_SEQUENCE_NUMBER = Buffer.alloc(4)
const CHECKSUM_BYTES = 8
/** Bytes of the session key that go into a sealing key without NEGOTIATE_128. */
const SEAL_KEY_56_BYTES = 7
const SEAL_KEY_40_BYTES = 5

const DIRECTION = { client: 'client-to-server', server: 'server-to-client' } as const

/** 3.4.5.2: SIGNKEY, with extended session security. */
export function signKey(exportedSessionKey: Buffer, sender: Sender): Buffer {
  return magicMd5(exportedSessionKey, `session key to ${DIRECTION[sender]} signing key magic constant\0`)
}

/** 3.4.5.3: SEALKEY, with extended session security. */
export function sealKey(flags: number, exportedSessionKey: Buffer, sender: Sender): Buffer {
  const strength = hasFlags(flags, NegotiateFlag.NEGOTIATE_128)
    ? exportedSessionKey.length
    : hasFlags(flags, NegotiateFlag.NEGOTIATE_56)
      ? SEAL_KEY_56_BYTES
      : SEAL_KEY_40_BYTES
  const key = exportedSessionKey.subarray(0, strength)
  return magicMd5(key, `session key to ${DIRECTION[sender]} sealing key magic constant\0`)
}

/**
 * 3.4.4.2: NTLMSSP_MESSAGE_SIGNATURE, 16 bytes, of the first message that a side signs.
 * Only for contexts with extended session security.
 */
export function signFirstMessage(
  flags: number,
  exportedSessionKey: Buffer,
  sender: Sender,
  message: Buffer,
): Buffer {
  const checksum = createHmac('md5', signKey(exportedSessionKey, sender))
    .update(FIRST_SEQUENCE_NUMBER)
    .update(message)
    .digest()
    .subarray(0, CHECKSUM_BYTES)
  const sealed = hasFlags(flags, NegotiateFlag.KEY_EXCHANGE)
    ? rc4(sealKey(flags, exportedSessionKey, sender), checksum)
    : checksum
  return Buffer.concat([SIGNATURE_VERSION, sealed, FIRST_SEQUENCE_NUMBER])
}

function magicMd5(key: Buffer, magic: string): Buffer {
  return createHash('md5').update(key).update(magic, 'latin1').digest()
}
