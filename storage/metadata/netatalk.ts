/** The extended attribute org.netatalk.Metadata (netatalk 3, Samba's fruit:metadata = netatalk): Finder information and dates of a file, as AppleDouble. */

import { s32be, struct } from 'buffer-layout'
import type { Nanoseconds } from '../file-system.ts'
import { FINDER_INFO_BYTES } from './afp-info.ts'
import { decodeEntries, type Entry, EntryId, encodeEntries, headerBytes } from './apple-double.ts'

export const NETATALK_METADATA_XATTR = 'user.org.netatalk.Metadata'
/** The resource fork, byte for byte (fruit:resource = xattr). */
export const NETATALK_RESOURCE_XATTR = 'user.org.netatalk.ResourceFork'

/** Room of each entry; the comment's is empty in what is made here. */
const ROOM: readonly (readonly [id: number, bytes: number, used: number])[] = [
  [EntryId.finderInfo, FINDER_INFO_BYTES, FINDER_INFO_BYTES],
  [EntryId.comment, 200, 0],
  [EntryId.fileDates, 16, 16],
  [EntryId.afpFileInfo, 4, 4],
  [EntryId.device, 8, 8],
  [EntryId.inode, 8, 8],
  [EntryId.syncStamp, 8, 8],
  [EntryId.catalogId, 4, 4],
]

const ENTRIES: readonly Entry[] = ROOM.map(([id, , length], index) => {
  const before = ROOM.slice(0, index).reduce((sum, [, bytes]) => sum + bytes, headerBytes(ROOM.length))
  return { id, offset: before, length }
})

/** Of every such attribute: netatalk and Samba refuse others. */
export const NETATALK_METADATA_BYTES = ROOM.reduce((sum, [, bytes]) => sum + bytes, headerBytes(ROOM.length))

interface FileDates {
  created: number
  modified: number
  backedUp: number
  accessed: number
}

/** Seconds since 2000. */
const fileDates = struct<FileDates>([
  s32be('created'),
  s32be('modified'),
  s32be('backedUp'),
  s32be('accessed'),
])
/** The earliest value is no date. */
const NO_DATE = -0x8000_0000
const LAST_DATE = 0x7fff_ffff
const SECONDS_TO_2000 = 946_684_800n
const NANOSECONDS = 1_000_000_000n

export interface NetatalkMetadata {
  /** 32 bytes, as a view. */
  readonly finderInfo: Buffer
  /** Absent: not known. */
  readonly birthTime?: Nanoseconds
}

/** What the attribute says; undefined when it cannot be understood. */
export function decodeNetatalkMetadata(value: Buffer): NetatalkMetadata | undefined {
  if (value.length !== NETATALK_METADATA_BYTES) return undefined
  const entries = decodeEntries(value)
  const finder = entries?.find(({ id }) => id === EntryId.finderInfo)
  if (entries === undefined || finder?.length !== FINDER_INFO_BYTES) return undefined
  const finderInfo = value.subarray(finder.offset, finder.offset + FINDER_INFO_BYTES)
  const dates = entries.find(({ id }) => id === EntryId.fileDates)
  if (dates?.length !== fileDates.span) return { finderInfo }
  const { created } = fileDates.decode(value, dates.offset)
  return created === NO_DATE ? { finderInfo } : { finderInfo, birthTime: fromMacDate(created) }
}

/** The attribute of a file that had none. */
export function encodeNetatalkMetadata(metadata: {
  readonly finderInfo: Uint8Array
  readonly birthTime?: Nanoseconds
}): Buffer {
  const { finderInfo, birthTime } = metadata
  if (finderInfo.length !== FINDER_INFO_BYTES) throw new Error('the Finder has 32 bytes')
  const value = Buffer.alloc(NETATALK_METADATA_BYTES)
  encodeEntries(ENTRIES, value)
  value.set(finderInfo, offsetOf(EntryId.finderInfo))
  const created = birthTime === undefined ? NO_DATE : toMacDate(birthTime)
  const dates = { created, modified: NO_DATE, backedUp: NO_DATE, accessed: NO_DATE }
  fileDates.encode(dates, value, offsetOf(EntryId.fileDates))
  return value
}

/** The attribute with other Finder information; all else stays. undefined when the old one cannot be understood. */
export function withFinderInfo(value: Buffer, finderInfo: Uint8Array): Buffer | undefined {
  if (decodeNetatalkMetadata(value) === undefined) return undefined
  const entry = decodeEntries(value)?.find(({ id }) => id === EntryId.finderInfo)
  if (entry === undefined) return undefined
  const changed = Buffer.from(value)
  changed.set(finderInfo.subarray(0, FINDER_INFO_BYTES), entry.offset)
  return changed
}

function offsetOf(id: number): number {
  const entry = ENTRIES.find((candidate) => candidate.id === id)
  if (entry === undefined) throw new Error(`no entry ${id}`)
  return entry.offset
}

function fromMacDate(seconds: number): Nanoseconds {
  return (BigInt(seconds) + SECONDS_TO_2000) * NANOSECONDS
}

/** Times that do not fit become the first or last that does. */
function toMacDate(time: Nanoseconds): number {
  const whole = time / NANOSECONDS - (time % NANOSECONDS < 0n ? 1n : 0n)
  const seconds = Number(whole - SECONDS_TO_2000)
  return Math.min(LAST_DATE, Math.max(NO_DATE + 1, seconds))
}
