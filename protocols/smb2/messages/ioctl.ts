/** MS-SMB2 2.2.31 and 2.2.32: IOCTL Request and Response; what they carry is in the folder ioctl. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variablePart,
  writeFileId,
  writeVariablePart,
} from './structure.ts'

export interface IoctlRequest {
  ctlCode: number
  fileId: FileId
  input: Buffer
  /** Bytes, as is the next. */
  maxInputResponse: number
  maxOutputResponse: number
  flags: number
}

export interface IoctlResponse {
  ctlCode: number
  fileId: FileId
  /** Empty but for the few controls that give their input back. */
  input: Buffer
  output: Buffer
  /** Bytes before the output; 0 without it. */
  outputPadding?: number
}

/** 2.2.31 Flags; without it the request is an IOCTL, which no server has to know. */
export const IOCTL_FLAG_IS_FSCTL = 0x0000_0001

const REQUEST_STRUCTURE_SIZE = 57
const RESPONSE_STRUCTURE_SIZE = 49
const OUTPUT_ALIGNMENT = 8

export function decodeIoctlRequest(reader: Reader): IoctlRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  reader.skip(2)
  const ctlCode = reader.u32()
  const fileId = readFileId(reader)
  const inputOffset = reader.u32()
  const inputCount = reader.u32()
  const maxInputResponse = reader.u32()
  reader.skip(8) // OutputOffset and OutputCount: zero in a request
  const maxOutputResponse = reader.u32()
  const flags = reader.u32()
  reader.skip(4)
  const input = variablePart(reader, inputOffset, inputCount)
  return { ctlCode, fileId, input, maxInputResponse, maxOutputResponse, flags }
}

export function encodeIoctlRequest(writer: Writer, m: IoctlRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u16(0).u32(m.ctlCode)
  writeFileId(writer, m.fileId)
  const inputOffset = writer.reserve(4)
  const inputCount = writer.reserve(4)
  writer.u32(m.maxInputResponse).u32(0).u32(0).u32(m.maxOutputResponse).u32(m.flags).u32(0)
  writer.part({ offset: inputOffset, length: inputCount }, () => writer.bytes(m.input))
  padEmptyPart(writer, m.input.length)
}

export function decodeIoctlResponse(reader: Reader): IoctlResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  reader.skip(2)
  const ctlCode = reader.u32()
  const fileId = readFileId(reader)
  const inputOffset = reader.u32()
  const inputCount = reader.u32()
  const outputOffset = reader.u32()
  const outputCount = reader.u32()
  reader.skip(8) // Flags and Reserved2: zero
  return {
    ctlCode,
    fileId,
    input: variablePart(reader, inputOffset, inputCount),
    output: variablePart(reader, outputOffset, outputCount),
  }
}

export function encodeIoctlResponse(writer: Writer, m: IoctlResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u16(0).u32(m.ctlCode)
  writeFileId(writer, m.fileId)
  const inputOffset = writer.reserve(4)
  const inputCount = writer.reserve(4)
  const outputOffset = writer.reserve(4)
  const outputCount = writer.reserve(4)
  writer.u32(0).u32(0)
  writeVariablePart(writer, inputOffset, inputCount, () => writer.bytes(m.input))
  // Output begins at the first multiple of 8 after the input, or at once when there is none.
  writer.align(OUTPUT_ALIGNMENT).zeros(m.outputPadding ?? 0)
  writeVariablePart(writer, outputOffset, outputCount, () => writer.bytes(m.output))
}
