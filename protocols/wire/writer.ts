/** A growing buffer of little-endian fields in which offsets and lengths are filled in afterwards, so that no size is computed twice. */

const DEFAULT_CAPACITY_BYTES = 256

/** A place kept for a number that is known only later. */
export interface Slot {
  readonly at: number
  readonly width: 1 | 2 | 4 | 8
}

/**
 * Writes one message. `offset` and everything that is patched count from `base`, which
 * starts at 0 and can be moved with `rebase` (a member of a compound, a nested structure).
 */
export class Writer {
  #buffer: Buffer
  #length = 0
  #base = 0

  constructor(capacityBytes = DEFAULT_CAPACITY_BYTES) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes)
  }

  /** Bytes written so far, from the start of the buffer. */
  get length(): number {
    return this.#length
  }

  /** Position of the next byte, from the base. */
  get offset(): number {
    return this.#length - this.#base
  }

  /** Makes the current position, or the one given, the point that offsets count from. Returns the earlier base. */
  rebase(at = this.#length): number {
    const earlier = this.#base
    this.#base = at
    return earlier
  }

  u8(value: number): this {
    const at = this.#grow(1)
    this.#buffer[at] = value
    return this
  }

  u16(value: number): this {
    const at = this.#grow(2)
    this.#buffer.writeUInt16LE(value, at)
    return this
  }

  u32(value: number): this {
    const at = this.#grow(4)
    this.#buffer.writeUInt32LE(value >>> 0, at)
    return this
  }

  i32(value: number): this {
    const at = this.#grow(4)
    this.#buffer.writeInt32LE(value, at)
    return this
  }

  u64(value: bigint): this {
    const at = this.#grow(8)
    this.#buffer.writeBigUInt64LE(value, at)
    return this
  }

  i64(value: bigint): this {
    const at = this.#grow(8)
    this.#buffer.writeBigInt64LE(value, at)
    return this
  }

  /** A size or file offset below 2^53 as 64 bits. @throws RangeError when it is not a safe, non-negative integer */
  size64(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a size`)
    const at = this.#grow(8)
    this.#buffer.writeUInt32LE(value % 0x1_0000_0000, at)
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
    return this
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length)
    this.#buffer.set(value, at)
    return this
  }

  utf16(value: string): this {
    const at = this.#grow(value.length * 2)
    this.#buffer.write(value, at, 'utf16le')
    return this
  }

  zeros(count: number): this {
    const at = this.#grow(count)
    this.#buffer.fill(0, at, at + count)
    return this
  }

  /** Pads with zeros until the offset from the base is a multiple of `bytes`. */
  align(bytes: number): this {
    const over = this.offset % bytes
    return over === 0 ? this : this.zeros(bytes - over)
  }

  /** Keeps a place for a number, zero until it is patched. */
  reserve(width: Slot['width']): Slot {
    const at = this.#length
    this.zeros(width)
    return { at, width }
  }

  /** Fills a reserved place. @throws RangeError when the number does not fit */
  patch(slot: Slot, value: number): void {
    if (slot.width === 8) {
      this.#buffer.writeBigUInt64LE(BigInt(value), slot.at)
    } else {
      this.#buffer.writeUIntLE(value, slot.at, slot.width)
    }
  }

  /** Fills a reserved place with the current offset from the base. */
  patchOffset(slot: Slot): void {
    this.patch(slot, this.offset)
  }

  /** Runs `write` and fills `length` with the bytes it wrote; `offset`, where given, with where they began. An empty part has offset 0. */
  part(slots: { offset?: Slot; length: Slot }, write: () => void): void {
    const began = this.#length
    const beganOffset = this.offset
    write()
    const length = this.#length - began
    this.patch(slots.length, length)
    if (slots.offset !== undefined && length > 0) this.patch(slots.offset, beganOffset)
  }

  /** Drops everything written after `length` bytes from the start of the buffer. */
  truncate(length: number): void {
    if (length > this.#length) throw new RangeError('cannot truncate to more than was written')
    this.#length = length
  }

  /** What has been written, as a view; writing more may move it. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Makes room; call it before naming the buffer, which it may replace. */
  #grow(count: number): number {
    const at = this.#length
    const needed = at + count
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#length = needed
    return at
  }
}
