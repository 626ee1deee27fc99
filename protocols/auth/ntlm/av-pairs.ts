/** MS-NLMP 2.2.2.1: AV_PAIR, the attributes that make up target information. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

export const AvId = {
  EOL: 0,
  NB_COMPUTER_NAME: 1,
  NB_DOMAIN_NAME: 2,
  DNS_COMPUTER_NAME: 3,
  DNS_DOMAIN_NAME: 4,
  DNS_TREE_NAME: 5,
  FLAGS: 6,
  TIMESTAMP: 7,
  SINGLE_HOST: 8,
  TARGET_NAME: 9,
  CHANNEL_BINDINGS: 10,
} as const

/** MsvAvFlags: the AUTHENTICATE_MESSAGE carries a MIC. */
export const AV_FLAG_MIC = 0x0000_0002

/** Id and value. */
export type AvPair = readonly [id: number, value: Buffer]

/** Pairs in one list: eleven ids are defined, and each stands at most once. */
const MAXIMUM_PAIRS = 64

/** The pairs up to MsvAvEOL; what follows that is passed over. @throws DecodeError when it is missing */
export function decodeAvPairs(bytes: Buffer): AvPair[] {
  const reader = new Reader(bytes)
  const pairs: AvPair[] = []
  for (;;) {
    const id = reader.u16()
    const value = reader.bytes(reader.u16())
    if (id === AvId.EOL) return pairs
    if (pairs.length === MAXIMUM_PAIRS) throw new DecodeError('too many attributes')
    pairs.push([id, value])
  }
}

/** The pairs, ended by MsvAvEOL. */
export function encodeAvPairs(pairs: readonly AvPair[]): Buffer {
  const writer = new Writer()
  for (const [id, value] of pairs) writer.u16(id).u16(value.length).bytes(value)
  return writer.u16(AvId.EOL).u16(0).finish()
}

/** The value of an attribute, if it is there. */
export function findAvPair(pairs: readonly AvPair[], id: number): Buffer | undefined {
  return pairs.find(([present]) => present === id)?.[1]
}

/** MsvAvFlags, 0 when absent. @throws DecodeError when it isn't 32 bits */
export function avFlags(pairs: readonly AvPair[]): number {
  const value = findAvPair(pairs, AvId.FLAGS)
  return value === undefined ? 0 : new Reader(value).u32()
}
