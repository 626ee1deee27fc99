/** C706 chapter 14: NDR transfer syntax, little-endian: the parts that the served interfaces use. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { decodeSid, encodeSid, type Sid, sidBytes } from '../fscc/sid.ts'
import { CONTEXT_HANDLE_BYTES } from './context-handles.ts'

const SHORT_ALIGNMENT_BYTES = 2
const LONG_ALIGNMENT_BYTES = 4
const FIRST_REFERENT = 0x0002_0000
const REFERENT_STEP = 4
/** Length and MaximumLength. */
const UNICODE_STRING_LENGTHS_BYTES = 4
/** A SID without sub-authorities. */
const EMPTY_SID_BYTES = 8

/** Reads the parameters of a request. Every method throws DecodeError when the stub is too short or malformed. */
export class NdrReader {
  readonly #reader: Reader

  constructor(stub: Buffer) {
    this.#reader = new Reader(stub)
  }

  /** Also an enumeration (14.2.5). */
  u16(): number {
    this.#align(SHORT_ALIGNMENT_BYTES)
    return this.#reader.u16()
  }

  u32(): number {
    this.#align(LONG_ALIGNMENT_BYTES)
    return this.#reader.u32()
  }

  #align(bytes: number): void {
    const over = this.#reader.offset % bytes
    if (over !== 0) this.#reader.skip(bytes - over)
  }

  /** 14.3.3.2: the maximum count of a conformant array of `count` elements. @throws DecodeError unless they agree */
  conformance(count: number): void {
    if (this.u32() !== count) throw new DecodeError(`an array that does not have ${count} elements`)
  }

  contextHandle(): Buffer {
    this.#align(LONG_ALIGNMENT_BYTES)
    return this.#reader.bytes(CONTEXT_HANDLE_BYTES)
  }

  /** MS-DTYP 2.3.10 RPC_UNICODE_STRING: whether its text follows as `string` behind the structures. */
  unicodeString(): boolean {
    this.#align(LONG_ALIGNMENT_BYTES)
    this.#reader.skip(UNICODE_STRING_LENGTHS_BYTES)
    return this.pointer()
  }

  /** MS-DTYP 2.4.2.3 RPC_SID. */
  sid(): Sid {
    const subAuthorities = this.u32()
    const sid = decodeSid(this.#reader)
    if (sidBytes(sid) !== EMPTY_SID_BYTES + subAuthorities * LONG_ALIGNMENT_BYTES) {
      throw new DecodeError('a SID of another length than its array')
    }
    return sid
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

  /** Also an enumeration (14.2.5). */
  u16(value: number): this {
    this.#writer.align(SHORT_ALIGNMENT_BYTES).u16(value)
    return this
  }

  u32(value: number): this {
    this.#writer.align(LONG_ALIGNMENT_BYTES).u32(value)
    return this
  }

  /** Fixed bytes that are aligned as a long is: a context handle, a UUID. */
  aligned(bytes: Buffer): this {
    this.#writer.align(LONG_ALIGNMENT_BYTES).bytes(bytes)
    return this
  }

  /** MS-DTYP 2.3.10 RPC_UNICODE_STRING, embedded, without a terminator. */
  unicodeString(text: string): this {
    this.#writer
      .align(LONG_ALIGNMENT_BYTES)
      .u16(text.length * 2)
      .u16(text.length * 2)
    return this.pointer(() => {
      this.u32(text.length).u32(0).u32(text.length)
      this.#writer.utf16(text)
    })
  }

  /** An embedded pointer to an RPC_SID (MS-DTYP 2.4.2.3). */
  sidPointer(sid: Sid | undefined): this {
    if (sid === undefined) return this.pointer()
    return this.pointer(() => {
      this.u32((sidBytes(sid) - EMPTY_SID_BYTES) / LONG_ALIGNMENT_BYTES)
      encodeSid(this.#writer, sid)
    })
  }

  /** An embedded pointer to a conformant array. */
  arrayPointer<T>(elements: readonly T[], write: (element: T) => void): this {
    return this.pointer(() => {
      this.u32(elements.length)
      for (const element of elements) write(element)
    })
  }

  /**
   * Writes one parameter, or one referent: first what `write` writes, then (14.3.12.3) the referents of the pointers
   * embedded in it, in order, each with its own referents behind it.
   */
  construct(write: () => unknown): this {
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

  /**
   * A unique pointer to a non-encapsulated union (14.3.8), as a parameter, NULL without `arm`. Its discriminant is a
   * short, behind which every arm is aligned as the widest of them, a long.
   */
  uniqueUnion(discriminant: number, arm: (() => void) | undefined): this {
    return this.construct(() => {
      if (arm === undefined) return this.pointer()
      return this.pointer(() => {
        this.u32(discriminant)
        arm()
      })
    })
  }

  /** A unique pointer to a number, as a parameter. */
  uniqueU32(value: number | undefined): this {
    return this.construct(() => this.pointer(value === undefined ? undefined : () => this.u32(value)))
  }

  finish(): Buffer {
    return this.#writer.finish()
  }
}
