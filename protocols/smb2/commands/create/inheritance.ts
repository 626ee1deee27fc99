/** MS-FSA 2.1.5.1.1, MS-SMB2 3.3.5.9.2: whether a directory's descriptor lets something be made there, and what the new one is. */

import type { CommandContext } from '../../context.ts'
import { DirectoryAccess } from '../../fscc/access.ts'
import { createSecurityDescriptor } from '../../fscc/security-creation.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  MAXIMUM_SECURITY_DESCRIPTOR_BYTES,
  type SecurityDescriptor,
} from '../../fscc/security-descriptor.ts'
import type { Share } from '../../state/server.ts'
import { type NtStatus, Status } from '../../status.ts'
import { maximalAccess, type Token, tokenOf } from '../access-check.ts'

/** What storage is told about the descriptor of what it makes. */
export interface Inheritance {
  readonly securityDescriptor?: Buffer
  /** The directory's, of which it was made. */
  readonly heeded?: Buffer
}

export const NO_INHERITANCE: Inheritance = {}

/**
 * @param given the descriptor of an SMB2_CREATE_SD_BUFFER
 * @param parent the one that is stored with the directory
 * @returns the status that refuses the creation, or the new descriptor
 * @throws DecodeError for a malformed descriptor
 */
export function inheritanceOf(
  { server, tree }: CommandContext,
  given: Buffer | undefined,
  parent: Buffer | undefined,
  isDirectory: boolean,
): Inheritance | NtStatus {
  if (given === undefined && parent === undefined) return NO_INHERITANCE
  const token = tokenOf(server, tree.admission)
  const above = parent === undefined ? undefined : decodeSecurityDescriptor(parent)
  const creator = given === undefined ? undefined : decodeSecurityDescriptor(given)
  const adding = isDirectory ? DirectoryAccess.ADD_SUBDIRECTORY : DirectoryAccess.ADD_FILE
  if (above !== undefined && (maximalAccess(above, token) & adding) === 0) return Status.ACCESS_DENIED
  const refusal = creator === undefined ? undefined : refuseCreator(creator, token)
  if (refusal !== undefined) return refusal
  const { owner, group } = ownerOf(tree.share, token, server.identities)
  const made = createSecurityDescriptor({
    ...{ parent: above, creator, isContainer: isDirectory, owner, group },
    modesByDefault: tree.share.modesByDefault,
  })
  const securityDescriptor = made === undefined ? undefined : encodeSecurityDescriptor(made)
  if ((securityDescriptor?.length ?? 0) > MAXIMUM_SECURITY_DESCRIPTOR_BYTES)
    return Status.INVALID_SECURITY_DESCR
  return {
    ...(securityDescriptor !== undefined && { securityDescriptor }),
    ...(parent !== undefined && { heeded: parent }),
  }
}

/** MS-DTYP 2.5.3.4.1: what only a privileged token may ask for. */
function refuseCreator(creator: SecurityDescriptor, token: Token): NtStatus | undefined {
  if (token.isPrivileged) return undefined
  if (creator.owner !== undefined && !token.sids.has(creator.owner)) return Status.INVALID_OWNER
  return creator.sacl === undefined || creator.sacl === null ? undefined : Status.PRIVILEGE_NOT_HELD
}

/** Whose the file will be: on some shares that is not the account's. */
function ownerOf(
  { forcedOwner }: Share,
  token: Token,
  identities: CommandContext['server']['identities'],
): { readonly owner: string; readonly group: string } {
  if (forcedOwner === undefined) return { owner: token.user, group: token.group }
  return { owner: identities.userSid(forcedOwner.uid), group: identities.groupSid(forcedOwner.gid) }
}
