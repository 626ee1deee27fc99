/** The outside world as engines get it: clock, randomness, timers. */

import { randomFillSync } from 'node:crypto'
import type { Environment } from './engine.ts'

/** Ids and nonces are short: asking the system for each would cost more than using it. */
const BATCH_BYTES = 4096
/** setTimeout fires at once when it is asked for more: 24.8 days. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1

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
    after: (milliseconds, run) => {
      let timer: NodeJS.Timeout
      const wait = (left: number) => {
        const rest = left - LONGEST_TIMER_MILLISECONDS
        if (rest <= 0) timer = setTimeout(run, left)
        else timer = setTimeout(() => wait(rest), LONGEST_TIMER_MILLISECONDS)
      }
      wait(milliseconds)
      return () => clearTimeout(timer)
    },
  }
}
