/** What the SMB server's tables say on the status page. */

import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import { LeaseState } from '../../protocols/smb2/messages/create-context-lease.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import type { Open } from '../../protocols/smb2/state/open.ts'
import type { Server } from '../../protocols/smb2/state/server.ts'
import type { Session } from '../../protocols/smb2/state/session.ts'
import { LIMITED, type Limited, usageOf } from '../../protocols/smb2/state/usage.ts'
import type {
  OpenStatus,
  ServerStatus,
  ServerUsage,
  SessionStatus,
  TreeConnectStatus,
} from '../status/server-status.ts'

const MILLISECONDS_PER_SECOND = 1000

export const DIALECT_NAMES: ReadonlyMap<number, string> = new Map([
  [Dialect.SMB_2_0_2, '2.0.2'],
  [Dialect.SMB_2_1, '2.1'],
  [Dialect.SMB_3_0, '3.0'],
  [Dialect.SMB_3_0_2, '3.0.2'],
  [Dialect.SMB_3_1_1, '3.1.1'],
])

const LEASE_LETTERS = [
  [LeaseState.READ_CACHING, 'R'],
  [LeaseState.WRITE_CACHING, 'W'],
  [LeaseState.HANDLE_CACHING, 'H'],
] as const
const CACHING_NAMES = { none: '', II: 'II', exclusive: 'EXCLUSIVE', batch: 'BATCH' } as const

export function smbStatus(server: Server): ServerStatus {
  const sessions = Array.from(server.globalSessionTable.values())
  return {
    sessions: sessions.map((session) => sessionStatus(server, session)),
    treeConnects: sessions.flatMap(treeConnects),
    opens: Array.from(server.globalOpenTable.values(), (open) => openStatus(server, open)),
    totals: { ...server.counters },
  }
}

/** As the metrics name them. */
const LIMIT_NAMES: Readonly<Record<Limited, string>> = {
  sessions: 'sessions',
  treeConnects: 'tree_connects',
  opens: 'open_files',
  absentOpens: 'absent_open_files',
  leases: 'leases',
  locks: 'locks',
  pendingRequests: 'pending_requests',
  watches: 'watches',
}

export function smbUsage(server: Server): ServerUsage {
  const limits = LIMITED.map((what) => ({
    ...{ what: LIMIT_NAMES[what], ...usageOf(server, what) },
    refused: server.usage.refused.get(what) ?? 0,
  }))
  return { limits, totals: { ...server.counters } }
}

/** Of a lease "RWH" and parts of that, of an oplock its level. */
function cachingText(oplocks: Server['oplocks'], open: Open): string {
  const letters = LEASE_LETTERS.filter(([bit]) => (oplocks.leaseStateOf(open) & bit) !== 0)
  return letters.length === 0
    ? CACHING_NAMES[oplocks.levelOf(open)]
    : letters.map(([, letter]) => letter).join('')
}

export function sessionIdText(session: Session): string {
  return session.sessionId.toString(16)
}

/** In place of a session: a durable open whose client is away. */
const DISCONNECTED = 'disconnected'

export function openIdText(open: Open): string {
  return open.fileId.volatile.toString(16)
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

function sessionStatus(server: Server, session: Session): SessionStatus {
  const [connection] = session.channelList.keys()
  return {
    id: sessionIdText(session),
    protocol: 'smb',
    user: session.principal?.user ?? '',
    address: connection?.peer.remoteAddress ?? '',
    dialect: DIALECT_NAMES.get(session.dialect) ?? '',
    signed: session.signingRequired,
    encrypted: session.encryptData,
    since: isoTime(session.creationTime),
    idleSeconds: Math.floor((server.environment.now() - session.idleTime) / MILLISECONDS_PER_SECOND),
  }
}

function treeConnects(session: Session): TreeConnectStatus[] {
  return Array.from(session.treeConnectTable.values(), (treeConnect) => ({
    sessionId: sessionIdText(session),
    share: treeConnect.share.name,
    since: isoTime(treeConnect.creationTime),
  }))
}

function openStatus({ oplocks }: Server, open: Open): OpenStatus {
  const letter = (rights: number, text: string): string => (open.grantsAny(rights) ? text : '')
  return {
    id: openIdText(open),
    sessionId: open.session === undefined ? DISCONNECTED : sessionIdText(open.session),
    share: open.share.name,
    path: open.pathName.replaceAll('\\', '/'),
    access:
      letter(FileAccess.READ_DATA | FileAccess.EXECUTE, 'r') +
      letter(FileAccess.WRITE_DATA | FileAccess.APPEND_DATA, 'w') +
      letter(FileAccess.DELETE, 'd'),
    locks: open.lockCount,
    caching: cachingText(oplocks, open),
    since: isoTime(open.creationTime),
  }
}
