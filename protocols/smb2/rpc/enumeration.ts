/** MS-SRVS 2.2.4 and 3.1.4: what the enumerating procedures of srvsvc have in common. */

import { DecodeError } from '../../wire/errors.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'
import { Win32Error } from './status.ts'

/** Encodes the fixed part of one entry; its strings go through `stringPointer`. */
export type EncodeEntry<T> = (output: NdrWriter, entry: T) => void

/** The information levels of a procedure. */
export type Levels<T> = ReadonlyMap<number, EncodeEntry<T>>

/** Info structure, PreferedMaximumLength and ResumeHandle, which end the parameters of every enumeration. */
export interface EnumerationRequest {
  readonly level: number
  /** The level has an arm in the union, that is, a pointer stands in request and response. */
  readonly known: boolean
  readonly preferredMaximumBytes: number
  readonly resumeHandle: number | undefined
}

/** More entries than this are never put in one answer. */
const MAXIMUM_ENTRIES = 4096
/** About what an entry takes beside its strings; only used to heed PreferedMaximumLength. */
const ESTIMATED_ENTRY_BYTES = 256

/** @throws DecodeError also when a client sends entries of its own */
export function decodeEnumeration(input: NdrReader, unionLevels: ReadonlySet<number>): EnumerationRequest {
  const level = input.u32()
  if (input.u32() !== level) throw new DecodeError('a union whose level differs')
  const known = unionLevels.has(level)
  if (known && input.pointer()) {
    input.u32()
    if (input.pointer() && input.u32() !== 0) throw new DecodeError('entries in an enumeration request')
  }
  return { level, known, preferredMaximumBytes: input.u32(), resumeHandle: input.uniqueU32() }
}

/**
 * Writes Info structure, TotalEntries, ResumeHandle and return value. A client that gave a resume handle gets at most
 * about PreferedMaximumLength bytes, MORE_DATA and the handle to go on with; one that gave none gets all.
 */
export function encodeEnumeration<T>(
  output: NdrWriter,
  request: EnumerationRequest,
  encode: EncodeEntry<T>,
  entries: readonly T[],
): void {
  const resume = request.resumeHandle
  const start = Math.min(resume ?? 0, entries.length)
  const fitting =
    resume === undefined ? MAXIMUM_ENTRIES : Math.floor(request.preferredMaximumBytes / ESTIMATED_ENTRY_BYTES)
  const page = entries.slice(start, start + Math.min(MAXIMUM_ENTRIES, Math.max(1, fitting)))
  const complete = start + page.length === entries.length
  container(output, request, () => {
    output.u32(page.length).arrayPointer(page, (entry) => encode(output, entry))
  })
  output.u32(entries.length - start)
  const next = complete ? 0 : start + page.length
  output.uniqueU32(resume === undefined ? undefined : next)
  output.u32(complete ? Win32Error.SUCCESS : Win32Error.MORE_DATA)
}

/** The same for a failure: no entries. */
export function encodeEnumerationError(output: NdrWriter, request: EnumerationRequest, error: number): void {
  container(output, request, () => output.u32(0).pointer())
  output.u32(0).uniqueU32(request.resumeHandle).u32(error)
}

function container(output: NdrWriter, request: EnumerationRequest, write: () => void): void {
  output.construct(() => {
    output.u32(request.level).u32(request.level)
    if (request.known) output.pointer(write)
  })
}

/**
 * The union of a GetInfo procedure: the level, a pointer for a level that has an arm, and what it points to when there
 * is something to tell.
 */
export function encodeInformation(
  output: NdrWriter,
  level: number,
  hasArm: boolean,
  write?: () => void,
): void {
  output.construct(() => {
    output.u32(level)
    if (hasArm) output.pointer(write)
  })
}
