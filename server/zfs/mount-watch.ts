/** Datasets that come and go under a running server: their mounts are looked at every few seconds. */

import { readFile } from 'node:fs/promises'
import { datasetMounts } from '../../storage/zfs/mounts.ts'

const MOUNTINFO = '/proc/self/mountinfo'
/** A glance at a file of the kernel's; whoever mounts a dataset by hand is not kept waiting for long. */
const LOOK_MILLISECONDS = 5000

export interface MountWatchOptions {
  /** The datasets that matter at this moment. */
  readonly wanted: () => readonly string[]
  /** Some of them have been mounted, unmounted or mounted elsewhere. Looking goes on when it has ended. */
  readonly changed: () => Promise<unknown>
  readonly failed: (error: unknown) => void
  /** The kernel's list of mounts; of this process unless given. */
  readonly read?: () => Promise<string>
  /** Runs `work` later. @returns what stops it */
  readonly after?: (milliseconds: number, work: () => void) => () => void
}

export class MountWatch {
  readonly #options: Required<MountWatchOptions>
  #stop: () => void = () => undefined
  #looking: Promise<void> = Promise.resolve()
  #known: string | undefined
  #isClosed = false

  constructor(options: MountWatchOptions) {
    this.#options = { read: () => readFile(MOUNTINFO, 'utf8'), after: later, ...options }
    this.#schedule(0)
  }

  #schedule(milliseconds: number): void {
    if (this.#isClosed) return
    this.#stop = this.#options.after(milliseconds, () => {
      this.#looking = this.#look()
        .catch((error: unknown) => this.#options.failed(error))
        .then(() => this.#schedule(LOOK_MILLISECONDS))
    })
  }

  async #look(): Promise<void> {
    const mounts = datasetMounts(await this.#options.read())
    const wanted = [...this.#options.wanted()].sort()
    const seen = JSON.stringify(wanted.map((dataset) => [dataset, mounts.get(dataset)]))
    const isNews = this.#known !== undefined && this.#known !== seen && !this.#isClosed
    this.#known = seen
    if (isNews) await this.#options.changed()
  }

  /** Looks no more; what a look brought about has ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stop()
    await this.#looking
  }
}

function later(milliseconds: number, work: () => void): () => void {
  const timer = setTimeout(work, milliseconds)
  timer.unref()
  return () => clearTimeout(timer)
}
