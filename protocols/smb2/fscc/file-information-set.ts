/** MS-FSCC 2.4: File Information Classes as SET_INFO sends them. Each takes the whole buffer and throws DecodeError when it is short. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import type { PipeInformation } from './file-information-query.ts'

/** Special values of a time in FileBasicInformation (2.4.7), apart from a FILETIME. */
export const SetTime = {
  /** The time stays as it is. */
  UNCHANGED: 0n,
  /** The time stays, and further operations on this open do not change it. */
  FREEZE: -1n,
  /** Operations on this open change the time again. */
  THAW: -2n,
} as const

/** 2.4.7; each time is a FILETIME or one of SetTime, attributes of 0 stay as they are. */
export interface SetBasicInformation {
  readonly creationTime: bigint
  readonly lastAccessTime: bigint
  readonly lastWriteTime: bigint
  readonly changeTime: bigint
  readonly fileAttributes: number
}

/** @throws DecodeError also for a time below -2 */
export function decodeSetBasic(buffer: Buffer): SetBasicInformation {
  const reader = new Reader(buffer)
  const info = {
    creationTime: setTime(reader),
    lastAccessTime: setTime(reader),
    lastWriteTime: setTime(reader),
    changeTime: setTime(reader),
    fileAttributes: reader.u32(),
  }
  reader.skip(4)
  return info
}

function setTime(reader: Reader): bigint {
  const time = reader.i64()
  if (time < SetTime.THAW) throw new DecodeError('a file time is below -2')
  return time
}

/** Flags of FileRenameInformationEx (2.4.43); plain FileRenameInformation has REPLACE_IF_EXISTS alone. */
export const RenameFlag = {
  REPLACE_IF_EXISTS: 0x1,
  POSIX_SEMANTICS: 0x2,
  SUPPRESS_PIN_STATE_INHERITANCE: 0x4,
  IGNORE_READONLY_ATTRIBUTE: 0x40,
} as const

/** FileRenameInformation (2.4.42.2), FileRenameInformationEx (2.4.43) and FileLinkInformation (2.4.28.2), in their SMB2 forms. */
export interface SetNameInformation {
  /** Bits of RenameFlag. */
  readonly flags: number
  /** 0 over the network; the caller refuses another. */
  readonly rootDirectory: bigint
  /** As sent; up to 65,535 characters, limited further by the buffer. */
  readonly fileName: string
}

/** 2.4.42.2 and 2.4.28.2: ReplaceIfExists is one byte. */
export function decodeSetRename(buffer: Buffer): SetNameInformation {
  const reader = new Reader(buffer)
  const flags = reader.u8() === 0 ? 0 : RenameFlag.REPLACE_IF_EXISTS
  return setName(reader.skip(7), flags)
}

/** 2.4.28.2: FileLinkInformation has the layout of FileRenameInformation. */
export const decodeSetLink = decodeSetRename

/** 2.4.43: Flags are four bytes. */
export function decodeSetRenameEx(buffer: Buffer): SetNameInformation {
  const reader = new Reader(buffer)
  const flags = reader.u32()
  return setName(reader.skip(4), flags)
}

function setName(reader: Reader, flags: number): SetNameInformation {
  const rootDirectory = reader.u64()
  return { flags, rootDirectory, fileName: reader.utf16(reader.u32()) }
}

/** 2.4.11 FileDispositionInformation: true marks the file for deletion. */
export function decodeSetDisposition(buffer: Buffer): boolean {
  return new Reader(buffer).u8() !== 0
}

/** Flags of FileDispositionInformationEx (2.4.12). */
export const DispositionFlag = {
  DELETE: 0x1,
  POSIX_SEMANTICS: 0x2,
  FORCE_IMAGE_SECTION_CHECK: 0x4,
  ON_CLOSE: 0x8,
  IGNORE_READONLY_ATTRIBUTE: 0x10,
} as const

/** 2.4.12 FileDispositionInformationEx: bits of DispositionFlag. */
export function decodeSetDispositionEx(buffer: Buffer): number {
  return new Reader(buffer).u32()
}

/**
 * AllocationSize (2.4.4), EndOfFile (2.4.14), CurrentByteOffset (2.4.40) or ValidDataLength, in bytes.
 * @throws DecodeError when negative, or 2^53 and above
 */
export function decodeSetSize(buffer: Buffer): number {
  return new Reader(buffer).size64()
}

/** 2.4.31 FileModeInformation. */
export function decodeSetMode(buffer: Buffer): number {
  return new Reader(buffer).u32()
}

/** 2.4.46 FileShortNameInformation. */
export function decodeSetShortName(buffer: Buffer): string {
  const reader = new Reader(buffer)
  return reader.utf16(reader.u32())
}

/** 2.4.37 FilePipeInformation. */
export function decodeSetPipe(buffer: Buffer): PipeInformation {
  const reader = new Reader(buffer)
  return { readMode: reader.u32(), completionMode: reader.u32() }
}
