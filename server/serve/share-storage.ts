/** The storage of all shares: one volume for each served folder with the same formats, kept over reloads, each with its limit. */

import { LimitedFileSystem } from '../../storage/limited/file-system.ts'
import type { RecountClock } from '../../storage/limited/recount.ts'
import { createPosixFileSystem } from '../../storage/posix/file-system.ts'
import type { WorkerPool } from '../../storage/posix/worker-pool.ts'
import { bandSizeOf } from '../backups/band-size.ts'
import type { ShareConfiguration } from '../config/types.ts'
import type { Logger } from '../logging/logger.ts'
import { formatsOf } from '../previous/previous-versions.ts'
import { type KeptUse, readVolumeUse, writeVolumeUse } from '../state/volume-use.ts'
import type { RunningVolume } from './running-server.ts'

/** What of a share decides about its storage. */
export type StoredShare = Pick<
  ShareConfiguration,
  'name' | 'path' | 'maxSize' | 'perUser' | 'fruit' | 'fruitMetadata' | 'fruitResource' | 'hideAppleDouble'
>

/** What it costs to count everything in a small volume is worth waiting for; larger ones are counted while they are used. */
const FIRST_COUNT_MILLISECONDS = 5000

interface Volume {
  readonly fileSystem: LimitedFileSystem
  readonly folder: string
  /** The account whose folder it is, below a `per_user` share's. */
  readonly user: string | undefined
  readonly parent: string
}

export interface ShareStorageOptions {
  /** Threads for what is in a folder. */
  readonly workersFor: (folder: string) => Promise<WorkerPool>
  readonly clock: RecountClock
  readonly stateDirectory: string
  readonly log: Logger
}

export class ShareStorage {
  readonly #options: ShareStorageOptions
  readonly #volumes = new Map<string, Promise<Volume>>()
  readonly #opened = new Map<string, Volume>()
  #known: Promise<ReadonlyMap<string, KeptUse>> | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(options: ShareStorageOptions) {
    this.#options = options
  }

  /** The share's volume; with `user` the one in that folder below, which exists. @throws StorageError when it cannot be opened */
  async open(share: StoredShare, user?: string): Promise<LimitedFileSystem> {
    const parent = share.path ?? ''
    const folder = user === undefined ? parent : `${parent}/${user}`
    const key = keyOf(share, folder)
    let opening = this.#volumes.get(key)
    if (opening === undefined) {
      opening = this.#open(share, { folder, user, parent }, key)
      this.#volumes.set(key, opening)
      opening.catch(() => this.#volumes.delete(key))
    }
    const { fileSystem } = await opening
    // Those of shares get theirs when all shares are open.
    if (user !== undefined) await this.#counted(fileSystem.setLimit(share.maxSize), folder)
    return fileSystem
  }

  async #open(share: StoredShare, place: Omit<Volume, 'fileSystem'>, key: string): Promise<Volume> {
    const { workersFor, clock, log, stateDirectory } = this.#options
    this.#known ??= readVolumeUse(stateDirectory, log)
    const { folder } = place
    const workers = await workersFor(folder)
    const inner = await createPosixFileSystem({ ...formatsOf(share), root: folder, workers })
    const fileSystem = new LimitedFileSystem(inner, {
      ...{ clock, limit: undefined, ...(await this.#known).get(key), bandSizeOf },
      events: {
        counted: (used, correction) => {
          log.debug({ folder, used, correction }, 'a volume with max_size was counted')
          void this.#save()
        },
        failed: (error) => log.warn({ err: error, folder }, 'a volume with max_size could not be counted'),
      },
    })
    const volume = { fileSystem, ...place }
    this.#opened.set(key, volume)
    return volume
  }

  /** Sets the limits of all volumes that are open. Where several shares serve one folder, the smallest counts. */
  async keepLimits(shares: readonly StoredShare[]): Promise<void> {
    const limits = new Map<string, number>()
    for (const share of shares) {
      for (const [key, { parent, user }] of this.#opened) {
        const isOf = parent === share.path && (user !== undefined) === share.perUser
        if (!isOf || share.maxSize === undefined) continue
        limits.set(key, Math.min(limits.get(key) ?? share.maxSize, share.maxSize))
      }
    }
    await Promise.all(
      Array.from(this.#opened, ([key, { fileSystem, folder }]) =>
        this.#counted(fileSystem.setLimit(limits.get(key)), folder),
      ),
    )
  }

  /** Waits for a count, but not for long. */
  async #counted(counting: Promise<void>, folder: string): Promise<void> {
    const { clock, log } = this.#options
    let cancel = (): void => undefined
    const waited = new Promise<void>((resolve) => (cancel = clock.after(FIRST_COUNT_MILLISECONDS, resolve)))
    const counted = counting.catch((error) => log.warn({ err: error, folder }, 'max_size cannot be kept'))
    await Promise.race([counted, waited])
    cancel()
  }

  /** The open volumes of a share, for those who want to know what is used. */
  volumesOf(share: StoredShare): (RunningVolume & { readonly fileSystem: LimitedFileSystem })[] {
    return [...this.#opened.entries()]
      .filter(([key, { folder, user, parent }]) => {
        return key === keyOf(share, folder) && parent === share.path && (user !== undefined) === share.perUser
      })
      .map(([, { folder, user, fileSystem }]) => ({
        ...{ path: folder, fileSystem, use: () => fileSystem.use() },
        ...(user !== undefined && { user }),
      }))
  }

  /** The folders of accounts that are open below those of `per_user` shares. */
  foldersBelow(folders: readonly string[]): string[] {
    return [...this.#opened.values()].flatMap(({ folder, user, parent }) =>
      user !== undefined && folders.includes(parent) ? [folder] : [],
    )
  }

  /** Closes the volumes of shares' folders, which may hold something else when they are opened again. */
  async release(folders: readonly string[]): Promise<void> {
    await Promise.allSettled(this.#volumes.values())
    const counts = new Map(await this.#known)
    for (const [key, { parent, fileSystem }] of [...this.#opened]) {
      if (!folders.includes(parent)) continue
      this.#opened.delete(key)
      this.#volumes.delete(key)
      counts.delete(key)
      await fileSystem.close()
    }
    this.#known = Promise.resolve(counts)
  }

  #save(): Promise<void> {
    const { stateDirectory, log } = this.#options
    this.#saving = this.#saving.then(async () => {
      const counts = new Map<string, KeptUse>()
      for (const [key, { fileSystem }] of this.#opened) {
        const { counted: used, bundleBytes } = fileSystem
        if (used !== undefined) counts.set(key, { used, bundleBytes })
      }
      if (counts.size > 0) await writeVolumeUse(stateDirectory, counts, log)
    })
    return this.#saving
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#volumes.values())
    await this.#save()
    await Promise.all(Array.from(this.#opened.values(), ({ fileSystem }) => fileSystem.close()))
    await this.#saving
  }
}

function keyOf(
  { fruit, fruitMetadata, fruitResource, hideAppleDouble }: StoredShare,
  folder: string,
): string {
  return JSON.stringify([folder, fruit, fruitMetadata, fruitResource, hideAppleDouble])
}
