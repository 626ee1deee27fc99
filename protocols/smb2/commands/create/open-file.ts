/** MS-FSA 2.1.5.1: opening or creating a file, directory or stream: storage first, then access, then sharing. */

import type { StorageErrorCode } from '../../../../storage/errors.ts'
import type {
  Disposition,
  FileHandle,
  FileStat,
  FileSystem,
  OpenOutcome,
} from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { FILE_ALL_ACCESS, FileAccess } from '../../fscc/access.ts'
import { FileAttribute, SETTABLE_FILE_ATTRIBUTES } from '../../fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../fscc/create-options.ts'
import type { CreateRequest } from '../../messages/create.ts'
import type { BreakWait } from '../../state/oplock-breaks.ts'
import { type NtStatus, Status } from '../../status.ts'
import { statusOfStorageError } from '../../storage-status.ts'
import { type AccessFacts, allowedAccess, tokenOf } from '../access-check.ts'
import { type Claim, claimNode } from '../node-claim.ts'
import { tunnelledPath } from '../tunnel.ts'
import type { ParsedName } from './name.ts'

/** A file that was opened, with its place among other opens. */
export interface OpenedFile {
  readonly handle: FileHandle
  readonly claim: Claim
  /** As stored; '' for the file itself. */
  readonly stream: string
  readonly stat: FileStat
  /** As stored, '/'-separated. */
  readonly path: string
  readonly createAction: number
  readonly grantedAccess: number
  readonly maximalAccess: number
  /** OplockBreaks.mark before it was opened: since then `stat` may have become old. */
  readonly changeMark: number
}

type Opened = Extract<OpenOutcome, { ok: true }>

/** A CREATE as this file needs it. */
export interface OpenPlan {
  readonly name: ParsedName
  /** Generic bits are mapped already. */
  readonly desiredAccess: number
  readonly request: CreateRequest
  /** Times that it has waited for oplocks. */
  readonly attempt: number
}

const WRITES = FileAccess.WRITE_DATA | FileAccess.APPEND_DATA
const READS = FileAccess.READ_DATA | FileAccess.EXECUTE

/** A CREATE that waits for others' oplocks to be broken. */
export interface HeldUp {
  readonly wait: BreakWait
  /** What to do after the wait. */
  retry(): Promise<OpenResult>
  /** What to do instead, when there is no point any longer. */
  abandon(): Promise<void>
}

/** What was opened, the status that refuses it, or what to wait for. */
export type OpenResult = OpenedFile | NtStatus | HeldUp

export async function openFile(context: CommandContext, plan: OpenPlan): Promise<OpenResult> {
  const changeMark = context.server.oplocks.mark()
  const maximum = (plan.desiredAccess & FileAccess.MAXIMUM_ALLOWED) !== 0
  const outcome = await openInStorage(context, plan, maximum ? 0 : plan.desiredAccess)
  if (!outcome.ok) return statusFor(context, plan, outcome.error)
  const mustBeNew = plan.request.createDisposition === CreateDisposition.CREATE
  if (mustBeNew && !outcome.created) return abandon(outcome.handle, Status.OBJECT_NAME_COLLISION)
  const allowed = outcome.created
    ? (FILE_ALL_ACCESS & context.treeConnect.maximalAccess) >>> 0
    : allowedOn(context, outcome)
  const explicit = plan.desiredAccess & ~FileAccess.MAXIMUM_ALLOWED
  const granted = (maximum ? allowed | explicit : explicit) >>> 0
  const refusal = refuse(plan, outcome, allowed, granted)
  if (refusal !== undefined) return abandon(outcome.handle, refusal)
  const opened = maximum ? await reopen(context, plan, outcome, granted) : outcome
  if (typeof opened === 'number') return opened
  return share(context, plan, { ...opened, created: outcome.created }, { granted, allowed, changeMark })
}

/** What a disposition means for a file that exists, and for one that does not. */
interface Planned {
  readonly disposition: Disposition
  /** An existing file is emptied. */
  readonly overwrites: boolean
  /** CreateAction when the file existed. */
  readonly action: number
}

const PLANNED: ReadonlyMap<number, Planned> = new Map<number, Planned>([
  [
    CreateDisposition.SUPERSEDE,
    { disposition: 'open-if', overwrites: true, action: CreateAction.SUPERSEDED },
  ],
  [CreateDisposition.OPEN, { disposition: 'open', overwrites: false, action: CreateAction.OPENED }],
  [CreateDisposition.CREATE, { disposition: 'create', overwrites: false, action: CreateAction.CREATED }],
  [CreateDisposition.OPEN_IF, { disposition: 'open-if', overwrites: false, action: CreateAction.OPENED }],
  [CreateDisposition.OVERWRITE, { disposition: 'open', overwrites: true, action: CreateAction.OVERWRITTEN }],
  [
    CreateDisposition.OVERWRITE_IF,
    { disposition: 'open-if', overwrites: true, action: CreateAction.OVERWRITTEN },
  ],
])

function planned(request: CreateRequest): Planned {
  const entry = PLANNED.get(request.createDisposition)
  if (entry === undefined) throw new Error('the disposition was not validated')
  return entry
}

function isOverwriting(request: CreateRequest): boolean {
  return planned(request).overwrites
}

function fileSystemOf({ treeConnect }: CommandContext): FileSystem {
  const { fileSystem } = treeConnect.share
  if (fileSystem === undefined) throw new Error('a disk share has a file system')
  return fileSystem
}

/** One trip to storage. On a read-only share nothing is created. */
async function openInStorage(context: CommandContext, plan: OpenPlan, access: number): Promise<OpenOutcome> {
  const { share, admission } = context.treeConnect
  const { request, name } = plan
  const isDirectory = (request.createOptions & CreateOption.DIRECTORY_FILE) !== 0 || name.isDirectoryIndex
  const isFile = (request.createOptions & CreateOption.NON_DIRECTORY_FILE) !== 0
  const { disposition } = planned(request)
  return fileSystemOf(context).open({
    path: disposition === 'open' ? name.path : tunnelledPath(context.server, share, name.path),
    ...(name.stream === '' ? {} : { stream: name.stream }),
    identity: admission.identity,
    disposition: admission.readOnly ? 'open' : disposition,
    kind: isDirectory ? 'directory' : isFile ? 'file' : 'any',
    followLinks: share.followLinks && (request.createOptions & CreateOption.OPEN_REPARSE_POINT) === 0,
    read: (access & READS) !== 0,
    write: (access & WRITES) !== 0 || isOverwriting(request),
    create: {
      mode: isDirectory ? share.directoryMask : share.createMask,
      dosAttributes: newAttributes(request, isDirectory),
      ...(share.forcedOwner === undefined ? {} : { owner: share.forcedOwner }),
    },
    wantPermissions: true,
  })
}

/** MS-FSA 2.1.5.1.1: a new file is marked for archiving. */
function newAttributes({ fileAttributes }: CreateRequest, isDirectory: boolean): number {
  return (fileAttributes & SETTABLE_FILE_ATTRIBUTES) | (isDirectory ? 0 : FileAttribute.ARCHIVE)
}

/** What cannot be made on a read-only share is refused, rather than not found. */
function statusFor(context: CommandContext, plan: OpenPlan, error: StorageErrorCode): NtStatus {
  const status = statusOfStorageError(error)
  const creates = plan.request.createDisposition !== CreateDisposition.OPEN
  const isMissing = status === Status.OBJECT_NAME_NOT_FOUND
  return context.treeConnect.admission.readOnly && creates && isMissing ? Status.ACCESS_DENIED : status
}

function factsOf(outcome: Opened): AccessFacts {
  if (outcome.permissions === undefined) throw new Error('storage was asked for permissions')
  return { permissions: outcome.permissions, securityDescriptor: outcome.securityDescriptor }
}

function allowedOn(context: CommandContext, outcome: Opened): number {
  const { server, treeConnect } = context
  const token = tokenOf(treeConnect.admission.identity, server.self, server.identities)
  return allowedAccess(factsOf(outcome), treeConnect.admission, token, treeConnect.maximalAccess)
}

/** MS-FSA 2.1.5.1.2: what an existing file refuses. */
function refuse(plan: OpenPlan, outcome: Opened, allowed: number, granted: number): NtStatus | undefined {
  if (outcome.created) return undefined
  const { request } = plan
  const isDirectory = outcome.stat.type === 'directory' && plan.name.stream === ''
  const overwrites = isOverwriting(request)
  if (isDirectory && overwrites) return Status.ACCESS_DENIED
  const checked = overwrites ? granted | FileAccess.WRITE_DATA : granted
  if ((checked & ~allowed & ~FileAccess.ACCESS_SYSTEM_SECURITY) !== 0) return Status.ACCESS_DENIED
  if (isDirectory) return undefined
  const { dosAttributes } = outcome.stat
  if ((dosAttributes & FileAttribute.READONLY) !== 0) {
    if ((granted & WRITES) !== 0 || overwrites) return Status.ACCESS_DENIED
    if ((request.createOptions & CreateOption.DELETE_ON_CLOSE) !== 0) return Status.CANNOT_DELETE
  }
  // MS-FSA 2.1.5.1.2: hidden and system files are overwritten only by those who know that they are.
  const kept = FileAttribute.HIDDEN | FileAttribute.SYSTEM
  return overwrites && (dosAttributes & kept & ~request.fileAttributes) !== 0
    ? Status.ACCESS_DENIED
    : undefined
}

async function abandon(handle: FileHandle, status: NtStatus): Promise<NtStatus> {
  await handle.close()
  return status
}

/** MAXIMUM_ALLOWED: only now it is known which data access the handle needs. */
async function reopen(
  context: CommandContext,
  plan: OpenPlan,
  first: Opened,
  granted: number,
): Promise<Opened | NtStatus> {
  if (first.stat.type !== 'file' || (granted & (READS | WRITES)) === 0) return first
  await first.handle.close()
  const request = { ...plan.request, createDisposition: CreateDisposition.OPEN }
  const second = await openInStorage(context, { ...plan, request }, granted)
  return second.ok ? second : statusOfStorageError(second.error)
}

/** What was found out of a file before it is shared. */
interface Found {
  readonly granted: number
  readonly allowed: number
  readonly changeMark: number
}

/** Times that one CREATE finds oplocks to break, as others may take new ones whenever it has waited. */
const MAXIMUM_ATTEMPTS = 16

/** MS-FSA 2.1.5.1.2.2: the opens that others have must allow this one; then it may overwrite. */
async function share(
  context: CommandContext,
  plan: OpenPlan,
  opened: Opened,
  found: Found,
): Promise<OpenResult> {
  const { request, name } = plan
  const overwrites = isOverwriting(request) && !opened.created
  const claim = claimNode(context.server, {
    root: fileSystemOf(context),
    handle: opened.handle,
    stat: opened.stat,
    stream: name.stream,
    path: opened.path,
    access: found.granted,
    overwrites,
    shareAccess: request.shareAccess,
  })
  if (typeof claim === 'number') return abandon(opened.handle, claim)
  if ('ended' in claim) return holdUp(context, plan, opened, found, claim)
  let { stat } = opened
  if (overwrites) {
    context.server.oplocks.beginChange(claim)
    try {
      stat = await opened.handle
        .overwrite(newAttributes(request, false))
        .finally(() => context.server.oplocks.endChange(claim))
    } catch (error) {
      context.server.nodes.detach(claim.shared)
      await opened.handle.close()
      throw error
    }
  }
  const createAction = opened.created ? CreateAction.CREATED : planned(request).action
  const { handle, path } = opened
  const { granted: grantedAccess, allowed: maximalAccess, changeMark } = found
  return {
    handle,
    claim,
    stream: opened.stream ?? '',
    stat,
    path,
    createAction,
    grantedAccess,
    maximalAccess,
    changeMark,
  }
}

/** After the wait all may be different, so a file that was there is opened anew; one that was made here stays. */
async function holdUp(
  context: CommandContext,
  plan: OpenPlan,
  opened: Opened,
  found: Found,
  wait: BreakWait,
): Promise<OpenResult> {
  const next = { ...plan, attempt: plan.attempt + 1 }
  if (next.attempt > MAXIMUM_ATTEMPTS) {
    wait.cancel()
    return abandon(opened.handle, Status.SHARING_VIOLATION)
  }
  if (opened.created) {
    return {
      wait,
      retry: () => share(context, next, opened, found),
      abandon: () => opened.handle.close(),
    }
  }
  await opened.handle.close()
  return { wait, retry: () => openFile(context, next), abandon: async () => undefined }
}
