/** C706 chapter 14: NDR transfer syntax, little-endian: the parts that the served interfaces use. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

const LONG_ALIGNMENT_BYTES = 4
const FIRST_REFERENT = 0x0002_0000
const REFERENT_STEP = 4

/** Reads the parameters of a request. Every method throws DecodeError when the stub is too short or malformed. */
export class NdrReader {
  readonly #reader: Reader

  constructor(stub: Buffer) {
    this.#reader = new Reader(stub)
  }

  u32(): number {
    const over = this.#reader.offset % LONG_ALIGNMENT_BYTES
    if (over !== 0) this.#reader.skip(LONG_ALIGNMENT_BYTES - over)
    return this.#reader.u32()
  }

  /** 14.3.10: the referent id of a unique pointer; whether there is a referent. */
  pointer(): boolean {
    return this.u32() !== 0
  }

  /** 14.3.4: a conformant varying string, up to its terminator. */
  string(): string {
    const maximumCount = this.u32()
    const offset = this.u32()
    const actualCount = this.u32()
    if (offset !== 0 || actualCount > maximumCount) throw new DecodeError('a string outside its array')
    const text = this.#reader.utf16(actualCount * 2)
    const terminator = text.indexOf('\0')
    return terminator < 0 ? text : text.slice(0, terminator)
  }

  /** A unique pointer to a string, as a parameter. */
  uniqueString(): string | undefined {
    return this.pointer() ? this.string() : undefined
  }

  /** A unique pointer to a number, as a parameter. */
  uniqueU32(): number | undefined {
    return this.pointer() ? this.u32() : undefined
  }
}

/** Writes the results of a procedure. */
export class NdrWriter {
  readonly #writer = new Writer()
  #deferred: (() => void)[] = []
  #nextReferent = FIRST_REFERENT

  u32(value: number): this {
    this.#writer.align(LONG_ALIGNMENT_BYTES).u32(value)
    return this
  }

  /**
   * Writes one parameter, or one referent: first what `write` writes, then (14.3.12.3) the referents of the pointers
   * embedded in it, in order, each with its own referents behind it.
   */
  construct(write: () => void): this {
    const outer = this.#deferred
    this.#deferred = []
    write()
    const referents = this.#deferred
    this.#deferred = outer
    for (const referent of referents) this.construct(referent)
    return this
  }

  /** An embedded unique pointer; its referent is written at the end of the construct around it. NULL without one. */
  pointer(referent?: () => void): this {
    if (referent === undefined) return this.u32(0)
    this.u32(this.#nextReferent)
    this.#nextReferent += REFERENT_STEP
    this.#deferred.push(referent)
    return this
  }

  /** An embedded pointer to a string. */
  stringPointer(text: string | undefined): this {
    return this.pointer(text === undefined ? undefined : () => this.string(text))
  }

  /** A conformant varying string with its terminator. */
  string(text: string): this {
    return this.u32(text.length + 1).varyingString(text)
  }

  /** The same without the maximum count: an array's element. */
  varyingString(text: string): this {
    this.u32(0).u32(text.length + 1)
    this.#writer.utf16(text).u16(0)
    return this
  }

  /** A conformant array of bytes. */
  byteArray(bytes: Buffer): this {
    this.u32(bytes.length)
    this.#writer.bytes(bytes)
    return this
  }

  /** A unique pointer to a number, as a parameter. */
  uniqueU32(value: number | undefined): this {
    return this.construct(() => this.pointer(value === undefined ? undefined : () => this.u32(value)))
  }

  finish(): Buffer {
    return this.#writer.finish()
  }
}
