/** Snapshots of shared datasets and of volumes: after a backup, by the clock, by hand; and the thinning that follows each. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import { listChildren, readDataset } from '../../storage/zfs/dataset.ts'
import { datasetAt, poolOf } from '../../storage/zfs/mounts.ts'
import { freeSpace } from '../../storage/zfs/pool-space.ts'
import {
  createSnapshot,
  destroySnapshot,
  listSnapshots,
  type NewSnapshot,
  type Snapshot,
  type SnapshotReason,
  snapshotName,
} from '../../storage/zfs/snapshot.ts'
import { expendable, type ThinningPolicy, thin } from '../../storage/zfs/thinning.ts'
import type { BackupCompleted } from '../backups/bundle.ts'
import type { Configuration, SnapshotsConfiguration } from '../config/types.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../logging/logger.ts'
import { type FileSyncer, syncDisks } from './disk-sync.ts'
import { readMounts } from './pool-state.ts'
import { type Later, later, RepeatedLook } from './repeated-look.ts'
import { userDataset } from './user-datasets.ts'
import { lunPaths } from './volume-targets.ts'

const HOUR_MILLISECONDS = 3_600_000
/** How often it is looked whether a snapshot is due. */
const LOOK_MILLISECONDS = 60_000

export function policyOf(snapshots: Omit<SnapshotsConfiguration, 'keepFree'>): ThinningPolicy {
  const { keepAll, hourly, daily, weekly, monthly, yearly, maximum } = snapshots
  return { keepAllFor: keepAll * HOUR_MILLISECONDS, hourly, daily, weekly, monthly, yearly, maximum }
}

/**
 * Destroys what the configuration does not keep: first by the calendar and by number, then, as long as the pool has less room than
 * it shall have, the oldest.
 *
 * @returns what went, in this order
 * @throws ZfsError
 */
export async function thinDataset(
  run: CommandRunner,
  dataset: string,
  snapshots: SnapshotsConfiguration,
  now: number,
): Promise<Snapshot[]> {
  const known = await listSnapshots(run, dataset)
  const gone = thin(known, policyOf(snapshots), now)
  for (const { name } of gone) await destroySnapshot(run, dataset, name)
  const { keepFree } = snapshots
  if (keepFree === undefined) return gone
  for (const snapshot of expendable(known.filter((each) => !gone.includes(each)))) {
    if ((await freeSpace(run, poolOf(dataset))) >= keepFree) break
    await destroySnapshot(run, dataset, snapshot.name)
    gone.push(snapshot)
  }
  return gone
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
  /** The kernel's list of mounts; of this process unless given. */
  readonly mounts?: () => Promise<string>
  readonly after?: Later
}

/** Of a running server: one command after the other for each dataset, none of which delays file service. */
export class ShareSnapshots {
  readonly #surroundings: Surroundings
  readonly #events: Events
  #configuration: Configuration
  readonly #queues = new Map<string, Promise<void>>()
  readonly #looks: RepeatedLook
  readonly #stopListening: () => void

  constructor(configuration: Configuration, events: Events, surroundings: Surroundings) {
    this.#configuration = configuration
    this.#surroundings = surroundings
    this.#events = events
    this.#stopListening = events.on('backup completed', (backup) => this.#afterBackup(backup))
    const { log, after = later } = surroundings
    this.#looks = new RepeatedLook({
      ...{ pause: LOOK_MILLISECONDS, look: () => this.#bySchedule(), after },
      failed: (error) => log.error({ err: error }, 'bug: snapshots could not be scheduled'),
    })
  }

  /** Another configuration holds from now on. */
  follow(configuration: Configuration): void {
    this.#configuration = configuration
  }

  /** Ends after what has begun. */
  async close(): Promise<void> {
    this.#stopListening()
    await this.#looks.close()
    await Promise.all(this.#queues.values())
  }

  #afterBackup({ share: shareName, user, mac }: BackupCompleted): void {
    const share = this.#configuration.shares.find(({ name }) => name === shareName)
    if (share?.dataset === undefined || !share.snapshotAfterBackup) return
    const { dataset } = share
    this.#enqueue(dataset, async () => {
      const own = user === undefined ? undefined : userDataset(dataset, user)
      // An account may have a folder there instead.
      const isOwn = own !== undefined && (await readDataset(this.#surroundings.run, own)) !== undefined
      // A copy of an account's dataset needs one of the share's to be below.
      if (isOwn && (await listSnapshots(this.#surroundings.run, dataset)).length === 0) {
        await this.#take(dataset, 'schedule', '')
      }
      await this.#take(isOwn ? own : dataset, 'backup', mac)
    })
  }

  /** Begins what may be due, and waits for none of it. */
  async #bySchedule(): Promise<void> {
    for (const { dataset, path, perUser, snapshotEvery } of this.#configuration.shares) {
      if (dataset === undefined || path === undefined || snapshotEvery === 0) continue
      if (this.#queues.has(dataset)) continue
      this.#enqueue(dataset, async () => {
        const own = perUser ? await listChildren(this.#surroundings.run, dataset) : []
        for (const each of [dataset, ...own]) {
          await this.#takeWhenDue(each, snapshotEvery * HOUR_MILLISECONDS)
        }
      })
    }
    await this.#ofDisks()
  }

  /** Of the volumes of LUNs, and of the datasets that files of LUNs are on. */
  async #ofDisks(): Promise<void> {
    const { iscsi, targets } = this.#configuration
    const luns = iscsi.enabled ? targets.flatMap(({ lun }) => lun) : []
    const due = luns.filter(({ readOnly, snapshotEvery }) => !readOnly && snapshotEvery > 0)
    if (due.length === 0) return
    const mounts = await (this.#surroundings.mounts ?? readMounts)()
    for (const lun of due) {
      const interval = lun.snapshotEvery * HOUR_MILLISECONDS
      const files = lunPaths(lun).flatMap((path) => datasetAt(mounts, path) ?? [])
      for (const dataset of new Set([...(lun.zvol === undefined ? [] : [lun.zvol]), ...files])) {
        if (!this.#queues.has(dataset)) this.#enqueue(dataset, () => this.#takeWhenDue(dataset, interval))
      }
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
    const gone = await thinDataset(run, dataset, this.#configuration.snapshots, now())
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
