/** NIST SP 800-38D: AES-GCM and GMAC on OpenSSL's own calls, where the data lies. */

import { type EvpContext, lazyContext } from './evp.ts'

/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const GET_TAG = 0x10
const SET_TAG = 0x11
const TAG_BYTES = 16
const AES_128_KEY_BYTES = 16

const encrypt128 = lazyContext('aes_128_gcm')
const encrypt256 = lazyContext('aes_256_gcm')
const decrypt128 = lazyContext('aes_128_gcm', 'Decrypt')
const decrypt256 = lazyContext('aes_256_gcm', 'Decrypt')

/**
 * Encrypts chunks where they are.
 * @param key 16 or 32 bytes
 * @param nonce 12 bytes
 * @returns the tag, 16 bytes
 * @throws Error without OpenSSL, see HAS_EVP; so do the others here
 */
export function gcmEncrypt(key: Buffer, nonce: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  const context = key.length === AES_128_KEY_BYTES ? encrypt128() : encrypt256()
  context.begin(key, nonce)
  context.update(null, aad)
  for (const chunk of chunks) if (chunk.length > 0) context.update(chunk, chunk)
  return tagOf(context)
}

/**
 * Decrypts a message where it is.
 * @param key 16 or 32 bytes
 * @param nonce 12 bytes
 * @param tag 16 bytes
 * @returns false when it is not what the key's owner encrypted; it must then not be looked at
 */
export function gcmDecrypt(key: Buffer, nonce: Buffer, aad: Buffer, message: Buffer, tag: Buffer): boolean {
  const context = key.length === AES_128_KEY_BYTES ? decrypt128() : decrypt256()
  context.begin(key, nonce)
  context.update(null, aad)
  if (message.length > 0) context.update(message, message)
  context.control(SET_TAG, tag)
  return context.final()
}

/** AES-128-GCM of nothing, with the message as the additional data. @param nonce 12 bytes @returns 16 bytes */
export function gmac(key: Buffer, nonce: Buffer, chunks: readonly Buffer[]): Buffer {
  const context = encrypt128()
  context.begin(key, nonce)
  for (const chunk of chunks) if (chunk.length > 0) context.update(null, chunk)
  return tagOf(context)
}

function tagOf(context: EvpContext): Buffer {
  if (!context.final()) throw new Error('OpenSSL: Final failed')
  const tag = Buffer.allocUnsafe(TAG_BYTES)
  context.control(GET_TAG, tag)
  return tag
}
