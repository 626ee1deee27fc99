/** MS-DTYP 2.5.3.2: the access check algorithm, and what an open is granted by it (MS-FSA 2.1.5.1.2.1). */

import type { Identity, Permissions } from '../../../storage/file-system.ts'
import { FILE_ALL_ACCESS, FileAccess, mapGenericAccess } from '../fscc/access.ts'
import { type Ace, AceFlag, AceType } from '../fscc/acl.ts'
import { decodeSecurityDescriptor, type SecurityDescriptor } from '../fscc/security-descriptor.ts'
import { WellKnownSid } from '../fscc/sid.ts'
import type { Admission, IdentityMap, Server } from '../state/server.ts'
import { rightsOfPermissions } from './default-security.ts'

/** Who acts: the SIDs of an account, and what it may do whatever descriptors say. */
export interface Token {
  /** Token.UserSID */
  readonly user: string
  /** Token.PrimaryGroup */
  readonly group: string
  /** All of them, well-known ones included. */
  readonly sids: ReadonlySet<string>
  /** Has SeSecurityPrivilege, SeTakeOwnershipPrivilege and SeRestorePrivilege. */
  readonly isPrivileged: boolean
}

/** The token of whoever is admitted to a share. */
export function tokenOf(
  { self, identities }: Pick<Server, 'self' | 'identities'>,
  admission: Admission,
): Token {
  const { administrator } = admission
  const { uid, gid, groups }: Identity = admission.identity ?? self
  const user = identities.userSid(uid)
  const group = identities.groupSid(gid)
  const sids = new Set([user, group, ...localGroups(groups, identities), ...EVERYBODY])
  if (administrator) sids.add(WellKnownSid.BUILTIN_ADMINISTRATORS)
  return { user, group, sids, isPrivileged: administrator }
}

function localGroups(groups: readonly number[], identities: IdentityMap): string[] {
  return groups.map((gid) => identities.groupSid(gid))
}

const EVERYBODY = [
  WellKnownSid.EVERYONE,
  WellKnownSid.NETWORK,
  WellKnownSid.AUTHENTICATED_USERS,
  WellKnownSid.BUILTIN_USERS,
] as const

/** Every right that a descriptor gives to a token: ACEs in order, each right decided by the first that names it. */
export function maximalAccess(descriptor: SecurityDescriptor, { sids }: Token): number {
  const isOwner = descriptor.owner !== undefined && sids.has(descriptor.owner)
  const implicit = isOwner ? FileAccess.READ_CONTROL | FileAccess.WRITE_DAC : 0
  // "If the DACL is NULL", or there is none, everything is granted.
  if (descriptor.dacl === undefined || descriptor.dacl === null) return FILE_ALL_ACCESS
  let granted = 0
  let denied = 0
  let ownerRightsSeen = false
  for (const ace of descriptor.dacl.aces) {
    const mask = maskFor(ace, sids, isOwner)
    if (mask === undefined) continue
    if ('sid' in ace && ace.sid === WellKnownSid.OWNER_RIGHTS) ownerRightsSeen = true
    if (ace.type === AceType.ACCESS_ALLOWED) granted |= mask & ~denied
    else if (ace.type === AceType.ACCESS_DENIED) denied |= mask & ~granted
  }
  return (granted | (ownerRightsSeen ? 0 : implicit)) >>> 0
}

/** Rights that an ACE decides for the token; undefined when it is not meant. */
function maskFor(ace: Ace, sids: ReadonlySet<string>, isOwner: boolean): number | undefined {
  if (!('sid' in ace) || (ace.flags & AceFlag.INHERIT_ONLY) !== 0) return undefined
  const isMeant = sids.has(ace.sid) || (isOwner && ace.sid === WellKnownSid.OWNER_RIGHTS)
  return isMeant ? mapGenericAccess(ace.mask) : undefined
}

/** What is known of a file when its access is decided. */
export interface AccessFacts {
  readonly permissions: Permissions
  /** Stored with the file. */
  readonly securityDescriptor: Buffer | undefined
  /** Stored with its directory. */
  readonly parentDescriptor: Buffer | undefined
}

/**
 * All rights that a token has on an existing file: those of a stored descriptor, without one those
 * of owner and mode; never more than the share gives.
 */
export function allowedAccess(facts: AccessFacts, token: () => Token, shareAccess: number): number {
  const byMode = rightsOfPermissions(facts.permissions)
  const { securityDescriptor, parentDescriptor, permissions } = facts
  if (securityDescriptor === undefined && parentDescriptor === undefined) return (byMode & shareAccess) >>> 0
  const who = token()
  const byDescriptor =
    securityDescriptor === undefined ? byOwnRules(byMode, permissions) : rightsBy(securityDescriptor, who)
  // MS-FSA 2.1.5.1.2.1: DELETE_CHILD in the directory is DELETE here. The kernel has the last word on either.
  const byParent =
    parentDescriptor === undefined || (rightsBy(parentDescriptor, who) & FileAccess.DELETE_CHILD) !== 0
      ? FileAccess.DELETE
      : 0
  const removable = permissions.remove ? FileAccess.DELETE : 0
  const rights = (byDescriptor | byParent) & (~FileAccess.DELETE | removable)
  const taken = who.isPrivileged ? FileAccess.WRITE_OWNER : 0
  return ((rights | taken | FileAccess.READ_ATTRIBUTES) & shareAccess) >>> 0
}

/** Without a descriptor of its own a file is deleted by its owner, or by whom the directory's lets. */
function byOwnRules(byMode: number, { owner }: Permissions): number {
  return owner ? byMode | FileAccess.DELETE : byMode & ~FileAccess.DELETE
}

function rightsBy(stored: Buffer, token: Token): number {
  return maximalAccess(decodeSecurityDescriptor(stored), token)
}

/** What access-based enumeration asks of an entry (Windows asks for all of generic read but to wait for it). */
const READABLE =
  FileAccess.READ_DATA | FileAccess.READ_EA | FileAccess.READ_ATTRIBUTES | FileAccess.READ_CONTROL

/** Whether a listing that hides what cannot be read shows a file with this descriptor. */
export function isReadable(stored: Buffer, token: Token): boolean {
  return (rightsBy(stored, token) & READABLE) === READABLE
}
