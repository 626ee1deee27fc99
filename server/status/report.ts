/** The whole report of `/api/status`: the server's own status, what process it is, and the space of its shares. */

import { statfs } from 'node:fs/promises'
import type { RunningServer, RunningVolume } from '../serve/running-server.ts'
import { packageVersion } from '../version.ts'
import type { ShareSpace } from './metrics.ts'
import type { BackupStatus, PoolStatus, ServerStatus } from './server-status.ts'

export interface StatusReport extends ServerStatus {
  readonly server: {
    readonly name: string
    readonly version: string
    readonly pid: number
    /** ISO 8601. */
    readonly started: string
    readonly listeners: readonly { readonly protocol: string; readonly address: string }[]
  }
  readonly shares: readonly ShareSpace[]
  readonly pools: readonly PoolStatus[]
  readonly backups: readonly BackupStatus[]
}

/** Their disks do not answer. */
export function suspendedPools({ pools }: Pick<StatusReport, 'pools'>): string[] {
  return pools.filter(({ suspended }) => suspended).map(({ pool }) => pool)
}

/** Asks for the space of every share's volume, or volumes. */
export async function spaceOf(running: Pick<RunningServer, 'shares'>): Promise<readonly ShareSpace[]> {
  const spaces = running.shares().map(async ({ name, path, volumes = [] }) => {
    if (volumes.length === 0) return [await spaceOfFolder(name, path)]
    return await Promise.all(volumes.map((volume) => spaceOfVolume(name, volume)))
  })
  return (await Promise.all(spaces)).flat()
}

async function spaceOfVolume(name: string, { path, user, use }: RunningVolume): Promise<ShareSpace> {
  const place = { name, path, ...(user !== undefined && { user }) }
  try {
    const { total, available, limit, used } = await use()
    return {
      ...{ ...place, totalBytes: total, availableBytes: available },
      ...(limit !== undefined && { limitBytes: limit }),
      ...(used !== undefined && { usedBytes: used }),
    }
  } catch {
    return place
  }
}

async function spaceOfFolder(name: string, path: string): Promise<ShareSpace> {
  try {
    const space = await statfs(path)
    return {
      ...{ name, path },
      totalBytes: space.blocks * space.bsize,
      availableBytes: space.bavail * space.bsize,
    }
  } catch {
    return { name, path }
  }
}

export async function createReport(
  running: RunningServer,
  name: string,
  started: Date,
): Promise<StatusReport> {
  return {
    server: {
      name,
      version: packageVersion(),
      pid: process.pid,
      started: started.toISOString(),
      listeners: running.listeners,
    },
    shares: await spaceOf(running),
    pools: running.pools(),
    backups: running.backups(),
    ...running.status(),
  }
}
