/** MS-SMB2 2.2.34, 2.2.36 and 2.2.38: the one-buffer body of three responses (directory, notify, info). */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { readStructureSize, variablePart, writeVariablePart } from './structure.ts'

export interface OutputBody {
  /** MS-FSCC structures, as they are. */
  output: Buffer
}

const STRUCTURE_SIZE = 9

export function decodeOutputBody(reader: Reader): OutputBody {
  readStructureSize(reader, STRUCTURE_SIZE)
  const offset = reader.u16()
  const length = reader.u32()
  return { output: variablePart(reader, offset, length) }
}

export function encodeOutputBody(writer: Writer, m: OutputBody): void {
  writer.u16(STRUCTURE_SIZE)
  const offset = writer.reserve(2)
  const length = writer.reserve(4)
  writeVariablePart(writer, offset, length, () => writer.bytes(m.output))
}
