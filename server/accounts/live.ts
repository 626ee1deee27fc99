/** The accounts as a running server sees them: an account added or changed meanwhile counts at its next login. */

import { statSync } from 'node:fs'
import type { Outcome } from '../outcome.ts'
import { done } from '../outcome.ts'
import type { Account } from './account.ts'
import { accountKey } from './account.ts'
import { accountsFile, readAccounts } from './store.ts'

export class LiveAccounts {
  private readonly stateDirectory: string
  private readonly onFailure: (message: string) => void
  private byKey: ReadonlyMap<string, Account> = new Map()
  private stamp = ''

  /** @param onFailure told when the file has become unreadable; the accounts known so far stay */
  constructor(stateDirectory: string, onFailure: (message: string) => void) {
    this.stateDirectory = stateDirectory
    this.onFailure = onFailure
  }

  /** Reads the file now, at start and at a reload. */
  load(): Outcome<void> {
    this.stamp = this.currentStamp()
    const accounts = readAccounts(this.stateDirectory)
    if (!accounts.ok) return accounts
    this.byKey = new Map(accounts.value.map((account) => [accountKey(account.name), account]))
    return done(undefined)
  }

  /** @returns the account that may log in under this name, in any case */
  find(name: string): Account | undefined {
    this.refresh()
    const account = this.byKey.get(accountKey(name))
    return account?.disabled ? undefined : account
  }

  all(): readonly Account[] {
    this.refresh()
    return [...this.byKey.values()]
  }

  private refresh(): void {
    if (this.currentStamp() === this.stamp) return
    const outcome = this.load()
    if (!outcome.ok) this.onFailure(outcome.message)
  }

  /** Changes with every replacement of the file and its mode. One stat of a file in the cache: 2 µs. */
  private currentStamp(): string {
    try {
      const stat = statSync(accountsFile(this.stateDirectory), { bigint: true })
      return `${stat.ino}:${stat.mtimeNs}:${stat.ctimeNs}`
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code)
    }
  }
}
