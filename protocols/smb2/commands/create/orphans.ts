/** MS-SMB2 3.3.5.9: a CREATE that only handles refuse for which the same Mac has not come back. */

import type { CommandContext } from '../../context.ts'
import type { BreakWait } from '../../state/break-waits.ts'
import { orphansOf } from '../../state/durable-handle.ts'
import type { SharedFile } from '../../state/open.ts'
import { closeOpen } from '../close-open.ts'

/**
 * Oplocks do not help there: what is opened with the lease key of before breaks nothing of that lease.
 * @param conflicting the opens that do not share what is asked for
 * @returns undefined when others refuse it too: then nothing is ended
 */
export function endOrphans(
  { server, session, connection }: CommandContext,
  conflicting: readonly SharedFile[],
): BreakWait | undefined {
  const orphans = new Map(
    orphansOf(server, connection, session).map((open) => [open.file.shared, open] as const),
  )
  if (orphans.size === 0 || !conflicting.every((shared) => orphans.has(shared))) return undefined
  const closed = conflicting.map(async (shared) => {
    const open = orphans.get(shared)
    if (open !== undefined) await closeOpen(server, open)
  })
  return {
    ended: Promise.all(closed).then(
      () => 'again' as const,
      (error) => {
        server.log('error', 'a durable open could not be closed', { error })
        return 'refused' as const
      },
    ),
    cancel: () => undefined,
  }
}
