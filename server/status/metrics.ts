/** Prometheus metrics, filled from the server's status when they are asked for. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { BackupStatus, LimitStatus, PoolStatus, ServerTotals, ServerUsage } from './server-status.ts'

export interface ShareSpace {
  readonly name: string
  readonly path: string
  /** The account whose folder it is, where each has one. */
  readonly user?: string
  /** What its files occupy, and may occupy, in bytes; absent where there is no max_size. */
  readonly usedBytes?: number
  readonly limitBytes?: number
  /** Of the file system, in bytes; absent when it cannot be asked. */
  readonly totalBytes?: number
  readonly availableBytes?: number
}

export interface MetricsSource {
  usage(): ServerUsage
  space(): Promise<readonly ShareSpace[]>
  backups(): readonly BackupStatus[]
  pools(): readonly PoolStatus[]
}

const GAUGES: readonly [what: string, help: string][] = [
  ['connections', 'Connections of clients'],
  ['sessions', 'Sessions that are logged in'],
  ['tree_connects', 'Shares in use by sessions'],
  ['open_files', 'Open files and directories'],
  ['absent_open_files', 'Open files whose client is away and may come back'],
  ['leases', 'Leases of files and directories'],
  ['locks', 'Byte-range locks'],
  ['watches', 'Directories whose changes clients watch'],
  ['pending_requests', 'Requests that wait for other clients'],
]

const COUNTERS: readonly [name: string, help: string, key: keyof ServerTotals][] = [
  ['poolhouse_connections_total', 'Connections accepted', 'connections'],
  ['poolhouse_requests_total', 'Requests received', 'requests'],
  ['poolhouse_failed_logins_total', 'Logins refused', 'failedLogins'],
  ['poolhouse_read_bytes_total', 'Bytes read by clients', 'bytesRead'],
  ['poolhouse_written_bytes_total', 'Bytes written by clients', 'bytesWritten'],
]

/** Makes the registry of one server. */
export function createMetrics(source: MetricsSource): Registry {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  for (const [what, help] of GAUGES) {
    new Gauge({
      ...{ name: `poolhouse_${what}`, help, registers },
      collect() {
        this.set(source.usage().limits.find((limit) => limit.what === what)?.used ?? 0)
      },
    })
  }
  for (const [name, help, key] of COUNTERS) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(source.usage().totals[key])
      },
    })
  }
  addLimits(source, registers)
  addSpace(source, registers)
  addBackups(source, registers)
  addPools(source, registers)
  return registry
}

/** Warn when a share comes close to 1, or when anything is refused. */
function addLimits(source: MetricsSource, registers: Registry[]): void {
  const add = (name: string, help: string, read: (limit: LimitStatus) => number): void => {
    new Gauge({
      ...{ name, help, labelNames: ['what'], registers },
      collect() {
        for (const limit of source.usage().limits) this.set({ what: limit.what }, read(limit))
      },
    })
  }
  add('poolhouse_limit', 'How many there may be of all clients', ({ limit }) => limit)
  add('poolhouse_limit_used_ratio', 'Share of the limit that is in use', ({ used, limit }) => used / limit)
  new Counter({
    ...{ name: 'poolhouse_refused_by_limit_total', help: 'Requests refused at a limit' },
    ...{ labelNames: ['what'], registers },
    collect() {
      this.reset()
      for (const { what, refused } of source.usage().limits) this.inc({ what }, refused)
    },
  })
}

/** Alert on the age, or on one of the last two being 1. */
function addBackups(source: MetricsSource, registers: Registry[]): void {
  const add = (name: string, help: string, read: (backup: BackupStatus) => number | undefined): void => {
    new Gauge({
      ...{ name, help, labelNames: ['share', 'mac', 'bundle'], registers },
      collect() {
        this.reset()
        for (const backup of source.backups()) {
          const { share, mac, bundle } = backup
          const value = read(backup)
          if (value !== undefined) this.set({ share, mac, bundle }, value)
        }
      },
    })
  }
  const age = 'Seconds since the last completed backup of a Mac'
  add('poolhouse_backup_age_seconds', age, (backup) => backup.secondsSinceCompleted)
  add('poolhouse_backup_used_bytes', 'Bytes in use in the volume of its image', (backup) => backup.bytesUsed)
  add('poolhouse_backup_running', 'A Mac writes to it', (backup) => Number(backup.running))
  const stale = 'No backup was completed for stale_after_days'
  add('poolhouse_backup_stale', stale, (backup) => Number(backup.stale))
  const failed = 'The Mac found its backup damaged'
  add('poolhouse_backup_verification_failed', failed, (backup) => Number(backup.verificationFailed))
}

function addPools(source: MetricsSource, registers: Registry[]): void {
  new Gauge({
    ...{ name: 'poolhouse_pool_suspended', help: 'The disks of a pool do not answer' },
    ...{ labelNames: ['pool'], registers },
    collect() {
      this.reset()
      for (const { pool, suspended } of source.pools()) this.set({ pool }, Number(suspended))
    },
  })
}

function addSpace(source: MetricsSource, registers: Registry[]): void {
  const add = (name: string, help: string, key: keyof ShareSpace): void => {
    new Gauge({
      name,
      help,
      labelNames: ['share', 'user'],
      registers,
      async collect() {
        const shares = await source.space()
        this.reset()
        for (const { name, user, [key]: value } of shares) {
          if (typeof value === 'number') this.set({ share: name, ...(user !== undefined && { user }) }, value)
        }
      },
    })
  }
  add('poolhouse_share_size_bytes', "Size of a share's volume, as clients see it", 'totalBytes')
  add('poolhouse_share_available_bytes', "Space left in a share's volume", 'availableBytes')
  add('poolhouse_share_used_bytes', 'What the files of a share with max_size occupy', 'usedBytes')
  add('poolhouse_share_limit_bytes', 'max_size of a share', 'limitBytes')
}
