/** zpool-features(7), zpoolprops(7) failmode: whether a pool has stopped because its disks do not answer; the kernel tells without waiting for it. */

import { readFile } from 'node:fs/promises'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { datasetAt, poolOf } from '../../storage/zfs/mounts.ts'

const MOUNTINFO = '/proc/self/mountinfo'
const STATES = '/proc/spl/kstat/zfs'
const SUSPENDED = 'SUSPENDED'
/** What may be a pool's name: a letter first, then what zpool(8) takes. */
const POOL_NAME = /^[A-Za-z][\w.: -]*$/

/** The kernel's list of mounts, as this process sees them. */
export function readMounts(): Promise<string> {
  return readFile(MOUNTINFO, 'utf8')
}

/** @returns false, too, where there is no such pool */
export async function isSuspended(pool: string): Promise<boolean> {
  if (!POOL_NAME.test(pool)) return false
  const state = await readFile(`${STATES}/${pool}/state`, 'utf8').catch(() => '')
  return state.trim() === SUSPENDED
}

/** For the owner. */
export function suspendedMessage(pool: string): string {
  return `the pool "${pool}" is suspended, as its disks do not answer; look at them: zpool status ${pool}, then: zpool clear ${pool}`
}

/** Why what is at a path cannot be had at this moment; undefined: no pool is in the way. */
export type PathProbe = (path: string) => Promise<string | undefined>

export const whySuspended: PathProbe = async (path) => {
  const dataset = datasetAt(await readMounts(), path)
  if (dataset === undefined) return undefined
  const pool = poolOf(dataset)
  return (await isSuspended(pool)) ? suspendedMessage(pool) : undefined
}

/** Commands about a pool that is suspended would hang, and could not even be killed: they fail at once. */
export function refusingSuspended(run: CommandRunner, suspended = isSuspended): CommandRunner {
  return async (program, args) => {
    const pools = new Set(args.slice(1).map(poolOf))
    for (const pool of pools) {
      if (await suspended(pool)) return { code: 1, stdout: '', stderr: suspendedMessage(pool) }
    }
    return await run(program, args)
  }
}
