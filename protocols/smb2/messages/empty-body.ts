/** MS-SMB2 2.2.7 and others: the four-byte body of messages that say nothing but their command. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { readStructureSize } from './structure.ts'

/** A message without fields. */
export type EmptyBody = Readonly<Record<string, never>>

const STRUCTURE_SIZE = 4
export const EMPTY_BODY: EmptyBody = {}

export function decodeEmptyBody(reader: Reader): EmptyBody {
  readStructureSize(reader, STRUCTURE_SIZE)
  reader.skip(2)
  return EMPTY_BODY
}

export function encodeEmptyBody(writer: Writer, _m: EmptyBody = EMPTY_BODY): void {
  writer.u16(STRUCTURE_SIZE).u16(0)
}
