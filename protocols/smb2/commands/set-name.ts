/** MS-FSA 2.1.5.15.11, 2.1.5.15.6: FileRenameInformation, its Ex form, and FileLinkInformation. */

import { foldKey } from '../../../storage/names/fold.ts'
import type { CommandContext } from '../context.ts'
import { RenameFlag, type SetNameInformation } from '../fscc/file-information-set.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import { nameFilter, renameChanges } from '../state/change-bus.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { type NtStatus, Status } from '../status.ts'
import { whenBrokenOn } from './caching.ts'
import { parseName, parsePosixName, pathNameOf } from './create/name.ts'
import { inTheWay, loseName, movePaths, opensAt, renameConflict } from './node-claim.ts'
import { noteEntry } from './notes.ts'
import { refuseTarget } from './rename-target.ts'
import { rememberName } from './tunnel.ts'

export async function renameFile(
  context: CommandContext,
  open: Open,
  info: SetNameInformation,
): Promise<Outcome<EmptyBody>> {
  if (info.rootDirectory !== 0n) return fail(Status.INVALID_PARAMETER)
  if (open.pathName === '') return fail(Status.ACCESS_DENIED)
  const replace = (info.flags & RenameFlag.REPLACE_IF_EXISTS) !== 0
  return !open.posix && (open.file.stream !== '' || info.fileName.startsWith(':'))
    ? renameStream(context.server, open, info.fileName, replace)
    : renamePath(context, open, info.fileName, replace)
}

async function renamePath(
  context: CommandContext,
  open: Open,
  fileName: string,
  replace: boolean,
): Promise<Outcome<EmptyBody>> {
  const target = targetPath(open, fileName)
  if (typeof target === 'number') return fail(target)
  const { server } = context
  const { handle, shared } = open.file
  const retry = () => renamePath(context, open, fileName, replace)
  // MS-FSA 2.1.5.15.11: others keep no handle by the old name. They are asked before storage is.
  const held = server.oplocks.breakHandles(open.file)
  if (held !== undefined) return whenBrokenOn(open, held, retry)
  // Then, as nothing may happen between what is seen of others' opens and the new name.
  const refusal = await refuseTarget(context, open, target, replace)
  if (refusal !== undefined) return fail(refusal)
  const conflict = renameConflict(server, context.session.openTable.values(), shared, target, replace)
  if (conflict !== undefined) {
    const wait = server.oplocks.breakConflicting(inTheWay(server, shared, target, replace), shared)
    if (wait === undefined) return fail(conflict)
    return whenBrokenOn(open, wait, retry)
  }
  const heldByNow = server.oplocks.breakHandles(open.file)
  if (heldByNow !== undefined) return whenBrokenOn(open, heldByNow, retry)
  const before = shared.path
  // MS-FSA 2.1.5.15.11: no directory takes the place of another, as POSIX would let it when that is empty.
  const replaces = replace && (!open.isDirectory || open.posix)
  const after = await handle.rename({ to: target, replace: replaces, posixNames: open.posix })
  if (replaces) loseName(server, opensAt(server, shared, after))
  movePaths(server, shared.root, before, after)
  if (open.isDirectory) server.changes.moved(shared.root, before, after)
  movePathNames(server, shared.root)
  rememberName(server, open.share, before)
  open.file.node.node.times.changed(open.userSetTimes)
  noteEntry(server, open, ...renameChanges(before, after, open.isDirectory))
  return ok({})
}

/** Open.PathName follows the path that the node table has. */
function movePathNames(server: Server, root: object): void {
  for (const open of server.globalOpenTable.values()) {
    if (open.isPipe || open.file.shared.root !== root) continue
    const pathName = pathNameOf(open.file.shared.path, open.file.stream)
    if (pathName === open.pathName) continue
    open.pathName = pathName
    server.durables.changed(server, open)
  }
}

/** Names in SET_INFO are relative to the share, as in CREATE; some clients begin them with a separator. */
function targetPath(open: Open, fileName: string): string | NtStatus {
  if (open.posix) {
    const parsed = parsePosixName(fileName.startsWith('/') ? fileName.slice(1) : fileName)
    return typeof parsed === 'number' ? parsed : parsed.path
  }
  const parsed = parseName(fileName.startsWith('\\') ? fileName.slice(1) : fileName)
  if (typeof parsed === 'number') return parsed
  if (parsed.stream !== '' || parsed.path === '') return Status.OBJECT_NAME_INVALID
  return parsed.path
}

/** MS-FSA 2.1.5.15.11: `:new[:$DATA]`; the unnamed stream has no other name. */
async function renameStream(
  server: Server,
  open: Open,
  fileName: string,
  replace: boolean,
): Promise<Outcome<EmptyBody>> {
  const parsed = parseName(fileName)
  if (typeof parsed === 'number') return fail(parsed)
  const { handle, shared, node, stream } = open.file
  if (stream === '' || parsed.stream === '') return fail(Status.INVALID_PARAMETER)
  // With a path Windows opens that first, for itself alone: the stream's own file is open already.
  if (parsed.path !== '') {
    return fail(
      foldKey(parsed.path) === foldKey(shared.path) ? Status.SHARING_VIOLATION : Status.INVALID_PARAMETER,
    )
  }
  const { volumeId, fileId } = node.node
  const taken = server.nodes.findStream({ volumeId, fileId, stream: parsed.stream })
  if (taken !== undefined && taken !== node) return fail(Status.ACCESS_DENIED)
  await handle.rename({ to: parsed.stream, replace })
  server.nodes.renameStream(shared, parsed.stream)
  for (const other of server.globalOpenTable.values()) {
    if (other.isPipe || other.file.node !== node) continue
    other.file.stream = parsed.stream
    other.pathName = pathNameOf(shared.path, parsed.stream)
    server.durables.changed(server, other)
  }
  const filter = NotifyFilter.STREAM_NAME
  noteEntry(
    server,
    open,
    { path: `${shared.path}:${stream}`, action: NotifyAction.REMOVED_STREAM, filter },
    { path: `${shared.path}:${parsed.stream}`, action: NotifyAction.ADDED_STREAM, filter },
  )
  return ok({})
}

/** A hard link beside, or below, the file's own name. */
export async function linkFile(
  context: CommandContext,
  open: Open,
  info: SetNameInformation,
): Promise<Outcome<EmptyBody>> {
  if (info.rootDirectory !== 0n) return fail(Status.INVALID_PARAMETER)
  if (open.isDirectory) return fail(Status.FILE_IS_A_DIRECTORY)
  // No right of the open is asked for, as it is the folder that is changed.
  if (open.admission.readOnly) return fail(Status.ACCESS_DENIED)
  const target = targetPath(open, info.fileName)
  if (typeof target === 'number') return fail(target)
  const replace = (info.flags & RenameFlag.REPLACE_IF_EXISTS) !== 0
  const refusal = await refuseTarget(context, open, target, replace)
  if (refusal !== undefined) return fail(refusal)
  return linkPath(context, open, target, replace)
}

async function linkPath(
  context: CommandContext,
  open: Open,
  target: string,
  replace: boolean,
): Promise<Outcome<EmptyBody>> {
  const { server } = context
  const { handle, shared } = open.file
  const replaced = replace ? opensAt(server, shared, target) : []
  const wait = server.oplocks.breakConflicting(replaced, shared)
  if (wait !== undefined) return whenBrokenOn(open, wait, () => linkPath(context, open, target, replace))
  // MS-FSA 2.1.5.15.6: no link takes the place of a file that is open.
  if (replaced.length > 0) return fail(Status.ACCESS_DENIED)
  await handle.link({ to: target, replace, posixNames: open.posix })
  noteEntry(server, open, { path: target, action: NotifyAction.ADDED, filter: nameFilter(false) })
  return ok({})
}
