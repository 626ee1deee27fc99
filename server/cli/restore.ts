/** `poolhouse restore`: a share, or a part of it, as it was at a snapshot: copied elsewhere, or in place. */

import { join } from 'node:path'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { listSnapshotMoments } from '../../storage/zfs/snapshot.ts'
import { formatSize } from '../config/sizes.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { listSnapshotFolders, snapshotFolderOf } from '../previous/previous-versions.ts'
import { ProgressMeter } from '../progress.ts'
import { type CopyPlan, type CopyRunner, planCopy, runCopy, runCoreutils } from '../restore/copy.ts'
import { findSnapshot } from '../restore/find-snapshot.ts'
import {
  describeResult,
  describeRollback,
  planRollback,
  type RollbackPlan,
  rollBack,
  type ShareService,
} from '../restore/rollback.ts'
import { type ControlledServer, findServer } from '../restore/served-share.ts'
import { prepareDatasets } from '../zfs/dataset-shares.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print, progressOn } from './context.ts'
import { ask } from './prompt.ts'
import { readConfiguration } from './read-configuration.ts'
import { findShare } from './snapshot.ts'

export interface RestoreOptions extends CommonOptions {
  /** Of a `per_user` share: whose dataset. */
  readonly user?: string
  readonly snapshot: string
  readonly to?: string
  /** From the share's root. */
  readonly path?: string
  readonly rollback?: boolean
  readonly force?: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** What works outside; a test brings its own. */
export interface RestoreTools {
  readonly run: CommandRunner
  readonly copy: CopyRunner
  /** The server that serves this configuration. */
  server(configuration: Configuration): Promise<Outcome<ControlledServer>>
  /** Milliseconds since 1970. */
  now(): number
}

/** Moving a pool's datasets about may take longer than looking at them, and must not be cut off. */
const SWAP_MILLISECONDS = 600_000

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function ownTools(): RestoreTools {
  return {
    run: createCommandRunner(SWAP_MILLISECONDS),
    copy: runCoreutils,
    server: findServer,
    now: Date.now,
  }
}

interface Job {
  readonly context: CommandContext
  readonly options: RestoreOptions
  readonly tools: RestoreTools
  readonly configuration: Configuration
  readonly share: ShareConfiguration
}

export async function restore(
  context: CommandContext,
  name: string,
  options: RestoreOptions,
  tools: RestoreTools = ownTools(),
): Promise<ExitCode> {
  const misuse = findMisuse(options)
  if (misuse !== undefined) return fail(context, misuse, ExitCode.usage)
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const share = findShare(configuration, name, options.user)
  if (!share.ok) return fail(context, share.message)
  const job = { context, options, tools, configuration, share: share.value }
  try {
    return await (options.to === undefined ? restoreInPlace(job) : restoreTo(job, options.to))
  } catch (error) {
    return fail(context, (error as Error).message)
  }
}

function findMisuse({ to, path, rollback, force }: RestoreOptions): string | undefined {
  if ((to === undefined) === (rollback !== true)) {
    return 'say where to: --to PATH copies the snapshot there, --rollback puts the share itself back'
  }
  if (rollback && path !== undefined) return '--path is for --to; --rollback puts back the whole share'
  return force && !rollback ? '--force is for --rollback; --to disturbs nobody' : undefined
}

async function restoreTo(job: Job, to: string): Promise<ExitCode> {
  const { context, options, tools } = job
  const root = await findRoot(job)
  if (!root.ok) return fail(context, root.message)
  const target = join(to.startsWith('/') ? '/' : context.directory, to)
  const plan = await planCopy({ root: root.value, part: options.path ?? '', target }, tools.copy)
  if (!plan.ok) return fail(context, plan.message)
  const decision = await decide(job, describeCopy(plan.value))
  if (!decision.ok) return fail(context, decision.message)
  const { source, bytes } = plan.value
  const shown = { kind: 'copy', source, target, bytes, available: plan.value.available }
  if (!decision.value) return conclude(job, { plan: shown, done: false }, undefined)
  const { clear, show } = progressOn(context)
  const meter = new ProgressMeter(bytes, tools.now())
  let before = 0
  const copied = await runCopy(plan.value, tools.copy, (written) => {
    const reading = meter.add(Math.max(0, written - before), tools.now())
    before = Math.max(before, written)
    if (reading !== undefined && options.json !== true) show(reading)
  })
  if (before > 0) context.stdout.write(clear)
  if (!copied.ok) return fail(context, copied.message)
  return conclude(job, { plan: shown, done: true }, `restored to ${target}`)
}

function describeCopy({ source, target, bytes, available }: CopyPlan): string[] {
  return [
    `${source} is copied to ${target}: ${formatSize(bytes)}, and there is room for ${formatSize(available)}`,
    '  with owners, modes, ACLs, attributes and streams, times, hard links and holes; the share is left as it is',
  ]
}

/** Where the snapshot's content is. */
async function findRoot({ tools, configuration, share, options }: Job): Promise<Outcome<string>> {
  const { dataset, name, snapshotFolder } = share
  if (dataset === undefined && snapshotFolder === undefined) {
    return failed(`share "${name}" has no snapshots; only one with "dataset" or "snapshot_folder" has`)
  }
  const only = { ...configuration, shares: [share] }
  const prepared = await prepareDatasets(only, tools.run, 'none')
  const [failure] = prepared.failures
  const [mounted] = prepared.configuration.shares
  if (failure !== undefined || mounted === undefined) return failed(failure?.message ?? `no share "${name}"`)
  const snapshots = await (dataset === undefined
    ? listSnapshotFolders(mounted)
    : listSnapshotMoments(tools.run, dataset))
  const found = findSnapshot(snapshots, options.snapshot, dataset ?? `share "${name}"`)
  return found.ok ? done(join(snapshotFolderOf(mounted), found.value.name)) : found
}

async function restoreInPlace(job: Job): Promise<ExitCode> {
  const { context, options, tools, configuration, share } = job
  if (share.dataset === undefined) {
    return fail(context, `share "${share.name}" is a folder; only one with "dataset" can go back; use --to`)
  }
  const plan = await planRollback(tools.run, share.dataset, options.snapshot, tools.now())
  if (!plan.ok) return fail(context, plan.message)
  const found = await tools.server(configuration)
  if (!found.ok) return fail(context, found.message)
  const server = found.value
  try {
    return await rollBackServed(job, plan.value, server)
  } finally {
    server.release()
  }
}

async function rollBackServed(job: Job, plan: RollbackPlan, server: ControlledServer): Promise<ExitCode> {
  const { context, options, tools, share } = job
  const opens = server.opensOf(share.name)
  const { dataset, snapshot, kept, before } = plan.swap
  const shown = { kind: 'rollback', dataset, snapshot, kept, before, opens, isSame: plan.isSame }
  const lines = [...describeRollback(plan), ...describeOpens(opens, options)]
  if (plan.isSame) {
    if (!options.json) for (const line of lines) print(context, line)
    return conclude(job, { plan: shown, done: false }, undefined)
  }
  const hindrance =
    opens.length > 0 && !options.force && !options.dryRun
      ? `clients have ${opens.length} files or folders of "${share.name}" open; let them close these, or use --force`
      : undefined
  const decision = await decide(job, lines, hindrance)
  if (!decision.ok) return fail(context, decision.message)
  if (!decision.value) return conclude(job, { plan: shown, done: false }, undefined)
  const service: ShareService = {
    pause: () => server.pause(share.name, options.force ?? false),
    resume: () => server.resume(share.name),
  }
  const result = describeResult(dataset, await uninterrupted(() => rollBack(tools.run, plan, service)))
  if (result !== undefined) return fail(context, result)
  return conclude(job, { plan: shown, done: true }, `${dataset} is as it was at ${snapshot}; before: ${kept}`)
}

/** Ctrl-C ends the zfs command that runs, so that what was done is taken back; not this process, which does that. */
async function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  const stay = (): void => undefined
  for (const signal of SIGNALS) process.on(signal, stay)
  try {
    return await work()
  } finally {
    for (const signal of SIGNALS) process.off(signal, stay)
  }
}

function describeOpens(opens: readonly string[], { force }: RestoreOptions): string[] {
  if (opens.length === 0) return []
  const what = force ? 'they lose them' : 'they have to close them first, or lose them with --force'
  return [`clients have files or folders open, ${what}:`, ...opens.map((path) => `  ${path}`)]
}

/** Tells the plan, and asks. @returns false when it is not to be done */
async function decide(job: Job, plan: readonly string[], hindrance?: string): Promise<Outcome<boolean>> {
  const { context, options } = job
  if (!options.json) for (const line of plan) print(context, line)
  if (options.dryRun) return done(false)
  if (hindrance !== undefined) return failed(hindrance)
  if (options.yes) return done(true)
  if (options.json || !context.stdin.isTTY || !context.stdout.isTTY) {
    return failed('there is nobody to ask whether to go on; add --yes, or --dry-run to see the plan alone')
  }
  const answer = await ask(context, 'Go on? (yes or no)', 'no')
  return /^y(es)?$/i.test(answer) ? done(true) : failed('nothing was changed')
}

function conclude({ context, options }: Job, report: object, message: string | undefined): ExitCode {
  if (options.json) print(context, JSON.stringify(report, undefined, 2))
  else if (message !== undefined) print(context, message)
  return ExitCode.done
}
