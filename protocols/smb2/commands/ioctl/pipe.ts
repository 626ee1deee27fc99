/** MS-SMB2 3.3.5.15.9 and 3.3.5.15.10: FSCTL_PIPE_WAIT and FSCTL_PIPE_TRANSCEIVE. */

import { Reader } from '../../../wire/reader.ts'
import { decodePipeWaitRequest } from '../../messages/ioctl/pipe-wait.ts'
import { fail } from '../../outcome.ts'
import { PIPE_NAMES } from '../../rpc/pipe.ts'
import { Status } from '../../status.ts'
import { transceivePipe } from '../pipe-io.ts'
import { done, type IoctlHandler } from './handler.ts'

export const pipeTransceive: IoctlHandler = {
  on: 'pipe',
  run({ open }, request) {
    const answer = transceivePipe(open, request.input, request.maxOutputResponse)
    return answer === undefined ? fail(Status.PIPE_DISCONNECTED) : done(answer.output, answer.status)
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
