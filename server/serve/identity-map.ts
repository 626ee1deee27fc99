/** MS-DTYP 2.4.2: security identifiers for local users and groups: S-1-5-21-(this server)-(a number from uid or gid). */

import { createHash } from 'node:crypto'
import type { IdentityMap } from '../../protocols/smb2/state/server.ts'

/** Below 1000 are Windows' well-known accounts. Users are even, groups odd: the same rule as Samba's, so its ids stay readable. */
const FIRST_RID = 1000
const KINDS = 2
const MAXIMUM_ID = (0xffff_ffff - FIRST_RID - 1) / KINDS

/** What Linux and NFS servers call the users and groups that have no other SID. */
const UNIX_SIDS = [
  { head: 'S-1-22-1-', kind: 'uid' },
  { head: 'S-1-22-2-', kind: 'gid' },
  { head: 'S-1-5-88-1-', kind: 'uid' },
  { head: 'S-1-5-88-2-', kind: 'gid' },
] as const
/** The id that stands for none. */
const NO_ID = 0xffff_ffff

function accountOfUnixSid(text: string, kind: 'uid' | 'gid'): { uid?: number; gid?: number } | undefined {
  const id = Number(text)
  return /^\d+$/.test(text) && id < NO_ID ? { [kind]: id } : undefined
}

/** @param serverGuid makes the server's part, so that it is the same after every start */
export function createIdentityMap(serverGuid: Buffer): IdentityMap {
  const digest = createHash('sha256').update(serverGuid).digest()
  const domain = `S-1-5-21-${digest.readUInt32LE(0)}-${digest.readUInt32LE(4)}-${digest.readUInt32LE(8)}`
  const sid = (id: number, kind: number): string =>
    `${domain}-${FIRST_RID + KINDS * Math.min(id, Math.floor(MAXIMUM_ID)) + kind}`
  return {
    domainSid: domain,
    userSid: (uid) => sid(uid, 0),
    groupSid: (gid) => sid(gid, 1),
    accountOf(text) {
      const unix = UNIX_SIDS.find(({ head }) => text.startsWith(head))
      if (unix !== undefined) return accountOfUnixSid(text.slice(unix.head.length), unix.kind)
      if (!text.startsWith(`${domain}-`)) return undefined
      const rid = Number(text.slice(domain.length + 1))
      if (!Number.isInteger(rid) || rid < FIRST_RID) return undefined
      const id = Math.floor((rid - FIRST_RID) / KINDS)
      return (rid - FIRST_RID) % KINDS === 0 ? { uid: id } : { gid: id }
    },
  }
}
