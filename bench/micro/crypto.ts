/** MS-SMB2 3.1.4: what it costs to sign, to verify, to encrypt and to decrypt messages of three sizes. */

import { Cipher, cipherKeyBytes, SigningAlgorithm } from '../../protocols/smb2/crypto/algorithms.ts'
import { decrypt, encrypt } from '../../protocols/smb2/crypto/encryption.ts'
import { sign, verify } from '../../protocols/smb2/crypto/signing.ts'
import { TRANSFORM_HEADER_BYTES } from '../../protocols/smb2/messages/transform-header.ts'
import { type Micro, type MicroSize, type MicroSubject, must } from './micro.ts'

const KIBIBYTE = 1024
const SIZES: readonly (readonly [label: string, bytes: number])[] = [
  ['1 KiB', KIBIBYTE],
  ['64 KiB', 64 * KIBIBYTE],
  ['1 MiB', KIBIBYTE ** 2],
]
const SIGNING_KEY = Buffer.alloc(16, 'signing')

export const cryptoMicros: readonly Micro[] = [
  signing('HMAC', SigningAlgorithm.hmacSha256),
  signing('CMAC', SigningAlgorithm.aesCmac),
  signing('GMAC', SigningAlgorithm.aesGmac),
  encryption('AES-128-GCM', Cipher.aes128gcm),
  encryption('AES-256-GCM', Cipher.aes256gcm),
  encryption('AES-128-CCM', Cipher.aes128ccm),
]

function signing(name: string, algorithm: SigningAlgorithm): Micro {
  const key = { algorithm, key: SIGNING_KEY }
  return perByte(`sign ${name}`, (bytes) => {
    const message = [Buffer.alloc(bytes, 'message')]
    return {
      call: () => sign(key, message),
      check: () => {
        sign(key, message)
        must(verify(key, message), `${name}: the signature is wrong`)
      },
    }
  })
}

function encryption(name: string, cipher: Cipher): Micro {
  const key = Buffer.alloc(cipherKeyBytes(cipher), 'key')
  return perByte(`encrypt ${name}`, (bytes) => {
    // Always the same nonce, which is no harm to a message that nobody gets.
    const header = Buffer.alloc(TRANSFORM_HEADER_BYTES)
    const message = Buffer.alloc(bytes, 'message')
    return {
      call: () => void encrypt(cipher, key, header, [message]),
      check: () => {
        const clear = Buffer.from(message)
        encrypt(cipher, key, header, [message])
        const back = decrypt(cipher, key, header, Buffer.from(message))
        must(back?.equals(clear) === true, `${name}: other bytes come back`)
      },
    }
  })
}

/** The cost of a message grows with it: what is shown is the rate. */
function perByte(name: string, prepare: (bytes: number) => MicroSubject): Micro {
  const sizes: MicroSize[] = SIZES.map(([label, bytes]) => ({ label, bytes, prepare: () => prepare(bytes) }))
  return { name, isFlat: false, sizes }
}
