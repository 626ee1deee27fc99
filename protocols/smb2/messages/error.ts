/** MS-SMB2 2.2.2: ERROR Response, its error contexts (2.2.2.1) and the data formats of 2.2.2.2. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { padEmptyPart, readStructureSize } from './structure.ts'

/** 2.2.2.1, dialect 3.1.1 */
export interface ErrorContext {
  errorId: number
  errorData: Buffer
}

export interface ErrorResponse {
  /** When there are any (3.1.1), `errorData` is empty; otherwise it holds the data itself. */
  errorContexts: ErrorContext[]
  errorData: Buffer
}

export const ErrorId = {
  DEFAULT: 0x0000_0000,
  SHARE_REDIRECT: 0x7264_5253,
} as const

/** 2.2.2.2.1: where a path met a symbolic link, with STATUS_STOPPED_ON_SYMLINK. */
export interface SymbolicLinkError {
  /** Bytes at the end of the path that were not used yet. */
  unparsedPathLength: number
  substituteName: string
  printName: string
  /** SYMLINK_FLAG_RELATIVE or 0 */
  flags: number
}

export const SYMLINK_FLAG_RELATIVE = 0x0000_0001

const STRUCTURE_SIZE = 9
const MAX_ERROR_CONTEXTS = 8
const CONTEXT_ALIGNMENT = 8
const SYMLINK_ERROR_TAG = 0x4c4d_5953
const REPARSE_TAG_SYMLINK = 0xa000_000c
const NO_BYTES = Buffer.alloc(0)

/** The body of an error that says nothing but its status. */
export const PLAIN_ERROR: Readonly<ErrorResponse> = { errorContexts: [], errorData: NO_BYTES }

export function decodeErrorResponse(reader: Reader): ErrorResponse {
  readStructureSize(reader, STRUCTURE_SIZE)
  const contextCount = reader.u8()
  reader.skip(1)
  const errorData = reader.bytes(reader.u32())
  if (contextCount === 0) return { errorContexts: [], errorData }
  if (contextCount > MAX_ERROR_CONTEXTS) throw new DecodeError(`${contextCount} error contexts`)
  reader.seek(reader.offset - errorData.length)
  const data = reader.sub(reader.offset, errorData.length)
  const errorContexts: ErrorContext[] = []
  for (let index = 0; index < contextCount; index++) {
    const over = data.offset % CONTEXT_ALIGNMENT
    if (over !== 0) data.skip(CONTEXT_ALIGNMENT - over)
    const length = data.u32()
    const errorId = data.u32()
    errorContexts.push({ errorId, errorData: data.bytes(length) })
  }
  return { errorContexts, errorData: NO_BYTES }
}

export function encodeErrorResponse(writer: Writer, m: Readonly<ErrorResponse>): void {
  writer.u16(STRUCTURE_SIZE).u8(m.errorContexts.length).u8(0)
  const byteCount = writer.reserve(4)
  const began = writer.length
  writer.part({ length: byteCount }, () => {
    writer.bytes(m.errorData)
    for (const context of m.errorContexts) {
      // The body's fixed part ends at a multiple of 8, so aligning from the header is the same.
      writer.align(CONTEXT_ALIGNMENT)
      writer.u32(context.errorData.length).u32(context.errorId).bytes(context.errorData)
    }
  })
  // 2.2.2: "If the ByteCount field is zero then the server MUST supply an ErrorData field that is one byte".
  padEmptyPart(writer, writer.length - began)
}

/** 2.2.2.2.1: ErrorData of STATUS_STOPPED_ON_SYMLINK. */
export function symbolicLinkErrorData(m: SymbolicLinkError): Buffer {
  const writer = new Writer()
  const symLinkLength = writer.reserve(4)
  writer.part({ length: symLinkLength }, () => {
    writer.u32(SYMLINK_ERROR_TAG).u32(REPARSE_TAG_SYMLINK)
    const reparseDataLength = writer.reserve(2)
    writer.u16(m.unparsedPathLength)
    writer.part({ length: reparseDataLength }, () => {
      const substituteBytes = m.substituteName.length * 2
      writer.u16(0).u16(substituteBytes)
      writer.u16(substituteBytes).u16(m.printName.length * 2)
      writer.u32(m.flags).utf16(m.substituteName).utf16(m.printName)
    })
  })
  return writer.finish()
}

/** Reads what `symbolicLinkErrorData` writes; the reader's base is the start of the data. */
export function decodeSymbolicLinkError(reader: Reader): SymbolicLinkError {
  const symLinkLength = reader.u32()
  const body = reader.sub(reader.offset, symLinkLength)
  if (body.u32() !== SYMLINK_ERROR_TAG) throw new DecodeError('SymLinkErrorTag is wrong')
  if (body.u32() !== REPARSE_TAG_SYMLINK) throw new DecodeError('ReparseTag is wrong')
  body.skip(2)
  const unparsedPathLength = body.u16()
  const substituteOffset = body.u16()
  const substituteLength = body.u16()
  const printOffset = body.u16()
  const printLength = body.u16()
  const flags = body.u32()
  const path = body.sub(body.offset, body.remaining)
  return {
    unparsedPathLength,
    substituteName: path.sub(substituteOffset, substituteLength).utf16(substituteLength),
    printName: path.sub(printOffset, printLength).utf16(printLength),
    flags,
  }
}

/** 2.2.2.2: ErrorData of STATUS_BUFFER_TOO_SMALL: the bytes the client has to offer. */
export function bufferTooSmallErrorData(requiredBytes: number): Buffer {
  return new Writer(4).u32(requiredBytes).finish()
}
