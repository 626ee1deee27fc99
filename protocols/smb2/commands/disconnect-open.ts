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
  beginAbsence(server, open, durable.timeout, () => void abandonOpen(server, open))
}

/** Nobody comes back for the open any more, or it is in another's way (3.3.4.6, 3.3.4.7). Never rejects. */
export async function abandonOpen(server: Server, open: Open): Promise<void> {
  try {
    await closeOpen(server, open)
  } catch (error) {
    server.log('error', 'a durable open could not be closed', { path: open.pathName, error })
  }
}
