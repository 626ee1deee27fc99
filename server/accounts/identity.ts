/** Which system identity an account acts as, and whether a share's user lists mean it. */

import type { Identity } from '../../storage/file-system.ts'
import type { ShareConfiguration } from '../config/types.ts'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { Account } from './account.ts'
import { accountKey } from './account.ts'
import type { SystemUsers } from './system-users.ts'

/** Name of the system user that an account acts as. */
export function unixUserOf(account: Account): string {
  return account.unixUser ?? account.name
}

/**
 * The identity the kernel judges an account's calls by. Without root the server cannot take another
 * one, and `undefined` (the server's own) is right; with root it never is.
 */
export function identityOf(
  account: Account,
  users: SystemUsers,
  isRoot: boolean,
): Outcome<Identity | undefined> {
  if (!isRoot) return done(undefined)
  const identity = users.user(unixUserOf(account))
  return identity ? done(identity) : failed(missingSystemUser(account.name, unixUserOf(account)))
}

/** What to do about an account that no system user stands behind. */
export function missingSystemUser(account: string, unixUser: string): string {
  const system = unixUser.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '-')
  return (
    `account "${account}" needs a system user to act as, and there is no "${unixUser}". ` +
    `Make one: useradd --system --no-create-home ${system}; or name another with --unix-user NAME`
  )
}

/** Whether a list such as `valid_users` names the account, or with `@group` a group of its system user. */
export function isListed(list: readonly string[], account: Account, users: SystemUsers): boolean {
  const identity = users.user(unixUserOf(account))
  return list.some((entry) => {
    if (!entry.startsWith('@')) return accountKey(entry) === accountKey(account.name)
    return identity !== undefined && users.isMember(identity, entry.slice(1))
  })
}

/** Whether the share lets the account in: an empty `valid_users` lets every account in. */
export function mayUse(share: ShareConfiguration, account: Account, users: SystemUsers): boolean {
  return share.validUsers.length === 0 || isListed(share.validUsers, account, users)
}

/** `force_user` and `force_group` as ids; absent when the share has neither. */
export interface ForcedIdentity {
  readonly user: Identity | undefined
  readonly gid: number | undefined
}

/** Resolves `force_user` and `force_group`. An unknown name fails: acting as anyone else would be wrong. */
export function forcedIdentity(share: ShareConfiguration, users: SystemUsers): Outcome<ForcedIdentity> {
  const { forceUser, forceGroup } = share
  const user = forceUser === undefined ? undefined : users.user(forceUser)
  if (forceUser !== undefined && !user) {
    return failed(`force_user: there is no system user "${forceUser}"; make it or name another`)
  }
  const gid = forceGroup === undefined ? undefined : users.group(forceGroup)
  if (forceGroup !== undefined && gid === undefined) {
    return failed(`force_group: there is no system group "${forceGroup}"; make it or name another`)
  }
  return done({ user, gid })
}

/** The system names that a configuration and its accounts refer to, for `SystemUsers.prepare`. */
export function referencedNames(
  shares: readonly ShareConfiguration[],
  accounts: readonly Account[],
): { readonly users: Set<string>; readonly groups: Set<string> } {
  const users = new Set(accounts.map(unixUserOf))
  const groups = new Set<string>()
  for (const share of shares) {
    if (share.forceUser !== undefined) users.add(share.forceUser)
    if (share.forceGroup !== undefined) groups.add(share.forceGroup)
    for (const entry of [...share.validUsers, ...share.adminUsers])
      if (entry.startsWith('@')) groups.add(entry.slice(1))
  }
  return { users, groups }
}
