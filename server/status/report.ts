/** The whole report of `/api/status`: the server's own status, what process it is, and the space of its shares. */

import { statfs } from 'node:fs/promises'
import type { RunningServer } from '../serve/running-server.ts'
import { packageVersion } from '../version.ts'
import type { ShareSpace } from './metrics.ts'
import type { BackupStatus, ServerStatus } from './server-status.ts'

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
  readonly backups: readonly BackupStatus[]
}

/** Asks for the space of every share's file system. */
export function spaceOf(running: RunningServer): Promise<readonly ShareSpace[]> {
  return Promise.all(
    running.shares().map(async ({ name, path }) => {
      try {
        const space = await statfs(path)
        return {
          name,
          path,
          totalBytes: space.blocks * space.bsize,
          availableBytes: space.bavail * space.bsize,
        }
      } catch {
        return { name, path }
      }
    }),
  )
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
    backups: running.backups(),
    ...running.status(),
  }
}
