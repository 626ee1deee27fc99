/** The accounts of a simulated server, for lsarpc; names in small letters. */

import type { RpcAccount, RpcAccounts } from '../../protocols/smb2/rpc/host.ts'
import type { IdentityMap } from '../../protocols/smb2/state/server.ts'

type Ids = Readonly<Record<string, number>>

/** @param users with their uids @param groups with their gids */
export function simAccounts(
  identities: Pick<IdentityMap, 'userSid' | 'groupSid'>,
  users: Ids,
  groups: Ids = {},
): RpcAccounts {
  const account = (kind: RpcAccount['kind'], name: string, id: number): RpcAccount => {
    const sid = kind === 'user' ? identities.userSid(id) : identities.groupSid(id)
    return { kind, name, sid, id, unixName: name }
  }
  const all = [
    ...Object.entries(users).map(([name, uid]) => account('user', name, uid)),
    ...Object.entries(groups).map(([name, gid]) => account('group', name, gid)),
  ]
  return {
    byName: (name) => all.find((each) => each.name === name.toLowerCase()),
    bySid: (sid) => all.find((each) => each.sid === sid),
    byId: (kind, id) => all.find((each) => each.kind === kind && each.id === id),
    byUnixName: (kind, name) =>
      all.find((each) => each.kind === kind && each.unixName === name.toLowerCase()),
  }
}
