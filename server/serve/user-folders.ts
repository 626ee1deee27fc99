/** The folders of accounts below a `per_user` share, or their datasets: each account has the share to itself, as far as it can tell. */

import { constants } from 'node:fs'
import { lstat, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { PreviousVersions, Principal, Share } from '../../protocols/smb2/state/server.ts'
import type { FileSystem, Identity } from '../../storage/file-system.ts'
import type { Lane } from '../../storage/lane.ts'
import type { Account } from '../accounts/account.ts'
import { accountKey } from '../accounts/account.ts'
import type { ShareConfiguration } from '../config/types.ts'
import type { Outcome } from '../outcome.ts'
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
  /** Where new folders are datasets, and those that are there may be. */
  readonly datasets?: UserDatasets
  /** The way to the folders' disks. */
  readonly lane: Lane
  /** The volume in the account's folder, which exists. @param dataset whose root it is, where it is one */
  volume(user: string, dataset: string | undefined): Promise<OwnVolume>
}

/** Names of datasets; failed: why one is not to be served. */
export interface UserDatasets {
  /** @returns undefined when the account has none */
  find(user: string, path: string): Promise<Outcome<string> | undefined>
  make(user: string, path: string): Promise<Outcome<string>>
}

/** The share as each account has it. */
export function withUserFolders(base: Share, options: UserFolderOptions): Share {
  const byAccount = new Map<string, Promise<Share>>()
  const ownShare = async (account: Account, identity: Identity | undefined): Promise<Share> => {
    const { path, dataset } = await prepareHome(options, account.name, base.forcedOwner ?? identity)
    const key = accountKey(account.name)
    return {
      ...base,
      path,
      ...(await options.volume(account.name, dataset)),
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

type Owner = { readonly uid: number; readonly gid: number } | undefined

/** An account's folder, and the dataset that it is the root of. */
interface Home {
  readonly path: string
  readonly dataset: string | undefined
}

/**
 * Makes the account's folder or dataset when it is missing. What is there stays as it is.
 * @throws Error when it cannot be made, is no folder, or is a dataset that is not to be served
 */
async function prepareHome(
  { share, datasets, lane }: UserFolderOptions,
  user: string,
  owner: Owner,
): Promise<Home> {
  if (NOT_FOLDERS.includes(user)) throw new Error(`share "${share.name}": "${user}" can be no folder's name`)
  const path = join(share.path, user)
  let dataset = await datasets?.find(user, path)
  // A folder that is there is never mounted over: what is in it would be gone.
  const isMade = dataset === undefined && datasets !== undefined && !(await lane.run(() => hasEntry(path)))
  if (isMade) dataset = await datasets.make(user, path)
  if (dataset?.ok === false) throw new Error(`share "${share.name}", user "${user}": ${dataset.message}`)
  const mode = share.directoryMask & OWNER_ONLY
  await lane.run(async () => {
    const isNew = dataset === undefined ? await makeFolder(path, mode) : isMade
    await settle(path, isNew ? { mode, owner } : undefined)
  })
  return { path, dataset: dataset?.value }
}

async function hasEntry(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}

/** @returns false when it is there already */
async function makeFolder(path: string, mode: number): Promise<boolean> {
  return await mkdir(path, { mode }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
}

/** Gives a new folder to its account. @throws Error when what is there is no folder */
async function settle(path: string, fresh: { mode: number; owner: Owner } | undefined): Promise<void> {
  // A link in its place could lead to the folder of another.
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    if (fresh?.owner !== undefined) await folder.chown(fresh.owner.uid, fresh.owner.gid)
    if (fresh !== undefined) await folder.chmod(fresh.mode)
  } finally {
    await folder.close()
  }
}
