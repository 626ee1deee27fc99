/** `poolhouse snapshot`: what snapshots a share's dataset or a LUN's zvol has, and what may be done with them. */

import Table from 'cli-table3'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { poolOf } from '../../storage/zfs/mounts.ts'
import { freeSpace } from '../../storage/zfs/pool-space.ts'
import {
  diffSnapshot,
  holdSnapshot,
  listSnapshots,
  releaseSnapshot,
  type Snapshot,
} from '../../storage/zfs/snapshot.ts'
import { thin } from '../../storage/zfs/thinning.ts'
import { formatSize } from '../config/sizes.ts'
import type { Configuration, ShareConfiguration, TargetConfiguration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import { policyOf, takeSnapshot, thinDataset } from '../zfs/share-snapshots.ts'
import { userDataset } from '../zfs/user-datasets.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { readConfiguration } from './read-configuration.ts'

/** Ours among the tags of holds. */
const HOLD_TAG = 'poolhouse'

export interface SnapshotOptions extends CommonOptions {
  /** Of a LUN: the subject is its target. */
  readonly lun?: number
  /** Of a `per_user` share: whose dataset. */
  readonly user?: string
  readonly json?: boolean
  readonly dryRun?: boolean
}

/** A share's dataset or a LUN's zvol, and how it is spoken to. */
interface Subject {
  readonly run: CommandRunner
  readonly configuration: Configuration
  readonly dataset: string
}

type Work = (subject: Subject) => Promise<void>

export function showSnapshots(
  context: CommandContext,
  share: string,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async ({ run, dataset }) => {
    const snapshots = await listSnapshots(run, dataset)
    print(context, options.json ? json(dataset, snapshots) : table(snapshots))
  })
}

export function makeSnapshot(
  context: CommandContext,
  share: string,
  about: string | undefined,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async (subject) => {
    const moment = { reason: 'manual', about: about ?? '', now: Date.now() } as const
    print(context, `${subject.dataset}@${(await takeSnapshot(subject, moment)).name}`)
  })
}

export function holdOne(
  context: CommandContext,
  share: string,
  name: string,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async ({ run, dataset }) => {
    await holdSnapshot(run, `${dataset}@${name}`, HOLD_TAG)
    const lun = options.lun === undefined ? '' : ` --lun ${options.lun}`
    const user = options.user === undefined ? '' : ` --user ${options.user}`
    print(
      context,
      `${dataset}@${name} is kept until: poolhouse snapshot release ${share} ${name}${lun}${user}`,
    )
  })
}

export function releaseOne(
  context: CommandContext,
  share: string,
  name: string,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async ({ run, dataset }) => {
    await releaseSnapshot(run, `${dataset}@${name}`, HOLD_TAG)
    print(context, `${dataset}@${name} may be thinned`)
  })
}

export function showChanges(
  context: CommandContext,
  share: string,
  name: string,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async ({ run, dataset }) => {
    const changes = await diffSnapshot(run, dataset, name)
    if (options.json)
      return print(context, JSON.stringify({ dataset, snapshot: name, changes }, undefined, 2))
    for (const { kind, path, to } of changes) {
      print(context, `${kind.padEnd(8)} ${path}${to === undefined ? '' : ` -> ${to}`}`)
    }
  })
}

export function thinSnapshots(
  context: CommandContext,
  share: string,
  options: SnapshotOptions,
): Promise<ExitCode> {
  return withDataset(context, share, options, async ({ run, dataset, configuration }) => {
    const { snapshots } = configuration
    const gone = options.dryRun
      ? thin(await listSnapshots(run, dataset), policyOf(snapshots), Date.now())
      : await thinDataset(run, dataset, snapshots, Date.now())
    if (options.json) return print(context, json(dataset, gone))
    for (const { name } of gone) {
      print(context, `${options.dryRun ? 'would destroy' : 'destroyed'} ${dataset}@${name}`)
    }
    if (gone.length === 0) print(context, 'nothing to thin')
    const { keepFree } = snapshots
    if (options.dryRun && keepFree !== undefined && (await freeSpace(run, poolOf(dataset))) < keepFree) {
      print(context, `and then the oldest, until the pool has ${formatSize(keepFree)} free`)
    }
  })
}

async function withDataset(
  context: CommandContext,
  share: string,
  options: SnapshotOptions,
  work: Work,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const dataset = datasetOf(configuration, share, options)
  if (!dataset.ok) return fail(context, dataset.message)
  try {
    await work({ run: createCommandRunner(), configuration, dataset: dataset.value })
    return ExitCode.done
  } catch (error) {
    return fail(context, (error as Error).message)
  }
}

/** @param user whose dataset is meant, below that of a `per_user` share: the result is a share of just that */
export function findShare(
  configuration: Configuration,
  name: string,
  user?: string,
): Outcome<ShareConfiguration> {
  const share = configuration.shares.find((each) => each.name.toLowerCase() === name.toLowerCase())
  if (share !== undefined && user === undefined) return done(share)
  if (share !== undefined && user !== undefined) {
    const { dataset, perUser } = share
    return perUser && dataset !== undefined
      ? done({ ...share, dataset: userDataset(dataset, user), perUser: false })
      : failed(`share "${share.name}" has no datasets of users; only one with "dataset" and "per_user" has`)
  }
  const names = configuration.shares.map((each) => each.name).join(', ')
  return failed(`there is no share "${name}"; there are: ${names}`)
}

/** @param of a LUN of the target `name`, or of a user of the share `name` */
export function datasetOf(
  configuration: Configuration,
  name: string,
  of: Pick<SnapshotOptions, 'lun' | 'user'> = {},
): Outcome<string> {
  const { lun, user } = of
  if (lun !== undefined) {
    const found = findVolume(configuration, name, lun)
    return found.ok ? done(found.value.zvol) : found
  }
  const share = findShare(configuration, name, user)
  if (!share.ok) return share
  if (share.value.dataset !== undefined) return done(share.value.dataset)
  return failed(`share "${share.value.name}" is a folder; only a share with "dataset" has snapshots`)
}

/** The zvol of a LUN. */
export function findVolume(
  configuration: Configuration,
  name: string,
  id: number,
): Outcome<{ readonly target: TargetConfiguration; readonly zvol: string }> {
  const target = configuration.targets.find((each) => each.name === name)
  if (target === undefined) {
    const names = configuration.targets.map((each) => each.name).join(', ')
    return failed(`there is no target "${name}"; there are: ${names}`)
  }
  const lun = target.lun.find((each) => each.id === id)
  if (lun === undefined) return failed(`target "${name}" has no LUN ${id}`)
  if (lun.zvol === undefined) return failed(`LUN ${id} of "${name}" is no zvol; only a zvol has snapshots`)
  return done({ target, zvol: lun.zvol })
}

function json(dataset: string, snapshots: readonly Snapshot[]): string {
  const rows = snapshots.map((snapshot) => ({
    ...snapshot,
    created: new Date(snapshot.created).toISOString(),
    reason: snapshot.reason ?? null,
  }))
  return JSON.stringify({ dataset, snapshots: rows }, undefined, 2)
}

function table(snapshots: readonly Snapshot[]): string {
  if (snapshots.length === 0) return 'there are no snapshots'
  const rows = new Table({
    head: ['snapshot', 'taken', 'for', 'frees', 'held'],
    style: { head: [], border: [] },
  })
  for (const { name, created, reason, used, isHeld } of snapshots) {
    rows.push([
      name,
      new Date(created).toISOString(),
      reason ?? 'others',
      formatSize(used),
      isHeld ? 'yes' : '',
    ])
  }
  return rows.toString()
}
