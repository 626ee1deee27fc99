/** MS-SMB2 3.3.5.9: receiving a CREATE Request. */

import { resolveId } from '../../apple/resolve-id.ts'
import { type CommandContext, command } from '../../context.ts'
import { mapGenericAccess } from '../../fscc/access.ts'
import { CreateAction, CreateOption } from '../../fscc/create-options.ts'
import { NotifyAction, NotifyFilter } from '../../fscc/notify.ts'
import { Command } from '../../messages/commands.ts'
import {
  type CreateRequest,
  type CreateResponse,
  decodeCreateRequest,
  encodeCreateResponse,
  OplockLevel,
} from '../../messages/create.ts'
import { fail, type Outcome, ok } from '../../outcome.ts'
import { nameFilter } from '../../state/change-bus.ts'
import type { Open } from '../../state/open.ts'
import { isFull } from '../../state/usage.ts'
import { Status } from '../../status.ts'
import { whenBroken } from '../caching.ts'
import { closeOpen } from '../close-open.ts'
import { stoppedOnSymlinkData } from '../describe.ts'
import { leaveNode } from '../leave-node.ts'
import { noteEntry, noteModified, noteStream } from '../notes.ts'
import { applyToNewFile } from './apply.ts'
import { type RequestedContexts, readContexts } from './contexts.ts'
import { excludeEachOther, grantDurable } from './durable.ts'
import { comeBack, findReplay, remember } from './existing.ts'
import { type RequestedLease, refuseLease, requestedLease } from './lease.ts'
import { parseName, parsePosixName, pathNameOf } from './name.ts'
import { type OpenedFile, type OpenResult, openFile, openFileOf } from './open-file.ts'
import { grantOplock } from './oplock.ts'
import { createOnPipeShare } from './pipe.ts'
import { previousVersionOf, viewPrevious, withoutAbsence, withoutCaching } from './previous.ts'
import { type Claimed, isReconnect } from './reconnect.ts'
import { registerOpen } from './register.ts'
import { responseTo } from './response.ts'
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
  if (context.treeConnect.share.type === 'pipe') {
    return mayOpen(context) ? createOnPipeShare(context, request) : fail(Status.INSUFFICIENT_RESOURCES)
  }
  return createOnDiskShare(context, request)
}

function mayOpen({ server, session }: CommandContext): boolean {
  return !isFull(server, 'opens', session)
}

async function createOnDiskShare(
  context: CommandContext,
  request: CreateRequest,
): Promise<Outcome<CreateResponse>> {
  const contexts = readContexts(request.createContexts, context.connection.posixExtensions)
  if (excludeEachOther(contexts.durable)) return fail(Status.INVALID_PARAMETER)
  const comesBack = isReconnect(contexts.durable)
  // Of a CREATE that comes back for a handle most fields mean nothing, and clients leave them zero.
  const invalid = comesBack ? undefined : validateCreate(request)
  if (invalid !== undefined) return fail(invalid)
  const name = contexts.posix === undefined ? parseName(request.name) : parsePosixName(request.name)
  if (typeof name === 'number') return fail(name)
  // The level is another field that means nothing there.
  const level = comesBack ? OplockLevel.LEASE : request.requestedOplockLevel
  const lease = requestedLease(context, level, contexts.lease)
  if (comesBack) return comeBack(context, contexts, { name, lease })
  // Who comes back takes no more than is there already.
  if (!mayOpen(context)) return fail(Status.INSUFFICIENT_RESOURCES)
  const replay = findReplay(context, request, contexts, { name, lease })
  if (replay === undefined) return createNew(context, request, contexts, { name, lease })
  if (!('replayKey' in replay)) return replay
  try {
    const outcome = await createNew(context, request, contexts, { name, lease })
    return remember(context, replay.replayKey, outcome)
  } catch (error) {
    context.server.replays.forget(replay.replayKey)
    throw error
  }
}

/** A CREATE that makes an open. */
async function createNew(
  context: CommandContext,
  request: CreateRequest,
  contexts: RequestedContexts,
  { name, lease }: Claimed,
): Promise<Outcome<CreateResponse>> {
  const mismatch = validateKind(request, name)
  if (mismatch !== undefined) return fail(mismatch)
  const isView = context.view !== undefined
  const previous = isView ? undefined : previousVersionOf(context.tree, contexts.timewarp, name)
  if (previous !== undefined) {
    const refused = await viewPrevious(context, request, previous.created)
    if (refused !== undefined) return fail(refused)
    return createNew(context, withoutCaching(request), withoutAbsence(contexts), {
      name: previous.name,
      lease: undefined,
    })
  }
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
    posix: contexts.posix,
    attempt: 0,
  })
  return complete(context, request, { contexts, lease }, opened)
}

/** What a request asks for by contexts, as far as its dialect has it. */
interface Asked {
  readonly contexts: RequestedContexts
  readonly lease: RequestedLease | undefined
}

async function complete(
  context: CommandContext,
  request: CreateRequest,
  asked: Asked,
  opened: OpenResult,
): Promise<Outcome<CreateResponse>> {
  if (typeof opened === 'number') return fail(opened)
  if ('linkTarget' in opened) {
    return fail(Status.STOPPED_ON_SYMLINK, stoppedOnSymlinkData(opened.linkTarget))
  }
  if ('retry' in opened) {
    const retry = async () => complete(context, request, asked, await opened.retry())
    return whenBroken(opened.wait, retry, opened.abandon)
  }
  if (isTreeGone(context)) return dropOpened(context, opened)
  const { contexts, lease } = asked
  const open = register(context, request, opened, contexts.posix !== undefined)
  publishCreation(context, open, opened)
  try {
    const applied = await applyToNewFile(opened, request, contexts, hasCompression(context))
    // The client may be gone by now: what it cached no one could break.
    if (open.closing) return fail(Status.FILE_CLOSED)
    const granted = await grantOplock(context, open, request, lease, opened.changeMark, applied)
    grantDurable(context, open, contexts.durable)
    context.open = open
    const { createAction } = opened
    const answers = {
      requested: contexts,
      grantedLease: granted.lease,
      grantedDurable: open.durable,
      resolvedId:
        contexts.resolvesId === undefined ? undefined : await resolveId(context, contexts.resolvesId),
    }
    const { stat, oplockLevel } = granted
    return ok(responseTo(context, open, { stat, oplockLevel, createAction, contexts: answers }))
  } catch (error) {
    await closeOpen(context.server, open)
    throw error
  }
}

/** The tree connect or its session ended while the file was being opened: no one would ever close it. */
function isTreeGone({ session, treeConnect }: CommandContext): boolean {
  return session.closing || session.treeConnectTable.get(treeConnect.treeId) !== treeConnect
}

async function dropOpened({ server, tree }: CommandContext, opened: OpenedFile): Promise<Outcome<never>> {
  await leaveNode(server, { ...tree, file: openFileOf(opened) })
  await opened.handle.close()
  return fail(Status.NETWORK_NAME_DELETED)
}

function hasCompression({ tree }: CommandContext): boolean {
  return tree.share.fileSystem?.features.compression === true
}

function register(context: CommandContext, request: CreateRequest, opened: OpenedFile, posix: boolean): Open {
  const { stream } = opened
  const open = registerOpen(context, {
    grantedAccess: opened.grantedAccess,
    shareAccess: request.shareAccess,
    createOptions: request.createOptions,
    posix,
    createAction: opened.createAction,
    maximalAccess: opened.maximalAccess,
    file: openFileOf(opened),
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
