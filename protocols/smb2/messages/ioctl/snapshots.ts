/** MS-SMB2 2.2.32.2: SRV_SNAPSHOT_ARRAY, the reply to FSCTL_SRV_ENUMERATE_SNAPSHOTS. */

import { DecodeError } from '../../../wire/errors.ts'
import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'
import { checkCount } from '../structure.ts'

export interface SrvSnapshotArray {
  /** How many there are; more than `snapshots` when the client's buffer was too small for them. */
  numberOfSnapShots: number
  /** Tokens `@GMT-YYYY.MM.DD-HH.MM.SS` in UTC: all, or none when they did not fit. */
  snapshots: readonly string[]
  /** Bytes that all of them take. */
  snapShotArraySize: number
}

/** Snapshots that one array can name. */
export const MAX_SNAPSHOTS = 65_536
/** 3.3.5.15.1: a smaller output buffer is STATUS_INVALID_PARAMETER. */
export const MIN_SNAPSHOT_OUTPUT_BYTES = 16
const FIXED_BYTES = 12
/** 24 characters and a NUL. */
const TOKEN_BYTES = 50
const TERMINATOR_BYTES = 2

const TOKEN = /^@GMT-(\d{4})\.(\d\d)\.(\d\d)-(\d\d)\.(\d\d)\.(\d\d)$/i

/** 2.2.32.2: the token of a time. @param created milliseconds since 1970 */
export function snapshotTokenOf(created: number): string {
  const iso = new Date(created).toISOString()
  const [date, time] = [iso.slice(0, 10), iso.slice(11, 19)]
  return `@GMT-${date.replaceAll('-', '.')}-${time.replaceAll(':', '.')}`
}

/** Milliseconds since 1970 of a token; undefined when it is none, or names no time. */
export function momentOfSnapshotToken(token: string): number | undefined {
  const [, year, month, day, hours, minutes, seconds] = TOKEN.exec(token) ?? []
  if (year === undefined) return undefined
  const moment = Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`)
  return Number.isNaN(moment) ? undefined : moment
}

/** Bytes of the array of that many tokens. */
export function snapshotArrayBytes(count: number): number {
  return count * TOKEN_BYTES + TERMINATOR_BYTES
}

/**
 * The reply for a client that takes `maxOutputBytes`: everything when it fits, and otherwise the
 * numbers alone (3.3.5.15.1), so that the client asks again with a larger buffer.
 */
export function snapshotArrayFor(tokens: readonly string[], maxOutputBytes: number): SrvSnapshotArray {
  const snapShotArraySize = snapshotArrayBytes(tokens.length)
  const fits = FIXED_BYTES + snapShotArraySize <= maxOutputBytes
  return {
    numberOfSnapShots: tokens.length,
    snapshots: fits ? tokens : [],
    snapShotArraySize,
  }
}

export function encodeSrvSnapshotArray(writer: Writer, m: SrvSnapshotArray): void {
  writer.u32(m.numberOfSnapShots).u32(m.snapshots.length).u32(m.snapShotArraySize)
  if (m.snapshots.length === 0) {
    // Nothing returned still ends with the array's terminator, and gives the 16 bytes clients expect.
    writer.zeros(MIN_SNAPSHOT_OUTPUT_BYTES - FIXED_BYTES)
    return
  }
  writer.utf16(`${m.snapshots.join('\0')}\0\0`)
}

/** @throws DecodeError when a token has no end or there are more than MAX_SNAPSHOTS */
export function decodeSrvSnapshotArray(reader: Reader): SrvSnapshotArray {
  const numberOfSnapShots = reader.u32()
  const returned = reader.u32()
  const snapShotArraySize = reader.u32()
  checkCount(returned, MAX_SNAPSHOTS, 'snapshots')
  const snapshots = Array.from({ length: returned }, () => readToken(reader))
  return { numberOfSnapShots, snapshots, snapShotArraySize }
}

function readToken(reader: Reader): string {
  const token = reader.utf16(TOKEN_BYTES)
  if (!token.endsWith('\0')) throw new DecodeError('a snapshot token has no end')
  return token.slice(0, -1)
}
