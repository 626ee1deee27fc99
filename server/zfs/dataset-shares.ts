/** Shares of datasets: made where they are missing, limited by their refquota, and served where they are mounted. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import {
  createDataset,
  type Dataset,
  readDataset,
  setRefquota,
  whyNotServable,
} from '../../storage/zfs/dataset.ts'
import { findInterrupted } from '../../storage/zfs/swap.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'

/** A share that cannot be served. */
export interface UnservedShare {
  readonly share: string
  readonly message: string
}

export interface PreparedDatasets {
  /** The same, with the paths of shares whose datasets can be served. */
  readonly configuration: Configuration
  readonly unserved: readonly UnservedShare[]
}

/** What may be changed: nothing; the limits of datasets that are there; or missing ones are made, too. */
export type DatasetChanges = 'none' | 'limits' | 'all'

/** Finds the mount points of all datasets that are shared. */
export async function prepareDatasets(
  configuration: Configuration,
  run: CommandRunner,
  changes: DatasetChanges,
): Promise<PreparedDatasets> {
  const unserved: UnservedShare[] = []
  const shares: ShareConfiguration[] = []
  for (const share of configuration.shares) {
    const { dataset } = share
    if (dataset === undefined) {
      shares.push(share)
      continue
    }
    const path = await mountPointOf(share, dataset, run, changes).catch((error: Error) =>
      failed(error.message),
    )
    if (path.ok) shares.push({ ...share, path: path.value })
    else {
      unserved.push({ share: share.name, message: path.message })
      shares.push(share)
    }
  }
  return { configuration: { ...configuration, shares }, unserved }
}

async function mountPointOf(
  share: ShareConfiguration,
  name: string,
  run: CommandRunner,
  changes: DatasetChanges,
): Promise<Outcome<string>> {
  const dataset = await findDataset(share, name, run, changes)
  if (!dataset.ok) return dataset
  const reason = whyNotServable(dataset.value)
  if (reason !== undefined) return failed(reason)
  const { refquota, mountpoint = '' } = dataset.value
  if (changes !== 'none' && share.maxSize !== undefined && refquota !== share.maxSize) {
    await setRefquota(run, name, share.maxSize)
  }
  return done(mountpoint)
}

async function findDataset(
  share: ShareConfiguration,
  name: string,
  run: CommandRunner,
  changes: DatasetChanges,
): Promise<Outcome<Dataset>> {
  const known = await readDataset(run, name)
  if (known !== undefined) return done(known)
  if (changes !== 'all')
    return failed(`there is no dataset "${name}" yet; the server makes it when it starts or reloads`)
  const interrupted = await findInterrupted(run, name)
  if (interrupted !== undefined) {
    const last = `zfs rename ${interrupted} ${name} && zfs set canmount=on ${name} && zfs mount ${name}`
    return failed(
      `the dataset "${name}" is missing since a restore was interrupted; bring it to its end: ${last}`,
    )
  }
  await createDataset(run, { name, isTimeMachine: share.timeMachine })
  const made = await readDataset(run, name)
  return made === undefined ? failed(`the dataset "${name}" was made and is not there`) : done(made)
}
