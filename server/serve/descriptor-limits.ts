/** How many opens clients may have, from how many descriptors the system lets the process have (getrlimit(2), RLIMIT_NOFILE). */

import { readFileSync } from 'node:fs'
import { DEFAULT_LIMITS, type ServerLimits } from '../../protocols/smb2/state/server.ts'

/** Kept for the server itself: workers at work, listings, state files, the log. */
const OWN_DESCRIPTORS = 512
/** Even where the system is mean, a client must get somewhere; then opens fail by the system's own error. */
const LEAST_OPENS = 256
/** One client alone may have this much of what there is: others are to be served, too. */
const SHARE_OF_ONE_SESSION = 0.75
const PROCESS_LIMITS = '/proc/self/limits'

/** The soft limit, which Node raises to the hard one when it starts; undefined where nobody tells, or there is none. */
export function descriptorLimit(): number | undefined {
  try {
    const found = /^Max open files\s+(\d+)/mu.exec(readFileSync(PROCESS_LIMITS, 'utf8'))
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

/**
 * The limits of a server whose opens take one descriptor each, and its connections, too.
 * @param descriptors undefined when they are not limited
 */
export function limitsWithin(descriptors: number | undefined, connections: number): ServerLimits {
  if (descriptors === undefined) return DEFAULT_LIMITS
  const room = Math.max(LEAST_OPENS, descriptors - connections - OWN_DESCRIPTORS)
  const opens = Math.min(DEFAULT_LIMITS.opens, room)
  const ofOne = Math.floor(opens * SHARE_OF_ONE_SESSION)
  return { ...DEFAULT_LIMITS, opens, opensPerSession: Math.min(DEFAULT_LIMITS.opensPerSession, ofOne) }
}
