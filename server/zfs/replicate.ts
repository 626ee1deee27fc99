/** A dataset and its copy on another pool: streams until the copy has all, holds for the next time, retention of the copy. */

import { userInfo } from 'node:os'
import { runZfs, ZfsError } from '../../storage/zfs/command.ts'
import { readReplica } from '../../storage/zfs/replica-state.ts'
import {
  holdTag,
  markReasons,
  permissionsNeeded,
  planReplication,
  type ReplicaState,
  type ReplicationPlan,
  type SideCommand,
  sendArguments,
  settle,
  thinReplica,
} from '../../storage/zfs/replication.ts'
import type { ThinningPolicy } from '../../storage/zfs/thinning.ts'
import { ProgressMeter, type Reading } from '../progress.ts'
import type { Side } from './replication-side.ts'
import { transfer } from './replication-transfer.ts'

/** A stream, as it is planned. */
export type StreamPlan = Extract<ReplicationPlan, { kind: 'full' | 'incremental' | 'resume' }>

export type ReplicationEvent =
  | { readonly event: 'plan'; readonly plan: StreamPlan; readonly bytes: number | undefined }
  | ({ readonly event: 'progress' } & Reading)
  | { readonly event: 'sent'; readonly plan: StreamPlan; readonly bytes: number }
  | { readonly event: 'abandoned'; readonly reason: string }
  | { readonly event: 'thinned'; readonly snapshots: readonly string[] }

export interface Replication {
  readonly source: Side
  readonly target: Side
  /** The target's name in holds and bookmarks. */
  readonly id: string
  /** What is kept of our snapshots on the target; undefined: all. */
  readonly keep?: ThinningPolicy | undefined
  /** A new copy is made read-only, so that it stays one: not what is pulled to be worked with. */
  readonly isReadOnly: boolean
  readonly dryRun?: boolean | undefined
  /** Milliseconds in which some byte must move; default: five minutes. */
  readonly stallLimit?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Milliseconds since 1970. */
  now(): number
  report(event: ReplicationEvent): void
}

export interface ReplicationResult {
  /** The newest snapshot on both sides, by the target's name; undefined: only planned. */
  readonly snapshot: string | undefined
  readonly created: number | undefined
  readonly bytes: number
}

const STALL_MILLISECONDS = 300_000

/** The target is left as it is, and why. */
export class ReplicationRefused extends Error {
  override readonly name = 'ReplicationRefused'
}

/**
 * Sends what is missing. What was interrupted goes on where it was, at the next call.
 * @throws ReplicationRefused, TransferError, ZfsError
 */
export async function replicate(work: Replication): Promise<ReplicationResult> {
  try {
    return await sendMissing(work)
  } catch (error) {
    throw withPermissions(error as Error, work)
  }
}

async function sendMissing(work: Replication): Promise<ReplicationResult> {
  let bytes = 0
  let before = ''
  let isNew = false
  for (;;) {
    const { source, target } = await readBoth(work)
    isNew ||= (target?.snapshots.length ?? 0) === 0
    const plan = planReplication(source, target)
    if (plan.kind === 'refused') throw new ReplicationRefused(plan.reason)
    if (plan.kind === 'up-to-date') {
      if (!work.dryRun) await finish(work, isNew)
      const reached = target?.snapshots.at(-1)
      return { snapshot: reached?.name, created: reached?.created, bytes }
    }
    const same = JSON.stringify(plan)
    if (same === before) throw new Error(`${work.target.where}: what was sent has not arrived`)
    before = same
    const estimate = await estimateOf(work, plan)
    if (estimate === 'lost') continue
    work.report({ event: 'plan', plan, bytes: estimate })
    if (work.dryRun) return { snapshot: undefined, created: undefined, bytes: 0 }
    bytes += await sendOne(work, source, plan, estimate)
  }
}

async function readBoth({ source, target }: Replication) {
  const [from, to] = await Promise.all([
    readReplica(source.run, source.dataset),
    readReplica(target.run, target.dataset),
  ])
  if (from === undefined) throw new ReplicationRefused(`there is no dataset "${source.where}"`)
  return { source: from, target: to }
}

/** The total of `zfs send -nvP`. */
export function parseEstimate(output: string): number | undefined {
  const [, bytes] = /^size\t(\d+)$/m.exec(output) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

/** @returns bytes; `lost`: what an interrupted stream was of is gone, and what had arrived of it was given up */
async function estimateOf(work: Replication, plan: StreamPlan): Promise<number | undefined | 'lost'> {
  const { source, target } = work
  const trial = ['send', '-nvP', ...sendArguments(source.dataset, plan)]
  try {
    return parseEstimate(await runZfs(source.run, 'zfs', trial))
  } catch (error) {
    const isLost = error instanceof ZfsError && /cannot resume send|no longer exists/.test(error.message)
    if (plan.kind !== 'resume' || !isLost) throw error
    work.report({ event: 'abandoned', reason: error.message })
    if (work.dryRun) return undefined
    await runZfs(target.run, 'zfs', ['receive', '-A', target.dataset])
    return 'lost'
  }
}

async function sendOne(
  work: Replication,
  source: ReplicaState,
  plan: StreamPlan,
  estimate: number | undefined,
): Promise<number> {
  if (plan.kind !== 'resume') await holdForNow(work, source, plan.to)
  const meter = new ProgressMeter(estimate, performance.now())
  await transfer({
    from: work.source,
    to: work.target,
    sendArguments: sendArguments(source.name, plan),
    stallLimit: work.stallLimit ?? STALL_MILLISECONDS,
    signal: work.signal,
    onBytes: (count) => {
      const reading = meter.add(count, performance.now())
      if (reading !== undefined) work.report({ event: 'progress', ...reading })
    },
  })
  const { bytes } = meter.reading(performance.now())
  work.report({ event: 'sent', plan, bytes })
  return bytes
}

/** Thinning must not destroy what is being sent, nor what an interrupted stream will go on with. */
async function holdForNow(work: Replication, source: ReplicaState, name: string): Promise<void> {
  const tag = holdTag(work.id)
  const isHeld = source.snapshots.some((each) => each.name === name && each.holds.includes(tag))
  if (!isHeld) await give(work, { side: 'source', args: ['hold', tag, `${source.name}@${name}`] })
}

async function finish(work: Replication, isNew: boolean): Promise<void> {
  const { source, target } = await readBoth(work)
  if (target === undefined) return
  for (const command of settle(source, target, work.id)) await give(work, command)
  if (isNew && work.isReadOnly && !target.isReadOnly) {
    await give(work, { side: 'target', args: ['set', 'readonly=on', target.name] })
  }
  if (work.keep === undefined) return
  for (const command of markReasons(source, target)) await give(work, command)
  await thinTarget(work, work.keep)
}

async function thinTarget(work: Replication, policy: ThinningPolicy): Promise<void> {
  const { target } = await readBoth(work)
  if (target === undefined) return
  const surplus = thinReplica(target, policy, work.now())
  for (const { name } of surplus)
    await give(work, { side: 'target', args: ['destroy', `${target.name}@${name}`] })
  if (surplus.length > 0) work.report({ event: 'thinned', snapshots: surplus.map(({ name }) => name) })
}

async function give(work: Replication, { side, args }: SideCommand): Promise<void> {
  await runZfs(work[side].run, 'zfs', args)
}

/** Who may not do something is told what root must permit. */
function withPermissions(error: Error, work: Replication): Error {
  if (!/permission denied|must be superuser|Operation not permitted/i.test(error.message)) return error
  const { source, target, keep } = work
  const user = { source: userOf(source), target: userOf(target) }
  const needed = permissionsNeeded(source.dataset, target.dataset, user, keep !== undefined)
  error.message =
    `${error.message}\nWithout root, replication needs once, as root:\n` +
    `  where ${source.where} is: ${needed.source}\n  where ${target.where} is: ${needed.target}`
  return error
}

function userOf({ isRemote, where }: Side): string {
  if (!isRemote) return userInfo().username
  return where.includes('@') ? where.slice(0, where.indexOf('@')) : userInfo().username
}
