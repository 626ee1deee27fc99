/** MS-FSCC 2.7: Directory Change Notifications; CompletionFilter of MS-SMB2 2.2.35. */

import { type Slot, Writer } from '../../wire/writer.ts'

/** Bits of CompletionFilter. */
export const NotifyFilter = {
  FILE_NAME: 0x001,
  DIR_NAME: 0x002,
  ATTRIBUTES: 0x004,
  SIZE: 0x008,
  LAST_WRITE: 0x010,
  LAST_ACCESS: 0x020,
  CREATION: 0x040,
  EA: 0x080,
  SECURITY: 0x100,
  STREAM_NAME: 0x200,
  STREAM_SIZE: 0x400,
  STREAM_WRITE: 0x800,
} as const

export const NOTIFY_FILTER_ALL = 0xfff

export const NotifyAction = {
  ADDED: 1,
  REMOVED: 2,
  MODIFIED: 3,
  RENAMED_OLD_NAME: 4,
  RENAMED_NEW_NAME: 5,
  ADDED_STREAM: 6,
  REMOVED_STREAM: 7,
  MODIFIED_STREAM: 8,
} as const

const ENTRY_ALIGNMENT_BYTES = 4
const FIXED_BYTES = 12

/** Length of a list of `bytes` after one more entry: each but the last is padded. */
export function notifyEntryBytes(bytes: number, fileName: string): number {
  const start = Math.ceil(bytes / ENTRY_ALIGNMENT_BYTES) * ENTRY_ALIGNMENT_BYTES
  return start + FIXED_BYTES + fileName.length * 2
}

/** Writes 2.7.1 FILE_NOTIFY_INFORMATION entries up to a limit in bytes. */
export class NotifyListWriter {
  readonly #writer = new Writer()
  readonly #limit: number
  #last: Slot | undefined

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  /**
   * Appends a change; the name is relative to the watched directory, with `\` between components.
   * @returns false when it does not fit: the whole list is then given up for STATUS_NOTIFY_ENUM_DIR
   */
  add(action: number, fileName: string): boolean {
    const writer = this.#writer
    const nameBytes = fileName.length * 2
    if (notifyEntryBytes(writer.length, fileName) > this.#limit) return false
    writer.align(ENTRY_ALIGNMENT_BYTES)
    if (this.#last !== undefined) writer.patch(this.#last, writer.length - this.#last.at)
    this.#last = writer.reserve(4)
    writer.u32(action).u32(nameBytes).utf16(fileName)
    return true
  }

  /** The list as a view; empty when nothing was added. */
  finish(): Buffer {
    return this.#writer.finish()
  }
}
