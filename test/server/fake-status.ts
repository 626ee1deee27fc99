/** A server's status with one of everything. */

import type {
  BackupStatus,
  PoolStatus,
  ServerStatus,
  ServerUsage,
} from '../../server/status/server-status.ts'

const SINCE = '2026-11-01T10:00:00.000Z'

export const FAKE_STATUS: ServerStatus = {
  sessions: [
    {
      id: '17',
      protocol: 'smb',
      user: 'anna<b>',
      address: '192.0.2.7:50123',
      dialect: '3.1.1',
      signed: true,
      encrypted: false,
      since: SINCE,
      idleSeconds: 3,
    },
  ],
  treeConnects: [{ sessionId: '17', share: 'work', since: SINCE }],
  opens: [
    {
      id: '99',
      sessionId: '17',
      share: 'work',
      path: 'a/b.txt',
      access: 'rw',
      locks: 2,
      caching: 'RWH',
      since: SINCE,
    },
  ],
  totals: { connections: 5, requests: 400, failedLogins: 1, bytesRead: 1 << 20, bytesWritten: 4096 },
}

export const FAKE_POOLS: readonly PoolStatus[] = [
  { pool: 'tank', suspended: true },
  { pool: 'other', suspended: false },
]

export const FAKE_USAGE: ServerUsage = {
  limits: [
    { what: 'sessions', used: 1, limit: 100, refused: 0 },
    { what: 'open_files', used: 3, limit: 12, refused: 7 },
    { what: 'watches', used: 5, limit: 12, refused: 0 },
  ],
  totals: FAKE_STATUS.totals,
}

export const FAKE_BACKUPS: readonly BackupStatus[] = [
  {
    ...{
      share: 'backup',
      kind: 'Time Machine',
      mac: "Anna's <Mac>",
      bundle: "Anna's <Mac>.sparsebundle",
      model: 'Mac14,2',
    },
    ...{ lastCompleted: SINCE, secondsSinceCompleted: 900, bytesCopied: 4096, bytesUsed: 1 << 30 },
    ...{ imageBytes: 2 ** 44, running: true, verificationFailed: false, stale: true, unreadable: [] },
  },
]
