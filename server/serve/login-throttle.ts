/** Failed logins by address: each is answered later than the one before, and past a limit none is looked at. */

import type { LoginThrottle } from '../../protocols/smb2/state/server.ts'

/** windows.md section 1: Windows delays a failed login by two seconds; the first are let off lightly, for typos. */
const FIRST_DELAY_MILLISECONDS = 100
const LONGEST_DELAY_MILLISECONDS = 2000
/** Failures are forgotten after this long without another. */
const MEMORY_MILLISECONDS = 5 * 60 * 1000
/** Past so many within that time, even a right password is refused. */
const FAILURES_BEFORE_BLOCK = 100
/** Addresses remembered; the one that failed longest ago is forgotten first. */
const MAXIMUM_ADDRESSES = 10_000

interface Failures {
  count: number
  last: number
}

/** @param now milliseconds since 1970 */
export function createLoginThrottle(now: () => number): LoginThrottle {
  const byAddress = new Map<string, Failures>()
  const recent = (address: string): Failures | undefined => {
    const failures = byAddress.get(address)
    if (failures === undefined || now() - failures.last <= MEMORY_MILLISECONDS) return failures
    byAddress.delete(address)
    return undefined
  }
  return {
    failed(address: string): number {
      const count = (recent(address)?.count ?? 0) + 1
      // Taken out and put back, so that the map stays in the order of the last failure.
      byAddress.delete(address)
      byAddress.set(address, { count, last: now() })
      if (byAddress.size > MAXIMUM_ADDRESSES) {
        const [oldest] = byAddress.keys()
        if (oldest !== undefined) byAddress.delete(oldest)
      }
      return Math.min(FIRST_DELAY_MILLISECONDS * 2 ** (count - 1), LONGEST_DELAY_MILLISECONDS)
    },
    succeeded(address: string): void {
      byAddress.delete(address)
    },
    blocked(address: string): boolean {
      return (recent(address)?.count ?? 0) > FAILURES_BEFORE_BLOCK
    },
  }
}
