/** `poolhouse init`: writes a commented configuration, and makes a first share and user. */

import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Account } from '../accounts/account.ts'
import { ACCOUNT_NAME, ACCOUNT_NAME_RULE } from '../accounts/account.ts'
import { newAccount } from '../accounts/new-account.ts'
import { adding, changeAccounts } from '../accounts/store.ts'
import { FILE_NAME } from '../config/load.ts'
import { parseConfiguration } from '../config/parse.ts'
import { formatProblem } from '../config/problems.ts'
import { configurationTemplate } from '../config/template.ts'
import type { Configuration } from '../config/types.ts'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { CommandContext } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { ask, readNewPassword } from './prompt.ts'
import { checkSystemUser } from './user.ts'

const SYSTEM_DIRECTORY = '/etc/poolhouse'
const SYSTEM_STATE_DIRECTORY = '/var/lib/poolhouse'
const FILE_MODE = 0o644

export interface InitOptions {
  readonly shareName?: string
  readonly sharePath?: string
  readonly user?: string
  readonly passwordStdin?: boolean
  readonly unixUser?: string
  readonly timeMachine?: boolean
  readonly yes?: boolean
  readonly force?: boolean
}

interface Choices {
  readonly shareName: string
  readonly sharePath: string
  readonly timeMachine: boolean
  /** '' for none. */
  readonly user: string
}

export async function init(
  context: CommandContext,
  target: string | undefined,
  options: InitOptions,
): Promise<ExitCode> {
  const directory = resolve(context.directory, target ?? '.')
  const file = join(directory, FILE_NAME)
  const choices = await choose(context, options)
  const stateDirectory = directory === SYSTEM_DIRECTORY ? SYSTEM_STATE_DIRECTORY : './.poolhouse'
  const text = configurationTemplate({ ...choices, stateDirectory, isPublic: context.isRoot })
  const parsed = parseConfiguration({ text, file, baseDirectory: directory, source: file })
  if (!parsed.ok) {
    for (const problem of parsed.problems) context.stderr.write(`${formatProblem(problem)}\n`)
    return ExitCode.usage
  }
  if (choices.user !== '' && !ACCOUNT_NAME.test(choices.user)) {
    return fail(context, `"${choices.user}" cannot be an account: ${ACCOUNT_NAME_RULE}`, ExitCode.usage)
  }
  if (existsSync(file) && !options.force) return fail(context, existing(file))
  const account = await firstAccount(context, choices.user, options)
  if (!account.ok) return fail(context, account.message)
  const written = await write(file, text, parsed.configuration, options.force ?? false)
  if (!written.ok) return fail(context, written.message)
  print(context, `wrote ${file}`)
  if (account.value) {
    const added = await changeAccounts(parsed.configuration.server.stateDir, adding(account.value))
    if (!added.ok) return fail(context, added.message)
    print(context, `account "${account.value.name}" added`)
  } else {
    print(context, `Add a user: poolhouse user add NAME --config ${file}`)
  }
  print(context, `Next: poolhouse check --config ${file}, then poolhouse serve --config ${file}`)
  return ExitCode.done
}

function existing(file: string): string {
  return `${file} exists; name another folder, or overwrite it with --force`
}

/** Flags first; what they leave open is asked on a terminal, and preset without one. */
async function choose(context: CommandContext, options: InitOptions): Promise<Choices> {
  const interactive = context.stdin.isTTY === true && options.yes !== true && options.passwordStdin !== true
  const pick = async (given: string | undefined, question: string, preset: string): Promise<string> =>
    given ?? (interactive ? ask(context, question, preset) : preset)
  const shareName = await pick(options.shareName, 'Name of the first share', 'backup')
  const sharePath = await pick(options.sharePath, 'Folder it serves', './data')
  const flag = options.timeMachine === undefined ? undefined : options.timeMachine ? 'yes' : 'no'
  const answer = await pick(flag, 'For Time Machine (yes, no)', 'no')
  const user = await pick(options.user, 'First user (empty: none)', '')
  return { shareName, sharePath, timeMachine: /^y/i.test(answer), user }
}

/** Asks for the password before anything is written. @returns undefined when no user was wanted */
async function firstAccount(
  context: CommandContext,
  name: string,
  options: InitOptions,
): Promise<Outcome<Account | undefined>> {
  if (name === '') return done(undefined)
  const system = await checkSystemUser(context, name, options.unixUser)
  if (!system.ok) return system
  const password = await readNewPassword(context, options.passwordStdin ?? false)
  return password.ok ? done(newAccount(name, password.value, options.unixUser)) : password
}

/** Writes the file and makes the share's folder. */
async function write(
  file: string,
  text: string,
  configuration: Configuration,
  force: boolean,
): Promise<Outcome<void>> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text, { flag: force ? 'w' : 'wx', mode: FILE_MODE })
    for (const { path } of configuration.shares)
      if (path !== undefined) await mkdir(path, { recursive: true })
    return done(undefined)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return failed(code === 'EEXIST' ? existing(file) : `${file} cannot be written: ${message}`)
  }
}
