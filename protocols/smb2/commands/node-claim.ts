/** MS-FSA 2.1.5.1.2.2, 2.1.5.15.11: this server's opens in the node table: claiming, moving. */

import type { FileHandle, FileStat } from '../../../storage/file-system.ts'
import type { StreamNode } from '../../../storage/sharing/node-table.ts'
import { GrantedAccess } from '../../../storage/sharing/share-access.ts'
import { FileAccess } from '../fscc/access.ts'
import type { SharedFile } from '../state/open.ts'
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
  /** An access mask. */
  readonly access: number
  readonly shareAccess: number
}

/** Takes a place among the opens of a file. @returns the status that refuses it */
export function claimNode(server: Server, request: ClaimRequest): Claim | NtStatus {
  const { volumeId, fileId } = request.stat
  const target = { volumeId, fileId, ...(request.stream === '' ? {} : { stream: request.stream }) }
  const { root, path, handle } = request
  const shared = { root, path, handle, access: grantedAccessOf(request.access), share: request.shareAccess }
  switch (server.nodes.check(target, shared)) {
    case 'delete-pending':
      return Status.DELETE_PENDING
    case 'sharing-violation':
      return Status.SHARING_VIOLATION
    case 'ok':
      return { shared, node: server.nodes.attach(target, shared) }
  }
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

/** MS-FSA 2.1.5.15.11: a directory is not renamed while anything below it is open, nor a file over an open one. */
export function renameConflict(
  server: Server,
  shared: SharedFile,
  target: string,
  replace: boolean,
): NtStatus | undefined {
  for (const _below of server.nodes.opensBelow(shared.root, shared.path)) return Status.ACCESS_DENIED
  if (!replace) return undefined
  for (const other of server.nodes.opens()) {
    if (other !== shared && other.root === shared.root && other.path === target) return Status.ACCESS_DENIED
  }
  return undefined
}

/** Gives all opens at or below a renamed path their new one. */
export function movePaths(server: Server, root: object, before: string, after: string): void {
  for (const shared of server.nodes.opens()) {
    if (shared.root !== root) continue
    if (shared.path === before) shared.path = after
    else if (shared.path.startsWith(`${before}/`)) shared.path = after + shared.path.slice(before.length)
  }
}
