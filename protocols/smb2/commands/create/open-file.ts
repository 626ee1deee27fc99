/** MS-FSA 2.1.5.1: opening or creating a file, directory or stream: storage first, then access, then sharing. */

import type { FileHandle, FileStat } from '../../../../storage/file-system.ts'
import { obstaclesTo } from '../../../../storage/netatalk-marks.ts'
import type { CommandContext } from '../../context.ts'
import { FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FileAccess } from '../../fscc/access.ts'
import { FileAttribute } from '../../fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../fscc/create-options.ts'
import type { BreakWait } from '../../state/break-waits.ts'
import type { OpenFile } from '../../state/open.ts'
import { type NtStatus, Status } from '../../status.ts'
import { statusOfStorageError } from '../../storage-status.ts'
import { type AccessFacts, allowedAccess, tokenOf } from '../access-check.ts'
import { leaveNode } from '../leave-node.ts'
import { type Claim, type ClaimRequest, claimNode, conflictsWith } from '../node-claim.ts'
import { endOrphans } from './orphans.ts'
import {
  deniedBy,
  fileSystemOf,
  isOverwriting,
  newAttributes,
  type Opened,
  type OpenPlan,
  openInStorage,
  planned,
  READS,
  statusFor,
  WRITES,
} from './storage-open.ts'

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

/** What it is to the opens of the file. */
export function openFileOf(opened: Pick<OpenedFile, 'handle' | 'claim' | 'stream' | 'stat'>): OpenFile {
  const { handle, claim, stream, stat } = opened
  // A stream of a directory holds data like any other.
  return { handle, type: stream === '' ? stat.type : 'file', stream, ...claim }
}

/** A CREATE that waits for others' oplocks to be broken. */
export interface HeldUp {
  readonly wait: BreakWait
  /** What to do after the wait. */
  retry(): Promise<OpenResult>
  /** What to do instead, when there is no point any longer. */
  abandon(): Promise<void>
}

/** A client with POSIX' rules met a symbolic link, which it follows itself. */
export interface StoppedOnLink {
  readonly linkTarget: string
}

/** What was opened, the status that refuses it, or what to wait for. */
export type OpenResult = OpenedFile | NtStatus | HeldUp | StoppedOnLink

export async function openFile(context: CommandContext, plan: OpenPlan): Promise<OpenResult> {
  const changeMark = context.server.oplocks.mark()
  const maximum = (plan.desiredAccess & FileAccess.MAXIMUM_ALLOWED) !== 0
  const { administrator } = context.tree.admission
  // MS-DTYP 2.5.3.2: SACLs are for those with SeSecurityPrivilege.
  if ((plan.desiredAccess & FileAccess.ACCESS_SYSTEM_SECURITY) !== 0 && !administrator) {
    return Status.PRIVILEGE_NOT_HELD
  }
  const outcome = await openInStorage(context, plan, maximum ? 0 : plan.desiredAccess)
  if (typeof outcome === 'number') return outcome
  if (!outcome.ok) return statusFor(context, plan, outcome.error)
  if (stopsOnLink(plan, outcome)) return stopOnLink(outcome)
  const mustBeNew = plan.request.createDisposition === CreateDisposition.CREATE
  if (mustBeNew && !outcome.created) return abandon(outcome.handle, Status.OBJECT_NAME_COLLISION)
  const allowed = allowedOn(context, outcome)
  const explicit = plan.desiredAccess & ~FileAccess.MAXIMUM_ALLOWED
  // MS-FSA 2.1.5.1.1: whoever makes a file may do all with it, until it is opened anew.
  const most = outcome.fileCreated ? FILE_ALL_ACCESS & context.tree.maximalAccess : allowed
  const granted = (maximum ? most | explicit : explicit) >>> 0
  const refusal = refuse(context, plan, outcome, allowed, granted)
  if (refusal !== undefined) return withdraw(outcome, refusal)
  const opened = maximum ? await reopen(context, plan, outcome, granted) : outcome
  if (typeof opened === 'number') return opened
  const { created, fileCreated } = outcome
  return share(context, plan, { ...opened, created, fileCreated }, { granted, allowed, changeMark })
}

function stopsOnLink({ posix, request }: OpenPlan, { stat }: Opened): boolean {
  const asksForLink = (request.createOptions & CreateOption.OPEN_REPARSE_POINT) !== 0
  const mustBeNew = request.createDisposition === CreateDisposition.CREATE
  return posix !== undefined && stat.type === 'symlink' && !asksForLink && !mustBeNew
}

async function stopOnLink({ handle }: Opened): Promise<StoppedOnLink> {
  try {
    return { linkTarget: await handle.readLink() }
  } finally {
    await handle.close()
  }
}

/** A stream that was made on the way, and then refused, goes again. */
async function withdraw({ handle, created }: Opened, status: NtStatus): Promise<NtStatus> {
  try {
    if (created) await handle.remove()
  } finally {
    await handle.close()
  }
  return status
}

function factsOf(outcome: Opened): AccessFacts {
  if (outcome.permissions === undefined) throw new Error('storage was asked for permissions')
  const { permissions, securityDescriptor, parentDescriptor, stream } = outcome
  // A named stream has no entry of its own: who writes the file removes it.
  const remove = stream === undefined ? permissions.remove : permissions.write
  return { permissions: { ...permissions, remove }, securityDescriptor, parentDescriptor }
}

function allowedOn({ server, tree }: CommandContext, outcome: Opened): number {
  const { admission, maximalAccess } = tree
  if (outcome.fileCreated && outcome.securityDescriptor === undefined) {
    return (FILE_ALL_ACCESS & maximalAccess) >>> 0
  }
  return allowedAccess(factsOf(outcome), () => tokenOf(server, admission), maximalAccess)
}

/** MS-FSA 2.1.5.1.2: what an existing file refuses. */
function refuse(
  { tree, view }: CommandContext,
  plan: OpenPlan,
  outcome: Opened,
  allowed: number,
  granted: number,
): NtStatus | undefined {
  if (outcome.fileCreated) return undefined
  const { request } = plan
  const isDirectory = outcome.stat.type === 'directory' && plan.name.stream === ''
  const overwrites = isOverwriting(request)
  if (isDirectory && overwrites) return Status.ACCESS_DENIED
  // A new stream is a change of the file that is there.
  const checked = overwrites || outcome.created ? granted | FileAccess.WRITE_DATA : granted
  const missing = checked & ~allowed & ~FileAccess.ACCESS_SYSTEM_SECURITY
  if (missing !== 0) {
    // Where the file system itself is read-only, nobody has the right to write.
    const mayRead = (missing & (FILE_GENERIC_READ | FILE_GENERIC_EXECUTE)) === 0
    return view !== undefined && mayRead ? Status.MEDIA_WRITE_PROTECTED : Status.ACCESS_DENIED
  }
  if (isDirectory) return undefined
  const { dosAttributes } = outcome.stat
  if ((dosAttributes & FileAttribute.READONLY) !== 0) {
    if ((granted & WRITES) !== 0 || overwrites) return Status.ACCESS_DENIED
    const deletes = (request.createOptions & CreateOption.DELETE_ON_CLOSE) !== 0
    const deletable = tree.share.deleteReadonly || plan.posix !== undefined
    if (deletes && !deletable) return Status.CANNOT_DELETE
  }
  if (outcome.created) return undefined
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
  // A stream that was made may have to be made again: Apple's are not there before they are written.
  const again = first.created && !first.fileCreated ? CreateDisposition.OPEN_IF : CreateDisposition.OPEN
  const request = { ...plan.request, createDisposition: again }
  const second = await openInStorage(context, { ...plan, request }, granted)
  if (typeof second === 'number') return second
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
  const { request, name, lease } = plan
  const overwrites = isOverwriting(request) && !opened.created
  if (isHeldAsByNetatalk(context, plan, opened, found))
    return abandon(opened.handle, Status.SHARING_VIOLATION)
  const wanted: ClaimRequest = {
    root: fileSystemOf(context),
    handle: opened.handle,
    stat: opened.stat,
    stream: name.stream,
    path: opened.path,
    isDirectory: opened.stat.type === 'directory',
    oplockKey: lease?.oplockKey,
    parentOplockKey: lease?.parentOplockKey,
    access: found.granted,
    overwrites,
    shareAccess: request.shareAccess,
    // A Mac's opens follow its folders when they are renamed, and are no obstacle to deleting what they are of.
    posix: plan.posix !== undefined || context.connection.negotiatedAapl,
  }
  const claim = claimOrEnd(context, wanted)
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
      const stream = opened.stream ?? ''
      const file = openFileOf({ handle: opened.handle, claim, stream, stat })
      await leaveNode(context.server, { ...context.tree, file })
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

function claimOrEnd(context: CommandContext, wanted: ClaimRequest): Claim | NtStatus | BreakWait {
  const claim = claimNode(context.server, wanted)
  if (claim !== Status.SHARING_VIOLATION) return claim
  return endOrphans(context, conflictsWith(context.server, wanted)) ?? claim
}

/**
 * Clients' locks of the bytes by which netatalk knows of opens say the same as its own: whoever hands all locks to the kernel,
 * as Samba does, has it so.
 */
function isHeldAsByNetatalk(
  { server, tree }: CommandContext,
  { request, name }: OpenPlan,
  { stat, handle }: Opened,
  { granted }: Found,
): boolean {
  if (!tree.share.netatalkLocking || name.stream !== '') return false
  const locks = server.nodes.findStream({ volumeId: stat.volumeId, fileId: stat.fileId })?.locks
  if (locks === undefined || locks.size === 0) return false
  const denied = deniedBy(request.shareAccess)
  const modes = {
    reads: (granted & READS) !== 0,
    writes: (granted & WRITES) !== 0 || isOverwriting(request),
    deniesReading: denied.reading,
    deniesWriting: denied.writing,
  }
  return obstaclesTo(modes).some((offset) => locks.conflictsWithWrite(handle, 0, { offset, length: 1n }))
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
