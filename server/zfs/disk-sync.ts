/** Before a snapshot: what initiators have written to the disks in a dataset leaves the kernel's memory, where snapshots don't look. */

import { open, stat } from 'node:fs/promises'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { readDataset } from '../../storage/zfs/dataset.ts'
import type { Configuration } from '../config/types.ts'
import { lunPaths, volumePath } from './volume-targets.ts'

/** @throws Error when what was written to a file or device cannot be brought to its disk */
export type FileSyncer = (path: string) => Promise<void>

/** fsync(2) is about the file, whoever has written to it: also about what the server has in another process. */
export const syncFile: FileSyncer = async (path) => {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Syncs all LUNs that are in a dataset: on the zvol of that name, or on files of the file system.
 *
 * @throws Error in words for the owner: a snapshot would lack what initiators hold for written
 */
export async function syncDisks(
  configuration: Configuration,
  run: CommandRunner,
  dataset: string,
  sync: FileSyncer = syncFile,
): Promise<void> {
  if (!configuration.iscsi.enabled) return
  for (const path of await diskPaths(configuration, run, dataset)) {
    try {
      await sync(path)
    } catch (error) {
      // A disk that is not there has nothing to lose.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw new Error(`the LUN at ${path} cannot be synced first: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
}

async function diskPaths(
  { targets }: Configuration,
  run: CommandRunner,
  dataset: string,
): Promise<ReadonlySet<string>> {
  const luns = targets.flatMap(({ lun }) => lun).filter(({ readOnly }) => !readOnly)
  const volumes = luns.filter(({ zvol }) => zvol === dataset).map(() => volumePath(dataset))
  const paths = luns.flatMap(lunPaths)
  const found = new Set(volumes)
  if (volumes.length > 0 || paths.length === 0) return found
  const root = (await readDataset(run, dataset))?.mountpoint
  const home = root === undefined ? undefined : await deviceOf(root)
  // Each dataset is a file system of its own, wherever links lead.
  for (const path of paths) if (home !== undefined && (await deviceOf(path)) === home) found.add(path)
  // Extents may also be zvols, by their path.
  if (paths.includes(volumePath(dataset))) found.add(volumePath(dataset))
  return found
}

/** @returns undefined for what is not there */
async function deviceOf(path: string): Promise<bigint | undefined> {
  return await stat(path, { bigint: true }).then(
    ({ dev }) => dev,
    () => undefined,
  )
}
