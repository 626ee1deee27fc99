/** MS-SMB2 3.3.5.12, 3.3.5.13, 3.3.5.15.10: READ, WRITE and FSCTL_PIPE_TRANSCEIVE on a named pipe. */

import { READ_DATA_OFFSET, type ReadRequest, type ReadResponse } from '../messages/read.ts'
import type { WriteRequest, WriteResponse } from '../messages/write.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { NamedPipe } from '../rpc/pipe.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'

/** The pipe of an open. @throws Error for a file: the caller asked `isPipe` before */
function pipeOf(open: Open): NamedPipe {
  if (open.pipe === undefined) throw new Error('a file is no pipe')
  return open.pipe
}

/** What a message-mode pipe has to give; more of the message is left when the status is BUFFER_OVERFLOW. */
export function readPipe(open: Open, request: ReadRequest): Outcome<ReadResponse> {
  const message = pipeOf(open).read(request.length)
  // Every call is answered at once: without an answer there would be nothing to wait for.
  if (message === undefined) return fail(pipeOf(open).broken ? Status.PIPE_DISCONNECTED : Status.PIPE_EMPTY)
  const body = { dataOffset: READ_DATA_OFFSET, dataLength: message.data.length, dataRemaining: 0 }
  const status = message.more ? Status.BUFFER_OVERFLOW : Status.SUCCESS
  return ok(body, status, { data: message.data })
}

export function writePipe(open: Open, request: WriteRequest): Outcome<WriteResponse> {
  if (!pipeOf(open).write(request.data)) return fail(Status.PIPE_DISCONNECTED)
  return ok({ count: request.data.length })
}

/** Writes a message and reads its answer. */
export function transceivePipe(
  open: Open,
  input: Buffer,
  maxOutputBytes: number,
): { output: Buffer; status: typeof Status.SUCCESS | typeof Status.BUFFER_OVERFLOW } | undefined {
  const message = pipeOf(open).transceive(input, maxOutputBytes)
  if (message === undefined) return undefined
  return { output: message.data, status: message.more ? Status.BUFFER_OVERFLOW : Status.SUCCESS }
}
