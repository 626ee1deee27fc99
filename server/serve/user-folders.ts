/** The folders of accounts below a `per_user` share: each account has the share to itself, as far as it can tell. */

import { constants } from 'node:fs'
import { lstat, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { PreviousVersions, Principal, Share } from '../../protocols/smb2/state/server.ts'
import type { FileSystem, Identity } from '../../storage/file-system.ts'
import type { Account } from '../accounts/account.ts'
import { accountKey } from '../accounts/account.ts'
import type { ShareConfiguration } from '../config/types.ts'
import type { AccountSources } from './shares.ts'

/** Nobody but the account looks into its folder, whatever the share's masks say. */
const OWNER_ONLY = 0o700
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
/** Names of accounts that would lead elsewhere. */
const NOT_FOLDERS = ['.', '..']

export interface OwnVolume {
  readonly fileSystem: FileSystem
  readonly previousVersions?: PreviousVersions | undefined
}

export interface UserFolderOptions {
  readonly share: ShareConfiguration & { readonly path: string }
  readonly sources: AccountSources
  /** The volume in the account's folder, which exists. */
  volume(user: string): Promise<OwnVolume>
}

/** The share as each account has it. */
export function withUserFolders(base: Share, options: UserFolderOptions): Share {
  const byAccount = new Map<string, Promise<Share>>()
  const ownShare = async (account: Account, identity: Identity | undefined): Promise<Share> => {
    const path = await prepareFolder(options.share, account.name, base.forcedOwner ?? identity)
    const key = accountKey(account.name)
    return {
      ...base,
      path,
      ...(await options.volume(account.name)),
      // Another user who authenticates on the session has another folder.
      admit: (principal) =>
        principal.kind === 'user' && accountKey(principal.user) === key ? base.admit(principal) : undefined,
    }
  }
  return {
    ...base,
    admit: (principal) => (principal.kind === 'user' ? base.admit(principal) : undefined),
    async own(principal: Principal): Promise<Share | undefined> {
      const account = options.sources.accounts.find(principal.user)
      const admission = principal.kind === 'user' ? base.admit(principal) : undefined
      if (account === undefined || admission === undefined) return undefined
      const key = accountKey(account.name)
      let own = byAccount.get(key)
      if (own === undefined) {
        own = ownShare(account, admission.identity)
        byAccount.set(key, own)
        own.catch(() => byAccount.delete(key))
      }
      return await own
    },
  }
}

/** Whether the account has connected before. */
export async function hasFolder(share: { readonly path: string }, user: string): Promise<boolean> {
  if (NOT_FOLDERS.includes(user)) return false
  return await lstat(join(share.path, user)).then(
    (stat) => stat.isDirectory(),
    () => false,
  )
}

/**
 * Makes the account's folder when it is missing. One that is there stays as it is.
 * @throws Error when it cannot be made, or is no folder
 */
async function prepareFolder(
  share: UserFolderOptions['share'],
  user: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<string> {
  if (NOT_FOLDERS.includes(user)) throw new Error(`share "${share.name}": "${user}" can be no folder's name`)
  const path = join(share.path, user)
  const mode = share.directoryMask & OWNER_ONLY
  const isNew = await mkdir(path, { mode }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  // A link in its place could lead to the folder of another.
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    if (isNew && owner !== undefined) await folder.chown(owner.uid, owner.gid)
    if (isNew) await folder.chmod(mode)
  } finally {
    await folder.close()
  }
  return path
}
