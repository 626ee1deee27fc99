/** A checked cursor over received bytes; offsets are relative to a base, so that a message inside a compound reads as one alone. */

import { DecodeError } from './errors.ts'

/**
 * Reads little-endian fields from a view of a buffer. Nothing is copied: `bytes`, `view` and
 * `sub` share memory with the buffer, so they are valid only as long as it is.
 *
 * `base` is where offsets in the message count from (for SMB2, the start of its 64-byte
 * header); `end` is the first byte that does not belong to it.
 */
export class Reader {
  readonly buffer: Buffer
  readonly base: number
  readonly end: number
  #position: number

  /** @throws DecodeError when base and end do not lie inside the buffer */
  constructor(buffer: Buffer, base = 0, end = buffer.length) {
    if (base < 0 || end > buffer.length || base > end) {
      throw new DecodeError(`range ${base}..${end} is outside a buffer of ${buffer.length} bytes`)
    }
    this.buffer = buffer
    this.base = base
    this.end = end
    this.#position = base
  }

  /** Position of the next field, in bytes from the base. */
  get offset(): number {
    return this.#position - this.base
  }

  /** Bytes left before the end. */
  get remaining(): number {
    return this.end - this.#position
  }

  /** Bytes between base and end. */
  get length(): number {
    return this.end - this.base
  }

  /** Moves to an offset from the base. @throws DecodeError when it lies outside */
  seek(offset: number): this {
    if (offset < 0 || this.base + offset > this.end) {
      throw new DecodeError(`offset ${offset} is outside ${this.length} bytes`)
    }
    this.#position = this.base + offset
    return this
  }

  /** Passes over reserved or uninteresting bytes. @throws DecodeError when they are not there */
  skip(count: number): this {
    this.#take(count)
    return this
  }

  u8(): number {
    return this.buffer.readUInt8(this.#take(1))
  }

  u16(): number {
    return this.buffer.readUInt16LE(this.#take(2))
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.#take(4))
  }

  i32(): number {
    return this.buffer.readInt32LE(this.#take(4))
  }

  /** An opaque 64-bit id: never rounded. */
  u64(): bigint {
    return this.buffer.readBigUInt64LE(this.#take(8))
  }

  i64(): bigint {
    return this.buffer.readBigInt64LE(this.#take(8))
  }

  /** A 64-bit size or file offset as a number. @throws DecodeError at 2^53 and above */
  size64(): number {
    const at = this.#take(8)
    const high = this.buffer.readUInt32LE(at + 4)
    if (high > 0x1fffff) throw new DecodeError('a 64-bit size is 2^53 or more')
    return high * 0x1_0000_0000 + this.buffer.readUInt32LE(at)
  }

  /** The next `count` bytes, as a view. */
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return this.buffer.subarray(at, at + count)
  }

  /** All bytes up to the end, as a view. */
  rest(): Buffer {
    return this.bytes(this.remaining)
  }

  /** A string of `byteLength` bytes in UTF-16LE. @throws DecodeError when that is odd */
  utf16(byteLength: number): string {
    if (byteLength % 2 !== 0) throw new DecodeError('a UTF-16 string has an odd length')
    const at = this.#take(byteLength)
    return this.buffer.toString('utf16le', at, at + byteLength)
  }

  /** The bytes at an offset from the base, as a view; the cursor stays. Length 0 is empty wherever the offset points. */
  view(offset: number, length: number): Buffer {
    if (length === 0) return this.buffer.subarray(this.base, this.base)
    const at = this.#check(offset, length)
    return this.buffer.subarray(at, at + length)
  }

  /** A reader whose base is at an offset from this one's base; the cursor stays. */
  sub(offset: number, length: number): Reader {
    if (length === 0) return new Reader(this.buffer, this.base, this.base)
    const at = this.#check(offset, length)
    return new Reader(this.buffer, at, at + length)
  }

  #check(offset: number, length: number): number {
    const at = this.base + offset
    if (offset < 0 || length < 0 || at + length > this.end) {
      throw new DecodeError(`${length} bytes at offset ${offset} are outside ${this.length} bytes`)
    }
    return at
  }

  #take(count: number): number {
    const at = this.#position
    if (count < 0 || at + count > this.end) {
      throw new DecodeError(`${count} bytes wanted, ${this.remaining} left`)
    }
    this.#position = at + count
    return at
  }
}
