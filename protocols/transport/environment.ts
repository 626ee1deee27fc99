/** The outside world as engines get it: clock, randomness, timers. */

import { randomFillSync } from 'node:crypto'
import type { Environment } from './engine.ts'

/** Ids and nonces are short: asking the system for each would cost more than using it. */
const BATCH_BYTES = 4096

export function createEnvironment(): Environment {
  const batch = Buffer.alloc(BATCH_BYTES)
  let used = BATCH_BYTES
  return {
    now: () => Date.now(),
    random(count) {
      if (count > BATCH_BYTES) return randomFillSync(Buffer.alloc(count))
      if (used + count > BATCH_BYTES) {
        randomFillSync(batch)
        used = 0
      }
      // A copy, and the batch forgets it: no byte is given out twice or kept.
      const bytes = Buffer.from(batch.subarray(used, used + count))
      batch.fill(0, used, used + count)
      used += count
      return bytes
    },
    after(milliseconds, run) {
      const timer = setTimeout(run, milliseconds)
      return () => clearTimeout(timer)
    },
  }
}
