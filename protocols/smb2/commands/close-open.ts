/** MS-SMB2 3.3.4.17, MS-FSA 2.1.5.5: closing an open, with what that brings about: locks, deletion, pending requests. */

import { endAbsence } from '../state/durable-handle.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { countLocks } from '../state/usage.ts'
import { leaveNode } from './leave-node.ts'
import { noteClose } from './notes.ts'
import { markForDeletion } from './set-disposition.ts'

/**
 * Closes an open; a second call waits for the first. No request finds it from now on.
 * @param heldByCaller requests of the caller's own that still hold the open
 * @param lastUse runs when no other request uses the handle any longer
 */
export function closeOpen(
  server: Server,
  open: Open,
  heldByCaller = 0,
  lastUse?: () => Promise<void>,
): Promise<unknown> {
  open.closed ??= finish(server, open, heldByCaller, lastUse)
  return open.closed
}

async function finish(
  server: Server,
  open: Open,
  heldByCaller: number,
  lastUse: (() => Promise<void>) | undefined,
): Promise<void> {
  open.closing = true
  endAbsence(server, open)
  server.replays.forgetOpen(open)
  open.session?.openTable.delete(open.fileId.volatile)
  server.globalOpenTable.delete(open.fileId.volatile)
  countLocks(server, open, -open.lockCount)
  for (const end of open.onClose) end()
  open.onClose.clear()
  await open.drained(heldByCaller)
  try {
    if (!open.isPipe) await noteClose(server, open)
    await lastUse?.()
  } finally {
    await release(server, open)
  }
}

async function release(server: Server, open: Open): Promise<void> {
  if (open.isPipe) return
  try {
    await open.enumeration?.cursor.close()
    await leave(server, open)
  } finally {
    server.oplocks.closed(open)
  }
}

async function leave(server: Server, open: Open): Promise<void> {
  try {
    if (open.deleteOnClose) {
      markForDeletion(server, open)
      // Those who keep the last handles for no one close them. A CLOSE waits for none of that.
      server.oplocks.breakHandles(open.file)?.cancel()
    }
    await leaveNode(server, open)
  } finally {
    await open.file.handle.close()
  }
}
