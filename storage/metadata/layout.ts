/** Layouts that buffer-layout lacks: 64-bit integers that are not rounded (its nu64 goes through a double). */

import { Layout } from 'buffer-layout'

const U64_BYTES = 8

class U64 extends Layout<bigint> {
  constructor(property?: string) {
    super(U64_BYTES, property)
  }

  override decode(buffer: Uint8Array, offset = 0): bigint {
    return view(buffer).getBigUint64(offset, true)
  }

  override encode(value: bigint, buffer: Uint8Array, offset = 0): number {
    view(buffer).setBigUint64(offset, value, true)
    return U64_BYTES
  }
}

function view(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** A little-endian unsigned integer of 64 bits, as a bigint. */
export function u64(property?: string): Layout<bigint> {
  return new U64(property)
}
