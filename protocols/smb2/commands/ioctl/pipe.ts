/** MS-SMB2 3.3.5.15.9 and 3.3.5.15.10, MS-FSCC 2.3.45: FSCTL_PIPE_WAIT, FSCTL_PIPE_TRANSCEIVE and FSCTL_PIPE_PEEK. */

import { Reader } from '../../../wire/reader.ts'
import { Writer } from '../../../wire/writer.ts'
import { decodePipeWaitRequest } from '../../messages/ioctl/pipe-wait.ts'
import { fail } from '../../outcome.ts'
import { PIPE_NAMES } from '../../rpc/pipe.ts'
import { Status } from '../../status.ts'
import { pipeOf, transceivePipe } from '../pipe-io.ts'
import { done, type IoctlHandler } from './handler.ts'

export const pipeTransceive: IoctlHandler = {
  on: 'pipe',
  run({ open }, request) {
    return transceivePipe(open, request.input, request.maxOutputResponse, done)
  },
}

/** MS-FSCC 2.3.46: NamedPipeState. */
const PipeState = { CONNECTED: 3, CLOSING: 4 } as const
const PEEK_HEADER_BYTES = 16

/** 3.3.5.15, MS-FSCC 2.3.45: what could be read, and how much of it, without taking it. */
export const pipePeek: IoctlHandler = {
  on: 'pipe',
  run({ open }, request) {
    const pipe = pipeOf(open)
    if (request.maxOutputResponse < PEEK_HEADER_BYTES) return fail(Status.INVALID_PARAMETER)
    if (pipe.broken && pipe.messages === 0) return fail(Status.PIPE_DISCONNECTED)
    const message = pipe.peek() ?? Buffer.alloc(0)
    const shown = message.subarray(0, request.maxOutputResponse - PEEK_HEADER_BYTES)
    const writer = new Writer(PEEK_HEADER_BYTES + shown.length)
    writer.u32(pipe.broken ? PipeState.CLOSING : PipeState.CONNECTED).u32(pipe.available)
    writer.u32(pipe.messages).u32(message.length).bytes(shown)
    return done(writer.finish(), shown.length < message.length ? Status.BUFFER_OVERFLOW : Status.SUCCESS)
  },
}

export const pipeWait: IoctlHandler = {
  withoutOpen: true,
  on: 'any',
  run({ treeConnect }, request) {
    if (treeConnect.share.type !== 'pipe') return fail(Status.INVALID_DEVICE_REQUEST)
    const { name } = decodePipeWaitRequest(new Reader(request.input))
    // An instance is always free, so there is nothing to wait for.
    return PIPE_NAMES.includes(name.toLowerCase()) ? done() : fail(Status.OBJECT_NAME_NOT_FOUND)
  },
}
