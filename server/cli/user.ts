/** `poolhouse user`: adds, changes, removes and lists accounts. */

import Table from 'cli-table3'
import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { ACCOUNT_NAME, ACCOUNT_NAME_RULE } from '../accounts/account.ts'
import { missingSystemUser, unixUserOf } from '../accounts/identity.ts'
import { newAccount } from '../accounts/new-account.ts'
import type { AccountsEdit } from '../accounts/store.ts'
import { adding, changeAccounts, changing, readAccounts } from '../accounts/store.ts'
import { SystemUsers } from '../accounts/system-users.ts'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { readNewPassword } from './prompt.ts'
import { readConfiguration } from './read-configuration.ts'

export interface PasswordOptions extends CommonOptions {
  readonly passwordStdin?: boolean
}

export interface AddOptions extends PasswordOptions {
  readonly unixUser?: string
}

export interface ListOptions extends CommonOptions {
  readonly json?: boolean
}

export async function addUser(context: CommandContext, name: string, options: AddOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  if (!ACCOUNT_NAME.test(name))
    return fail(context, `"${name}" cannot be an account: ${ACCOUNT_NAME_RULE}`, ExitCode.usage)
  const system = await checkSystemUser(context, name, options.unixUser)
  if (!system.ok) return fail(context, system.message)
  const password = await readNewPassword(context, options.passwordStdin ?? false)
  if (!password.ok) return fail(context, password.message)
  const account = newAccount(name, password.value, options.unixUser)
  return finish(context, configuration.server.stateDir, adding(account), `account "${name}" added`)
}

/** With root, an account acts as a system user, which must be there. */
export async function checkSystemUser(
  context: CommandContext,
  name: string,
  unixUser: string | undefined,
): Promise<Outcome<void>> {
  if (!context.isRoot && unixUser === undefined) return done(undefined)
  const systemUser = unixUser ?? name
  const users = new SystemUsers()
  await users.prepare([systemUser])
  return users.user(systemUser) ? done(undefined) : failed(missingSystemUser(name, systemUser))
}

export async function changePassword(
  context: CommandContext,
  name: string,
  options: PasswordOptions,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const { stateDir } = configuration.server
  const known = readAccounts(stateDir)
  // Before the question: nobody should type a new password twice for a misspelt name.
  const exists = known.ok ? changing(name, (account) => account)(known.value) : known
  if (!exists.ok) return fail(context, exists.message)
  const password = await readNewPassword(context, options.passwordStdin ?? false)
  if (!password.ok) return fail(context, password.message)
  const hash = ntHash(password.value)
  const edit = changing(name, (account) => ({ ...account, ntHash: hash, changed: new Date().toISOString() }))
  return finish(context, stateDir, edit, `password of "${name}" changed`)
}

export async function removeUser(
  context: CommandContext,
  name: string,
  options: CommonOptions,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const edit = changing(name, () => undefined)
  return finish(context, configuration.server.stateDir, edit, `account "${name}" removed`)
}

/** Keeps the account and its password, but lets it log in or not. */
export async function setDisabled(
  context: CommandContext,
  name: string,
  disabled: boolean,
  options: CommonOptions,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const edit = changing(name, (account) => ({ ...account, disabled }))
  return finish(
    context,
    configuration.server.stateDir,
    edit,
    `account "${name}" ${disabled ? 'disabled' : 'enabled'}`,
  )
}

async function finish(
  context: CommandContext,
  stateDirectory: string,
  edit: AccountsEdit,
  message: string,
): Promise<ExitCode> {
  const outcome = await changeAccounts(stateDirectory, edit)
  if (!outcome.ok) return fail(context, outcome.message)
  print(context, message)
  return ExitCode.done
}

export async function listUsers(context: CommandContext, options: ListOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const accounts = readAccounts(configuration.server.stateDir)
  if (!accounts.ok) return fail(context, accounts.message)
  if (options.json) {
    const shown = accounts.value.map((account) => ({
      name: account.name,
      unix_user: unixUserOf(account),
      created: account.created,
      changed: account.changed,
      disabled: account.disabled,
    }))
    print(context, JSON.stringify(shown, undefined, 2))
  } else if (accounts.value.length === 0) {
    print(context, 'There are no accounts; add one: poolhouse user add NAME')
  } else {
    const table = new Table({ head: ['Name', 'System user', 'Changed', ''], style: { head: [] } })
    for (const one of accounts.value) {
      table.push([one.name, unixUserOf(one), one.changed, one.disabled ? 'disabled' : ''])
    }
    print(context, table.toString())
  }
  return ExitCode.done
}
