/** MS-SMB2 3.3.5.9: a CREATE on IPC$, which opens a named pipe. */

import type { CommandContext } from '../../context.ts'
import { FileAttribute } from '../../fscc/attributes.ts'
import { CreateAction } from '../../fscc/create-options.ts'
import { type CreateRequest, type CreateResponse, OplockLevel } from '../../messages/create.ts'
import { fail, type Outcome, ok } from '../../outcome.ts'
import { createPipe } from '../../rpc/pipe.ts'
import type { Open } from '../../state/open.ts'
import { Status } from '../../status.ts'
import { rpcHostFor } from '../rpc-host.ts'
import { registerOpen } from './register.ts'

/** What Windows says of the size of a pipe. */
const PIPE_ALLOCATION_BYTES = 4096

export function createOnPipeShare(context: CommandContext, request: CreateRequest): Outcome<CreateResponse> {
  const pipe = createPipe(request.name, rpcHostFor(context))
  if (pipe === undefined) return fail(Status.OBJECT_NAME_NOT_FOUND)
  const open = registerOpen(context, {
    grantedAccess: request.desiredAccess,
    shareAccess: request.shareAccess,
    createOptions: request.createOptions,
    createAction: CreateAction.OPENED,
    maximalAccess: request.desiredAccess,
    posix: false,
    file: undefined,
    pipe,
    pathName: request.name,
  })
  context.open = open
  return ok(response(open))
}

function response(open: Open): CreateResponse {
  return {
    oplockLevel: OplockLevel.NONE,
    flags: 0,
    createAction: CreateAction.OPENED,
    creationTime: 0n,
    lastAccessTime: 0n,
    lastWriteTime: 0n,
    changeTime: 0n,
    allocationSize: PIPE_ALLOCATION_BYTES,
    endOfFile: 0,
    fileAttributes: FileAttribute.NORMAL,
    fileId: open.fileId,
    createContexts: [],
  }
}
