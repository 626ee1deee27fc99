/** MS-SMB2 2.2.31 and MS-FSCC 2.3: FSCTL_PIPE_WAIT Request: wait for an instance of a named pipe. */

import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'

export interface PipeWaitRequest {
  /** In units of 100 milliseconds, or undefined for the pipe's default. */
  timeout: bigint | undefined
  /** Without the leading `\pipe\`. */
  name: string
}

export function decodePipeWaitRequest(reader: Reader): PipeWaitRequest {
  const timeout = reader.u64()
  const nameLength = reader.u32()
  const timeoutSpecified = reader.u8() !== 0
  reader.skip(1)
  return { timeout: timeoutSpecified ? timeout : undefined, name: reader.utf16(nameLength) }
}

export function encodePipeWaitRequest(writer: Writer, m: PipeWaitRequest): void {
  writer.u64(m.timeout ?? 0n)
  const nameLength = writer.reserve(4)
  writer.u8(m.timeout === undefined ? 0 : 1).u8(0)
  writer.part({ length: nameLength }, () => writer.utf16(m.name))
}
