/** ITU-T X.690: the few kinds of DER element that SPNEGO tokens are made of. */

import { DecodeError } from '../wire/errors.ts'

/** Identifier octets; none of more than one octet occurs. */
export const Tag = {
  OCTET_STRING: 0x04,
  OBJECT_IDENTIFIER: 0x06,
  ENUMERATED: 0x0a,
  GENERAL_STRING: 0x1b,
  SEQUENCE: 0x30,
  /** [APPLICATION 0], constructed. */
  APPLICATION_0: 0x60,
} as const

const MULTI_OCTET_TAG = 0x1f
const LONG_FORM = 0x80
const MAXIMUM_LENGTH_OCTETS = 4

/** [number], constructed. */
export function contextTag(number: number): number {
  return 0xa0 | number
}

export interface DerElement {
  readonly tag: number
  readonly content: Buffer
  /** The element as received, identifier and length included. */
  readonly encoded: Buffer
}

/**
 * Reads elements one after the other. Lengths must be definite and lie inside; a length in
 * more octets than needed is let through, since nothing here depends on an encoding's being the only one.
 */
export class DerReader {
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#position === this.#bytes.length
  }

  /** The next element, of any kind. @throws DecodeError when it is not whole */
  next(): DerElement {
    const began = this.#position
    const tag = this.#octet()
    if ((tag & MULTI_OCTET_TAG) === MULTI_OCTET_TAG) throw new DecodeError('a DER tag of several octets')
    const length = this.#length()
    if (length > this.#bytes.length - this.#position) throw new DecodeError('a DER element is cut short')
    const content = this.#bytes.subarray(this.#position, this.#position + length)
    this.#position += length
    return { tag, content, encoded: this.#bytes.subarray(began, this.#position) }
  }

  /** The next element, which must be of one kind. @throws DecodeError when it is another or not whole */
  expect(tag: number): DerElement {
    const element = this.next()
    if (element.tag !== tag) {
      throw new DecodeError(`DER tag ${element.tag.toString(16)} where ${tag.toString(16)} belongs`)
    }
    return element
  }

  /** The next element if it is of one kind. */
  optional(tag: number): DerElement | undefined {
    return this.#bytes[this.#position] === tag ? this.next() : undefined
  }

  /** @throws DecodeError when there is more */
  end(): void {
    if (!this.atEnd) throw new DecodeError('bytes after a DER element')
  }

  #octet(): number {
    const octet = this.#bytes[this.#position]
    if (octet === undefined) throw new DecodeError('a DER element is cut short')
    this.#position++
    return octet
  }

  #length(): number {
    const first = this.#octet()
    if (first < LONG_FORM) return first
    const octets = first - LONG_FORM
    if (octets === 0 || octets > MAXIMUM_LENGTH_OCTETS)
      throw new DecodeError(`a DER length of ${octets} octets`)
    let length = 0
    for (let index = 0; index < octets; index++) length = length * 256 + this.#octet()
    return length
  }
}

/** An element with the contents joined. */
export function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content])
}

function encodeLength(length: number): Buffer {
  if (length < LONG_FORM) return Buffer.from([length])
  const octets: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256)
  return Buffer.from([LONG_FORM | octets.length, ...octets])
}
