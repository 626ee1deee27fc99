/** openat2(2) RESOLVE_CACHED: work that a thread does only as far as it need not wait for a disk. */

/** Thrown, and caught, here alone: it could go on only by waiting. One for all, as an error's stack costs more than the calls. */
const wouldWait = new Error('a disk may be needed')

let isWaitingAllowed = true

/** Whether the thread may wait, as workers may. */
export function mayWait(): boolean {
  return isWaitingAllowed
}

/** What follows may wait for a disk. */
export function beginWaiting(): void {
  if (!isWaitingAllowed) throw wouldWait
}

/** What `withoutWaiting` returns when it would wait. */
export const WOULD_WAIT = Symbol('a disk may be needed')

/**
 * Runs work as far as the kernel has all of it in memory: for the main thread, which would keep all clients waiting.
 * @param work changes nothing before it comes to where it may wait
 */
export function withoutWaiting<T>(work: () => T): T | typeof WOULD_WAIT {
  isWaitingAllowed = false
  try {
    return work()
  } catch (error) {
    if (error === wouldWait) return WOULD_WAIT
    throw error
  } finally {
    isWaitingAllowed = true
  }
}
