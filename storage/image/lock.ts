/** One server per disk: locks on files and devices, and words that say who has one. */

import type { BigIntStats } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { StorageError } from '../errors.ts'
import { type LockMode, tryFlock } from '../posix/flock.ts'

/** udev reads a device, with a lock on it, when it appears and whenever somebody who could write to it has closed it. */
const UDEV_MILLISECONDS = 5000
const LOOK_MILLISECONDS = 100

/** @throws StorageError 'busy' that names the process which has it */
export async function lockBacking(
  fd: number,
  path: string,
  mode: LockMode,
  stats: BigIntStats,
): Promise<void> {
  for (let look = 0; !tryFlock(fd, mode); look += 1) {
    const holder = await holderOf(stats)
    const mayBeUdev = stats.isBlockDevice() && (holder === undefined || holder.name.includes('udev'))
    if (!mayBeUdev || look === UDEV_MILLISECONDS / LOOK_MILLISECONDS) {
      throw new StorageError(
        'busy',
        `${path} is in use by ${describe(holder)}; a disk may have one user only`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS))
  }
}

interface Holder {
  readonly pid: number
  readonly name: string
}

function describe(holder: Holder | undefined): string {
  if (holder === undefined) return 'another process'
  const { pid, name } = holder
  if (pid === process.pid) return 'another LUN of this server'
  return `process ${pid}${name === '' ? '' : ` (${name})`}`
}

/** By /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`. @returns undefined when it has gone, or cannot be seen */
async function holderOf(stats: BigIntStats): Promise<Holder | undefined> {
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '')
  const line = locks.split('\n').find((one) => one.includes('FLOCK') && one.includes(`:${stats.ino} `))
  const pid = Number(line?.split(/\s+/)[4])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  return { pid, name: name.trim() }
}
