/** MS-FSA 2.1.5.1: from a CREATE Request to what storage is asked, and back to a status. */

import type { StorageErrorCode } from '../../../../storage/errors.ts'
import type { Disposition, FileSystem, OpenOutcome, OpenRequest } from '../../../../storage/file-system.ts'
import { ShareMode } from '../../../../storage/sharing/share-access.ts'
import type { CommandContext } from '../../context.ts'
import { FileAccess } from '../../fscc/access.ts'
import { FileAttribute, SETTABLE_FILE_ATTRIBUTES } from '../../fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../fscc/create-options.ts'
import type { CreateRequest } from '../../messages/create.ts'
import type { Share } from '../../state/server.ts'
import { type NtStatus, Status } from '../../status.ts'
import { statusOfStorageError } from '../../storage-status.ts'
import { tunnelledPath } from '../tunnel.ts'
import type { RequestedContexts } from './contexts.ts'
import { type Inheritance, inheritanceOf, NO_INHERITANCE } from './inheritance.ts'
import type { RequestedLease } from './lease.ts'
import type { ParsedName } from './name.ts'

export type Opened = Extract<OpenOutcome, { ok: true }>

/** A CREATE as this file needs it. */
export interface OpenPlan {
  readonly name: ParsedName
  /** Generic bits are mapped already. */
  readonly desiredAccess: number
  readonly request: CreateRequest
  readonly lease: RequestedLease | undefined
  /** SMB2_CREATE_SD_BUFFER: for a file that is made. */
  readonly securityDescriptor: Buffer | undefined
  /** The open has POSIX' rules. */
  readonly posix: RequestedContexts['posix']
  /** Times that it has waited for oplocks. */
  readonly attempt: number
}

export const WRITES = FileAccess.WRITE_DATA | FileAccess.APPEND_DATA
export const READS = FileAccess.READ_DATA | FileAccess.EXECUTE

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

export function planned(request: CreateRequest): Planned {
  const entry = PLANNED.get(request.createDisposition)
  if (entry === undefined) throw new Error('the disposition was not validated')
  return entry
}

export function isOverwriting(request: CreateRequest): boolean {
  return planned(request).overwrites
}

export function fileSystemOf({ tree }: CommandContext): FileSystem {
  const { fileSystem } = tree.share
  if (fileSystem === undefined) throw new Error('a disk share has a file system')
  return fileSystem
}

/** Times that one CREATE finds another descriptor on the directory than the moment before. */
const MAXIMUM_DESCRIPTOR_CHANGES = 4

/** One trip to storage, or two where the directory has a descriptor from which the new file's is made. */
export async function openInStorage(
  context: CommandContext,
  plan: OpenPlan,
  access: number,
): Promise<OpenOutcome | NtStatus> {
  const isDirectory = wantsDirectory(plan)
  let parent: Buffer | undefined
  for (let changes = 0; changes <= MAXIMUM_DESCRIPTOR_CHANGES; changes++) {
    const inheritance = inheritanceFor(context, plan, parent, isDirectory)
    if (typeof inheritance === 'number') return inheritance
    const outcome = await fileSystemOf(context).open(storageRequest(context, plan, access, inheritance))
    if (!outcome.ok && outcome.error === 'unheeded') {
      parent = outcome.parentDescriptor
    } else if (outcome.ok && outcome.fileCreated && inheritance.securityDescriptor !== undefined) {
      return { ...outcome, securityDescriptor: inheritance.securityDescriptor }
    } else {
      return outcome
    }
  }
  return Status.SHARING_VIOLATION
}

/** What is made with a mode is made with that alone; the directory's descriptor still says whether it may be. */
function inheritanceFor(
  context: CommandContext,
  { securityDescriptor, posix }: OpenPlan,
  parent: Buffer | undefined,
  isDirectory: boolean,
): Inheritance | NtStatus {
  const inheritance = inheritanceOf(context, securityDescriptor, parent, isDirectory)
  if (typeof inheritance === 'number' || posix?.mode === undefined) return inheritance
  return parent === undefined ? NO_INHERITANCE : { heeded: parent }
}

function wantsDirectory({ request, name }: OpenPlan): boolean {
  return (request.createOptions & CreateOption.DIRECTORY_FILE) !== 0 || name.unnamedType === 'index'
}

function storageRequest(
  context: CommandContext,
  plan: OpenPlan,
  access: number,
  inheritance: Inheritance,
): OpenRequest {
  const { connection, tree } = context
  const { share, admission } = tree
  const { request, name } = plan
  const isDirectory = wantsDirectory(plan)
  const isFile =
    (request.createOptions & CreateOption.NON_DIRECTORY_FILE) !== 0 || name.unnamedType === 'data'
  const { disposition } = planned(request)
  return {
    path:
      disposition === 'open' || plan.posix !== undefined
        ? name.path
        : tunnelledPath(context.server, share, name.path),
    ...(name.stream === '' ? {} : { stream: name.stream, ignoreEmptyStreams: connection.negotiatedAapl }),
    identity: admission.identity,
    disposition: refuseCreation(context, plan) === undefined ? disposition : 'open',
    kind: isDirectory ? 'directory' : isFile ? 'file' : 'any',
    ...(plan.posix !== undefined && { posixNames: true }),
    followLinks: followsLinks(context, plan),
    read: (access & READS) !== 0,
    write: (access & WRITES) !== 0 || isOverwriting(request),
    ...(share.netatalkLocking && { denies: deniedBy(request.shareAccess) }),
    create: {
      mode: plan.posix?.mode ?? (isDirectory ? share.directoryMask : share.createMask),
      dosAttributes: newAttributes(request, isDirectory),
      ...(share.forcedOwner === undefined ? {} : { owner: share.forcedOwner }),
      ...inheritance,
    },
    wantPermissions: true,
  }
}

/** What an open denies to programs beside this server. */
export function deniedBy(shareAccess: number): NonNullable<OpenRequest['denies']> {
  return { reading: (shareAccess & ShareMode.read) === 0, writing: (shareAccess & ShareMode.write) === 0 }
}

/** POSIX clients follow links themselves: they are told of them (STATUS_STOPPED_ON_SYMLINK). */
function followsLinks({ tree }: CommandContext, { request, posix }: OpenPlan): boolean {
  const asksForLink = (request.createOptions & CreateOption.OPEN_REPARSE_POINT) !== 0
  return tree.share.followLinks && !asksForLink && posix === undefined
}

/** MS-FSA 2.1.5.1.1: why nothing new is made; what is there may be opened nevertheless. */
function refuseCreation(context: CommandContext, plan: OpenPlan): NtStatus | undefined {
  const { share, admission } = context.tree
  if (context.view !== undefined) return Status.MEDIA_WRITE_PROTECTED
  if (admission.readOnly) return Status.ACCESS_DENIED
  if (isUndeletable(share, plan)) return Status.CANNOT_DELETE
  const { path } = plan.name
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  return context.server.nodes.isDeletePendingAt(fileSystemOf(context), parent)
    ? Status.DELETE_PENDING
    : undefined
}

/** MS-FSA 2.1.5.1.1: FILE_DELETE_ON_CLOSE for a new file that is read-only. */
function isUndeletable({ deleteReadonly }: Share, { request }: OpenPlan): boolean {
  const deletes = (request.createOptions & CreateOption.DELETE_ON_CLOSE) !== 0
  return deletes && !deleteReadonly && (request.fileAttributes & FileAttribute.READONLY) !== 0
}

/** MS-FSA 2.1.5.1.1: a new file is marked for archiving. */
export function newAttributes({ fileAttributes }: CreateRequest, isDirectory: boolean): number {
  return (fileAttributes & SETTABLE_FILE_ATTRIBUTES) | (isDirectory ? 0 : FileAttribute.ARCHIVE)
}

/** What may not be made is refused for that reason, rather than not found. */
export function statusFor(context: CommandContext, plan: OpenPlan, error: StorageErrorCode): NtStatus {
  const status = statusOfStorageError(error)
  const creates = plan.request.createDisposition !== CreateDisposition.OPEN
  if (!creates || status !== Status.OBJECT_NAME_NOT_FOUND) return status
  return refuseCreation(context, plan) ?? status
}
