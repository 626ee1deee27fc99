/** RFC 1320: the MD4 digest, which OpenSSL no longer offers; only NTLM's password hash needs it. */

const BLOCK_BYTES = 64
const WORDS_PER_BLOCK = 16
const LENGTH_FIELD_BYTES = 8
const PADDING_START = 0x80

interface Round {
  /** Auxiliary function F, G or H (3.4). */
  readonly mix: (x: number, y: number, z: number) => number
  readonly constant: number
  /** Order in which the block's words are used. */
  readonly words: readonly number[]
  readonly shifts: readonly [number, number, number, number]
}

const ROUNDS: readonly Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    constant: 0,
    words: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    constant: 0x5a82_7999,
    words: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    constant: 0x6ed9_eba1,
    words: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
]

type State = readonly [number, number, number, number]

const INITIAL_STATE: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]

/** The 16-byte MD4 digest of a message. */
export function md4(message: Buffer): Buffer {
  const padded = pad(message)
  let state = INITIAL_STATE
  for (let at = 0; at < padded.length; at += BLOCK_BYTES) {
    state = addBlock(state, padded.subarray(at, at + BLOCK_BYTES))
  }
  const digest = Buffer.alloc(16)
  state.forEach((word, index) => {
    digest.writeUInt32LE(word >>> 0, index * 4)
  })
  return digest
}

/** 3.1 and 3.2 */
function pad(message: Buffer): Buffer {
  const blocks = Math.ceil((message.length + 1 + LENGTH_FIELD_BYTES) / BLOCK_BYTES)
  const padded = Buffer.alloc(blocks * BLOCK_BYTES)
  message.copy(padded)
  padded[message.length] = PADDING_START
  padded.writeBigUInt64LE(BigInt(message.length) * 8n, padded.length - LENGTH_FIELD_BYTES)
  return padded
}

/** 3.4 */
function addBlock(state: State, block: Buffer): State {
  let [a, b, c, d] = state
  for (const { mix, constant, words, shifts } of ROUNDS) {
    for (let step = 0; step < WORDS_PER_BLOCK; step++) {
      const word = block.readUInt32LE((words[step] ?? 0) * 4)
      const sum = (a + mix(b, c, d) + word + constant) | 0
      const shift = shifts[step % 4] ?? 0
      a = d
      d = c
      c = b
      b = (sum << shift) | (sum >>> (32 - shift))
    }
  }
  return [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0]
}
