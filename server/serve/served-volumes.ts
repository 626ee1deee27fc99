/** The shares of a configuration with their volumes: makes both, keeps the limits, and tells what there is. */

import type { Share } from '../../protocols/smb2/state/server.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import { mayUse } from '../accounts/identity.ts'
import type { MonitoredShare } from '../backups/monitor.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import type { ServedPreviousVersions } from '../previous/previous-versions.ts'
import { servedShares } from './not-built.ts'
import type { RunningShare, StartOptions } from './running-server.ts'
import type { ShareStorage } from './share-storage.ts'
import { diskShare, pipeShare } from './shares.ts'
import { hasFolder, withUserFolders } from './user-folders.ts'

type ServedShare = ShareConfiguration & { readonly path: string }

export class ServedVolumes {
  readonly #options: StartOptions
  readonly #storage: ShareStorage
  readonly #previous: ServedPreviousVersions
  #served: readonly ServedShare[] = []
  /** Told when a user connects for the first time. */
  onNew: () => void = () => undefined

  constructor(options: StartOptions, storage: ShareStorage, previous: ServedPreviousVersions) {
    this.#options = options
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
    for (const account of accounts.all()) {
      if (mayUse(share, account, systemUsers) && (await hasFolder(share, account.name)))
        await this.#storage.open(share, account.name)
    }
    return withUserFolders(base, {
      share,
      sources: this.#options,
      volume: async (user) => {
        const volume = await this.#storage.open(share, user)
        this.onNew()
        return { fileSystem: volume, previousVersions: this.#previous.of(share, volume, user) }
      },
    })
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
    await this.#previous.release(folders)
    await this.#storage.release(folders)
  }

  /** What is served, with what its volumes take. */
  shares(): RunningShare[] {
    return this.#served.map((share) => {
      const { name, path } = share
      return { name, path, volumes: this.#storage.volumesOf(share) }
    })
  }

  /** The volumes into which Macs back up. */
  monitored(): MonitoredShare[] {
    return this.#served
      .filter(({ timeMachine }) => timeMachine)
      .flatMap((share) => {
        const { name, staleAfterDays } = share
        return this.#storage.volumesOf(share).map(({ fileSystem }) => ({ name, fileSystem, staleAfterDays }))
      })
  }
}
