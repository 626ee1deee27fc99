/** The RC4 stream cipher (as RFC 6229 tests it), which OpenSSL no longer offers; NTLM's key exchange and signatures need it. */

const STATE_BYTES = 256

/** One RC4 stream: each call of `update` goes on where the last one ended. */
export class Rc4 {
  readonly #state = Buffer.alloc(STATE_BYTES)
  #i = 0
  #j = 0

  /** @param key 1 to 256 bytes */
  constructor(key: Buffer) {
    const state = this.#state
    for (let index = 0; index < STATE_BYTES; index++) state[index] = index
    let j = 0
    for (let i = 0; i < STATE_BYTES; i++) {
      j = (j + state.readUInt8(i) + key.readUInt8(i % key.length)) % STATE_BYTES
      this.#swap(i, j)
    }
  }

  /** Encrypts or, the same thing, decrypts. */
  update(data: Buffer): Buffer {
    const state = this.#state
    const out = Buffer.alloc(data.length)
    for (let index = 0; index < data.length; index++) {
      this.#i = (this.#i + 1) % STATE_BYTES
      this.#j = (this.#j + state.readUInt8(this.#i)) % STATE_BYTES
      this.#swap(this.#i, this.#j)
      const at = (state.readUInt8(this.#i) + state.readUInt8(this.#j)) % STATE_BYTES
      out[index] = data.readUInt8(index) ^ state.readUInt8(at)
    }
    return out
  }

  #swap(a: number, b: number): void {
    const kept = this.#state.readUInt8(a)
    this.#state[a] = this.#state.readUInt8(b)
    this.#state[b] = kept
  }
}

/** RC4 of one message under a key used for nothing else: MS-NLMP's RC4K (6). */
export function rc4(key: Buffer, data: Buffer): Buffer {
  return new Rc4(key).update(data)
}
