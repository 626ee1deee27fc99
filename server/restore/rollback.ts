/** A share's dataset goes back to a snapshot: what is planned, in words, and the exchange under a running server. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import { readDataset, whyNotServable } from '../../storage/zfs/dataset.ts'
import { listSnapshots, type Snapshot } from '../../storage/zfs/snapshot.ts'
import {
  childrenOf,
  planSwap,
  readLocalProperties,
  runSwap,
  type Swap,
  type SwapResult,
  writtenSince,
} from '../../storage/zfs/swap.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { findSnapshot } from './find-snapshot.ts'

export interface RollbackPlan {
  readonly swap: Swap
  /** Where it is mounted. */
  readonly mountpoint: string
  readonly snapshot: Snapshot
  /** Taken after it, oldest first: they stay with the dataset that is kept. */
  readonly newer: readonly Snapshot[]
  /** The dataset holds just what the snapshot does: there is nothing to do. */
  readonly isSame: boolean
}

/** Changes nothing. @throws ZfsError */
export async function planRollback(
  run: CommandRunner,
  name: string,
  wanted: string,
  now: number,
): Promise<Outcome<RollbackPlan>> {
  const dataset = await readDataset(run, name)
  if (dataset === undefined) return failed(`there is no dataset "${name}"`)
  const reason = whyNotServable(dataset)
  if (reason !== undefined) return failed(reason)
  if (!name.includes('/')) {
    return failed(`"${name}" is a whole pool, which cannot be exchanged; copy with --to instead`)
  }
  const snapshots = await listSnapshots(run, name)
  const found = findSnapshot(snapshots, wanted, name)
  if (!found.ok) return found
  const children = await childrenOf(run, name)
  if (children.length > 0) {
    const below = children.join(', ')
    return failed(
      `"${name}" has datasets below it, which would be left behind: ${below}; copy with --to instead`,
    )
  }
  const newer = snapshots.slice(snapshots.indexOf(found.value) + 1)
  const isSame = newer.length === 0 && (await writtenSince(run, name)) === 0
  const properties = await readLocalProperties(run, name)
  const swap = planSwap({ dataset, snapshot: found.value.name, properties, now })
  return done({ swap, mountpoint: dataset.mountpoint ?? '', snapshot: found.value, newer, isSame })
}

/** The plan in sentences, one a line. */
export function describeRollback({ swap, mountpoint, snapshot, newer, isSame }: RollbackPlan): string[] {
  const { dataset, kept, before } = swap
  const taken = new Date(snapshot.created).toISOString()
  if (isSame)
    return [`${dataset} holds just what ${dataset}@${snapshot.name} of ${taken} does; nothing is to be done`]
  const names = newer.map(({ name }) => name)
  const those = names.length === 0 ? [] : [`  and keeps the newer snapshots: ${names.join(', ')}`]
  return [
    `${dataset} goes back to ${dataset}@${snapshot.name} of ${taken}; nothing is destroyed:`,
    `  the present state becomes the snapshot @${before}`,
    `  the present dataset is kept as ${kept}, read-only and not mounted`,
    ...those,
    `  a clone of the snapshot takes its name and place (${mountpoint}), with its properties and snapshots up to ${snapshot.name}`,
    `to see what was before:  zfs mount ${kept}`,
    `when it is not needed any longer:  zfs destroy -r ${kept}`,
  ]
}

/** Takes a share out of service, and back. */
export interface ShareService {
  pause(): Promise<Outcome<unknown>>
  resume(): Promise<Outcome<unknown>>
}

/** Exchanges the datasets while nobody is served. Whatever happens, the share is served again. */
export async function rollBack(
  run: CommandRunner,
  { swap }: RollbackPlan,
  service: ShareService,
): Promise<SwapResult> {
  const paused = await service.pause()
  if (!paused.ok) return { ok: false, message: paused.message, remaining: [] }
  const result = await runSwap(run, swap)
  const resumed = await service.resume()
  if (resumed.ok) return result
  const message = `the server does not serve the share again: ${resumed.message}`
  const restart = 'restart the server'
  const remaining = [...result.remaining, restart]
  return {
    ok: result.ok,
    remaining,
    message: result.message === undefined ? message : `${result.message}; ${message}`,
  }
}

/** What went wrong and what is left to do, for people; undefined: all is done. */
export function describeResult(
  dataset: string,
  { ok, message = '', remaining }: SwapResult,
): string | undefined {
  if (ok && remaining.length === 0) return undefined
  const head = ok ? `${dataset} has gone back, but: ${message}` : `${dataset} has not gone back: ${message}`
  if (remaining.length === 0) return `${head}\nall is as it was, and the share is served`
  return [
    head,
    'this remains to be done by hand, in this order:',
    ...remaining.map((each) => `  ${each}`),
  ].join('\n')
}
