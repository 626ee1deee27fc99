/** Makes an account from a name and a password. */

import { ntHash } from '../../protocols/auth/nt-hash.ts'
import type { Account } from './account.ts'

/** @param unixUser system user it acts as; undefined: the one of the same name */
export function newAccount(name: string, password: string, unixUser: string | undefined): Account {
  const now = new Date().toISOString()
  const hash = ntHash(password)
  return {
    name,
    ntHash: hash,
    created: now,
    changed: now,
    ...(unixUser !== undefined && { unixUser }),
    disabled: false,
  }
}
