/** Datasets that come and go under a running server: their mounts are looked at every few seconds, and whether pools have been suspended. */

import { datasetAt, datasetMounts, poolOf } from '../../storage/zfs/mounts.ts'
import { isSuspended, readMounts } from './pool-state.ts'
import { type Later, later, RepeatedLook } from './repeated-look.ts'

/** A glance at a file of the kernel's; whoever mounts a dataset by hand is not kept waiting for long. */
const LOOK_MILLISECONDS = 5000

/** What of the mounts matters at this moment. */
export interface WantedMounts {
  readonly datasets: readonly string[]
  /** Of folders, files and devices: on which dataset they are. */
  readonly paths: readonly string[]
}

export interface MountWatchOptions {
  readonly wanted: () => WantedMounts
  /** Some of it has been mounted, unmounted or mounted elsewhere, or its pool answers again. Looking goes on when it has ended. */
  readonly changed: () => Promise<unknown>
  readonly failed: (error: unknown) => void
  /** The kernel's list of mounts; of this process unless given. */
  readonly read?: () => Promise<string>
  readonly suspended?: (pool: string) => Promise<boolean>
  readonly after?: Later
}

export class MountWatch {
  readonly #options: MountWatchOptions
  readonly #looks: RepeatedLook
  #known: string | undefined
  /** Pools that did not answer at the last look. */
  #suspended: ReadonlySet<string> = new Set()

  constructor(options: MountWatchOptions) {
    this.#options = options
    const { failed, after = later } = options
    this.#looks = new RepeatedLook({ pause: LOOK_MILLISECONDS, look: () => this.#look(), failed, after })
  }

  async #look(): Promise<void> {
    const { wanted, changed, read = readMounts } = this.#options
    const mountinfo = await read()
    const mounts = datasetMounts(mountinfo)
    const { datasets, paths } = wanted()
    const places = [...paths].sort().map((path) => [path, datasetAt(mountinfo, path)] as const)
    const seen = JSON.stringify([
      [...datasets].sort().map((dataset) => [dataset, mounts.get(dataset)]),
      places,
    ])
    const suspended = await this.#suspendedOf([
      ...datasets,
      ...places.flatMap(([, dataset]) => dataset ?? []),
    ])
    const areBack = [...this.#suspended].some((pool) => !suspended.has(pool))
    this.#suspended = suspended
    const isNews = this.#known !== undefined && (this.#known !== seen || areBack) && !this.#looks.isClosed
    this.#known = seen
    if (isNews) await changed()
  }

  async #suspendedOf(datasets: readonly string[]): Promise<ReadonlySet<string>> {
    const { suspended = isSuspended } = this.#options
    const found = new Set<string>()
    for (const pool of new Set(datasets.map(poolOf))) if (await suspended(pool)) found.add(pool)
    return found
  }

  /** Looks no more; what a look brought about has ended. */
  async close(): Promise<void> {
    await this.#looks.close()
  }
}
