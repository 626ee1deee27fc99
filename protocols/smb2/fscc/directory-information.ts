/** MS-FSCC 2.4: the directory information classes as QUERY_DIRECTORY answers them. */

import { FileAttribute } from './attributes.ts'
import { FileInformationClass, type FileTimes } from './file-information.ts'
import {
  FILE_POSIX_INFORMATION_BYTES,
  type PosixFacts,
  writeFilePosixInformation,
} from './posix-information.ts'

/** Where a class keeps what lies behind the fields that all share; an absent field is -1. */
interface Layout {
  /** Offset of FileName, that is, the bytes of the fixed part. */
  readonly name: number
  readonly eaSize: number
  readonly shortName: number
  readonly reserved2: number
  readonly fileId: number
  readonly fileIdBytes: 0 | 8 | 16
  readonly reparseTag: number
  readonly posix?: true
}

/** POSIX-FSCC: what QUERY_INFO answers, and the length of the name. */
const POSIX_OFFSET = 8
const POSIX_NAME_LENGTH_OFFSET = POSIX_OFFSET + FILE_POSIX_INFORMATION_BYTES
const POSIX_NAME_OFFSET = POSIX_NAME_LENGTH_OFFSET + 4

const ABSENT = {
  eaSize: -1,
  shortName: -1,
  reserved2: -1,
  fileId: -1,
  fileIdBytes: 0,
  reparseTag: -1,
} as const

const LAYOUTS: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [FileInformationClass.Directory, { ...ABSENT, name: 64 }],
  [FileInformationClass.FullDirectory, { ...ABSENT, eaSize: 64, name: 68 }],
  [FileInformationClass.BothDirectory, { ...ABSENT, eaSize: 64, shortName: 68, name: 94 }],
  [FileInformationClass.Names, { ...ABSENT, name: 12 }],
  [
    FileInformationClass.IdBothDirectory,
    {
      ...ABSENT,
      eaSize: 64,
      shortName: 68,
      reserved2: 94,
      fileId: 96,
      fileIdBytes: 8,
      name: 104,
    },
  ],
  [FileInformationClass.IdFullDirectory, { ...ABSENT, eaSize: 64, fileId: 72, fileIdBytes: 8, name: 80 }],
  [
    FileInformationClass.IdExtdDirectory,
    {
      ...ABSENT,
      eaSize: 64,
      reparseTag: 68,
      fileId: 72,
      fileIdBytes: 16,
      name: 88,
    },
  ],
  [
    FileInformationClass.IdExtdBothDirectory,
    {
      ...ABSENT,
      eaSize: 64,
      reparseTag: 68,
      fileId: 72,
      fileIdBytes: 16,
      shortName: 88,
      name: 114,
    },
  ],
  [FileInformationClass.Posix, { ...ABSENT, posix: true, name: POSIX_NAME_OFFSET }],
])

/** ShortNameLength, Reserved1 and ShortName: 1 + 1 + 24 bytes. */
export const SHORT_NAME_AREA_BYTES = 26
const SHORT_NAME_OFFSET_IN_AREA = 2
const SHORT_NAME_BYTES = 24
const ENTRY_ALIGNMENT_BYTES = 8
const INITIAL_CAPACITY_BYTES = 16_384
const TWO_TO_32 = 0x1_0000_0000

/** One name; a class takes what it has a field for. The object can be reused for the next entry. */
export interface DirectoryListEntry extends FileTimes {
  /** 0 unless names can be resumed from by position. */
  readonly fileIndex?: number
  /** Bytes. */
  readonly endOfFile: number
  /** Bytes. */
  readonly allocationSize: number
  readonly fileAttributes: number
  /** Bytes of the extended attributes (Apple's readdirattr: the maximal access). */
  readonly eaSize: number
  /** Written in the place of EaSize when FileAttribute.REPARSE_POINT is set. */
  readonly reparseTag?: number
  /** 8.3 name, at most 12 characters; '' when the name is one. */
  readonly shortName: string
  /** Replaces the short name and its length, SHORT_NAME_AREA_BYTES bytes (Apple's readdirattr). */
  readonly shortNameRaw?: Buffer
  /** The field before FileId in IdBothDirectory (Apple's readdirattr: the POSIX mode). */
  readonly reserved2?: number
  readonly fileId: bigint
  readonly fileName: string
  /** For FileInformationClass.Posix. */
  readonly posix?: PosixFacts
}

/**
 * Bytes of a class's fixed part; a smaller output buffer is STATUS_INFO_LENGTH_MISMATCH.
 * @returns undefined for what is no directory class (STATUS_INVALID_INFO_CLASS)
 */
export function directoryEntryFixedBytes(fileInformationClass: number): number | undefined {
  return LAYOUTS.get(fileInformationClass)?.name
}

/** Writes entries one behind the other, each 8-byte aligned and pointing to the next, up to a limit in bytes. */
export class DirectoryListWriter {
  readonly #layout: Layout
  readonly #limit: number
  #buffer: Buffer
  #view: DataView
  #end = 0
  #last = 0
  #count = 0

  /**
   * `limitBytes` is the client's OutputBufferLength, checked against MaxTransactSize before.
   * @throws RangeError for a class that `directoryEntryFixedBytes` does not know
   */
  constructor(fileInformationClass: number, limitBytes: number) {
    const layout = LAYOUTS.get(fileInformationClass)
    if (layout === undefined)
      throw new RangeError(`${fileInformationClass} is no directory information class`)
    this.#layout = layout
    this.#limit = limitBytes
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(limitBytes, INITIAL_CAPACITY_BYTES))
    this.#view = new DataView(this.#buffer.buffer)
  }

  /** Entries written. */
  get count(): number {
    return this.#count
  }

  /** Appends an entry. @returns false, with nothing written, when it does not fit any more */
  add(entry: DirectoryListEntry): boolean {
    const at = (this.#end + ENTRY_ALIGNMENT_BYTES - 1) & -ENTRY_ALIGNMENT_BYTES
    const nameBytes = entry.fileName.length * 2
    const end = at + this.#layout.name + nameBytes
    if (end > this.#limit) return false
    if (end > this.#buffer.length) this.#grow(end)
    const view = this.#view
    // The fixed part is zeroed once, with the padding before it, so that only what is not 0 needs writing.
    this.#buffer.fill(0, this.#end, at + this.#layout.name)
    if (this.#count > 0) view.setUint32(this.#last, at - this.#last, true)
    view.setUint32(at + 4, entry.fileIndex ?? 0, true)
    if (this.#layout.posix) {
      this.#posix(at, entry, nameBytes)
    } else if (this.#layout.eaSize < 0 && this.#layout.name < 64) {
      view.setUint32(at + 8, nameBytes, true)
    } else {
      this.#common(at, entry, nameBytes)
      this.#extra(at, entry)
    }
    this.#buffer.write(entry.fileName, at + this.#layout.name, nameBytes, 'utf16le')
    this.#last = at
    this.#end = end
    this.#count++
    return true
  }

  /** The list as a view; empty when nothing was added. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }

  #posix(at: number, entry: DirectoryListEntry, nameBytes: number): void {
    const { posix } = entry
    if (posix === undefined) throw new RangeError("nothing is known of the entry in POSIX' terms")
    writeFilePosixInformation(this.#buffer, at + POSIX_OFFSET, entry, posix)
    this.#view.setUint32(at + POSIX_NAME_LENGTH_OFFSET, nameBytes, true)
  }

  #common(at: number, entry: DirectoryListEntry, nameBytes: number): void {
    const view = this.#view
    view.setBigUint64(at + 8, entry.creationTime, true)
    view.setBigUint64(at + 16, entry.lastAccessTime, true)
    view.setBigUint64(at + 24, entry.lastWriteTime, true)
    view.setBigUint64(at + 32, entry.changeTime, true)
    view.setUint32(at + 40, entry.endOfFile % TWO_TO_32, true)
    view.setUint32(at + 44, entry.endOfFile / TWO_TO_32, true)
    view.setUint32(at + 48, entry.allocationSize % TWO_TO_32, true)
    view.setUint32(at + 52, entry.allocationSize / TWO_TO_32, true)
    view.setUint32(at + 56, entry.fileAttributes, true)
    view.setUint32(at + 60, nameBytes, true)
  }

  #extra(at: number, entry: DirectoryListEntry): void {
    const view = this.#view
    const layout = this.#layout
    const reparse = (entry.fileAttributes & FileAttribute.REPARSE_POINT) !== 0
    const tag = reparse ? (entry.reparseTag ?? 0) : 0
    if (layout.reparseTag >= 0) {
      view.setUint32(at + layout.reparseTag, tag, true)
      view.setUint32(at + layout.eaSize, entry.eaSize, true)
    } else if (layout.eaSize >= 0) {
      view.setUint32(at + layout.eaSize, reparse ? tag : entry.eaSize, true)
    }
    if (layout.shortName >= 0) this.#shortName(at + layout.shortName, entry)
    if (layout.reserved2 >= 0) view.setUint16(at + layout.reserved2, entry.reserved2 ?? 0, true)
    if (layout.fileId >= 0) view.setBigUint64(at + layout.fileId, entry.fileId, true)
  }

  #shortName(at: number, entry: DirectoryListEntry): void {
    if (entry.shortNameRaw !== undefined) {
      this.#buffer.set(entry.shortNameRaw.subarray(0, SHORT_NAME_AREA_BYTES), at)
    } else if (entry.shortName !== '') {
      const name = at + SHORT_NAME_OFFSET_IN_AREA
      this.#buffer[at] = this.#buffer.write(entry.shortName, name, SHORT_NAME_BYTES, 'utf16le')
    }
  }

  #grow(needed: number): void {
    const capacity = Math.min(this.#limit, Math.max(needed, this.#buffer.length * 2))
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
    this.#view = new DataView(larger.buffer)
  }
}
