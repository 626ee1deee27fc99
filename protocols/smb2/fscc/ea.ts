/** MS-FSCC 2.4.16: FileFullEaInformation and FILE_GET_EA_INFORMATION, lists of extended attributes. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

/** FILE_NEED_EA: who does not understand the EA must not open the file. */
export const FILE_NEED_EA = 0x80

/** One FILE_FULL_EA_INFORMATION; an empty value on SET removes the attribute. */
export interface FullEa {
  readonly flags: number
  /** 1 to 254 single-byte characters. */
  readonly name: string
  readonly value: Buffer
}

const ENTRY_ALIGNMENT_BYTES = 4
const FULL_EA_FIXED_BYTES = 8
/** More than this in one request is refused; Windows allows 64 KiB of EAs a file. */
const MAXIMUM_ENTRIES = 4096
const MAXIMUM_NAME_BYTES = 254
// Characters besides the control characters that MS-FSCC 2.4.16 forbids in EaName.
const INVALID_NAME_CHARACTERS = '"*+,/:;<=>?[\\]|'

/** Whether a name may be stored (otherwise STATUS_INVALID_EA_NAME). */
export function isValidEaName(name: string): boolean {
  if (name.length === 0 || name.length > MAXIMUM_NAME_BYTES) return false
  for (const character of name) {
    if (character < ' ' || INVALID_NAME_CHARACTERS.includes(character)) return false
  }
  return true
}

/** Values are views of the buffer. @throws DecodeError for a broken chain (STATUS_EA_LIST_INCONSISTENT) */
export function decodeFullEaList(buffer: Buffer): FullEa[] {
  return decodeChain(buffer, (reader) => {
    const flags = reader.u8()
    const nameLength = reader.u8()
    const valueLength = reader.u16()
    const name = eaName(reader, nameLength)
    return { flags, name, value: reader.bytes(valueLength) }
  })
}

/** 2.4.16.1: the names of a FILE_GET_EA_INFORMATION list. @throws DecodeError for a broken chain */
export function decodeGetEaList(buffer: Buffer): string[] {
  return decodeChain(buffer, (reader) => eaName(reader, reader.u8()))
}

function decodeChain<T>(buffer: Buffer, decode: (entry: Reader) => T): T[] {
  const entries: T[] = []
  let start = 0
  for (;;) {
    const entry = new Reader(buffer, start)
    const nextEntryOffset = entry.u32()
    entries.push(decode(entry))
    if (nextEntryOffset === 0) return entries
    if (nextEntryOffset < entry.offset || nextEntryOffset % ENTRY_ALIGNMENT_BYTES !== 0) {
      throw new DecodeError('an EA entry points into itself')
    }
    if (entries.length === MAXIMUM_ENTRIES) throw new DecodeError(`more than ${MAXIMUM_ENTRIES} EAs`)
    start += nextEntryOffset
  }
}

function eaName(reader: Reader, length: number): string {
  const name = reader.bytes(length).toString('latin1')
  if (reader.u8() !== 0) throw new DecodeError('an EA name without its terminator')
  return name
}

/**
 * Writes entries until the next would pass `limitBytes`. `count` is how many were written: fewer than given is
 * STATUS_BUFFER_OVERFLOW, none of several STATUS_BUFFER_TOO_SMALL.
 */
export function encodeFullEaList(
  eas: readonly FullEa[],
  limitBytes = Number.POSITIVE_INFINITY,
): { readonly bytes: Buffer; readonly count: number } {
  const writer = new Writer()
  let last: ReturnType<Writer['reserve']> | undefined
  let count = 0
  for (const ea of eas) {
    const before = writer.length
    writer.align(ENTRY_ALIGNMENT_BYTES)
    const start = writer.length
    if (start + fullEaBytes(ea) > limitBytes) {
      writer.truncate(before)
      break
    }
    if (last !== undefined) writer.patch(last, start - last.at)
    last = writer.reserve(4)
    writer.u8(ea.flags).u8(ea.name.length).u16(ea.value.length)
    writer.bytes(Buffer.from(ea.name, 'latin1')).u8(0).bytes(ea.value)
    count++
  }
  return { bytes: writer.finish(), count }
}

/** EaSize as FileEaInformation reports it: bytes of the list, 0 when there are no EAs. */
export function eaListBytes(eas: readonly FullEa[]): number {
  let total = 0
  for (const ea of eas) {
    total += (ENTRY_ALIGNMENT_BYTES - (total % ENTRY_ALIGNMENT_BYTES)) % ENTRY_ALIGNMENT_BYTES
    total += fullEaBytes(ea)
  }
  return total
}

function fullEaBytes(ea: FullEa): number {
  return FULL_EA_FIXED_BYTES + ea.name.length + 1 + ea.value.length
}

/** The attributes that a get list names, in its order; a name that is not there has an empty value. */
export function selectEas(eas: readonly FullEa[], names: readonly string[]): FullEa[] {
  const byName = new Map(eas.map((ea) => [ea.name.toUpperCase(), ea]))
  return names.map(
    (name) =>
      byName.get(name.toUpperCase()) ?? {
        flags: 0,
        name,
        value: Buffer.alloc(0),
      },
  )
}
