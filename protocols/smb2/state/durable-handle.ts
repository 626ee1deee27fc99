/** MS-SMB2 3.3.1.10: what makes an open durable, so that its client can come back for it, and an open whose client is away. */

import type { Cancel } from '../../transport/engine.ts'
import { LeaseState } from '../messages/create-context-lease.ts'
import type { Connection } from './connection.ts'
import type { Open } from './open.ts'
import type { Server } from './server.ts'
import type { Session } from './session.ts'
import { isFull } from './usage.ts'

/** 2.2.13.2.11: "in milliseconds"; macOS asks for at most this, and Windows' version 1 has it: 16 minutes. */
export const MAXIMUM_DURABLE_TIMEOUT_MILLISECONDS = 960_000
/** 3.3.5.9.10: for a client that asks for more than there is, as Windows has it. */
const LONG_DURABLE_TIMEOUT_MILLISECONDS = 300_000
/** 3.3.5.9.10: for a client that leaves the timeout to the server, as Windows has it. */
const DEFAULT_DURABLE_TIMEOUT_MILLISECONDS = 60_000
/**
 * So long what an absent client has locked stays locked for others: a Mac gives its backup up when the
 * server was away for 30 seconds (macos.md section 7). Linux forgets a handle whose file was closed
 * meanwhile without ever saying so, and the handle may be kept for 16 minutes.
 */
const LOCKS_KEPT_MILLISECONDS = 30_000

/** Open.IsDurable, with what belongs to it. */
export interface DurableHandle {
  readonly version: 1 | 2
  /** Open.DurableOpenTimeout, milliseconds: so long the open is kept when its client is away. */
  readonly timeout: number
  /** Open.DurableOwner: the account that alone gets it back. */
  readonly owner: string
}

/** Open.Connection is NULL: the client is away. */
export interface Absence {
  /** Milliseconds since 1970. */
  readonly since: number
  /** Stops the Durable Open Scavenger Timer (3.3.2.2), and the one of its locks. */
  readonly stopTimers: Cancel
}

/** Opens in GlobalOpenTable whose client is away. */
export class AbsentOpens {
  readonly #opens = new Set<Open>()
  readonly #countOf = new Map<string, number>()

  get size(): number {
    return this.#opens.size
  }

  /** How many an account has. */
  countOf(owner: string): number {
    return this.#countOf.get(owner) ?? 0
  }

  add(open: Open): void {
    if (this.#opens.has(open)) return
    this.#opens.add(open)
    this.#count(open, 1)
  }

  delete(open: Open): void {
    if (this.#opens.delete(open)) this.#count(open, -1)
  }

  [Symbol.iterator](): IterableIterator<Open> {
    return this.#opens.values()
  }

  #count({ durable }: Open, by: number): void {
    const owner = durable?.owner ?? ''
    const count = this.countOf(owner) + by
    if (count === 0) this.#countOf.delete(owner)
    else this.#countOf.set(owner, count)
  }
}

/** Whether one more open of an account may be kept while its client is away; a refusal is counted. */
export function mayBeAbsent(server: Server, owner: string): boolean {
  const { absentOpens, limits, usage } = server
  const isTooMuch = absentOpens.countOf(owner) >= limits.absentOpensPerOwner
  if (isTooMuch) usage.refuse('absentOpens')
  return !isTooMuch && !isFull(server, 'absentOpens', undefined)
}

/** 3.3.5.9.10: exactly what is asked for, as Macs take nothing else (macos.md section 7). */
export function grantedTimeout(requested: number): number {
  if (requested === 0) return DEFAULT_DURABLE_TIMEOUT_MILLISECONDS
  return requested > MAXIMUM_DURABLE_TIMEOUT_MILLISECONDS ? LONG_DURABLE_TIMEOUT_MILLISECONDS : requested
}

/** 3.3.7.1: a batch oplock or HANDLE caching, and no break of it under way: only then nobody else is kept waiting. */
export function mayOutliveConnection({ oplocks }: Server, open: Open): boolean {
  if (open.lease === undefined) return oplocks.levelOf(open) === 'batch' && !oplocks.isBreaking(open)
  return !open.lease.breaking && (open.lease.leaseState & LeaseState.HANDLE_CACHING) !== 0
}

/**
 * The client is away from now on: the open has no session, and its locks are in no session's sum.
 * @param timeout milliseconds since `since` after which `scavenge` is called; earlier when somebody waits for its locks
 * @param since milliseconds since 1970
 */
export function beginAbsence(
  server: Server,
  open: Open,
  timeout: number,
  scavenge: () => void,
  since = server.environment.now(),
): void {
  const { environment } = server
  const { session } = open
  if (session !== undefined) {
    session.openTable.delete(open.fileId.volatile)
    session.lockCount -= open.lockCount
  }
  open.detach()
  // A clock that was put back must not keep it for longer.
  const leftOf = (time: number): number => Math.min(time, Math.max(0, since + time - environment.now()))
  const stopScavenger = environment.after(leftOf(timeout), scavenge)
  const stopLocks = environment.after(leftOf(LOCKS_KEPT_MILLISECONDS), () => {
    if (open.lockCount > 0 && open.file.node.locks.waiting > 0) scavenge()
  })
  const stopTimers = (): void => {
    stopScavenger()
    stopLocks()
  }
  open.absence = { since, stopTimers }
  server.absentOpens.add(open)
  server.durables.changed(server, open)
}

/** It is not, whether it has come back or the open closes. */
export function endAbsence(server: Server, open: Open): void {
  server.durables.changed(server, open)
  open.absence?.stopTimers()
  open.absence = undefined
  server.absentOpens.delete(open)
}

/**
 * Opens of a session that is gone, of the Mac that asks: same machine, same account. A Mac comes back for all its handles
 * before it does anything else, and for none when one is lost (macos.md section 8); what it does anew is not to find
 * itself in its way. Other clients come back for each handle when they need it.
 */
export function orphansOf(
  { absentOpens }: Server,
  { negotiatedAapl, clientGuid }: Connection,
  { principal }: Session,
): Open[] {
  if (!negotiatedAapl || absentOpens.size === 0) return []
  return Array.from(absentOpens).filter(
    ({ lease, durable }) =>
      lease?.clientGuid.equals(clientGuid) === true && durable?.owner === principal?.user,
  )
}

/** Opens of an open's stream with locks that must not be in its way: orphans, and those whose clients have been away for long. */
export function lapsedLockers(server: Server, { file, connection, session }: Open): Open[] {
  const { absentOpens, environment } = server
  const longAgo = environment.now() - LOCKS_KEPT_MILLISECONDS
  const orphans =
    connection !== undefined && session !== undefined ? orphansOf(server, connection, session) : []
  return Array.from(absentOpens).filter((open) => {
    if (open.lockCount === 0 || open.file.node !== file.node || open.absence === undefined) return false
    return open.absence.since <= longAgo || orphans.includes(open)
  })
}
