/** MS-DTYP 2.4.6: the security descriptor that owner, group and mode of a file stand for when a client has stored none. */

import type { FileStat, Permissions } from '../../../storage/file-system.ts'
import {
  FILE_ALL_ACCESS,
  FILE_GENERIC_EXECUTE,
  FILE_GENERIC_READ,
  FILE_GENERIC_WRITE,
  FileAccess,
} from '../fscc/access.ts'
import { type Ace, AceFlag, AceType, makeAcl } from '../fscc/acl.ts'
import type { SecurityDescriptor } from '../fscc/security-descriptor.ts'
import { WellKnownSid } from '../fscc/sid.ts'
import type { IdentityMap } from '../state/server.ts'

const MODE_READ = 4
const MODE_WRITE = 2
const MODE_EXECUTE = 1
const OWNER_SHIFT = 6
const GROUP_SHIFT = 3

/** What an owner may always do, whatever the mode says. */
const OWNER_RIGHTS =
  FileAccess.READ_CONTROL |
  FileAccess.WRITE_DAC |
  FileAccess.WRITE_OWNER |
  FileAccess.DELETE |
  FileAccess.SYNCHRONIZE |
  FileAccess.READ_ATTRIBUTES |
  FileAccess.WRITE_ATTRIBUTES
/** What whoever reaches a file may see of it. */
const VISITOR_RIGHTS = FileAccess.READ_CONTROL | FileAccess.READ_ATTRIBUTES | FileAccess.SYNCHRONIZE

/** The rights of one digit of a mode. */
function rightsOfDigit(digit: number): number {
  let rights = 0
  // A client starts programs it may read; POSIX' execute bit says more about the server than about them.
  if (digit & MODE_READ) rights |= FILE_GENERIC_READ | FILE_GENERIC_EXECUTE
  if (digit & MODE_WRITE) rights |= FILE_GENERIC_WRITE | FileAccess.DELETE_CHILD
  if (digit & MODE_EXECUTE) rights |= FILE_GENERIC_EXECUTE
  return rights
}

const { OBJECT_INHERIT, CONTAINER_INHERIT, INHERIT_ONLY } = AceFlag

/** The descriptor of a file on which none is stored. */
export function defaultSecurityDescriptor(stat: FileStat, identities: IdentityMap): SecurityDescriptor {
  const owner = identities.userSid(stat.uid)
  const group = identities.groupSid(stat.gid)
  const ownerDigit = (stat.mode >> OWNER_SHIFT) & 7
  const ownerMask =
    ownerDigit === 7 || ownerDigit === 6 ? FILE_ALL_ACCESS : rightsOfDigit(ownerDigit) | OWNER_RIGHTS
  const groupMask = rightsOfDigit((stat.mode >> GROUP_SHIFT) & 7) | VISITOR_RIGHTS
  const others = rightsOfDigit(stat.mode & 7) | VISITOR_RIGHTS
  const system = (flags: number): Ace => allow(WellKnownSid.LOCAL_SYSTEM, FILE_ALL_ACCESS, flags)
  if (stat.type !== 'directory') {
    const below = ~FileAccess.DELETE_CHILD
    const aces = [
      allow(owner, ownerMask),
      allow(group, groupMask & below),
      allow(WellKnownSid.EVERYONE, others & below),
      system(0),
    ]
    return { control: 0, owner, group, dacl: makeAcl(aces) }
  }
  // A client that adds an entry sets the list with it: what is made below must then not be left without these.
  const inherited = OBJECT_INHERIT | CONTAINER_INHERIT
  const aces = [
    allow(owner, ownerMask),
    allow(WellKnownSid.CREATOR_OWNER, FILE_ALL_ACCESS, inherited | INHERIT_ONLY),
    allow(group, groupMask),
    allow(WellKnownSid.CREATOR_GROUP, groupMask, inherited | INHERIT_ONLY),
    allow(WellKnownSid.EVERYONE, others, inherited),
    system(inherited),
  ]
  return { control: 0, owner, group, dacl: makeAcl(aces) }
}

function allow(sid: string, mask: number, flags = 0): Ace {
  return { type: AceType.ACCESS_ALLOWED, flags, mask: mask >>> 0, sid }
}

/** The access mask of what the kernel would let the acting identity do. */
export function rightsOfPermissions(permissions: Permissions): number {
  let rights = VISITOR_RIGHTS
  if (permissions.read) rights |= rightsOfDigit(MODE_READ)
  if (permissions.write) rights |= rightsOfDigit(MODE_WRITE)
  if (permissions.execute) rights |= rightsOfDigit(MODE_EXECUTE)
  if (permissions.owner) rights |= OWNER_RIGHTS & ~FileAccess.DELETE
  if (permissions.remove) rights |= FileAccess.DELETE
  return rights >>> 0
}
