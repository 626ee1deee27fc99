/** The shares of a configuration with their volumes: makes both, keeps the limits, and tells what there is. */

import { join } from 'node:path'
import type { Share } from '../../protocols/smb2/state/server.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import type { Lane } from '../../storage/lane.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { mayUse } from '../accounts/identity.ts'
import type { MonitoredShare } from '../backups/monitor.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import type { ServedPreviousVersions } from '../previous/previous-versions.ts'
import type { BackupKind } from '../status/server-status.ts'
import { findUserDataset, makeUserDataset } from '../zfs/user-datasets.ts'
import { servedShares } from './not-built.ts'
import type { RunningShare, StartOptions } from './running-server.ts'
import type { ShareStorage } from './share-storage.ts'
import { diskShare, pipeShare } from './shares.ts'
import { hasFolder, type UserDatasets, withUserFolders } from './user-folders.ts'

/** How datasets are made and disks are come to. */
export interface VolumeTools {
  readonly run: CommandRunner
  readonly laneFor: (path: string) => Promise<Lane>
}

const WINDOWS_BACKUPS: readonly BackupKind[] = ['Windows image', 'File History']
const ALL_BACKUPS: readonly BackupKind[] = ['Time Machine', ...WINDOWS_BACKUPS]

type ServedShare = ShareConfiguration & { readonly path: string }

export class ServedVolumes {
  readonly #options: StartOptions
  readonly #storage: ShareStorage
  readonly #previous: ServedPreviousVersions
  readonly #tools: VolumeTools
  #served: readonly ServedShare[] = []
  /** Told when a user connects for the first time. */
  onNew: () => void = () => undefined

  constructor(
    options: StartOptions,
    storage: ShareStorage,
    previous: ServedPreviousVersions,
    tools: VolumeTools,
  ) {
    this.#options = options
    this.#tools = tools
    this.#storage = storage
    this.#previous = previous
  }

  /** All shares of a configuration, with their limits from now on. Rejects when one cannot be opened; then nothing has changed. */
  async makeShares(configuration: Configuration): Promise<Share[]> {
    const served = servedShares(configuration)
    const shares: Share[] = [pipeShare(configuration, this.#options)]
    for (const share of served) shares.push(await this.#makeShare(share))
    await this.#storage.keepLimits(served)
    this.#served = served
    return shares
  }

  async #makeShare(share: ServedShare): Promise<Share> {
    const fileSystem = await this.#storage.open(share)
    this.#warnOfMissingFeatures(share, fileSystem)
    const previousVersions = this.#previous.of(share, fileSystem)
    const base = diskShare(share, { fileSystem, previousVersions }, this.#options)
    if (!share.perUser) return base
    const { accounts, systemUsers } = this.#options
    const lane = await this.#tools.laneFor(share.path)
    const datasets = this.#userDatasets(share)
    for (const account of accounts.all()) {
      if (!mayUse(share, account, systemUsers)) continue
      if (await this.#hasHome(share, account.name, datasets, lane)) {
        await this.#storage.open(share, account.name)
      }
    }
    return withUserFolders(base, {
      ...{ share, lane, sources: this.#options, ...(datasets && { datasets }) },
      volume: async (user, dataset) => {
        const volume = await this.#storage.open(share, user)
        this.onNew()
        const own = { ...share, dataset, path: join(share.path, user) }
        const previousVersions =
          dataset === undefined ? this.#previous.of(share, volume, user) : this.#previous.of(own, volume)
        return { fileSystem: volume, previousVersions }
      },
    })
  }

  #userDatasets(share: ServedShare): UserDatasets | undefined {
    const { dataset, timeMachine, maxSize } = share
    if (dataset === undefined) return undefined
    const { run } = this.#tools
    const shared = { dataset, timeMachine, maxSize }
    return {
      find: (user, path) => findUserDataset(run, shared, user, path),
      make: (user, path) => makeUserDataset(run, shared, user, path),
    }
  }

  /** Whether an account has connected before, and what it has can be served: then it is counted and watched from the start. */
  async #hasHome(
    share: ServedShare,
    user: string,
    datasets: UserDatasets | undefined,
    lane: Lane,
  ): Promise<boolean> {
    try {
      const dataset = await datasets?.find(user, join(share.path, user))
      if (dataset === undefined) return await lane.run(() => hasFolder(share, user))
      if (!dataset.ok) this.#options.log.error(`share "${share.name}", user "${user}": ${dataset.message}`)
      return dataset.ok
    } catch (error) {
      // It is looked at again when the account connects.
      this.#options.log.warn(`share "${share.name}", user "${user}": ${(error as Error).message}`)
      return false
    }
  }

  #warnOfMissingFeatures(share: ServedShare, fileSystem: FileSystem): void {
    if (fileSystem.features.extendedAttributes) return
    this.#options.log.warn(
      `share "${share.name}": the file system of ${share.path} has no user extended attributes; ` +
        'named streams, DOS attributes and security descriptors cannot be kept there',
    )
  }

  /** Closes what was open of folders that are no longer served. */
  async release(folders: readonly string[]): Promise<void> {
    await this.#previous.release([...folders, ...this.#storage.foldersBelow(folders)])
    await this.#storage.release(folders)
  }

  /** What is served, with what its volumes take. */
  shares(): RunningShare[] {
    return this.#served.map((share) => {
      const { name, path } = share
      return { name, path, volumes: this.#storage.volumesOf(share) }
    })
  }

  /** The volumes into which computers back up: Windows needs nothing of a share. */
  monitored(): MonitoredShare[] {
    return this.#served.flatMap((share) => {
      const { name, staleAfterDays, timeMachine } = share
      const kinds = timeMachine ? ALL_BACKUPS : WINDOWS_BACKUPS
      return this.#storage.volumesOf(share).map(({ fileSystem, user }) => ({
        ...{ name, fileSystem, staleAfterDays, kinds },
        ...(user !== undefined && { user }),
      }))
    })
  }
}
