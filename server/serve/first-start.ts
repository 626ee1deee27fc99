/** The first start without a configuration: the folder, a user with a random password, and how to connect. */

import { randomInt } from 'node:crypto'
import { chown, mkdir, readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { accountKey } from '../accounts/account.ts'
import { newAccount } from '../accounts/new-account.ts'
import { adding, changeAccounts, readAccounts } from '../accounts/store.ts'
import { SystemUsers } from '../accounts/system-users.ts'
import { BUILT_IN_SHARE, BUILT_IN_TARGET, BUILT_IN_USER } from '../config/built-in.ts'
import type { Configuration } from '../config/types.ts'
import type { Outcome } from '../outcome.ts'
import { done } from '../outcome.ts'
import { replaceFile } from '../state/atomic-file.ts'

const PASSWORD_FILE = 'first-password'
/** Without letters and digits that look alike: 31 of them, 20 places, 99 bits. */
const PASSWORD_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'
const PASSWORD_LENGTH = 20
/** Windows takes no longer one. */
const SECRET_LENGTH = 16
const STANDARD_PORT = 445

export interface BuiltInUser {
  /** undefined: it was changed since, and is known to who did. */
  readonly password: string | undefined
}

/** Makes what is missing of the served folder and the user. @param isRoot the account then acts as the folder's owner */
export async function prepareBuiltIn(
  configuration: Configuration,
  isRoot: boolean,
): Promise<Outcome<BuiltInUser>> {
  const { stateDir } = configuration.server
  const path = configuration.shares[0]?.path ?? '.'
  await makeFolder(path, isRoot)
  for (const { chap } of configuration.targets) if (chap !== undefined) await makeSecret(chap.secretFile)
  const accounts = readAccounts(stateDir)
  if (!accounts.ok) return accounts
  if (accounts.value.length > 0) {
    const account = accounts.value.find((one) => accountKey(one.name) === BUILT_IN_USER)
    const password = await storedPassword(stateDir)
    const isCurrent = password !== undefined && account?.ntHash.equals(ntHash(password))
    return done({ password: isCurrent ? password : undefined })
  }
  const password = randomLetters(PASSWORD_LENGTH)
  // First the password, then the account: the other way round a crash between leaves a password that nobody knows.
  await replaceFile(join(stateDir, PASSWORD_FILE), `${password}\n`)
  const account = newAccount(BUILT_IN_USER, password, isRoot ? await ownerOf(path) : undefined)
  const added = await changeAccounts(stateDir, adding(account))
  return added.ok ? done({ password }) : added
}

function randomLetters(length: number): string {
  const letter = (): string => PASSWORD_LETTERS.charAt(randomInt(PASSWORD_LETTERS.length))
  return Array.from({ length }, letter).join('')
}

/** Readable for its owner alone; one that is there stays. */
async function makeSecret(file: string): Promise<void> {
  const known = await stat(file).catch(() => undefined)
  if (known === undefined) await replaceFile(file, `${randomLetters(SECRET_LENGTH)}\n`)
}

/** Under sudo the folder belongs to who called it, so that they can use it without root as well. */
async function makeFolder(path: string, isRoot: boolean): Promise<void> {
  const made = await mkdir(path, { recursive: true })
  const { SUDO_UID: uid, SUDO_GID: gid } = process.env
  if (made !== undefined && isRoot && uid && gid) await chown(path, Number(uid), Number(gid))
}

/** The system user of the same name when there is one, else the folder's owner. */
async function ownerOf(path: string): Promise<string | undefined> {
  const users = new SystemUsers()
  await users.prepare([BUILT_IN_USER])
  if (users.user(BUILT_IN_USER)) return undefined
  return users.nameOf((await stat(path)).uid)
}

async function storedPassword(stateDirectory: string): Promise<string | undefined> {
  try {
    return (await readFile(join(stateDirectory, PASSWORD_FILE), 'utf8')).trim()
  } catch {
    return undefined
  }
}

/** Says how to get at the disk. @param secretFile of CHAP; undefined: it is for this machine alone, and needs none */
export function diskLine(port: number, isPublic: boolean, secretFile: string | undefined): string {
  const host = isPublic ? hostname() : '127.0.0.1'
  const chap = secretFile === undefined ? '' : `, CHAP user ${BUILT_IN_USER}, secret in ${secretFile}`
  return `  iSCSI    ${host}:${port}, target ${BUILT_IN_TARGET}, LUN 0${chap}`
}

/** Says how to connect, line by line. @param port of the SMB listener */
export function connectLines(user: BuiltInUser, port: number, isPublic: boolean): string[] {
  const host = isPublic ? hostname() : '127.0.0.1'
  const isStandard = port === STANDARD_PORT
  const url = `smb://${BUILT_IN_USER}@${host}${isStandard ? '' : `:${port}`}/${BUILT_IN_SHARE}`
  const credentials = user.password === undefined ? BUILT_IN_USER : `'${BUILT_IN_USER}%${user.password}'`
  const windows = isStandard
    ? `\\\\${host}\\${BUILT_IN_SHARE}`
    : `needs port ${STANDARD_PORT}: run as root with --public`
  return [
    `user ${BUILT_IN_USER}, password ${user.password ?? 'as you set it'}`,
    `  Linux    smbclient //${host}/${BUILT_IN_SHARE} -p ${port} -U ${credentials}`,
    `  macOS    Finder, Go > Connect to Server: ${url}`,
    `  Windows  ${windows}`,
  ]
}
