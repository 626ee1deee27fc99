/** MS-SMB2 3.3.5.15: receiving an IOCTL Request. */

import type { Reader } from '../../../wire/reader.ts'
import { type CommandContext, command } from '../../context.ts'
import { Command } from '../../messages/commands.ts'
import { Fsctl } from '../../messages/ioctl/fsctl.ts'
import {
  decodeIoctlRequest,
  encodeIoctlResponse,
  IOCTL_FLAG_IS_FSCTL,
  type IoctlRequest,
  type IoctlResponse,
} from '../../messages/ioctl.ts'
import { RELATED_FILE_ID } from '../../messages/structure.ts'
import { fail, type Outcome } from '../../outcome.ts'
import type { Server } from '../../state/server.ts'
import { Status } from '../../status.ts'
import { duplicateExtents } from './clone.ts'
import { getCompression, setCompression } from './compression.ts'
import { copychunk, copychunkWrite, requestResumeKey } from './copychunk.ts'
import type { IoctlHandler, IoctlOutcome } from './handler.ts'
import { queryNetworkInterfaceInfo } from './network-interface-info.ts'
import { createOrGetObjectId } from './object-id.ts'
import { pipePeek, pipeTransceive, pipeWait } from './pipe.ts'
import { getReparsePoint, setReparsePoint } from './reparse.ts'
import { forceUnackedTimeout, SMBTORTURE_HANDLERS } from './smbtorture.ts'
import { enumerateSnapshots } from './snapshots.ts'
import { queryAllocatedRanges, setSparse, setZeroData } from './sparse.ts'
import { validateNegotiateInfo } from './validate-negotiate-info.ts'

const HANDLERS: ReadonlyMap<number, IoctlHandler> = new Map<number, IoctlHandler>([
  [Fsctl.PIPE_TRANSCEIVE, pipeTransceive],
  [Fsctl.PIPE_WAIT, pipeWait],
  [Fsctl.PIPE_PEEK, pipePeek],
  [Fsctl.SRV_REQUEST_RESUME_KEY, requestResumeKey],
  [Fsctl.SRV_COPYCHUNK, copychunk],
  [Fsctl.SRV_COPYCHUNK_WRITE, copychunkWrite],
  [Fsctl.SRV_ENUMERATE_SNAPSHOTS, enumerateSnapshots],
  [Fsctl.QUERY_NETWORK_INTERFACE_INFO, queryNetworkInterfaceInfo],
  [Fsctl.VALIDATE_NEGOTIATE_INFO, validateNegotiateInfo],
  [Fsctl.SET_SPARSE, setSparse],
  [Fsctl.SET_ZERO_DATA, setZeroData],
  [Fsctl.QUERY_ALLOCATED_RANGES, queryAllocatedRanges],
  [Fsctl.DUPLICATE_EXTENTS_TO_FILE, duplicateExtents],
  [Fsctl.GET_COMPRESSION, getCompression],
  [Fsctl.SET_COMPRESSION, setCompression],
  [Fsctl.GET_REPARSE_POINT, getReparsePoint],
  [Fsctl.SET_REPARSE_POINT, setReparsePoint],
  [Fsctl.CREATE_OR_GET_OBJECT_ID, createOrGetObjectId],
])

export const ioctl = command<IoctlResponse, IoctlRequest>({
  code: Command.IOCTL,
  name: 'IOCTL',
  needs: 'tree',
  modifies: true,
  decode: decodeIoctlRequest,
  runOnConnection,
  encode: encodeIoctlResponse,
  fileId: (request) => (namesNoOpen(request) ? undefined : request.fileId),
  payloadBytes: (request) =>
    Math.max(request.input.length, request.maxInputResponse + request.maxOutputResponse),
  run: runIoctl,
})

/** A control that smbtorture sends without a session. */
function runOnConnection(context: CommandContext, reader: Reader): Outcome<IoctlResponse> | undefined {
  if (!context.server.settings.smbtortureFsctls) return undefined
  const request = decodeIoctlRequest(reader)
  const outcome = forceUnackedTimeout(context, request)
  return outcome && respond(request, outcome)
}

/** Controls of the server rather than of a file (3.3.5.15). */
function namesNoOpen({ ctlCode }: IoctlRequest): boolean {
  if (ctlCode === Fsctl.DFS_GET_REFERRALS || ctlCode === Fsctl.DFS_GET_REFERRALS_EX) return true
  return (HANDLERS.get(ctlCode) ?? SMBTORTURE_HANDLERS.get(ctlCode))?.withoutOpen === true
}

function runIoctl(
  context: CommandContext,
  request: IoctlRequest,
): Outcome<IoctlResponse> | Promise<Outcome<IoctlResponse>> {
  const { connection } = context
  const tooLong =
    request.input.length > connection.maxTransactSize ||
    request.maxOutputResponse > connection.maxTransactSize ||
    request.maxInputResponse > connection.maxTransactSize
  if (tooLong) return fail(Status.INVALID_PARAMETER)
  // 3.3.5.15: "If the Flags field ... is not SMB2_0_IOCTL_IS_FSCTL, the server MUST fail the request".
  if ((request.flags & IOCTL_FLAG_IS_FSCTL) === 0) return fail(Status.NOT_SUPPORTED)
  const handler = handlerOf(context.server, request.ctlCode)
  // 3.3.5.15: these take no handle, and Windows refuses one.
  if (handler?.withoutOpen === true && !isAllOnes(request)) return fail(Status.INVALID_PARAMETER)
  if (handler === undefined) return refuse(context, request)
  if (handler.on !== 'any' && (handler.on === 'pipe') !== context.open.isPipe) {
    return fail(Status.INVALID_DEVICE_REQUEST)
  }
  const outcome = handler.run(context, request)
  return outcome instanceof Promise
    ? outcome.then((settled) => respond(request, settled))
    : respond(request, outcome)
}

function handlerOf({ settings }: Server, ctlCode: number): IoctlHandler | undefined {
  return HANDLERS.get(ctlCode) ?? (settings.smbtortureFsctls ? SMBTORTURE_HANDLERS.get(ctlCode) : undefined)
}

function isAllOnes({ fileId }: IoctlRequest): boolean {
  return fileId.persistent === RELATED_FILE_ID.persistent && fileId.volatile === RELATED_FILE_ID.volatile
}

/** What is not served, said as a file system that does not know it would. */
function refuse(context: CommandContext, { ctlCode }: IoctlRequest): Outcome<never> {
  // 3.3.5.15.2: a server without DFS.
  if (ctlCode === Fsctl.DFS_GET_REFERRALS || ctlCode === Fsctl.DFS_GET_REFERRALS_EX) {
    return fail(Status.FS_DRIVER_REQUIRED)
  }
  return fail(
    context.treeConnect.share.type === 'pipe' ? Status.FS_DRIVER_REQUIRED : Status.INVALID_DEVICE_REQUEST,
  )
}

function respond(request: IoctlRequest, outcome: IoctlOutcome): Outcome<IoctlResponse> {
  if (outcome.kind === 'pending') {
    return { ...outcome, completion: outcome.completion.then((settled) => respond(request, settled)) }
  }
  if (outcome.kind !== 'ok') return outcome
  const { output } = outcome.body
  if (output.length > request.maxOutputResponse) return fail(Status.BUFFER_TOO_SMALL)
  const { ctlCode, fileId } = request
  return { ...outcome, body: { ctlCode, fileId, input: Buffer.alloc(0), ...outcome.body } }
}
