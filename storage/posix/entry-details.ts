/** MS-FSA 2.1.5.6.3, for clients that want to know more of each entry: rights, and what its streams are. No call more for each but where an ACL or a stream is stored. */

import { constants } from 'node:fs'
import type { Identity, MacMetadata, Permissions } from '../file-system.ts'
import { macMetadataOf, type SidecarFacts } from '../metadata/mac-metadata.ts'
import { actAs, isSuperuser } from './identity.ts'
import { mayAccess, mayAccessEntry } from './native.ts'
import { groupOf, modeOf, ownerOf } from './stat-record.ts'
import { peekXattr, type XattrPlace } from './xattr.ts'

const READ = 4
const WRITE = 2
const EXECUTE = 1
const OWNER_SHIFT = 6
const GROUP_SHIFT = 3
/** Attributes in which file systems show that not the mode alone decides. */
const ACL_XATTRS: readonly string[] = ['system.posix_acl_access', 'system.nfs4_acl', 'system.nfs4_acl_xdr']
const STICKY = 0o1000

/** What an account may do in a directory: whether it may remove what is there. */
export interface DirectoryRights {
  readonly writable: boolean
  readonly sticky: boolean
  readonly owned: boolean
}

export function directoryRights(
  directory: number,
  record: Buffer,
  identity: Identity | undefined,
): DirectoryRights {
  return actAs(identity, () => ({
    writable: mayAccess(directory, constants.W_OK | constants.X_OK),
    sticky: (modeOf(record) & STICKY) !== 0,
    owned: isOwner(record, identity),
  }))
}

/** Where an entry is, and who looks at it. */
export interface Within {
  readonly identity: Identity | undefined
  readonly rights: DirectoryRights
  readonly directory: number
  readonly name: string
}

/** @param xattrs names of all attributes of the entry: the kernel is asked for access when they say that an ACL decides */
export function permissionsOf(xattrs: readonly string[], record: Buffer, within: Within): Permissions {
  const { identity, rights, directory, name } = within
  const hasAcl = xattrs.some((xattr) => ACL_XATTRS.includes(xattr))
  const digit = hasAcl ? digitByKernel(identity, directory, name) : digitByMode(record, identity)
  const owner = isOwner(record, identity)
  return {
    read: (digit & READ) !== 0,
    write: (digit & WRITE) !== 0,
    execute: (digit & EXECUTE) !== 0,
    owner,
    remove: rights.writable && (!rights.sticky || rights.owned || owner),
  }
}

/** What a Mac wants to know of an entry's streams. @param xattrs names of all attributes of the entry */
export function streamsOf(
  place: XattrPlace,
  xattrs: readonly string[],
  sidecar: SidecarFacts | undefined,
): MacMetadata | undefined {
  if (xattrs.length === 0 && sidecar === undefined) return undefined
  return macMetadataOf(xattrs, { value: (xattr) => peekXattr(place, xattr) }, sidecar)
}

function isRoot(identity: Identity | undefined): boolean {
  return identity === undefined ? isSuperuser() : identity.uid === 0
}

function isOwner(record: Buffer, identity: Identity | undefined): boolean {
  return isRoot(identity) || (identity?.uid ?? process.geteuid?.()) === ownerOf(record)
}

function digitByMode(record: Buffer, identity: Identity | undefined): number {
  if (isRoot(identity)) return READ | WRITE | EXECUTE
  const mode = modeOf(record)
  const uid = identity?.uid ?? process.geteuid?.()
  const gids = identity === undefined ? (process.getgroups?.() ?? []) : [identity.gid, ...identity.groups]
  if (uid === ownerOf(record)) return (mode >> OWNER_SHIFT) & 7
  return gids.includes(groupOf(record)) ? (mode >> GROUP_SHIFT) & 7 : mode & 7
}

function digitByKernel(identity: Identity | undefined, directory: number, name: string): number {
  return actAs(identity, () => {
    const may = (mode: number, bit: number): number => (mayAccessEntry(directory, name, mode) ? bit : 0)
    return may(constants.R_OK, READ) | may(constants.W_OK, WRITE) | may(constants.X_OK, EXECUTE)
  })
}
