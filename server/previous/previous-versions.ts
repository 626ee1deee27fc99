/** The previous versions of shares: snapshots of a dataset, or the folders that another program puts into one. */

import { readdir } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import type { PreviousVersions } from '../../protocols/smb2/state/server.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import { createPosixFileSystem } from '../../storage/posix/file-system.ts'
import type { WorkerPool } from '../../storage/posix/worker-pool.ts'
import { PreviousFileSystem } from '../../storage/previous/file-system.ts'
import { OpenTrees } from '../../storage/previous/open-trees.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { listSnapshotMoments, type SnapshotMoment } from '../../storage/zfs/snapshot.ts'
import type { ShareConfiguration } from '../config/types.ts'
import type { Logger } from '../logging/logger.ts'
import { nameParser } from './name-format.ts'
import { type ListClock, SnapshotList } from './snapshot-list.ts'

/** What of a share decides about its previous versions. */
export type VersionedShare = FormattedShare &
  Pick<ShareConfiguration, 'path' | 'dataset' | 'snapshotFolder' | 'snapshotFormat'>

type FormattedShare = Pick<
  ShareConfiguration,
  'fruit' | 'fruitMetadata' | 'fruitResource' | 'hideAppleDouble'
>

export interface PreviousVersionsOptions {
  /** Threads for what is in a folder. */
  readonly workersFor: (folder: string) => Promise<WorkerPool>
  readonly clock: ListClock
  readonly run: CommandRunner
  readonly log: Logger
}

/** Where OpenZFS shows what a dataset's snapshots hold, below its mount point, whether that is listed or not. */
const ZFS_SNAPSHOTS = '.zfs/snapshot'

/** Where snapshots are, and what they are called. */
interface Source {
  /** Absolute; no link leads out of it. */
  readonly root: string
  /** Folder of the snapshots below; '' for the root itself. */
  readonly folder: string
  readonly list: SnapshotList
}

/** Of all shares, kept over reloads. */
export class ServedPreviousVersions {
  readonly #options: PreviousVersionsOptions
  readonly #trees: OpenTrees
  readonly #sources = new Map<string, Source>()
  readonly #versions = new Map<string, PreviousVersions>()

  constructor(options: PreviousVersionsOptions) {
    this.#options = options
    this.#trees = new OpenTrees(options.clock, (error) =>
      options.log.warn({ err: error }, 'a previous version did not close'),
    )
  }

  /**
   * @param live what the share serves
   * @param user whose folder below the share `live` is; absent: the share itself
   * @returns undefined when there is nowhere that previous versions could be
   */
  of(share: VersionedShare, live: FileSystem, user?: string): PreviousVersions | undefined {
    const source = this.#sourceOf(share)
    if (source === undefined) return undefined
    const key = JSON.stringify([keyOf(share), formatsOf(share), user])
    let versions = this.#versions.get(key)
    if (versions === undefined) {
      versions = this.#make(share, source, live, user)
      this.#versions.set(key, versions)
    }
    return versions
  }

  #make(share: VersionedShare, source: Source, live: FileSystem, user: string | undefined): PreviousVersions {
    const { list, root, folder } = source
    const known = new Map<number, { readonly name: string; readonly version: PreviousFileSystem }>()
    const make = (name: string, created: number): PreviousFileSystem => {
      const below = join(folder, name, user ?? '.')
      const open = async () => {
        const workers = await this.#options.workersFor(root)
        return await createPosixFileSystem({ ...formatsOf(share), root, below, workers })
      }
      return new PreviousFileSystem({ live, created, trees: this.#trees, open })
    }
    return {
      list: async () => (await list.current()).times,
      async at(created) {
        const { names } = await list.current()
        const name = names.get(created)
        if (name === undefined) return undefined
        const before = known.get(created)
        if (before?.name === name) return before.version
        // Those that are gone, or have another time by now.
        for (const [time, other] of known) if (names.get(time) !== other.name) known.delete(time)
        const version = make(name, created)
        known.set(created, { name, version })
        return version
      },
    }
  }

  #sourceOf(share: VersionedShare): Source | undefined {
    const { path, dataset, snapshotFolder } = share
    if (path === undefined || (dataset === undefined && snapshotFolder === undefined)) return undefined
    const key = keyOf(share)
    let source = this.#sources.get(key)
    if (source === undefined) {
      source = this.#makeSource(share, path)
      this.#sources.set(key, source)
    }
    return source
  }

  #makeSource(share: VersionedShare, path: string): Source {
    const { dataset, snapshotFolder = '' } = share
    const { run, clock, log } = this.#options
    if (dataset !== undefined) {
      const read = () => listSnapshotMoments(run, dataset)
      return { root: join(path, ZFS_SNAPSHOTS), folder: '', list: new SnapshotList(read, clock, log) }
    }
    const read = async () => {
      const { lane } = await this.#options.workersFor(snapshotFolderOf(share))
      return await lane.run(() => listSnapshotFolders(share))
    }
    const list = new SnapshotList(read, clock, log)
    return isAbsolute(snapshotFolder)
      ? { root: snapshotFolder, folder: '', list }
      : { root: path, folder: snapshotFolder, list }
  }

  /** Forgets those of folders that are no longer served. Nobody uses any of them. */
  async release(folders: readonly string[]): Promise<void> {
    for (const [key, source] of [...this.#sources]) {
      const [path] = JSON.parse(key) as readonly string[]
      if (path === undefined || !folders.includes(path)) continue
      source.list.close()
      this.#sources.delete(key)
      for (const version of [...this.#versions.keys()]) {
        if ((JSON.parse(version) as readonly unknown[])[0] === key) this.#versions.delete(version)
      }
    }
    await this.#trees.closeIdle()
  }

  /** Once nobody uses any. */
  async close(): Promise<void> {
    for (const { list } of this.#sources.values()) list.close()
    await this.#trees.close()
  }
}

/** The snapshots that another program keeps in folders, in any order. */
export async function listSnapshotFolders(share: VersionedShare): Promise<SnapshotMoment[]> {
  return await foldersIn(snapshotFolderOf(share), nameParser(share.snapshotFormat))
}

/** Where they are; absolute. */
export function snapshotFolderOf({ path = '', dataset, snapshotFolder = '' }: VersionedShare): string {
  if (dataset !== undefined) return join(path, ZFS_SNAPSHOTS)
  return isAbsolute(snapshotFolder) ? snapshotFolder : join(path, snapshotFolder)
}

/** One that is not there has no snapshots yet. */
async function foldersIn(
  folder: string,
  momentOf: (name: string) => number | undefined,
): Promise<SnapshotMoment[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return entries.flatMap((entry) => {
    const created = entry.isDirectory() ? momentOf(entry.name) : undefined
    return created === undefined ? [] : [{ name: entry.name, created }]
  })
}

function keyOf({ path, dataset, snapshotFolder, snapshotFormat }: VersionedShare): string {
  return JSON.stringify([path, dataset, snapshotFolder, snapshotFormat])
}

/** Of Macs' streams and sidecars. */
export function formatsOf({ fruit, fruitMetadata, fruitResource, hideAppleDouble }: FormattedShare) {
  return {
    ...{ macStreams: fruit, macMetadata: fruitMetadata },
    ...{ macResource: fruitResource, hidesSidecars: hideAppleDouble },
  }
}
