/** MS-SMB2 3.3.2.1, 3.3.6.1: breaks whose acknowledgment is awaited, for a while, and the requests that wait for them. */

import type { Cancel, Environment } from '../../transport/engine.ts'

/** 3.3.2.1, the oplock break acknowledgment timer: "35 seconds" on Windows; leases have the same. */
export const OPLOCK_BREAK_TIMEOUT_MILLISECONDS = 35_000
/** Requests that may wait for one break. */
export const MAXIMUM_WAITING_FOR_BREAK = 256

export type WaitEnd = 'again' | 'cancelled' | 'refused'

/** Waiting for others to give up what they cache. */
export interface BreakWait {
  /**
   * 'again': what waited has to be checked again, from the start. 'refused': too many wait already.
   * Never rejects.
   */
  readonly ended: Promise<WaitEnd>
  cancel(): void
}

/** A break whose acknowledgment is awaited. */
interface BreakUnderWay {
  stopTimer: Cancel
  readonly waiters: Set<() => void>
}

/** Breaks by what is being broken. */
export class BreakWaits<Broken> {
  readonly #environment: Environment
  readonly #expired: (broken: Broken) => 'ended' | 'awaited'
  readonly #underWay = new Map<Broken, BreakUnderWay>()

  /**
   * @param expired is called when an acknowledgment has not come in time, before those who wait go on; 'awaited': they
   * do not yet, since something else is about to end the break
   */
  constructor(environment: Environment, expired: (broken: Broken) => 'ended' | 'awaited') {
    this.#environment = environment
    this.#expired = expired
  }

  /** An acknowledgment is awaited from now on, or another one. */
  begin(broken: Broken): void {
    const expire = (): void => {
      if (this.#expired(broken) === 'ended') this.end(broken)
      else this.begin(broken)
    }
    const stopTimer = this.#environment.after(OPLOCK_BREAK_TIMEOUT_MILLISECONDS, expire)
    const known = this.#underWay.get(broken)
    if (known === undefined) {
      this.#underWay.set(broken, { stopTimer, waiters: new Set() })
      return
    }
    known.stopTimer()
    known.stopTimer = stopTimer
  }

  /** Those whose acknowledgment is awaited. */
  underWay(): Iterable<Broken> {
    return [...this.#underWay.keys()]
  }

  /** Nothing is awaited any longer: those who wait look again. */
  end(broken: Broken): void {
    const underWay = this.#underWay.get(broken)
    if (underWay === undefined) return
    this.#underWay.delete(broken)
    underWay.stopTimer()
    for (const done of [...underWay.waiters]) done()
  }

  /** Waits until all of these have ended. @throws Error when one has not begun */
  wait(awaited: readonly Broken[]): BreakWait {
    const pending = new Set<() => void>()
    let end: (how: WaitEnd) => void = () => undefined
    const ended = new Promise<WaitEnd>((resolve) => {
      end = resolve
    })
    const breaks = awaited.map((broken) => this.#breakOf(broken))
    if (breaks.some(({ waiters }) => waiters.size >= MAXIMUM_WAITING_FOR_BREAK)) {
      return { ended: Promise.resolve('refused'), cancel: () => undefined }
    }
    for (const { waiters } of breaks) {
      const done = (): void => {
        waiters.delete(done)
        pending.delete(done)
        if (pending.size === 0) end('again')
      }
      pending.add(done)
      waiters.add(done)
    }
    const cancel = (): void => {
      for (const { waiters } of breaks) for (const done of pending) waiters.delete(done)
      end('cancelled')
    }
    return { ended, cancel }
  }

  #breakOf(broken: Broken): BreakUnderWay {
    const underWay = this.#underWay.get(broken)
    if (underWay === undefined) throw new Error('an oplock is being broken without anyone knowing')
    return underWay
  }
}
