/** Looks at something again and again, one look after the other. */

/** Runs `work` later. @returns what stops it */
export type Later = (milliseconds: number, work: () => void) => () => void

export const later: Later = (milliseconds, work) => {
  const timer = setTimeout(work, milliseconds)
  timer.unref()
  return () => clearTimeout(timer)
}

export interface RepeatedLookOptions {
  /** Milliseconds from the end of one look to the next. */
  readonly pause: number
  readonly look: () => Promise<void>
  readonly failed: (error: unknown) => void
  readonly after?: Later
}

export class RepeatedLook {
  readonly #options: Required<RepeatedLookOptions>
  #stop: () => void = () => undefined
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: RepeatedLookOptions) {
    this.#options = { after: later, ...options }
    this.#schedule(0)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  #schedule(milliseconds: number): void {
    if (this.#isClosed) return
    const { after, look, failed, pause } = this.#options
    this.#stop = after(milliseconds, () => {
      this.#looking = look()
        .catch(failed)
        .then(() => this.#schedule(pause))
    })
  }

  /** Looks no more; what a look brought about has ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stop()
    await this.#looking
  }
}
