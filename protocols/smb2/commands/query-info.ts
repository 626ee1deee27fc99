/** MS-SMB2 3.3.5.20: receiving a QUERY_INFO Request. */

import { type CommandContext, command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import {
  decodeQueryInfoRequest,
  encodeQueryInfoResponse,
  InfoType,
  type QueryInfoRequest,
  type QueryInfoResponse,
} from '../messages/query-info.ts'
import { fail, type Outcome } from '../outcome.ts'
import { Status } from '../status.ts'
import { queryFileInformation } from './query-file-information.ts'
import { queryFileSystemInformation } from './query-file-system-information.ts'
import { querySecurity } from './security.ts'

export const queryInfo = command<QueryInfoResponse, QueryInfoRequest>({
  code: Command.QUERY_INFO,
  name: 'QUERY_INFO',
  needs: 'open',
  decode: decodeQueryInfoRequest,
  encode: encodeQueryInfoResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => Math.max(request.outputBufferLength, request.input.length),
  run: runQueryInfo,
})

function runQueryInfo(
  context: CommandContext,
  request: QueryInfoRequest,
): Outcome<QueryInfoResponse> | Promise<Outcome<QueryInfoResponse>> {
  if (request.outputBufferLength > context.connection.maxTransactSize) return fail(Status.INVALID_PARAMETER)
  switch (request.infoType) {
    case InfoType.FILE:
      return queryFileInformation(context, request)
    case InfoType.FILESYSTEM:
      return queryFileSystemInformation(context, request)
    case InfoType.SECURITY:
      return querySecurity(context, request)
    case InfoType.QUOTA:
      return fail(Status.NOT_SUPPORTED)
    default:
      return fail(Status.INVALID_PARAMETER)
  }
}
