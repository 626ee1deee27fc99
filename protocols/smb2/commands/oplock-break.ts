/** MS-SMB2 3.3.5.22.1: receiving an oplock break acknowledgment. */

import { type CommandContext, command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import { OplockLevel } from '../messages/create.ts'
import {
  decodeOplockBreakRequest,
  encodeOplockBreakResponse,
  type OplockBreakRequest,
  type OplockBreakResponse,
} from '../messages/oplock-break.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import { Status } from '../status.ts'

export const oplockBreak = command<OplockBreakResponse, OplockBreakRequest>({
  code: Command.OPLOCK_BREAK,
  name: 'OPLOCK_BREAK',
  needs: 'tree',
  decode: decodeOplockBreakRequest,
  encode: encodeOplockBreakResponse,
  fileId: (request) => (request.kind === 'oplock' ? request.fileId : undefined),
  run: runOplockBreak,
})

function runOplockBreak(context: CommandContext, request: OplockBreakRequest): Outcome<OplockBreakResponse> {
  // 3.3.5.22.2: no leases are granted, so none is found.
  if (request.kind !== 'oplock') return fail(Status.OBJECT_NAME_NOT_FOUND)
  const { open, server } = context
  const { oplockLevel } = request
  if (open.isPipe || oplockLevel === OplockLevel.LEASE) return fail(Status.INVALID_PARAMETER)
  switch (server.oplocks.acknowledge(open, oplockLevel)) {
    case 'accepted':
      return ok(request)
    case 'not-breaking':
      return fail(Status.INVALID_DEVICE_STATE)
    // Windows' answer to an acknowledgment of level II's end, which wants none.
    case 'not-held':
    case 'violation':
      return fail(Status.INVALID_OPLOCK_PROTOCOL)
  }
}
