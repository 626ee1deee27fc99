/** NIST SP 800-38D with OpenSSL's EVP calls, which node:crypto does not offer in place: the data stays where it is, nothing is allocated. */

import koffi from 'koffi'

/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const GET_TAG = 0x10
const SET_TAG = 0x11
const TAG_BYTES = 16
const AES_128_KEY_BYTES = 16

type Pointer = object | null
type Init = (context: Pointer, cipher: Pointer, engine: null, key: Buffer, nonce: Buffer) => number
type Update = (
  context: Pointer,
  out: Buffer | null,
  outLength: Int32Array,
  data: Buffer,
  length: number,
) => number
type Final = (context: Pointer, out: Buffer, outLength: Int32Array) => number

interface Evp {
  readonly context: Pointer
  readonly aes128: Pointer
  readonly aes256: Pointer
  readonly encryptInit: Init
  readonly encryptUpdate: Update
  readonly encryptFinal: Final
  readonly decryptInit: Init
  readonly decryptUpdate: Update
  readonly decryptFinal: Final
  readonly control: (context: Pointer, type: number, argument: number, data: Buffer) => number
}

/** OpenSSL is part of the node program or loaded beside it; where its calls cannot be found, node:crypto has to do. */
function load(): Evp | undefined {
  try {
    const library = koffi.load(null)
    const init = 'void* context, void* cipher, void* engine, const uint8_t* key, const uint8_t* nonce'
    const update = 'void* context, uint8_t* out, _Out_ int* outLength, const uint8_t* data, int length'
    const final = 'void* context, uint8_t* out, _Out_ int* outLength'
    return {
      context: library.func('void* EVP_CIPHER_CTX_new()')(),
      aes128: library.func('void* EVP_aes_128_gcm()')(),
      aes256: library.func('void* EVP_aes_256_gcm()')(),
      encryptInit: library.func(`int EVP_EncryptInit_ex(${init})`),
      encryptUpdate: library.func(`int EVP_EncryptUpdate(${update})`),
      encryptFinal: library.func(`int EVP_EncryptFinal_ex(${final})`),
      decryptInit: library.func(`int EVP_DecryptInit_ex(${init})`),
      decryptUpdate: library.func(`int EVP_DecryptUpdate(${update})`),
      decryptFinal: library.func(`int EVP_DecryptFinal_ex(${final})`),
      control: library.func('int EVP_CIPHER_CTX_ctrl(void* context, int type, int argument, uint8_t* data)'),
    }
  } catch {
    return undefined
  }
}

/** One context for all calls: each is over before the next begins. */
const evp = load()
const outLength = new Int32Array(1)
const NOTHING = Buffer.alloc(TAG_BYTES)

/** Whether `gcmEncrypt` and `gcmDecrypt` work here. */
export const HAS_EVP = evp !== undefined

function calls(): Evp {
  if (evp === undefined) throw new Error('OpenSSL was not found')
  return evp
}

function must(result: number, call: string): void {
  if (result !== 1) throw new Error(`${call} failed`)
}

/**
 * Encrypts chunks where they are.
 * @param nonce 12 bytes
 * @returns the tag, 16 bytes
 */
export function gcmEncrypt(key: Buffer, nonce: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  const { context, aes128, aes256, encryptInit, encryptUpdate, encryptFinal, control } = calls()
  const cipher = key.length === AES_128_KEY_BYTES ? aes128 : aes256
  must(encryptInit(context, cipher, null, key, nonce), 'EVP_EncryptInit_ex')
  must(encryptUpdate(context, null, outLength, aad, aad.length), 'EVP_EncryptUpdate')
  for (const chunk of chunks) {
    if (chunk.length > 0)
      must(encryptUpdate(context, chunk, outLength, chunk, chunk.length), 'EVP_EncryptUpdate')
  }
  must(encryptFinal(context, NOTHING, outLength), 'EVP_EncryptFinal_ex')
  const tag = Buffer.alloc(TAG_BYTES)
  must(control(context, GET_TAG, TAG_BYTES, tag), 'EVP_CIPHER_CTX_ctrl')
  return tag
}

/**
 * Decrypts a message where it is.
 * @param nonce 12 bytes
 * @param tag 16 bytes
 * @returns false when it is not what the key's owner encrypted; it must then not be looked at
 */
export function gcmDecrypt(key: Buffer, nonce: Buffer, aad: Buffer, message: Buffer, tag: Buffer): boolean {
  const { context, aes128, aes256, decryptInit, decryptUpdate, decryptFinal, control } = calls()
  const cipher = key.length === AES_128_KEY_BYTES ? aes128 : aes256
  must(decryptInit(context, cipher, null, key, nonce), 'EVP_DecryptInit_ex')
  must(decryptUpdate(context, null, outLength, aad, aad.length), 'EVP_DecryptUpdate')
  if (message.length > 0) {
    must(decryptUpdate(context, message, outLength, message, message.length), 'EVP_DecryptUpdate')
  }
  must(control(context, SET_TAG, TAG_BYTES, tag), 'EVP_CIPHER_CTX_ctrl')
  return decryptFinal(context, NOTHING, outLength) === 1
}
