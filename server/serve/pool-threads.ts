/**
 * Threads for what is on each ZFS pool apart. A pool whose disks do not answer is suspended, and keeps every thread that touches
 * it; so none of them may be one that others need. The kernel is asked every second: what is not begun yet is refused then.
 */

import { Lane } from '../../storage/lane.ts'
import { createWorkerPool, type WorkerPool } from '../../storage/posix/worker-pool.ts'
import { datasetAt, poolOf } from '../../storage/zfs/mounts.ts'
import type { Logger } from '../logging/logger.ts'
import type { PoolStatus } from '../status/server-status.ts'
import { isSuspended, readMounts, suspendedMessage } from '../zfs/pool-state.ts'
import { type Later, later, RepeatedLook } from '../zfs/repeated-look.ts'

const LOOK_MILLISECONDS = 1000
/** More calls at a time are no faster: what they move goes through the same memory. */
const MAXIMUM_CALLS = 4
/** libuv's, where UV_THREADPOOL_SIZE says nothing; `bin/poolhouse` sets it. */
const DEFAULT_THREADS = 4
/** Part of libuv's threads that no pool gets: state files, and whatever is not on ZFS. */
const RESERVED = 1 / 4
/** Everything that is on no pool. */
const ELSEWHERE = ''

export interface PoolThreadsOptions {
  readonly log: Logger
  /** Threads of libuv's. */
  readonly threads?: number
  readonly mounts?: () => Promise<string>
  readonly suspended?: (pool: string) => Promise<boolean>
  readonly after?: Later
}

export class PoolThreads {
  readonly #options: PoolThreadsOptions
  readonly #lanes = new Map<string, Lane>()
  readonly #workers = new Map<string, WorkerPool>()
  readonly #looks: RepeatedLook

  constructor(options: PoolThreadsOptions) {
    this.#options = options
    this.#looks = new RepeatedLook({
      pause: LOOK_MILLISECONDS,
      look: () => this.#lookAtAll(),
      failed: (error) => options.log.error({ err: error }, 'bug: pools could not be looked at'),
      after: options.after ?? later,
    })
  }

  /** Threads for the metadata of what is at an absolute path, with its lane. */
  async workersFor(path: string): Promise<WorkerPool> {
    const pool = await this.#poolAt(path)
    const lane = await this.#laneOf(pool)
    let workers = this.#workers.get(pool)
    if (workers === undefined) {
      workers = createWorkerPool({ lane })
      this.#workers.set(pool, workers)
    }
    return workers
  }

  /** The way to the disks of what is at an absolute path. */
  async laneFor(path: string): Promise<Lane> {
    return await this.#laneOf(await this.#poolAt(path))
  }

  /** Of all pools that something served is on. */
  statuses(): PoolStatus[] {
    return [...this.#lanes]
      .filter(([pool]) => pool !== ELSEWHERE)
      .map(([pool, lane]) => ({ pool, suspended: lane.stopped !== undefined }))
  }

  async #poolAt(path: string): Promise<string> {
    const dataset = datasetAt(await (this.#options.mounts ?? readMounts)(), path)
    return dataset === undefined ? ELSEWHERE : poolOf(dataset)
  }

  async #laneOf(pool: string): Promise<Lane> {
    let lane = this.#lanes.get(pool)
    if (lane === undefined) {
      lane = pool === ELSEWHERE ? new Lane() : new Lane(MAXIMUM_CALLS)
      this.#lanes.set(pool, lane)
      this.#shareThreads()
    }
    // What is opened now may be the first call to one that is suspended, or be opened as it is not any more.
    if (pool !== ELSEWHERE) await this.#look(pool, lane)
    return lane
  }

  /** Whatever all pools together hold, the rest of the process goes on. */
  #shareThreads(): void {
    const { threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? DEFAULT_THREADS) } = this.#options
    const pools = [...this.#lanes].filter(([pool]) => pool !== ELSEWHERE)
    const each = Math.floor((threads - Math.ceil(threads * RESERVED)) / Math.max(1, pools.length))
    for (const [, lane] of pools) lane.limit = Math.min(MAXIMUM_CALLS, Math.max(1, each))
  }

  async #lookAtAll(): Promise<void> {
    for (const [pool, lane] of this.#lanes) if (pool !== ELSEWHERE) await this.#look(pool, lane)
  }

  async #look(pool: string, lane: Lane): Promise<void> {
    const { log, suspended = isSuspended } = this.#options
    const isNow = await suspended(pool)
    if (isNow === (lane.stopped !== undefined)) return
    if (isNow) {
      lane.stop(suspendedMessage(pool))
      log.error(`${suspendedMessage(pool)}. Until then its shares and disks answer with errors`)
    } else {
      lane.resume()
      log.info(`the pool "${pool}" answers again`)
    }
  }

  /** Looks no more, lets the threads finish what they have, and ends them. */
  async close(): Promise<void> {
    await this.#looks.close()
    await Promise.all(Array.from(this.#workers.values(), (workers) => workers.close()))
  }
}
