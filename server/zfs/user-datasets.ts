/** zfs-create(8): the dataset of each account below a `per_user` share's: made at its first login, limited by a refquota of its own. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import { type Dataset, readDataset, setRefquota, whyNotServable } from '../../storage/zfs/dataset.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { makeDataset } from './dataset-shares.ts'

/** What zfs(8) takes in a component and replication sends, but ":", which no account has in its name. */
const TAKEN_AS_IT_IS = /[A-Za-z0-9_.-]/
const HEXADECIMAL = 16

/** The share whose accounts have datasets. */
export interface SharedDataset {
  readonly dataset: string
  readonly timeMachine: boolean
  readonly maxSize?: number | undefined
}

/**
 * The dataset of an account: its name, with ":" and the bytes of its UTF-8 in hexadecimal digits for every character that not all
 * take in a name.
 */
export function userDataset(dataset: string, user: string): string {
  const escaped = Array.from(user, (character) =>
    TAKEN_AS_IT_IS.test(character)
      ? character
      : Array.from(Buffer.from(character), (byte) => `:${byte.toString(HEXADECIMAL)}`).join(''),
  )
  return `${dataset}/${escaped.join('')}`
}

/**
 * The account's dataset, if there is one, with the share's limit.
 *
 * @param path where it is to be mounted
 * @returns undefined: there is none, and whatever is at `path` belongs to the share's own; failed: it is not to be served now
 * @throws ZfsError
 */
export async function findUserDataset(
  run: CommandRunner,
  share: SharedDataset,
  user: string,
  path: string,
): Promise<Outcome<string> | undefined> {
  const name = userDataset(share.dataset, user)
  const known = await readDataset(run, name)
  return known === undefined ? undefined : await served(run, share, known, path)
}

/** Makes the account's dataset, and mounts it. There is nothing at `path` yet. @throws ZfsError */
export async function makeUserDataset(
  run: CommandRunner,
  share: SharedDataset,
  user: string,
  path: string,
): Promise<Outcome<string>> {
  const name = userDataset(share.dataset, user)
  // Only where its own name is another than the folder's it has a mount point that it does not inherit.
  const mountpoint = name.endsWith(`/${user}`) ? {} : { mountpoint: path }
  const made = await makeDataset(run, { name, isTimeMachine: share.timeMachine, ...mountpoint })
  return made.ok ? await served(run, share, made.value, path) : made
}

async function served(
  run: CommandRunner,
  { maxSize }: SharedDataset,
  dataset: Dataset,
  path: string,
): Promise<Outcome<string>> {
  const { name, mountpoint, refquota } = dataset
  const reason = whyNotServable(dataset)
  if (reason !== undefined) return failed(reason)
  if (mountpoint !== path) {
    return failed(
      `the dataset "${name}" is mounted at ${mountpoint}, and not at ${path}; move it: zfs inherit mountpoint ${name}`,
    )
  }
  if (maxSize !== undefined && refquota !== maxSize) await setRefquota(run, name, maxSize)
  return done(name)
}
