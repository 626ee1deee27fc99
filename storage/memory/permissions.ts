/** POSIX access by mode bits (POSIX.1-2017 4.5 File Access Permissions), since RAM has no kernel to check it. */

import type { Identity, Permissions } from '../file-system.ts'
import type { MemoryNode } from './node.ts'

/** Permission bits of one class. */
export const Access = { read: 4, write: 2, execute: 1 } as const

const ANY_EXECUTE = 0o111
const STICKY = 0o1000

/** The server's own user may do all, like root. */
export function isPrivileged(identity: Identity | undefined): boolean {
  return identity === undefined || identity.uid === 0
}

export function isOwner(node: MemoryNode, identity: Identity | undefined): boolean {
  return isPrivileged(identity) || identity?.uid === node.uid
}

/** Whether all of `wanted` (bits of Access) is allowed. */
export function allows(node: MemoryNode, identity: Identity | undefined, wanted: number): boolean {
  if (identity === undefined || isPrivileged(identity)) {
    const executes = (wanted & Access.execute) !== 0
    return !executes || node.directory !== undefined || (node.mode & ANY_EXECUTE) !== 0
  }
  const isMember = identity.gid === node.gid || identity.groups.includes(node.gid)
  const shift = identity.uid === node.uid ? 6 : isMember ? 3 : 0
  return ((node.mode >> shift) & wanted) === wanted
}

/** Whether an entry may be removed from a directory or renamed: the sticky bit leaves that to the owners. */
export function allowsRemoval(parent: MemoryNode, node: MemoryNode, identity: Identity | undefined): boolean {
  if (!allows(parent, identity, Access.write | Access.execute)) return false
  return (parent.mode & STICKY) === 0 || isOwner(node, identity) || isOwner(parent, identity)
}

export function permissionsOf(
  node: MemoryNode,
  parent: MemoryNode | undefined,
  identity: Identity | undefined,
): Permissions {
  return {
    read: allows(node, identity, Access.read),
    write: allows(node, identity, Access.write),
    execute: allows(node, identity, Access.execute),
    owner: isOwner(node, identity),
    remove: parent !== undefined && allowsRemoval(parent, node, identity),
  }
}
