/** MS-SMB2 3.3.1.5, ours: what clients make the server keep, against its limits, and how often a limit was met. */

import type { Open } from './open.ts'
import type { Server, ServerLimits } from './server.ts'
import type { Session } from './session.ts'

/** Sums that no table knows the size of. */
export class Usage {
  /** Byte-range locks held. */
  locks = 0
  /** Requests that wait for others: locks, changes, oplocks being broken. */
  pendingRequests = 0
  /** Requests refused because a limit was reached. */
  readonly refused = new Map<Limited, number>()

  refuse(what: Limited): void {
    this.refused.set(what, (this.refused.get(what) ?? 0) + 1)
  }
}

interface Bounds {
  /** How many a session has, and may have. */
  readonly inSession?: (session: Session) => number
  readonly perSession?: (limits: ServerLimits) => number
  /** How many all have, and may have. */
  readonly inAll: (server: Server) => number
  readonly total: (limits: ServerLimits) => number
}

const BOUNDS = {
  sessions: {
    inAll: (server) => server.globalSessionTable.size,
    total: (limits) => limits.sessions,
  },
  treeConnects: {
    inSession: (session) => session.treeConnectTable.size,
    perSession: (limits) => limits.treeConnectsPerSession,
    inAll: treeConnects,
    total: (limits) => limits.treeConnects,
  },
  opens: {
    inSession: (session) => session.openTable.size,
    perSession: (limits) => limits.opensPerSession,
    inAll: (server) => server.globalOpenTable.size,
    total: (limits) => limits.opens,
  },
  // Of a client rather than of a session: LeaseTables.isFullFor.
  leases: {
    inAll: (server) => server.leaseTables.size,
    total: (limits) => limits.leases,
  },
  absentOpens: {
    inAll: (server) => server.absentOpens.size,
    total: (limits) => limits.absentOpens,
  },
  locks: {
    inSession: (session) => session.lockCount,
    perSession: (limits) => limits.locksPerSession,
    inAll: (server) => server.usage.locks,
    total: (limits) => limits.locks,
  },
  pendingRequests: {
    inSession: (session) => session.pendingRequests,
    perSession: (limits) => limits.pendingRequestsPerSession,
    inAll: (server) => server.usage.pendingRequests,
    total: (limits) => limits.pendingRequests,
  },
  watches: {
    inSession: (session) => session.watches,
    perSession: (limits) => limits.watchesPerSession,
    inAll: (server) => server.changes.size,
    total: (limits) => limits.watches,
  },
} satisfies Record<string, Bounds>

/** What there is a limit of. */
export type Limited = keyof typeof BOUNDS

/** Every kind, for reports. */
export const LIMITED = Object.keys(BOUNDS) as readonly Limited[]

function treeConnects(server: Server): number {
  let count = 0
  for (const session of server.globalSessionTable.values()) count += session.treeConnectTable.size
  return count
}

/** How many there are of a kind, and how many there may be. */
export function usageOf(server: Server, what: Limited): { readonly used: number; readonly limit: number } {
  const { inAll, total }: Bounds = BOUNDS[what]
  return { used: inAll(server), limit: total(server.limits) }
}

/**
 * Whether a session, or all together, may not have more of a kind; such a refusal is counted.
 * @param session undefined for what no session has yet
 * @param more how many are wanted
 */
export function isFull(server: Server, what: Limited, session: Session | undefined, more = 1): boolean {
  const { inSession, perSession, inAll, total }: Bounds = BOUNDS[what]
  const { limits } = server
  const ofSession = session === undefined ? 0 : (inSession?.(session) ?? 0)
  const isTooMuch =
    ofSession + more > (perSession?.(limits) ?? Number.POSITIVE_INFINITY) ||
    inAll(server) + more > total(limits)
  if (isTooMuch) server.usage.refuse(what)
  return isTooMuch
}

/** Open.LockCount, and the sums that it goes into. */
export function countLocks(server: Server, open: Open, by: number): void {
  open.lockCount += by
  if (open.session !== undefined) open.session.lockCount += by
  server.usage.locks += by
  server.durables.changed(server, open)
}
