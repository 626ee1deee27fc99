/** MS-SMB2 2.2.31 and MS-FSCC 2.3: controls on ranges of a file: allocated, zeroed, sparse, cloned. */

import { DecodeError } from '../../../wire/errors.ts'
import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'
import { type FileId, readFileId, writeFileId } from '../structure.ts'

/**
 * FILE_ALLOCATED_RANGE_BUFFER: input of QUERY_ALLOCATED_RANGES and, repeated, its output. Both
 * numbers are signed on the wire; a negative one is answered by the handler.
 */
export interface AllocatedRange {
  fileOffset: bigint
  length: bigint
}

/** FILE_ZERO_DATA_INFORMATION; a negative or reversed range is answered by the handler. */
export interface ZeroData {
  fileOffset: bigint
  /** The first byte that stays as it is. */
  beyondFinalZero: bigint
}

/** DUPLICATE_EXTENTS_DATA; what lies outside the files is answered by the handler. */
export interface DuplicateExtents {
  sourceFileId: FileId
  sourceFileOffset: bigint
  targetFileOffset: bigint
  byteCount: bigint
}

const RANGE_BYTES = 16

export function decodeAllocatedRange(reader: Reader): AllocatedRange {
  return { fileOffset: reader.i64(), length: reader.i64() }
}

export function encodeAllocatedRange(writer: Writer, m: AllocatedRange): void {
  writer.i64(m.fileOffset).i64(m.length)
}

/**
 * The output of QUERY_ALLOCATED_RANGES: as many ranges as there are bytes for. @throws DecodeError
 * for a part of one
 */
export function decodeAllocatedRanges(reader: Reader): AllocatedRange[] {
  if (reader.remaining % RANGE_BYTES !== 0) throw new DecodeError('an allocated range is cut off')
  return Array.from({ length: reader.remaining / RANGE_BYTES }, () => decodeAllocatedRange(reader))
}

export function decodeZeroData(reader: Reader): ZeroData {
  return { fileOffset: reader.i64(), beyondFinalZero: reader.i64() }
}

export function encodeZeroData(writer: Writer, m: ZeroData): void {
  writer.i64(m.fileOffset).i64(m.beyondFinalZero)
}

/** FILE_SET_SPARSE_BUFFER: no buffer at all means TRUE. */
export function decodeSetSparse(reader: Reader): boolean {
  return reader.remaining === 0 || reader.u8() !== 0
}

export function encodeSetSparse(writer: Writer, setSparse: boolean): void {
  writer.u8(setSparse ? 1 : 0)
}

export function decodeDuplicateExtents(reader: Reader): DuplicateExtents {
  return {
    sourceFileId: readFileId(reader),
    sourceFileOffset: reader.i64(),
    targetFileOffset: reader.i64(),
    byteCount: reader.i64(),
  }
}

export function encodeDuplicateExtents(writer: Writer, m: DuplicateExtents): void {
  writeFileId(writer, m.sourceFileId)
  writer.i64(m.sourceFileOffset).i64(m.targetFileOffset).i64(m.byteCount)
}
