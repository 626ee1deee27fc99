/** Prometheus metrics, filled from the server's status when they are asked for. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { ServerStatus, ServerTotals } from './server-status.ts'

export interface ShareSpace {
  readonly name: string
  readonly path: string
  /** Of the file system, in bytes; absent when it cannot be asked. */
  readonly totalBytes?: number
  readonly availableBytes?: number
}

export interface MetricsSource {
  status(): ServerStatus
  space(): Promise<readonly ShareSpace[]>
}

const GAUGES: readonly [name: string, help: string, read: (status: ServerStatus) => number][] = [
  ['poolhouse_sessions', 'Sessions that are logged in', (status) => status.sessions.length],
  ['poolhouse_tree_connects', 'Shares in use by sessions', (status) => status.treeConnects.length],
  ['poolhouse_open_files', 'Open files and directories', (status) => status.opens.length],
  [
    'poolhouse_locks',
    'Byte-range locks',
    (status) => status.opens.reduce((sum, open) => sum + open.locks, 0),
  ],
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
  for (const [name, help, read] of GAUGES) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(source.status()))
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
        this.inc(source.status().totals[key])
      },
    })
  }
  addSpace(source, registers)
  return registry
}

function addSpace(source: MetricsSource, registers: Registry[]): void {
  const add = (name: string, help: string, key: 'totalBytes' | 'availableBytes'): void => {
    new Gauge({
      name,
      help,
      labelNames: ['share'],
      registers,
      async collect() {
        const shares = await source.space()
        this.reset()
        for (const share of shares) if (share[key] !== undefined) this.set({ share: share.name }, share[key])
      },
    })
  }
  add('poolhouse_share_size_bytes', "Size of a share's file system", 'totalBytes')
  add('poolhouse_share_available_bytes', "Space left on a share's file system", 'availableBytes')
}
