/** MS-SMB2 2.2.3.1.2 and 2.2.3.1.7: ciphers and signing algorithms, and the sizes of their keys and nonces. */

/** 2.2.3.1.2 */
export const Cipher = {
  aes128ccm: 0x0001,
  aes128gcm: 0x0002,
  aes256ccm: 0x0003,
  aes256gcm: 0x0004,
} as const

export type Cipher = (typeof Cipher)[keyof typeof Cipher]

/** 2.2.3.1.7 */
export const SigningAlgorithm = {
  hmacSha256: 0x0000,
  aesCmac: 0x0001,
  aesGmac: 0x0002,
} as const

export type SigningAlgorithm = (typeof SigningAlgorithm)[keyof typeof SigningAlgorithm]

const AES_128_KEY_BYTES = 16
const AES_256_KEY_BYTES = 32

/** Bytes of an encryption key. */
export function cipherKeyBytes(cipher: Cipher): number {
  const isAes256 = cipher === Cipher.aes256ccm || cipher === Cipher.aes256gcm
  return isAes256 ? AES_256_KEY_BYTES : AES_128_KEY_BYTES
}
