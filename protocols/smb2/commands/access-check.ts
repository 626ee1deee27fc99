/** MS-DTYP 2.5.3.2: the access check algorithm, and what an open is granted by it (MS-FSA 2.1.5.1.2.1). */

import type { Identity, Permissions } from '../../../storage/file-system.ts'
import { FILE_ALL_ACCESS, FileAccess, mapGenericAccess } from '../fscc/access.ts'
import { type Ace, AceFlag, AceType } from '../fscc/acl.ts'
import { decodeSecurityDescriptor, type SecurityDescriptor } from '../fscc/security-descriptor.ts'
import { WellKnownSid } from '../fscc/sid.ts'
import type { Admission, IdentityMap } from '../state/server.ts'
import { rightsOfPermissions } from './default-security.ts'

/** SIDs that the acting account holds. */
export type Token = ReadonlySet<string>

/**
 * The token of an account.
 * @param identity undefined: the server's own user
 */
export function tokenOf(identity: Identity | undefined, self: Identity, identities: IdentityMap): Token {
  const { uid, gid, groups } = identity ?? self
  return new Set([
    identities.userSid(uid),
    identities.groupSid(gid),
    ...groups.map((group) => identities.groupSid(group)),
    WellKnownSid.EVERYONE,
    WellKnownSid.NETWORK,
    WellKnownSid.AUTHENTICATED_USERS,
    WellKnownSid.BUILTIN_USERS,
  ])
}

/** Every right that a descriptor gives to a token: ACEs in order, each right decided by the first that names it. */
export function maximalAccess(descriptor: SecurityDescriptor, token: Token): number {
  const isOwner = descriptor.owner !== undefined && token.has(descriptor.owner)
  const implicit = isOwner ? FileAccess.READ_CONTROL | FileAccess.WRITE_DAC : 0
  // "If the DACL is NULL", or there is none, everything is granted.
  if (descriptor.dacl === undefined || descriptor.dacl === null) return FILE_ALL_ACCESS
  let granted = 0
  let denied = 0
  let ownerRightsSeen = false
  for (const ace of descriptor.dacl.aces) {
    const mask = maskFor(ace, token, isOwner)
    if (mask === 0) continue
    if ('sid' in ace && ace.sid === WellKnownSid.OWNER_RIGHTS) ownerRightsSeen = true
    if (ace.type === AceType.ACCESS_ALLOWED) granted |= mask & ~denied
    else if (ace.type === AceType.ACCESS_DENIED) denied |= mask & ~granted
  }
  return (granted | (ownerRightsSeen ? 0 : implicit)) >>> 0
}

/** Rights that an ACE decides for the token; 0 when it is not meant. */
function maskFor(ace: Ace, token: Token, isOwner: boolean): number {
  if (!('sid' in ace) || (ace.flags & AceFlag.INHERIT_ONLY) !== 0) return 0
  const isMeant = token.has(ace.sid) || (isOwner && ace.sid === WellKnownSid.OWNER_RIGHTS)
  return isMeant ? mapGenericAccess(ace.mask) : 0
}

/** What is known of a file when its access is decided. */
export interface AccessFacts {
  readonly permissions: Permissions
  /** Stored by a client. */
  readonly securityDescriptor: Buffer | undefined
}

/**
 * All rights that an account has on an existing file: those of a stored descriptor, without one those
 * of owner and mode; never more than the share gives.
 */
export function allowedAccess(
  facts: AccessFacts,
  admission: Admission,
  token: Token,
  shareAccess: number,
): number {
  const byKernel = rightsOfPermissions(facts.permissions)
  if (facts.securityDescriptor === undefined) return (byKernel & shareAccess) >>> 0
  const byDescriptor = maximalAccess(decodeSecurityDescriptor(facts.securityDescriptor), token)
  // Whoever may remove the directory's entry may delete the file, whatever its own descriptor says.
  const byParent = byKernel & FileAccess.DELETE
  const shown = admission.administrator ? byDescriptor | FileAccess.WRITE_OWNER : byDescriptor
  return ((shown | byParent | FileAccess.READ_ATTRIBUTES) & shareAccess) >>> 0
}
