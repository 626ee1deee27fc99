/** MS-DTYP 2.4.4 ACEs with the SIDs of NFS: how mode, uid and gid of a file travel in its DACL between servers and Macs, or POSIX clients. */

import type { FileStat } from '../../../storage/file-system.ts'
import { type Ace, AceType, type Acl, makeAcl } from '../fscc/acl.ts'
import type { SecurityDescriptor } from '../fscc/security-descriptor.ts'
import { unixModeOf } from './unix-mode.ts'

/** All of them begin so. */
const NFS_SID_HEAD = 'S-1-5-88-'
const UID_SID_HEAD = `${NFS_SID_HEAD}1-`
const GID_SID_HEAD = `${NFS_SID_HEAD}2-`
const MODE_SID_HEAD = `${NFS_SID_HEAD}3-`
/** Those bits that clients may set. */
const CHANGEABLE_MODE = 0o777

/** The mode that a DACL asks for by an ACE; undefined: none. A SID with more behind the mode asks for nothing. */
export function nfsModeOf({ dacl }: SecurityDescriptor): number | undefined {
  for (const ace of dacl?.aces ?? []) {
    if (!('sid' in ace && ace.sid.startsWith(MODE_SID_HEAD))) continue
    const mode = Number(ace.sid.slice(MODE_SID_HEAD.length))
    if (Number.isInteger(mode)) return mode & CHANGEABLE_MODE
  }
  return undefined
}

/** The descriptor without the ACEs that only carry numbers: they are told anew each time, and never stored. */
export function withoutNfsAces(descriptor: SecurityDescriptor): SecurityDescriptor {
  const { dacl } = descriptor
  if (dacl === undefined || dacl === null || !dacl.aces.some(isNfsAce)) return descriptor
  return { ...descriptor, dacl: makeAcl(dacl.aces.filter((ace) => !isNfsAce(ace))) }
}

/** The descriptor with the file's numbers, each once, behind its ACEs. They deny nothing. */
export function withNfsAces(descriptor: SecurityDescriptor, stat: FileStat): SecurityDescriptor {
  const { dacl, ...rest } = withoutNfsAces(descriptor)
  // A list that is NULL allows everything; one with nothing but these would allow nothing.
  if (dacl === undefined || dacl === null) return descriptor
  const numbers = [
    `${MODE_SID_HEAD}${unixModeOf(stat)}`,
    `${UID_SID_HEAD}${stat.uid}`,
    `${GID_SID_HEAD}${stat.gid}`,
  ]
  return { ...rest, dacl: extended(dacl, numbers.map(numberAce)) }
}

function isNfsAce(ace: Ace): boolean {
  return 'sid' in ace && ace.sid.startsWith(NFS_SID_HEAD)
}

function numberAce(sid: string): Ace {
  return { type: AceType.ACCESS_DENIED, flags: 0, mask: 0, sid }
}

function extended(acl: Acl, aces: readonly Ace[]): Acl {
  return makeAcl([...acl.aces, ...aces])
}
