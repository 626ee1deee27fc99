/** Snapshots of shared datasets: after a backup, by the clock, by hand; and the thinning that follows each. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import {
  createSnapshot,
  destroySnapshot,
  listSnapshots,
  type NewSnapshot,
  type Snapshot,
  type SnapshotReason,
  snapshotName,
} from '../../storage/zfs/snapshot.ts'
import { type ThinningPolicy, thin } from '../../storage/zfs/thinning.ts'
import type { Configuration, SnapshotsConfiguration } from '../config/types.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../logging/logger.ts'
import { type FileSyncer, syncDisks } from './disk-sync.ts'

const HOUR_MILLISECONDS = 3_600_000
/** How often it is looked whether a snapshot is due. */
const LOOK_MILLISECONDS = 60_000

export function policyOf(snapshots: SnapshotsConfiguration): ThinningPolicy {
  const { keepAll, maximum, ...counts } = snapshots
  return { ...counts, keepAllFor: keepAll * HOUR_MILLISECONDS, maximum }
}

/** Destroys what the policy does not keep. @returns what went, oldest first @throws ZfsError */
export async function thinDataset(
  run: CommandRunner,
  dataset: string,
  policy: ThinningPolicy,
  now: number,
): Promise<Snapshot[]> {
  const surplus = thin(await listSnapshots(run, dataset), policy, now)
  for (const { name } of surplus) await destroySnapshot(run, dataset, name)
  return surplus
}

/** Whose snapshot is taken, and how zfs is spoken to. */
export interface SnapshotSubject {
  readonly run: CommandRunner
  readonly configuration: Configuration
  readonly dataset: string
  readonly sync?: FileSyncer
}

/** Takes a snapshot that is named after the moment and what it is for; LUNs in the dataset are synced before. @throws Error */
export async function takeSnapshot(
  { run, configuration, dataset, sync }: SnapshotSubject,
  { reason, about, now }: { reason: SnapshotReason; about: string; now: number },
): Promise<NewSnapshot> {
  await syncDisks(configuration, run, dataset, sync)
  const snapshot = { name: snapshotName(now, about), reason }
  await createSnapshot(run, dataset, snapshot)
  return snapshot
}

interface Surroundings {
  readonly run: CommandRunner
  readonly log: Logger
  /** Milliseconds since 1970. */
  now(): number
  /** Absent: fsync. */
  readonly sync?: FileSyncer
}

/** Of a running server: one command after the other for each dataset, none of which delays file service. */
export class ShareSnapshots {
  readonly #surroundings: Surroundings
  readonly #events: Events
  #configuration: Configuration
  readonly #queues = new Map<string, Promise<void>>()
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void

  constructor(configuration: Configuration, events: Events, surroundings: Surroundings) {
    this.#configuration = configuration
    this.#surroundings = surroundings
    this.#events = events
    this.#stopListening = events.on('backup completed', ({ share, mac }) => this.#afterBackup(share, mac))
    this.#timer = setInterval(() => this.#bySchedule(), LOOK_MILLISECONDS).unref()
  }

  /** Another configuration holds from now on. */
  follow(configuration: Configuration): void {
    this.#configuration = configuration
  }

  /** Ends after what has begun. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopListening()
    await Promise.all(this.#queues.values())
  }

  #afterBackup(shareName: string, mac: string): void {
    const share = this.#configuration.shares.find(({ name }) => name === shareName)
    if (share?.dataset === undefined || !share.snapshotAfterBackup) return
    const { dataset } = share
    this.#enqueue(dataset, () => this.#take(dataset, 'backup', mac))
  }

  #bySchedule(): void {
    for (const { dataset, path, snapshotEvery } of this.#configuration.shares) {
      if (dataset === undefined || path === undefined || snapshotEvery === 0) continue
      if (this.#queues.has(dataset)) continue
      this.#enqueue(dataset, () => this.#takeWhenDue(dataset, snapshotEvery * HOUR_MILLISECONDS))
    }
  }

  async #takeWhenDue(dataset: string, interval: number): Promise<void> {
    const known = await listSnapshots(this.#surroundings.run, dataset)
    const last = known.findLast(({ reason }) => reason === 'schedule')
    if (last !== undefined && this.#surroundings.now() - last.created < interval) return
    await this.#take(dataset, 'schedule', '')
  }

  async #take(dataset: string, reason: SnapshotReason, about: string): Promise<void> {
    const { run, log, now, sync } = this.#surroundings
    const subject = { run, configuration: this.#configuration, dataset, ...(sync && { sync }) }
    const { name } = await takeSnapshot(subject, { reason, about, now: now() })
    log.info({ dataset, snapshot: name, reason }, 'snapshot taken')
    this.#events.emit('snapshot taken', { dataset, reason })
    const gone = await thinDataset(run, dataset, policyOf(this.#configuration.snapshots), now())
    if (gone.length > 0) log.info({ dataset, snapshots: gone.map((each) => each.name) }, 'snapshots thinned')
  }

  #enqueue(dataset: string, work: () => Promise<void>): void {
    const before = this.#queues.get(dataset) ?? Promise.resolve()
    const after = before.then(work).catch((error: Error) => {
      this.#surroundings.log.error({ dataset }, `no snapshot: ${error.message}`)
    })
    this.#queues.set(dataset, after)
    void after.then(() => {
      if (this.#queues.get(dataset) === after) this.#queues.delete(dataset)
    })
  }
}
