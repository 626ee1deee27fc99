/** The machine as a suite wants it: accounts that the system knows and file systems of their own, seen by this suite alone. */

import { chmod, chown, mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { succeed } from './process.ts'
import type { Account } from './server-process.ts'

/** Set by the runner when it started this process in a namespace (see needs.ts). */
export const isPrivate = process.env['POOLHOUSE_PRIVATE_NAMESPACE'] === '1'

const mountSeconds = 60

export const alice: Account = { name: 'alice', password: 'Passw0rd.alice' }
export const bob: Account = { name: 'bob', password: 'Passw0rd.bob' }
export const nasAdministrator: Account = { name: 'nasadmin', password: 'Passw0rd.adm' }
const accounts = [alice, bob, nasAdministrator]
const groupName = 'nasusers'
/** Ids from here on belong to nobody and to containers. */
const maxLocalId = 60_000

/** A user and group id that exist only in the namespace. */
interface Ids {
  readonly uid: number
  readonly gid: number
}

/**
 * Makes the system know the suites' accounts: copies of /etc/passwd and /etc/group with more lines, mounted
 * over the real ones in this namespace only. Without a namespace the server acts as its own user, and nothing is done.
 * @returns the ids of `alice`, who owns the shares
 */
export async function makeAccounts(directory: string): Promise<Ids | undefined> {
  if (!isPrivate) {
    return undefined
  }
  const passwd = await linesOfOthers('/etc/passwd')
  const groups = await linesOfOthers('/etc/group')
  const usedIds = [...passwd, ...groups]
    .map((line) => Number(line.split(':')[2]))
    .filter((id) => id < maxLocalId)
  const gid = Math.max(...usedIds) + 1
  const members = accounts.map((account) => account.name)
  groups.push(`${groupName}:x:${gid}:${members.join(',')}`)
  for (const [index, name] of members.entries()) {
    passwd.push(`${name}:x:${gid + index}:${gid}::/nonexistent:/usr/sbin/nologin`)
  }
  const extended = [join(directory, 'passwd'), join(directory, 'group')] as const
  await writeFile(extended[0], `${passwd.join('\n')}\n`)
  await writeFile(extended[1], `${groups.join('\n')}\n`)
  await succeed('mount', ['--bind', extended[0], '/etc/passwd'], { seconds: mountSeconds })
  await succeed('mount', ['--bind', extended[1], '/etc/group'], { seconds: mountSeconds })
  return { uid: gid, gid }
}

/** The lines of an account file that do not name the suites' accounts. */
async function linesOfOthers(path: string): Promise<string[]> {
  const ours = [groupName, ...accounts.map((account) => account.name)]
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  return lines.filter((line) => !ours.includes(line.split(':')[0] ?? ''))
}

/** Makes a directory that belongs to the accounts' first and lets everyone write. */
export async function makeShareDirectory(path: string, owner: Ids | undefined, mode = 0o777): Promise<void> {
  await mkdir(path, { recursive: true })
  if (owner !== undefined) {
    await chown(path, owner.uid, owner.gid)
  }
  await chmod(path, mode)
}

/** The options that the reference run used: inodes with room for attributes, and reflinks. */
const makers = {
  xfs: { command: 'mkfs.xfs', args: ['-q', '-m', 'reflink=1,crc=1', '-i', 'size=2048'] },
  btrfs: { command: 'mkfs.btrfs', args: ['-q'] },
} as const

/** Mounts a new file system from a sparse image; it goes with the namespace. Needs `isPrivate`. */
export async function mountImage(
  kind: keyof typeof makers,
  sizeBytes: number,
  mountPoint: string,
): Promise<void> {
  const image = `${mountPoint}.img`
  await mkdir(mountPoint, { recursive: true })
  await writeFile(image, '')
  await truncate(image, sizeBytes)
  const { command, args } = makers[kind]
  await succeed(command, [...args, image], { seconds: mountSeconds })
  await succeed('mount', ['-o', 'loop', image, mountPoint], { seconds: mountSeconds })
}
