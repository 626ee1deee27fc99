/** MS-SMB2 2.2: what message bodies share: StructureSize, header-relative parts, FileId (2.2.14.1). */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Slot, Writer } from '../../wire/writer.ts'

/** 2.2.14.1 SMB2_FILEID: the handle of an open. */
export interface FileId {
  persistent: bigint
  volatile: bigint
}

const ALL_ONES_64 = 0xffff_ffff_ffff_ffffn

/** 3.2.4.1.4: in a related compound request this stands for the handle that the request before it opened. */
export const RELATED_FILE_ID: Readonly<FileId> = { persistent: ALL_ONES_64, volatile: ALL_ONES_64 }

export function readFileId(reader: Reader): FileId {
  return { persistent: reader.u64(), volatile: reader.u64() }
}

export function writeFileId(writer: Writer, fileId: FileId): void {
  writer.u64(fileId.persistent).u64(fileId.volatile)
}

/**
 * Reads StructureSize. An odd one counts one byte of the variable part, which senders leave out
 * when that part is empty; so the byte is never asked for.
 * @throws DecodeError when it is not `expected`
 */
export function readStructureSize(reader: Reader, expected: number): void {
  const found = reader.u16()
  if (found !== expected) throw new DecodeError(`StructureSize is ${found}, not ${expected}`)
}

/**
 * A variable part as a view; call it when the fixed part has been read.
 * @throws DecodeError when the part does not lie between the fixed part and the end of the message
 */
export function variablePart(reader: Reader, offset: number, length: number): Buffer {
  if (length > 0 && offset < reader.offset) {
    throw new DecodeError(`a variable part begins at ${offset}, before ${reader.offset}`)
  }
  return reader.view(offset, length)
}

/** A variable part in UTF-16LE. @throws DecodeError as `variablePart`, and when its length is odd */
export function variableText(reader: Reader, offset: number, length: number): string {
  if (length % 2 !== 0) throw new DecodeError('a UTF-16 string has an odd length')
  return variablePart(reader, offset, length).toString('utf16le')
}

/**
 * Writes a variable part at the current position. Its offset is filled in even when nothing is
 * written: clients compare it with the end of the fixed part before they look at the length.
 */
export function writeVariablePart(writer: Writer, offset: Slot, length: Slot, write: () => void): void {
  writer.patchOffset(offset)
  writer.part({ length }, write)
}

/**
 * Writes the one byte that an odd StructureSize counts, when `writtenBytes` of the variable part
 * are none.
 */
export function padEmptyPart(writer: Writer, writtenBytes: number): void {
  if (writtenBytes === 0) writer.u8(0)
}

/** @throws DecodeError when a count from the wire is past its limit */
export function checkCount(count: number, limit: number, what: string): void {
  if (count > limit) throw new DecodeError(`${count} ${what}, more than ${limit}`)
}
