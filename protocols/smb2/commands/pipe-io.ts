/** MS-SMB2 3.3.5.12, 3.3.5.13, 3.3.5.15.10: READ, WRITE and FSCTL_PIPE_TRANSCEIVE on a named pipe. */

import type { PipeInformation } from '../fscc/file-information-query.ts'
import { decodeSetPipe } from '../fscc/file-information-set.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { READ_DATA_OFFSET, type ReadRequest, type ReadResponse } from '../messages/read.ts'
import type { WriteRequest, WriteResponse } from '../messages/write.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { NamedPipe } from '../rpc/pipe.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'

/** Makes the response that carries a message. */
type Respond<Body> = (
  data: Buffer,
  status: typeof Status.SUCCESS | typeof Status.BUFFER_OVERFLOW,
) => Outcome<Body>

/** The pipe of an open. @throws Error for a file: the caller asked `isPipe` before */
export function pipeOf(open: Open): NamedPipe {
  if (open.pipe === undefined) throw new Error('a file is no pipe')
  return open.pipe
}

/** What a message-mode pipe has to give; more of the message is left when the status is BUFFER_OVERFLOW. */
export function readPipe(open: Open, request: ReadRequest): Outcome<ReadResponse> {
  return nextMessage(open, request.length, (data, status) =>
    ok({ dataOffset: READ_DATA_OFFSET, dataLength: data.length, dataRemaining: 0 }, status, { data }),
  )
}

export function writePipe(open: Open, request: WriteRequest): Outcome<WriteResponse> {
  if (!pipeOf(open).write(request.data)) return fail(Status.PIPE_DISCONNECTED)
  return ok({ count: request.data.length })
}

/** Writes a message and reads its answer. */
export function transceivePipe<Body>(
  open: Open,
  input: Buffer,
  maxOutputBytes: number,
  respond: Respond<Body>,
): Outcome<Body> {
  const pipe = pipeOf(open)
  // MS-FSCC 2.3.48: with data that was not read, the answer could not be told from it.
  if (pipe.busy) return fail(Status.PIPE_BUSY)
  if (!pipe.write(input)) return fail(Status.PIPE_DISCONNECTED)
  return nextMessage(open, maxOutputBytes, respond)
}

/** 3.3.5.12: the next message, of which a pipe in blocking mode lets one wait. */
function nextMessage<Body>(open: Open, maxBytes: number, respond: Respond<Body>): Outcome<Body> {
  const pipe = pipeOf(open)
  const take = (): Outcome<Body> | undefined => {
    const message = pipe.read(maxBytes)
    if (message !== undefined) {
      return respond(message.data, message.more ? Status.BUFFER_OVERFLOW : Status.SUCCESS)
    }
    return pipe.broken ? fail(Status.PIPE_DISCONNECTED) : undefined
  }
  return take() ?? (pipe.waits ? waitForMessage(open, take) : fail(Status.PIPE_EMPTY))
}

/** Answered by the next message, by CANCEL, or by the end of the open, which breaks the pipe. */
function waitForMessage<Body>(open: Open, take: () => Outcome<Body> | undefined): Outcome<Body> {
  let settle: (outcome: Outcome<Body>) => void = () => undefined
  const completion = new Promise<Outcome<Body>>((resolve) => {
    settle = resolve
  })
  const end = (outcome: Outcome<Body>): void => {
    stop()
    open.onClose.delete(closed)
    settle(outcome)
  }
  const closed = (): void => end(fail(Status.PIPE_BROKEN))
  const stop = pipeOf(open).whenReadable(() => end(take() ?? fail(Status.PIPE_EMPTY)))
  open.onClose.add(closed)
  return { kind: 'pending', completion, cancel: () => end(fail(Status.CANCELLED)) }
}

const ReadMode = { BYTES: 0, MESSAGES: 1 } as const
const CompletionMode = { WAIT: 0, AT_ONCE: 1 } as const

/** MS-FSCC 2.4.37 of a pipe. */
export function pipeInformation(open: Open): PipeInformation {
  const { readsMessages, waits } = pipeOf(open)
  return {
    readMode: readsMessages ? ReadMode.MESSAGES : ReadMode.BYTES,
    completionMode: waits ? CompletionMode.WAIT : CompletionMode.AT_ONCE,
  }
}

/** SET_INFO of the same: how the client wants to read. */
export function setPipeInformation(open: Open, input: Buffer): Outcome<EmptyBody> {
  const { readMode, completionMode } = decodeSetPipe(input)
  if (readMode > ReadMode.MESSAGES || completionMode > CompletionMode.AT_ONCE) {
    return fail(Status.INVALID_PARAMETER)
  }
  const pipe = pipeOf(open)
  pipe.readsMessages = readMode === ReadMode.MESSAGES
  pipe.waits = completionMode === CompletionMode.WAIT
  return ok({})
}
