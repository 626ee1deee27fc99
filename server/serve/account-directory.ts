/** MS-LSAT 3.1.1.1.4: names of the accounts of this server: its users, and the system's users and groups whose files it shows. */

import type { RpcAccount, RpcAccounts } from '../../protocols/smb2/rpc/host.ts'
import type { IdentityMap } from '../../protocols/smb2/state/server.ts'
import { accountKey } from '../accounts/account.ts'
import { unixUserOf } from '../accounts/identity.ts'
import type { AccountSources } from './shares.ts'

/** Tells a group from the user of its name: Windows has both in one namespace. */
const GROUP_SUFFIX = ' (group)'

/**
 * The accounts as they are now.
 * @param ownUid what all accounts act as when the server has no other
 */
export function createAccountDirectory(
  { accounts, systemUsers, isRoot }: AccountSources,
  identities: IdentityMap,
  ownUid: number,
): RpcAccounts {
  /** uid of each account, by its key; undefined: it has no system user. */
  const uids = new Map<string, number | undefined>()
  const namesByUid = new Map<number, string[]>()
  for (const account of accounts.all()) {
    const uid = isRoot ? systemUsers.user(unixUserOf(account))?.uid : ownUid
    uids.set(accountKey(account.name), uid)
    if (uid !== undefined) namesByUid.set(uid, [...(namesByUid.get(uid) ?? []), account.name])
  }

  /** Names are small letters on most systems, and in any case on the wire. */
  const inAnyCase = <T>(name: string, find: (name: string) => T | undefined): T | undefined =>
    find(name) ?? find(name.toLowerCase())

  function uidOf(name: string): number | undefined {
    const key = accountKey(name)
    return uids.has(key) ? uids.get(key) : inAnyCase(name, (each) => systemUsers.user(each))?.uid
  }

  /** Under the name of the one account that acts as it, or of the system when that are several or none. */
  function user(uid: number): RpcAccount | undefined {
    const those = namesByUid.get(uid) ?? []
    const systemName = systemUsers.nameOf(uid)
    const name = those.length === 1 ? those[0] : systemName
    // An account of this name that acts as someone else has it.
    if (name === undefined || uidOf(name) !== uid) return undefined
    return { kind: 'user', name, sid: identities.userSid(uid), id: uid, unixName: systemName ?? name }
  }

  function group(gid: number): RpcAccount | undefined {
    const unixName = systemUsers.groupNameOf(gid)
    if (unixName === undefined) return undefined
    const name = uidOf(unixName) === undefined ? unixName : `${unixName}${GROUP_SUFFIX}`
    return { kind: 'group', name, sid: identities.groupSid(gid), id: gid, unixName }
  }

  function groupNamed(name: string): RpcAccount | undefined {
    const unixName = name.toLowerCase().endsWith(GROUP_SUFFIX) ? name.slice(0, -GROUP_SUFFIX.length) : name
    const gid = inAnyCase(unixName, (each) => systemUsers.group(each))
    return gid === undefined ? undefined : group(gid)
  }

  const byId = (kind: RpcAccount['kind'], id: number): RpcAccount | undefined =>
    kind === 'user' ? user(id) : group(id)

  return {
    byId,
    byName(name) {
      const uid = uidOf(name)
      return uid === undefined ? groupNamed(name) : user(uid)
    },
    bySid(sid) {
      const { uid, gid } = identities.accountOf(sid) ?? {}
      if (uid !== undefined) return user(uid)
      return gid === undefined ? undefined : group(gid)
    },
    byUnixName(kind, unixName) {
      const id =
        kind === 'user'
          ? inAnyCase(unixName, (each) => systemUsers.user(each))?.uid
          : inAnyCase(unixName, (each) => systemUsers.group(each))
      return id === undefined ? undefined : byId(kind, id)
    },
  }
}
