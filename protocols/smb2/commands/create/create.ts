/** MS-SMB2 3.3.5.9: receiving a CREATE Request. */

import { type CommandContext, command } from '../../context.ts'
import { mapGenericAccess } from '../../fscc/access.ts'
import { CreateAction, CreateOption } from '../../fscc/create-options.ts'
import { NotifyAction, NotifyFilter } from '../../fscc/notify.ts'
import { Command } from '../../messages/commands.ts'
import {
  CREATE_FLAG_REPARSEPOINT,
  type CreateRequest,
  type CreateResponse,
  decodeCreateRequest,
  encodeCreateResponse,
} from '../../messages/create.ts'
import { Dialect } from '../../messages/dialects.ts'
import { fail, type Outcome, ok } from '../../outcome.ts'
import { nameFilter } from '../../state/change-bus.ts'
import type { Open } from '../../state/open.ts'
import { isFull } from '../../state/usage.ts'
import { Status } from '../../status.ts'
import { whenBroken } from '../caching.ts'
import { closeOpen } from '../close-open.ts'
import { attributeFieldsOf, baseNameOf } from '../describe.ts'
import { noteEntry, noteModified, noteStream } from '../notes.ts'
import { applyToNewFile } from './apply.ts'
import { answerContexts, type RequestedContexts, readContexts } from './contexts.ts'
import { type RequestedLease, refuseLease, requestedLease } from './lease.ts'
import { parseName, pathNameOf } from './name.ts'
import { type OpenedFile, type OpenResult, openFile } from './open-file.ts'
import { type Granted, grantOplock } from './oplock.ts'
import { createOnPipeShare } from './pipe.ts'
import { registerOpen } from './register.ts'
import { validateCreate, validateKind } from './validate.ts'

export const create = command<CreateResponse, CreateRequest>({
  code: Command.CREATE,
  name: 'CREATE',
  needs: 'tree',
  decode: decodeCreateRequest,
  encode: encodeCreateResponse,
  run: runCreate,
})

function runCreate(
  context: CommandContext,
  request: CreateRequest,
): Outcome<CreateResponse> | Promise<Outcome<CreateResponse>> {
  if (context.treeConnect.revoked) return fail(Status.ACCESS_DENIED)
  if (isFull(context.server, 'opens', context.session)) return fail(Status.INSUFFICIENT_RESOURCES)
  if (context.treeConnect.share.type === 'pipe') return createOnPipeShare(context, request)
  const refusal = validateCreate(request)
  if (refusal !== undefined) return fail(refusal)
  return createOnDiskShare(context, request)
}

async function createOnDiskShare(
  context: CommandContext,
  request: CreateRequest,
): Promise<Outcome<CreateResponse>> {
  const name = parseName(request.name)
  if (typeof name === 'number') return fail(name)
  const mismatch = validateKind(request, name)
  if (mismatch !== undefined) return fail(mismatch)
  const contexts = readContexts(request.createContexts)
  // A directory has no snapshots: whatever time is asked for, nothing is there.
  if (contexts.timewarp !== undefined && contexts.timewarp !== 0n) return fail(Status.OBJECT_NAME_NOT_FOUND)
  const lease = requestedLease(context, request, contexts.lease)
  const refusal = lease && refuseLease(context, lease, name)
  if (refusal !== undefined) return fail(refusal)
  const desiredAccess = mapGenericAccess(request.desiredAccess)
  const { securityDescriptor } = contexts
  const opened = await openFile(context, {
    name,
    desiredAccess,
    request,
    lease,
    securityDescriptor,
    attempt: 0,
  })
  return complete(context, request, { ...contexts, requestedLease: lease }, opened)
}

/** What a request asks for by contexts, as far as its dialect has it. */
interface Asked extends RequestedContexts {
  readonly requestedLease: RequestedLease | undefined
}

async function complete(
  context: CommandContext,
  request: CreateRequest,
  contexts: Asked,
  opened: OpenResult,
): Promise<Outcome<CreateResponse>> {
  if (typeof opened === 'number') return fail(opened)
  if ('retry' in opened) {
    const retry = async () => complete(context, request, contexts, await opened.retry())
    return whenBroken(opened.wait, retry, opened.abandon)
  }
  if (isTreeGone(context)) return dropOpened(context, opened)
  const open = register(context, request, opened, opened.stream)
  publishCreation(context, open, opened)
  try {
    const applied = await applyToNewFile(opened, request, contexts, hasCompression(context))
    // The client may be gone by now: what it cached no one could break.
    if (open.closing) return fail(Status.FILE_CLOSED)
    const granted = await grantOplock(
      context,
      open,
      request,
      contexts.requestedLease,
      opened.changeMark,
      applied,
    )
    context.open = open
    return ok(responseTo(context, open, opened, contexts, granted))
  } catch (error) {
    await closeOpen(context.server, open)
    throw error
  }
}

/** The tree connect or its session ended while the file was being opened: no one would ever close it. */
function isTreeGone({ session, treeConnect }: CommandContext): boolean {
  return session.closing || session.treeConnectTable.get(treeConnect.treeId) !== treeConnect
}

async function dropOpened(
  { server }: CommandContext,
  { claim, handle }: OpenedFile,
): Promise<Outcome<never>> {
  server.nodes.detach(claim.shared)
  await handle.close()
  return fail(Status.NETWORK_NAME_DELETED)
}

function hasCompression({ treeConnect }: CommandContext): boolean {
  return treeConnect.share.fileSystem?.features.compression === true
}

function register(context: CommandContext, request: CreateRequest, opened: OpenedFile, stream: string): Open {
  const open = registerOpen(context, {
    grantedAccess: opened.grantedAccess,
    shareAccess: request.shareAccess,
    createOptions: request.createOptions,
    // A stream of a directory holds data like any other.
    file: { handle: opened.handle, type: stream === '' ? opened.stat.type : 'file', stream, ...opened.claim },
    pipe: undefined,
    pathName: pathNameOf(opened.path, stream),
  })
  if ((request.createOptions & CreateOption.DELETE_ON_CLOSE) !== 0) open.deleteOnClose = true
  return open
}

/** Those who watch the directory learn of a new entry, or of one that was emptied. */
function publishCreation({ server }: CommandContext, open: Open, { createAction }: OpenedFile): void {
  if (createAction === CreateAction.OPENED) return
  if (createAction !== CreateAction.CREATED) open.file.node.node.times.settle()
  const isNew = createAction === CreateAction.CREATED
  if (open.file.stream !== '') {
    server.oplocks.entryChanged(open.file.shared, open.file.shared)
    const { STREAM_NAME, STREAM_SIZE, STREAM_WRITE } = NotifyFilter
    const action = isNew ? NotifyAction.ADDED_STREAM : NotifyAction.MODIFIED_STREAM
    noteStream(server, open, open.file.stream, action, isNew ? STREAM_NAME : STREAM_SIZE | STREAM_WRITE)
  } else if (isNew) {
    const filter = nameFilter(open.isDirectory)
    noteEntry(server, open, { path: open.file.shared.path, action: NotifyAction.ADDED, filter })
  } else {
    noteModified(server, open, NotifyFilter.SIZE | NotifyFilter.LAST_WRITE | NotifyFilter.ATTRIBUTES)
  }
}

function responseTo(
  context: CommandContext,
  open: Open,
  opened: OpenedFile,
  contexts: RequestedContexts,
  { oplockLevel, stat, lease }: Granted,
): CreateResponse {
  const { connection, server, treeConnect } = context
  const shown = opened.claim.node.node.times.shown(stat, server.environment.now())
  const isLink = stat.type === 'symlink' && connection.dialect >= Dialect.SMB_3_0
  return {
    oplockLevel,
    flags: isLink ? CREATE_FLAG_REPARSEPOINT : 0,
    createAction: opened.createAction,
    ...attributeFieldsOf(shown, treeConnect.share, baseNameOf(open.pathName)),
    fileId: open.fileId,
    createContexts: answerContexts(contexts, stat, opened.maximalAccess, lease),
  }
}
