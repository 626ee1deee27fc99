/** MS-SMB2 3.3.5.21: receiving a SET_INFO Request. */

import { type CommandContext, command } from '../context.ts'
import { FileInformationClass } from '../fscc/file-information.ts'
import { Command } from '../messages/commands.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { InfoType } from '../messages/query-info.ts'
import { decodeSetInfoRequest, encodeSetInfoResponse, type SetInfoRequest } from '../messages/set-info.ts'
import { fail, type Outcome } from '../outcome.ts'
import { Status } from '../status.ts'
import { setSecurity } from './security.ts'
import { setFileInformation } from './set-file-information.ts'

export const setInfo = command<EmptyBody, SetInfoRequest>({
  code: Command.SET_INFO,
  name: 'SET_INFO',
  needs: 'open',
  modifies: true,
  decode: decodeSetInfoRequest,
  encode: encodeSetInfoResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => request.input.length,
  run: runSetInfo,
})

/** It says something of the open, not of the file. */
function isOfOpen({ infoType, fileInfoClass }: SetInfoRequest): boolean {
  const { Position, Mode } = FileInformationClass
  return infoType === InfoType.FILE && (fileInfoClass === Position || fileInfoClass === Mode)
}

function runSetInfo(
  context: CommandContext,
  request: SetInfoRequest,
): Outcome<EmptyBody> | Promise<Outcome<EmptyBody>> {
  if (request.input.length > context.connection.maxTransactSize) return fail(Status.INVALID_PARAMETER)
  // MS-FSA 2.1.5.15, Volume.IsReadOnly.
  if (context.open.isPrevious && !isOfOpen(request)) return fail(Status.MEDIA_WRITE_PROTECTED)
  switch (request.infoType) {
    case InfoType.FILE:
      return setFileInformation(context, request)
    case InfoType.SECURITY:
      return setSecurity(context, request)
    case InfoType.FILESYSTEM:
    case InfoType.QUOTA:
      return fail(Status.NOT_SUPPORTED)
    default:
      return fail(Status.INVALID_PARAMETER)
  }
}
