/** MS-FSA 2.1.5.1.2.2, 2.1.5.15.11: this server's opens in the node table: claiming, moving. */

import type { FileHandle, FileStat } from '../../../storage/file-system.ts'
import type { StreamNode, Target } from '../../../storage/sharing/node-table.ts'
import type { OplockKey } from '../../../storage/sharing/oplocks.ts'
import {
  GrantedAccess,
  ShareMode,
  type Sharing,
  sharingConflicts,
} from '../../../storage/sharing/share-access.ts'
import { FileAccess } from '../fscc/access.ts'
import type { BreakWait } from '../state/break-waits.ts'
import type { Open, SharedFile } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { type NtStatus, Status } from '../status.ts'

export interface Claim {
  readonly shared: SharedFile
  readonly node: StreamNode<SharedFile>
}

/** What a CREATE wants of a file that storage has opened. */
export interface ClaimRequest {
  /** The share's tree. */
  readonly root: object
  readonly handle: FileHandle
  readonly stat: FileStat
  /** '' for the file itself. */
  readonly stream: string
  readonly path: string
  readonly isDirectory: boolean
  /** Open.TargetOplockKey and Open.ParentOplockKey, when a lease is asked for. */
  readonly oplockKey: OplockKey | undefined
  readonly parentOplockKey: string | undefined
  /** An access mask: what was granted. */
  readonly access: number
  /** The file is going to be emptied: so far sharing is concerned, written. */
  readonly overwrites: boolean
  readonly shareAccess: number
  readonly posix: boolean
}

/** Nothing of a file but this can be had without breaking an oplock (MS-FSA 2.1.4.12 for OPEN). */
const ATTRIBUTE_RIGHTS = FileAccess.READ_ATTRIBUTES | FileAccess.WRITE_ATTRIBUTES | FileAccess.SYNCHRONIZE

/**
 * Takes a place among the opens of a file.
 * @returns the status that refuses it, or the oplocks that are being broken first: then it must be
 * tried again from the start
 */
export function claimNode(server: Server, request: ClaimRequest): Claim | NtStatus | BreakWait {
  const { overwrites } = request
  const { target, shared } = placeOf(request)
  switch (server.nodes.check(target, shared)) {
    case 'delete-pending':
      return Status.DELETE_PENDING
    case 'sharing-violation':
      // MS-FSA 2.1.5.1.2: whoever keeps a handle that its user has closed is asked to close it.
      return (
        server.oplocks.breakConflicting(server.nodes.conflictingOpens(target, shared), shared) ??
        Status.SHARING_VIOLATION
      )
    case 'ok': {
      const wait = breakForOpen(server, target, shared, overwrites)
      return wait ?? { shared, node: server.nodes.attach(target, shared) }
    }
  }
}

/** The opens that do not share what is asked for. */
export function conflictsWith(server: Server, request: ClaimRequest): SharedFile[] {
  const { target, shared } = placeOf(request)
  return server.nodes.conflictingOpens(target, shared)
}

/** A place beside those that others have, if they allow that as it is: nothing is broken for it. */
export function claimIdly(server: Server, request: ClaimRequest): Claim | undefined {
  const { target, shared } = placeOf(request)
  if (server.nodes.check(target, shared) !== 'ok') return undefined
  return { shared, node: server.nodes.attach(target, shared) }
}

function placeOf(request: ClaimRequest): { readonly target: Target; readonly shared: SharedFile } {
  const { volumeId, fileId } = request.stat
  const target = request.stream === '' ? { volumeId, fileId } : { volumeId, fileId, stream: request.stream }
  const { root, path, handle, overwrites, isDirectory, oplockKey, parentOplockKey } = request
  const attributesOnly = (request.access & ~ATTRIBUTE_RIGHTS) === 0
  const metadataOnly = (request.access & ~(ATTRIBUTE_RIGHTS | FileAccess.READ_CONTROL)) === 0
  const needed = overwrites ? request.access | FileAccess.WRITE_DATA : request.access
  const shared = {
    root,
    path,
    handle,
    attributesOnly,
    metadataOnly,
    isDirectory,
    oplockKey,
    parentOplockKey,
    posix: request.posix,
    access: grantedAccessOf(needed),
    share: request.shareAccess,
  }
  return { target, shared }
}

function breakForOpen(
  server: Server,
  target: Target,
  shared: SharedFile,
  overwrites: boolean,
): BreakWait | undefined {
  const stream = server.nodes.findStream(target)
  if (stream === undefined || (shared.attributesOnly && !overwrites)) return undefined
  return server.oplocks.breakForOpen(stream, overwrites, shared)
}

const SHARED_RIGHTS: readonly (readonly [mask: number, access: number])[] = [
  [FileAccess.READ_DATA, GrantedAccess.read],
  [FileAccess.WRITE_DATA, GrantedAccess.write],
  [FileAccess.APPEND_DATA, GrantedAccess.append],
  [FileAccess.EXECUTE, GrantedAccess.execute],
  [FileAccess.DELETE, GrantedAccess.delete],
]

function grantedAccessOf(mask: number): number {
  let access = 0
  for (const [bit, granted] of SHARED_RIGHTS) if ((mask & bit) !== 0) access |= granted
  return access
}

/**
 * MS-FSA 2.1.5.15.11: a directory is not renamed while anything below it is open, nor a file over an open one.
 * @param opens of the session that renames
 */
export function renameConflict(
  server: Server,
  opens: Iterable<Open>,
  shared: SharedFile,
  target: string,
  replace: boolean,
): NtStatus | undefined {
  if (isFolderHeld(opens, shared.root, target)) return Status.SHARING_VIOLATION
  for (const _open of inTheWay(server, shared, target, replace)) return Status.ACCESS_DENIED
  return undefined
}

/**
 * Putting a name into a folder opens that: for adding, and shared for all but deletion. Only the session's own opens are
 * held against it: a client elsewhere that watches the folder with all rights would keep everyone from renaming there.
 */
const ADDING: Sharing = { access: GrantedAccess.write, share: ShareMode.read | ShareMode.write }

function isFolderHeld(opens: Iterable<Open>, root: object, target: string): boolean {
  const folder = target.slice(0, Math.max(0, target.lastIndexOf('/')))
  for (const open of opens) {
    if (open.isPipe) continue
    const other = open.file.shared
    if (other.root === root && other.path === folder && sharingConflicts(other, ADDING)) return true
  }
  return false
}

/** The opens because of which a file or directory cannot be renamed. */
export function* inTheWay(
  server: Server,
  shared: SharedFile,
  target: string,
  replace: boolean,
): Generator<SharedFile> {
  for (const other of server.nodes.opensBelow(shared.root, shared.path)) {
    if (!yieldsTo(other, shared)) yield other
  }
  if (!replace) return
  for (const other of opensAt(server, shared, target)) if (!yieldsTo(other, shared)) yield other
}

/** POSIX-FSA 2.1.4.2: opens with POSIX' rules are not in each other's way. */
function yieldsTo(other: SharedFile, shared: SharedFile): boolean {
  return other.posix === true && shared.posix === true
}

/** No name has a NUL in it: the path of an open whose file has none any longer. */
const NO_PATH = '\0'

/** What is at their path from now on is another file, or nothing; with POSIX' rules the opens live on. */
export function loseName(server: Server, opens: Iterable<SharedFile>): void {
  for (const shared of opens) {
    const before = shared.path
    shared.path = NO_PATH
    server.oplocks.moved(shared, before)
  }
}

/** The other opens of what is at a path. */
export function opensAt(server: Server, shared: SharedFile, path: string): SharedFile[] {
  const found: SharedFile[] = []
  for (const other of server.nodes.opens()) {
    if (other !== shared && other.root === shared.root && other.path === path) found.push(other)
  }
  return found
}

/** Gives all opens at or below a renamed path their new one. */
export function movePaths(server: Server, root: object, before: string, after: string): void {
  for (const shared of server.nodes.opens()) {
    const { path } = shared
    if (shared.root !== root || !(path === before || path.startsWith(`${before}/`))) continue
    shared.path = after + path.slice(before.length)
    server.oplocks.moved(shared, path)
  }
}
