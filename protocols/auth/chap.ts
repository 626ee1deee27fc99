/** RFC 1994 4.1 and RFC 7143 12.1.3: CHAP as iSCSI uses it: the answer to a challenge, and binary values in text. */

import { createHash, timingSafeEqual } from 'node:crypto'

/** Numbers of IANA's registry of PPP authentication algorithms. */
const HASHES: ReadonlyMap<number, { readonly name: string; readonly bytes: number }> = new Map([
  [5, { name: 'md5', bytes: 16 }],
  [6, { name: 'sha1', bytes: 20 }],
  [7, { name: 'sha256', bytes: 32 }],
])

/** What a target and its initiators know. */
export interface ChapCredentials {
  readonly user: string
  readonly secret: Buffer
  /** How the target shows that it is itself; undefined: it does not. */
  readonly mutual: { readonly user: string; readonly secret: Buffer } | undefined
}

export function knowsChapAlgorithm(algorithm: number): boolean {
  return HASHES.has(algorithm)
}

/** Length of an answer, and of the challenges that we make, in bytes. @param algorithm one that is known */
export function chapBytes(algorithm: number): number {
  return HASHES.get(algorithm)?.bytes ?? 0
}

/** @param algorithm one that is known @param identifier 0 to 255 */
export function chapResponse(
  algorithm: number,
  identifier: number,
  secret: Buffer,
  challenge: Buffer,
): Buffer {
  const hash = HASHES.get(algorithm)
  if (hash === undefined) throw new RangeError(`CHAP algorithm ${algorithm} is not known`)
  return createHash(hash.name).update(Buffer.of(identifier)).update(secret).update(challenge).digest()
}

/** In a time that tells nothing of where they differ. */
export function sameBytes(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

const HEXADECIMAL = /^0[xX]((?:[0-9a-fA-F]{2})+)$/
const BASE64 = /^0[bB]((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/

/** RFC 7143 6.1, a binary value. @returns undefined when it is none */
export function decodeBinaryValue(text: string): Buffer | undefined {
  const hexadecimal = HEXADECIMAL.exec(text)?.[1]
  if (hexadecimal !== undefined) return Buffer.from(hexadecimal, 'hex')
  const base64 = BASE64.exec(text)?.[1]
  return base64 === undefined || base64 === '' ? undefined : Buffer.from(base64, 'base64')
}

export function encodeBinaryValue(bytes: Buffer): string {
  return `0x${bytes.toString('hex')}`
}
