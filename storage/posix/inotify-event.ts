/** struct inotify_event of inotify(7), as it is read. */

import { decodeName } from './disk-name.ts'

export const InotifyEvent = {
  attrib: 0x4,
  closeWrite: 0x8,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  queueOverflow: 0x4000,
  ignored: 0x8000,
  isDirectory: 0x4000_0000,
} as const

/** Before the name: wd, mask, cookie, len. */
export const HEADER_BYTES = 16

export interface Event {
  readonly watch: number
  readonly mask: number
  readonly cookie: number
  readonly name: string
  readonly next: number
}

/** The event at an offset. */
export function eventAt(events: Buffer, at: number): Event {
  const begin = at + HEADER_BYTES
  const next = begin + events.readUInt32LE(at + 12)
  const nul = events.indexOf(0, begin)
  return {
    watch: events.readInt32LE(at),
    mask: events.readUInt32LE(at + 4),
    cookie: events.readUInt32LE(at + 8),
    name: decodeName(events, begin, nul < 0 || nul > next ? next : nul),
    next,
  }
}
