/** One server per disk: locks on files and devices, and words that say who has one. */

import type { BigIntStats } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { StorageError } from '../errors.ts'
import { type LockMode, tryFlock } from '../posix/flock.ts'

/** @throws StorageError 'busy' that names the process which has it */
export async function lockBacking(
  fd: number,
  path: string,
  mode: LockMode,
  stats: BigIntStats,
): Promise<void> {
  if (tryFlock(fd, mode)) return
  throw new StorageError(
    'busy',
    `${path} is in use by ${await holderOf(stats)}; a disk may have one user only`,
  )
}

/** By /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`. */
async function holderOf(stats: BigIntStats): Promise<string> {
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '')
  const line = locks.split('\n').find((one) => one.includes('FLOCK') && one.includes(`:${stats.ino} `))
  const pid = Number(line?.split(/\s+/)[4])
  if (!Number.isInteger(pid) || pid <= 0) return 'another process'
  if (pid === process.pid) return 'another LUN of this server'
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  return `process ${pid}${name === '' ? '' : ` (${name.trim()})`}`
}
