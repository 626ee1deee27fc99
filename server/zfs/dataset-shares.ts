/** Shares of datasets: made where they are missing, limited by their refquota, and served where they are mounted. */

import { type CommandRunner, ZfsError, type ZfsErrorCode } from '../../storage/zfs/command.ts'
import {
  createDataset,
  type Dataset,
  type NewDataset,
  readDataset,
  setRefquota,
  whyNotServable,
} from '../../storage/zfs/dataset.ts'
import { findInterrupted } from '../../storage/zfs/swap.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { type PathProbe, whySuspended } from './pool-state.ts'

/** A share that is not as configured. */
export interface ShareFailure {
  readonly share: string
  /** It goes on as it was: a pool that does not answer is no reason to send its clients away. */
  readonly isServed: boolean
  readonly message: string
}

export interface PreparedDatasets {
  /** The same, with the paths of shares that can be served. */
  readonly configuration: Configuration
  readonly failures: readonly ShareFailure[]
}

/** A share as it is served at this moment. */
export interface ServedPath {
  readonly name: string
  readonly path: string
}

/** What may be changed: nothing; the limits of datasets that are there; or missing ones are made, too. */
export type DatasetChanges = 'none' | 'limits' | 'all'

/** What kind of error a pool is that does not answer. */
const NO_ANSWER: ReadonlySet<string> = new Set<ZfsErrorCode>(['suspended', 'timed-out'])

/**
 * Finds the mount points of all datasets that are shared, and leaves out what cannot be served.
 *
 * @param served shares as they are served at this moment
 */
export async function prepareDatasets(
  configuration: Configuration,
  run: CommandRunner,
  changes: DatasetChanges,
  served: readonly ServedPath[] = [],
  suspended: PathProbe = whySuspended,
): Promise<PreparedDatasets> {
  const failures: ShareFailure[] = []
  const shares: ShareConfiguration[] = []
  for (const share of configuration.shares) {
    const { name, dataset, path: folder } = share
    const before = served.find((each) => each.name === name)?.path
    let isServed = false
    const fail = (message: string): undefined => void failures.push({ share: name, isServed, message })
    if (dataset === undefined) {
      const reason = folder === undefined || folder === before ? undefined : await suspended(folder)
      shares.push(reason === undefined ? share : { ...share, path: fail(reason) })
      continue
    }
    const path = await mountPointOf(share, dataset, run, changes).catch((error: Error) => {
      isServed = before !== undefined && error instanceof ZfsError && NO_ANSWER.has(error.code)
      return failed(error.message)
    })
    if (path.ok) shares.push({ ...share, path: path.value })
    else {
      fail(path.message)
      shares.push(isServed ? { ...share, path: before } : share)
    }
  }
  return { configuration: { ...configuration, shares }, failures }
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
  // Of a per_user share each account's dataset has the limit.
  const limit = share.perUser ? undefined : share.maxSize
  if (changes !== 'none' && limit !== undefined && refquota !== limit) await setRefquota(run, name, limit)
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
  return await makeDataset(run, { name, isTimeMachine: share.timeMachine })
}

/** Makes a dataset that is not there, unless it is missing because a restore was interrupted. @throws ZfsError */
export async function makeDataset(run: CommandRunner, dataset: NewDataset): Promise<Outcome<Dataset>> {
  const { name } = dataset
  const interrupted = await findInterrupted(run, name)
  if (interrupted !== undefined) {
    const last = `zfs rename ${interrupted} ${name} && zfs set canmount=on ${name} && zfs mount ${name}`
    return failed(
      `the dataset "${name}" is missing since a restore was interrupted; bring it to its end: ${last}`,
    )
  }
  await createDataset(run, dataset)
  const made = await readDataset(run, name)
  return made === undefined ? failed(`the dataset "${name}" was made and is not there`) : done(made)
}
