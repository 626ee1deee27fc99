/** The accounts file: private, replaced atomically, one writer at a time. */

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import { replaceFile } from '../state/atomic-file.ts'
import { prepareStateDirectory } from '../state/directory.ts'
import { waitForLock } from '../state/lock.ts'
import type { Account } from './account.ts'
import { accountKey, decodeAccounts, encodeAccounts } from './account.ts'

const ACCESSIBLE_BY_OTHERS = 0o077
const WRITER_WAIT_MILLISECONDS = 10_000

/** Path of the accounts file in a state directory. */
export function accountsFile(stateDirectory: string): string {
  return join(stateDirectory, 'accounts.json')
}

/** Reads all accounts (a small file: in one go, on the calling thread); none when there is no file yet. Refuses a file that others may read: they could log in as anyone. */
export function readAccounts(stateDirectory: string): Outcome<readonly Account[]> {
  const file = accountsFile(stateDirectory)
  try {
    const { mode } = statSync(file)
    if ((mode & ACCESSIBLE_BY_OTHERS) !== 0) {
      return failed(
        `${file} is open to other users (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${file}`,
      )
    }
    const accounts = decodeAccounts(readFileSync(file, 'utf8'))
    return accounts
      ? done(accounts)
      : failed(`${file} is damaged or of a newer version; restore it from a backup`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return done([])
    if (code === 'EACCES')
      return failed(`${file} cannot be read: permission denied; run as the user the server runs as`)
    return failed(`${file} cannot be read: ${message}`)
  }
}

export type AccountsEdit = (accounts: readonly Account[]) => Outcome<readonly Account[]>

/** Reads, edits and replaces the accounts while other writers wait. Nothing is written when the edit fails. */
export async function changeAccounts(stateDirectory: string, edit: AccountsEdit): Promise<Outcome<void>> {
  const prepared = await prepareStateDirectory(stateDirectory)
  if (!prepared.ok) return prepared
  const lock = await waitForLock(`${accountsFile(stateDirectory)}.lock`, WRITER_WAIT_MILLISECONDS)
  if (!lock.ok) return lock
  try {
    const current = readAccounts(stateDirectory)
    if (!current.ok) return current
    const edited = edit(current.value)
    if (!edited.ok) return edited
    await replaceFile(accountsFile(stateDirectory), encodeAccounts(edited.value))
    return done(undefined)
  } finally {
    lock.value.release()
  }
}

/** Adds an account whose name is free. */
export function adding(account: Account): AccountsEdit {
  return (accounts) => {
    const taken = accounts.find((other) => accountKey(other.name) === accountKey(account.name))
    if (taken)
      return failed(
        `account "${taken.name}" exists; to change its password: poolhouse user passwd ${taken.name}`,
      )
    return done([...accounts, account])
  }
}

/** Replaces an account by what `change` makes of it; undefined removes it. */
export function changing(name: string, change: (account: Account) => Account | undefined): AccountsEdit {
  return (accounts) => {
    if (!accounts.some((account) => accountKey(account.name) === accountKey(name))) {
      return failed(`there is no account "${name}"; "poolhouse user list" shows them all`)
    }
    return done(
      accounts.flatMap((account) => {
        if (accountKey(account.name) !== accountKey(name)) return [account]
        const changed = change(account)
        return changed ? [changed] : []
      }),
    )
  }
}
