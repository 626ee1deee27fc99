/** MS-SMB2 3.1.4: OpenSSL's EVP calls, which sign and encrypt where the data lies; node:crypto gives all back in fresh buffers. */

import koffi from 'koffi'

/** Ciphers as openssl/evp.h names them, behind `EVP_`. */
export type EvpCipher =
  | 'aes_128_gcm'
  | 'aes_256_gcm'
  | 'aes_128_cbc'
  | 'aes_256_cbc'
  | 'aes_128_ctr'
  | 'aes_256_ctr'

type Direction = 'Encrypt' | 'Decrypt'
/** Of C; null is a null pointer. */
type Pointer = object | null
type Init = (
  context: Pointer,
  cipher: Pointer,
  engine: null,
  key: Buffer | null,
  nonce: Buffer | null,
) => number
type Update = (
  context: Pointer,
  out: Buffer | null,
  written: Int32Array,
  data: Buffer,
  size: number,
) => number
type Final = (context: Pointer, out: Buffer, written: Int32Array) => number

const NO_OUTPUT_BYTES = 16
const NO_OUTPUT = Buffer.alloc(NO_OUTPUT_BYTES)
/** Where each call says how many bytes it wrote. */
const written = new Int32Array(1)

/** OpenSSL is part of the node program or loaded beside it; where its calls cannot be found, node:crypto has to do. */
function load() {
  try {
    const library = koffi.load(null)
    const init = 'void* context, void* cipher, void* engine, const uint8_t* key, const uint8_t* nonce'
    const update = 'void* context, uint8_t* out, _Out_ int* written, const uint8_t* data, int size'
    const final = 'void* context, uint8_t* out, _Out_ int* written'
    const calls = (direction: Direction) => ({
      init: library.func(`int EVP_${direction}Init_ex(${init})`) as Init,
      update: library.func(`int EVP_${direction}Update(${update})`) as Update,
      final: library.func(`int EVP_${direction}Final_ex(${final})`) as Final,
    })
    return {
      Encrypt: calls('Encrypt'),
      Decrypt: calls('Decrypt'),
      newContext: library.func('void* EVP_CIPHER_CTX_new()') as () => Pointer,
      cipher: (name: EvpCipher) => library.func(`void* EVP_${name}()`)() as Pointer,
      setPadding: library.func('int EVP_CIPHER_CTX_set_padding(void* context, int padding)'),
      control: library.func('int EVP_CIPHER_CTX_ctrl(void* context, int type, int argument, uint8_t* data)'),
    }
  } catch {
    return undefined
  }
}

const evp = load()

/** Whether an `EvpContext` can be made. */
export const HAS_EVP = evp !== undefined

function must(result: number, call: string): void {
  if (result !== 1) throw new Error(`OpenSSL: ${call} failed`)
}

/** What works on one message after the other, each begun by `begin` and over before the next. It is never freed: keep it. */
export class EvpContext {
  readonly #context: Pointer
  readonly #init: Init
  readonly #update: Update
  readonly #final: Final
  readonly #control: (context: Pointer, type: number, argument: number, data: Buffer) => number

  /** @throws Error without OpenSSL, see HAS_EVP */
  constructor(cipher: EvpCipher, direction: Direction = 'Encrypt') {
    if (evp === undefined) throw new Error('OpenSSL was not found')
    const { init, update, final } = evp[direction]
    this.#context = evp.newContext()
    this.#init = init
    this.#update = update
    this.#final = final
    this.#control = evp.control
    must(init(this.#context, evp.cipher(cipher), null, null, null), 'Init')
    must(evp.setPadding(this.#context, 0), 'set_padding')
  }

  /** @param nonce or the initialization vector, as long as the cipher has it */
  begin(key: Buffer, nonce: Buffer): void {
    must(this.#init(this.#context, null, null, key, nonce), 'Init')
  }

  /**
   * @param out where the result goes, which may be where the data are; it has room for a block more. null: the data are
   *   authenticated only
   * @returns bytes written: whole blocks, of what has come so far
   */
  update(out: Buffer | null, data: Buffer): number {
    must(this.#update(this.#context, out, written, data, data.length), 'Update')
    return written[0] as number
  }

  /** Ends a message. @returns false when it is not authentic */
  final(): boolean {
    return this.#final(this.#context, NO_OUTPUT, written) === 1
  }

  /** EVP_CTRL_ of openssl/evp.h. */
  control(type: number, data: Buffer): void {
    must(this.#control(this.#context, type, data.length, data), 'ctrl')
  }
}

/** A context that is made when it is first needed. */
export function lazyContext(cipher: EvpCipher, direction: Direction = 'Encrypt'): () => EvpContext {
  let context: EvpContext | undefined
  return () => (context ??= new EvpContext(cipher, direction))
}
