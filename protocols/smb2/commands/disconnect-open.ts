/** MS-SMB2 3.3.7.1, 3.3.2.2, 3.3.6.2: an open whose client has gone: kept for a while when it is durable. */

import { beginAbsence, mayBeAbsent, mayOutliveConnection } from '../state/durable-handle.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { closeOpen } from './close-open.ts'

/** Keeps an open without a session when its client may come back for it; closes it otherwise. */
export async function disconnectOpen(server: Server, open: Open): Promise<void> {
  const { durable } = open
  const isKept =
    durable !== undefined &&
    !open.closing &&
    mayOutliveConnection(server, open) &&
    mayBeAbsent(server, durable.owner)
  if (!isKept) return void (await closeOpen(server, open))
  // Nobody hears any longer of what they wait for.
  for (const end of open.onClose) end()
  open.onClose.clear()
  beginAbsence(server, open, durable.timeout, () => abandonOpen(server, open))
  if (open.lockCount > 0) endWhenWaitedFor(server, open)
}

/**
 * So long, in milliseconds, what an absent client has locked stays locked for others: a Mac gives its
 * backup up when the server was away for 30 seconds (macos.md section 7). Linux forgets a handle whose
 * file was closed meanwhile without ever saying so, and the handle may be kept for 16 minutes.
 */
const LOCKS_KEPT_MILLISECONDS = 30_000

/** Opens of an open's stream with locks, whose clients have been away for so long that these must not be in its way. */
export function lapsedLockers({ absentOpens, environment }: Server, { file }: Open): Open[] {
  const longAgo = environment.now() - LOCKS_KEPT_MILLISECONDS
  return Array.from(absentOpens).filter(
    ({ absence, lockCount, file: { node } }) =>
      lockCount > 0 && node === file.node && absence !== undefined && absence.since <= longAgo,
  )
}

/** Whoever waits for the open's locks by then need not wait longer. */
function endWhenWaitedFor(server: Server, open: Open): void {
  const { absence } = open
  server.environment.after(LOCKS_KEPT_MILLISECONDS, () => {
    if (open.absence === absence && open.file.node.locks.waiting > 0) abandonOpen(server, open)
  })
}

/** Nobody comes back for the open any more, or it is in another's way (3.3.4.6, 3.3.4.7). */
export function abandonOpen(server: Server, open: Open): void {
  closeOpen(server, open).catch((error) => {
    server.log('error', 'a durable open could not be closed', { path: open.pathName, error })
  })
}
