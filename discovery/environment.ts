/** The outside world as discovery gets it, so that a test can move the clock by hand; and the random waits of RFC 6762 and SOAP-over-UDP. */

export type Cancel = () => void

export interface Environment {
  /** Milliseconds since 1970. */
  now(): number
  /** `count` unpredictable bytes. */
  random(count: number): Buffer
  /** Calls `run` once, `milliseconds` from now, unless cancelled. */
  after(milliseconds: number, run: () => void): Cancel
}

export type Log = (
  level: 'debug' | 'info' | 'warn',
  message: string,
  details?: Record<string, unknown>,
) => void

const WORD_BYTES = 4
const WORD_VALUES = 2 ** 32

/** A random whole number of milliseconds between both, inclusive. */
export function randomBetween(environment: Environment, lowest: number, highest: number): number {
  const span = highest - lowest + 1
  return lowest + Math.floor((environment.random(WORD_BYTES).readUInt32BE() / WORD_VALUES) * span)
}

/** Timers that end together. */
export class Timers {
  readonly #environment: Environment
  readonly #running = new Set<Cancel>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  after(milliseconds: number, run: () => void): Cancel {
    const stop = this.#environment.after(milliseconds, () => {
      this.#running.delete(cancel)
      run()
    })
    const cancel = (): void => {
      this.#running.delete(cancel)
      stop()
    }
    this.#running.add(cancel)
    return cancel
  }

  cancelAll(): void {
    for (const cancel of [...this.#running]) cancel()
  }
}
