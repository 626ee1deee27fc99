/** MS-SMB2 2.2.31 and MS-FSCC 2.3: the state of FSCTL_GET_COMPRESSION and FSCTL_SET_COMPRESSION. */

import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'

export const CompressionFormat = {
  NONE: 0x0000,
  DEFAULT: 0x0001,
  LZNT1: 0x0002,
} as const

export function decodeCompressionState(reader: Reader): number {
  return reader.u16()
}

export function encodeCompressionState(writer: Writer, compressionState: number): void {
  writer.u16(compressionState)
}
