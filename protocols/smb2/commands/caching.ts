/** MS-FSA 2.1.4.12: what commands do about that which other clients cache: break it, and wait where they must. */

import { fail, type Outcome } from '../outcome.ts'
import type { BreakWait } from '../state/break-waits.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'

/** Changes data or size of the open's stream, of which no one keeps a copy meanwhile. */
export async function changing<Result>(
  { oplocks }: Server,
  open: Open,
  change: () => Promise<Result>,
): Promise<Result> {
  const { file } = open
  open.hasWritten = true
  oplocks.beginChange(file)
  try {
    return await change()
  } finally {
    oplocks.endChange(file)
  }
}

/**
 * Answers as `retry` does once the wait is over, which may be to wait again; CANCEL ends it.
 * @param abandon lets go of what is kept for `retry`, when there will be none
 */
export function whenBroken<Body>(
  wait: BreakWait,
  retry: () => Outcome<Body> | Promise<Outcome<Body>>,
  abandon: () => Promise<void> = async () => undefined,
): Outcome<Body> {
  let { cancel } = wait
  const follow = async (): Promise<Outcome<Body>> => {
    const end = await wait.ended
    if (end !== 'again') {
      await abandon()
      return fail(end === 'cancelled' ? Status.CANCELLED : Status.INSUFFICIENT_RESOURCES)
    }
    const outcome = await retry()
    if (outcome.kind !== 'pending') return outcome
    cancel = outcome.cancel
    return outcome.completion
  }
  return { kind: 'pending', completion: follow(), cancel: () => cancel() }
}

/** The same for a request that is about an open, which may meanwhile have been closed, or have come to another session. */
export function whenBrokenOn<Body>(
  open: Open,
  wait: BreakWait,
  retry: () => Outcome<Body> | Promise<Outcome<Body>>,
): Outcome<Body> {
  const { session } = open
  return whenBroken(wait, async () => {
    // Its client would not hear of what is done now, and does it again.
    if (open.closing || open.session !== session) return fail(Status.FILE_CLOSED)
    open.hold()
    try {
      return await retry()
    } finally {
      open.letGo()
    }
  })
}
