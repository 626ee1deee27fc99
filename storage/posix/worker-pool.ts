/** The few threads that make the system calls of metadata for all shares on one set of disks. */

import { Worker } from 'node:worker_threads'
import { StorageError } from '../errors.ts'
import { Lane } from '../lane.ts'
import { type JobMessage, PROGRESS_NUMBERS, Progress, type ReplyMessage, type WorkerData } from './jobs.ts'
import { LocalChanges, type LocalChangesOptions } from './local-changes.ts'
import type { Operations } from './operations.ts'
import type { Share } from './share-type.ts'
import { workerUrl } from './worker-url.ts'

/** One of them may wait for a disk while another answers from the cache. */
const DEFAULT_WORKERS = 2
/** Unanswered jobs of the first thread with which the others are started: each takes memory, which few clients need. */
const JOBS_IN_LINE = 2
const MAXIMUM_WORKERS = 64
/** Names of large folders lie outside the heap; what is inside is small. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 4 } as const

export type Operation = keyof Operations
export type Argument<K extends Operation> = Parameters<Operations[K]>[0]
export type Result<K extends Operation> = ReturnType<Operations[K]>

/** Told to threads, or giving something back: done even when the disks had stopped before it was begun. */
const IN_ANY_CASE: ReadonlySet<Operation> = new Set([
  'addShare',
  'removeShare',
  'endListing',
  'unwatchDirectories',
  'scans',
])
/** They change nothing and open nothing: nobody need wait for their end when the disks have stopped. */
const ONLY_LOOKING: ReadonlySet<Operation> = new Set([
  'space',
  'stat',
  'nextPage',
  'listStreams',
  'listEas',
  'readStream',
  'readSecurityDescriptor',
  'readLink',
  'allocatedRanges',
  'currentPath',
  'currentName',
  'isCompressed',
])

/** Ids of shares are the process's: the main thread knows those of all pools. */
let lastShare = 0

interface Pending {
  readonly operation: Operation
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/**
 * Runs jobs in its threads. A key chooses the thread: what is cached there serves all jobs with the same key. Until jobs
 * stand in line there is one thread, with all keys.
 */
export class WorkerPool {
  readonly #threads: Thread[]
  readonly #size: number
  readonly #shares = new Map<number, Share>()
  /** What others change in directories that are watched. */
  readonly localChanges: LocalChanges
  /** For data, which goes from the main thread. When it stops, what stands in line here is refused, too. */
  readonly lane: Lane
  /** The others are being started. */
  #growing: Promise<void> | undefined
  /** Ends when the first thread has done what it had when the others took over most of its keys. */
  #handedOver: Promise<unknown> | undefined

  constructor(size: number, { lane = new Lane(), ...options }: WorkerPoolOptions) {
    this.localChanges = new LocalChanges(this, options)
    this.lane = lane
    this.#size = size
    this.#threads = [new Thread(this.#shares)]
    lane.onStop((error) => {
      for (const thread of this.#threads) thread.refuseWaiting(error)
    })
  }

  /** The key of the thread that has this key now, for what only that thread knows, whatever others are started: listings. */
  homeOf(key: number): number {
    return key % Math.max(1, this.#threads.length)
  }

  /**
   * No job is under way, and the disks answer. Only then the main thread may look at files itself: it would see what a job has done, and whoever gave
   * the job does not know yet.
   */
  get isIdle(): boolean {
    return this.lane.stopped === undefined && this.#threads.every(({ unanswered }) => unanswered === 0)
  }

  /** @throws StorageError that the operation ended with */
  async run<K extends Operation>(key: number, operation: K, argument: Argument<K>): Promise<Result<K>> {
    const home = this.homeOf(key)
    const thread = this.#threads[home]
    if (thread === undefined) throw new StorageError('stale', 'the worker pool was closed')
    if (thread.unanswered >= JOBS_IN_LINE) void this.grow().catch(() => undefined)
    // In two threads at once, two jobs on a directory could make names there that differ in case alone.
    if (home > 0 && this.#handedOver !== undefined) await this.lane.unlessStopped(this.#handedOver)
    const { stopped } = this.lane
    if (stopped !== undefined && !IN_ANY_CASE.has(operation)) throw new StorageError('not-ready', stopped)
    return await thread.run(operation, argument)
  }

  /** Starts the threads that are not there yet. */
  async grow(): Promise<void> {
    if (this.#size > 1) this.#growing ??= this.#startOthers()
    await this.#growing
  }

  async #startOthers(): Promise<void> {
    const others = Array.from({ length: this.#size - 1 }, () => new Thread(this.#shares))
    const known = new Set<number>()
    // A share may be added while the threads start.
    const missing = () => [...this.#shares.values()].filter(({ id }) => !known.has(id))
    for (let shares = missing(); shares.length > 0; shares = missing()) {
      for (const share of shares) {
        known.add(share.id)
        await Promise.all(others.map((thread) => thread.run('addShare', share)))
      }
    }
    for (const id of known) {
      if (!this.#shares.has(id)) for (const thread of others) void thread.run('removeShare', id)
    }
    const [first] = this.#threads
    if (first === undefined) {
      await Promise.all(others.map((thread) => thread.close()))
      return
    }
    // Jobs are done in the order in which they come, so this one is done after those that wait.
    this.#handedOver = first.run('scans', undefined).catch(() => undefined)
    this.#threads.push(...others)
    await this.#handedOver
    this.#handedOver = undefined
  }

  /** The same job in every thread. */
  async runInAll<K extends Operation>(operation: K, argument: Argument<K>): Promise<Result<K>[]> {
    return await Promise.all(this.#threads.map((thread) => thread.run(operation, argument)))
  }

  /** Makes a share known to all threads, also to those that replace one that failed. */
  async addShare(share: Omit<Share, 'id'>): Promise<Share> {
    const numbered = { ...share, id: ++lastShare }
    this.#shares.set(numbered.id, numbered)
    await this.runInAll('addShare', numbered)
    return numbered
  }

  async removeShare(id: number): Promise<void> {
    this.#shares.delete(id)
    await this.runInAll('removeShare', id)
  }

  /** Lets the threads finish what they have and ends them. */
  async close(): Promise<void> {
    await this.localChanges.close()
    await this.#growing?.catch(() => undefined)
    await Promise.all(this.#threads.splice(0).map((thread) => thread.close()))
  }
}

/** A worker with its unanswered jobs; one that fails is replaced, unless it never answered at all. */
class Thread {
  readonly #shares: ReadonlyMap<number, Share>
  readonly #progress = new Int32Array(new SharedArrayBuffer(PROGRESS_NUMBERS * Int32Array.BYTES_PER_ELEMENT))
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #lastId = 0
  #hasAnswered = false
  #idle: (() => void) | undefined
  #closing = false

  constructor(shares: ReadonlyMap<number, Share>) {
    this.#shares = shares
    this.#worker = this.#start()
  }

  get unanswered(): number {
    return this.#pending.size
  }

  run<K extends Operation>(operation: K, argument: Argument<K>): Promise<Result<K>> {
    return new Promise((resolve, reject) => {
      if (this.#worker === undefined || this.#closing) {
        reject(new StorageError('io', 'the worker is gone'))
        return
      }
      this.#lastId = (this.#lastId + 1) | 0
      const id = this.#lastId
      this.#pending.set(id, { operation, resolve, reject })
      const generation = this.#progress[Progress.generation] ?? 0
      const job = { id, operation, argument, ...(!IN_ANY_CASE.has(operation) && { generation }) }
      this.#worker.postMessage(job satisfies JobMessage)
    })
  }

  /** What has been begun may hang, and be done when the disks answer again; what is behind it never is. */
  refuseWaiting(error: StorageError): void {
    Atomics.add(this.#progress, Progress.generation, 1)
    const begun = Atomics.load(this.#progress, Progress.begun)
    for (const [id, { operation, reject }] of [...this.#pending]) {
      // Ids go round.
      const isBegun = ((id - begun) | 0) <= 0
      if (IN_ANY_CASE.has(operation) || (isBegun && !ONLY_LOOKING.has(operation))) continue
      this.#pending.delete(id)
      reject(error)
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #start(): Worker {
    const worker = new Worker(workerUrl('worker'), {
      resourceLimits: RESOURCE_LIMITS,
      // Descriptors opened there are used and closed here.
      trackUnmanagedFds: false,
      workerData: { progress: this.#progress } satisfies WorkerData,
    })
    worker.on('message', (reply: ReplyMessage) => this.#settle(reply))
    worker.on('error', (error) => this.#fail(error))
    worker.on('exit', () => this.#fail(new Error('the worker ended')))
    return worker
  }

  #settle(reply: ReplyMessage): void {
    const job = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    this.#hasAnswered = true
    if (reply.ok) job?.resolve(reply.value as never)
    else if (reply.code === undefined) job?.reject(new Error(reply.message))
    else job?.reject(new StorageError(reply.code, reply.message))
    if (this.#pending.size === 0) this.#idle?.()
  }

  #fail(error: Error): void {
    if (this.#worker === undefined) return
    this.#worker.removeAllListeners('exit')
    this.#worker = undefined
    const jobs = [...this.#pending.values()]
    this.#pending.clear()
    for (const job of jobs) job.reject(new StorageError('io', `a worker failed: ${error.message}`))
    this.#idle?.()
    if (this.#closing || !this.#hasAnswered) return
    this.#hasAnswered = false
    this.#worker = this.#start()
    for (const share of this.#shares.values()) void this.run('addShare', share).catch(() => undefined)
  }
}

export interface WorkerPoolOptions extends LocalChangesOptions {
  /** Threads, 1 to 64. */
  readonly size?: number
  /** Absent: one of its own, which never stops. */
  readonly lane?: Lane
}

export function createWorkerPool(options: WorkerPoolOptions = {}): WorkerPool {
  const size = options.size ?? DEFAULT_WORKERS
  if (!Number.isInteger(size) || size < 1 || size > MAXIMUM_WORKERS) throw new RangeError(`${size} workers`)
  return new WorkerPool(size, options)
}
