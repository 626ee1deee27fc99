/** SPC-4 3.6: fields of several bytes are big-endian; tables of fields for fixed structures. */

import { Layout } from 'buffer-layout'

const U64_BYTES = 8

class U64BE extends Layout<bigint> {
  constructor(property?: string) {
    super(U64_BYTES, property)
  }

  override decode(buffer: Uint8Array, offset = 0): bigint {
    return view(buffer).getBigUint64(offset)
  }

  override encode(value: bigint, buffer: Uint8Array, offset = 0): number {
    view(buffer).setBigUint64(offset, value)
    return U64_BYTES
  }
}

function view(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** An unsigned integer of 64 bits, as a bigint. */
export function u64be(property?: string): Layout<bigint> {
  return new U64BE(property)
}

/** A structure's bytes. Fields that are missing are zero. */
export function encode<T>(layout: Layout<T>, value: T): Buffer {
  const bytes = Buffer.alloc(layout.span)
  layout.encode(value, bytes)
  return bytes
}

const TWO_TO_32 = 0x1_0000_0000

/** 64 bits as a number: exact below 2^53, and above that still above every disk's size. */
export function readLength64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32BE(offset) * TWO_TO_32 + bytes.readUInt32BE(offset + 4)
}

/** ASCII, left-aligned, padded with blanks (SPC-4 4.3.1). */
export function padded(text: string, length: number): Buffer {
  return Buffer.from(text.slice(0, length).padEnd(length, ' '), 'latin1')
}

/** Chunks cut to `length` bytes, as views. */
export function cut(chunks: readonly Buffer[], length: number): Buffer[] {
  const views: Buffer[] = []
  let rest = length
  for (const chunk of chunks) {
    if (rest <= 0) break
    views.push(chunk.length <= rest ? chunk : chunk.subarray(0, rest))
    rest -= chunk.length
  }
  return views
}

/** Bytes of chunks together. */
export function lengthOf(chunks: readonly Buffer[]): number {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return length
}

/** One buffer of the chunks; a copy only when there are several. */
export function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
}
