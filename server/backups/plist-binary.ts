/** Property lists in Apple's binary form (bplist00): header, objects, table of their offsets, trailer. */

import { PLIST_DEPTH_MAXIMUM, PLIST_VALUES_MAXIMUM, PlistError, type PlistValue } from './plist-value.ts'

const HEADER_BYTES = 8
const TRAILER_BYTES = 32
/** Positions in the trailer. */
const OFFSET_SIZE_AT = 6
const REFERENCE_SIZE_AT = 7
const COUNT_AT = 8
const ROOT_AT = 16
const TABLE_AT = 24
/** Low half of a marker: the count follows as an integer object. */
const COUNT_FOLLOWS = 0xf
/** Dates count seconds from 2001-01-01 UTC. */
const EPOCH_MILLISECONDS = 978_307_200_000
const MILLISECONDS_PER_SECOND = 1000
const LARGEST_DATE_MILLISECONDS = 8.64e15

const Kind = {
  simple: 0x0,
  integer: 0x1,
  real: 0x2,
  date: 0x3,
  data: 0x4,
  ascii: 0x5,
  utf16: 0x6,
  uid: 0x8,
  array: 0xa,
  set: 0xc,
  dictionary: 0xd,
} as const

/** @throws PlistError */
export function readBinaryPlist(bytes: Buffer): PlistValue {
  if (bytes.length < HEADER_BYTES + TRAILER_BYTES) throw new PlistError('too short')
  return new BinaryReader(bytes).root()
}

class BinaryReader {
  readonly #bytes: Buffer
  readonly #end: number
  readonly #offsetBytes: number
  readonly #referenceBytes: number
  readonly #count: number
  readonly #root: number
  readonly #table: number
  /** Objects read: one that others refer to often costs as much as it is shown. */
  #values = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#end = bytes.length - TRAILER_BYTES
    this.#offsetBytes = bytes.readUInt8(this.#end + OFFSET_SIZE_AT)
    this.#referenceBytes = bytes.readUInt8(this.#end + REFERENCE_SIZE_AT)
    this.#count = this.#number(this.#end + COUNT_AT, 8, bytes.length)
    this.#root = this.#number(this.#end + ROOT_AT, 8, bytes.length)
    this.#table = this.#number(this.#end + TABLE_AT, 8, bytes.length)
    if (this.#table + this.#count * this.#offsetBytes > this.#end) throw new PlistError('table past the end')
  }

  root(): PlistValue {
    return this.#object(this.#root, 1)
  }

  #object(reference: number, depth: number): PlistValue {
    this.#values += 1
    if (this.#values > PLIST_VALUES_MAXIMUM || depth > PLIST_DEPTH_MAXIMUM) {
      throw new PlistError('too many values')
    }
    if (reference >= this.#count) throw new PlistError('no such object')
    const at = this.#number(this.#table + reference * this.#offsetBytes, this.#offsetBytes, this.#end)
    if (at < HEADER_BYTES) throw new PlistError('an object in the header')
    const marker = this.#slice(at, 1).readUInt8(0)
    const kind = marker >> 4
    const low = marker & 0xf
    if (kind === Kind.simple) return simple(low)
    if (kind === Kind.integer) return this.#integer(at + 1, 1 << low)
    if (kind === Kind.real) return this.#real(at + 1, 1 << low)
    if (kind === Kind.date) return dateOf(this.#real(at + 1, 1 << low))
    if (kind === Kind.uid) return this.#integer(at + 1, low + 1)
    const [count, start] = this.#counted(at + 1, low)
    return this.#container(kind, start, count, depth)
  }

  #container(kind: number, start: number, count: number, depth: number): PlistValue {
    switch (kind) {
      case Kind.data:
        return Buffer.from(this.#slice(start, count))
      case Kind.ascii:
        return this.#slice(start, count).toString('latin1')
      case Kind.utf16:
        return Buffer.from(this.#slice(start, count * 2))
          .swap16()
          .toString('utf16le')
      case Kind.array:
      case Kind.set:
        return this.#references(start, count).map((reference) => this.#object(reference, depth + 1))
      case Kind.dictionary:
        return this.#dictionary(start, count, depth)
      default:
        throw new PlistError(`marker ${kind} is no value`)
    }
  }

  #dictionary(start: number, count: number, depth: number): ReadonlyMap<string, PlistValue> {
    const keys = this.#references(start, count)
    const values = this.#references(start + count * this.#referenceBytes, count)
    const members = new Map<string, PlistValue>()
    keys.forEach((key, index) => {
      const name = this.#object(key, depth + 1)
      if (typeof name !== 'string') throw new PlistError('a key that is no string')
      members.set(name, this.#object(values[index] ?? this.#count, depth + 1))
    })
    return members
  }

  #references(start: number, count: number): number[] {
    this.#slice(start, count * this.#referenceBytes)
    return Array.from({ length: count }, (_, index) =>
      this.#number(start + index * this.#referenceBytes, this.#referenceBytes, this.#end),
    )
  }

  /** How many items, and where they begin. */
  #counted(at: number, low: number): [count: number, start: number] {
    if (low !== COUNT_FOLLOWS) return [low, at]
    const marker = this.#slice(at, 1).readUInt8(0)
    const size = 1 << (marker & 0xf)
    if (marker >> 4 !== Kind.integer) throw new PlistError('no count')
    return [this.#number(at + 1, size, this.#end), at + 1 + size]
  }

  #slice(start: number, length: number): Buffer {
    if (start + length > this.#end) throw new PlistError('past the end')
    return this.#bytes.subarray(start, start + length)
  }

  /** Big-endian; 8 bytes are signed, fewer not, 16 hold an unsigned one of 8. */
  #integer(at: number, size: number): bigint {
    const bytes = this.#slice(at, size)
    if (size === 16) return bytes.readBigUInt64BE(8)
    if (size === 8) return bytes.readBigInt64BE(0)
    if (size > 8) throw new PlistError('an integer of unusual size')
    return BigInt(bytes.length === 0 ? 0 : `0x${bytes.toString('hex')}`)
  }

  #real(at: number, size: number): number {
    const bytes = this.#slice(at, size)
    if (size === 4) return bytes.readFloatBE(0)
    if (size === 8) return bytes.readDoubleBE(0)
    throw new PlistError('a number of unusual size')
  }

  /** An unsigned number of the structure: a count, a reference, a position below `limit`. */
  #number(at: number, size: number, limit: number): number {
    if (size < 1 || size > 8 || at + size > this.#bytes.length) throw new PlistError('past the end')
    const value = Number(`0x${this.#bytes.toString('hex', at, at + size)}`)
    if (value >= limit) throw new PlistError('past the end')
    return value
  }
}

function simple(low: number): PlistValue {
  if (low === 8) return false
  if (low === 9) return true
  throw new PlistError('null is no value')
}

function dateOf(seconds: number): Date {
  const milliseconds = EPOCH_MILLISECONDS + seconds * MILLISECONDS_PER_SECOND
  if (!(Math.abs(milliseconds) < LARGEST_DATE_MILLISECONDS)) throw new PlistError('not a date')
  return new Date(milliseconds)
}
