/** `poolhouse replicate`: datasets sent to other pools and machines, or fetched from them; and the side that a key may reach. */

import { hostname } from 'node:os'
import Table from 'cli-table3'
import { PLACE_FORMS, PLAIN_DATASET, parsePlace } from '../config/places.ts'
import { formatSize } from '../config/sizes.ts'
import type { Configuration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { formatDuration } from '../progress.ts'
import { type Replication, type ReplicationEvent, replicate, type StreamPlan } from '../zfs/replicate.ts'
import { createSide, type SshOptions } from '../zfs/replication-side.ts'
import {
  configuredReplications,
  localSide,
  replicationOf,
  replicationStatus,
  withChildren,
} from '../zfs/share-replication.ts'
import { takeSnapshot } from '../zfs/share-snapshots.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print, progressOn } from './context.ts'
import { readConfiguration } from './read-configuration.ts'

export interface ReplicateOptions extends CommonOptions {
  readonly json?: boolean
  readonly dryRun?: boolean
  readonly sshKey?: string
  readonly sshPort?: string
  readonly sshCommand?: string
}

export interface PushOptions extends ReplicateOptions {
  readonly to?: string
  readonly snapshot?: boolean
}

export interface PullOptions extends ReplicateOptions {
  readonly from: string
}

type Work = Omit<Replication, 'report' | 'now' | 'dryRun' | 'signal'>

/** Everything that is configured. */
export async function replicateAll(context: CommandContext, options: ReplicateOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const configured = configuredReplications(configuration)
  if (configured.length === 0) return fail(context, 'nothing is configured; write a [[replicate]] table')
  return carryOut(context, (await withChildren(configured)).map(replicationOf), options)
}

/** @param name a share, or a dataset of this machine */
export async function push(context: CommandContext, name: string, options: PushOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const works = await worksOf(configuration, name, options)
  if (!works.ok) return fail(context, works.message)
  const [first] = works.value
  if (options.snapshot && !options.dryRun && first !== undefined) {
    try {
      const { run, dataset } = first.source
      const moment = { reason: 'manual', about: 'push', now: Date.now() } as const
      await takeSnapshot({ run, configuration, dataset }, moment)
    } catch (error) {
      return fail(context, (error as Error).message)
    }
  }
  return carryOut(context, works.value, options)
}

async function worksOf(
  configuration: Configuration,
  name: string,
  options: PushOptions,
): Promise<Outcome<readonly Work[]>> {
  const share = configuration.shares.find((each) => each.name.toLowerCase() === name.toLowerCase())
  const dataset = share?.dataset ?? name
  const configured = configuredReplications(configuration).filter((each) => each.dataset === dataset)
  const { to } = options
  if (to === undefined) {
    if (configured.length > 0) return done((await withChildren(configured)).map(replicationOf))
    return failed(
      `no [[replicate]] is of "${name}"; write one, or say where to: --to user@host:tank/backups/box`,
    )
  }
  const known = configured.find(({ table }) => table.to.text === to)
  if (known !== undefined) return done((await withChildren([known])).map(replicationOf))
  const place = parsePlace(to)
  if (place === undefined) return failed(`--to ${JSON.stringify(to)} is not allowed; ${PLACE_FORMS}`)
  if (!PLAIN_DATASET.test(dataset))
    return failed(`"${dataset}" is no dataset that can be sent; use a name without spaces`)
  const ssh = sshOf(options)
  if (!ssh.ok) return ssh
  const target = createSide(place, ssh.value)
  return done([{ source: localSide(dataset), target, id: place.text, isReadOnly: true }])
}

/** The local dataset becomes a copy to be worked with; it is neither mounted nor made read-only. */
export async function pull(
  context: CommandContext,
  dataset: string,
  options: PullOptions,
): Promise<ExitCode> {
  const place = parsePlace(options.from)
  if (place === undefined) {
    return fail(
      context,
      `--from ${JSON.stringify(options.from)} is not allowed; ${PLACE_FORMS}`,
      ExitCode.usage,
    )
  }
  if (!PLAIN_DATASET.test(dataset)) {
    return fail(
      context,
      `${JSON.stringify(dataset)} is no name of a dataset that can be replicated`,
      ExitCode.usage,
    )
  }
  const ssh = sshOf(options)
  if (!ssh.ok) return fail(context, ssh.message, ExitCode.usage)
  const source = createSide(place, ssh.value)
  const id = `${hostname()}:${dataset}`
  return carryOut(context, [{ source, target: localSide(dataset), id, isReadOnly: false }], options)
}

function sshOf({ sshKey, sshPort, sshCommand }: ReplicateOptions): Outcome<SshOptions> {
  const port = sshPort === undefined ? undefined : Number(sshPort)
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    return failed(`--ssh-port ${sshPort} is not allowed; use a number from 1 to 65535`)
  }
  return done({ command: sshCommand ?? 'ssh', key: sshKey, port })
}

/** One after the other; one that fails does not keep the others from being tried. */
async function carryOut(
  context: CommandContext,
  works: readonly Work[],
  options: ReplicateOptions,
): Promise<ExitCode> {
  let code: ExitCode = ExitCode.done
  for (const work of works) {
    const about = { from: work.source.where, to: work.target.where }
    const tell = options.json
      ? jsonTeller(context, about)
      : lineTeller(context, about, options.dryRun === true)
    try {
      const result = await replicate({ ...work, dryRun: options.dryRun, now: Date.now, report: tell })
      if (result.snapshot === undefined) continue
      if (options.json) print(context, JSON.stringify({ event: 'done', ...about, ...result }))
      else print(context, `${about.to} has ${about.from} up to ${result.snapshot}`)
    } catch (error) {
      const { message } = error as Error
      if (options.json) print(context, JSON.stringify({ event: 'failed', ...about, message }))
      code = fail(context, `${about.from} to ${about.to}: ${message}`)
    }
  }
  return code
}

interface About {
  readonly from: string
  readonly to: string
}

type Tell = (event: ReplicationEvent) => void

function jsonTeller(context: CommandContext, about: About): Tell {
  return (event) => print(context, JSON.stringify({ ...about, ...event }))
}

function lineTeller(context: CommandContext, { from, to }: About, isDry: boolean): Tell {
  const { clear, show } = progressOn(context)
  return (event) => {
    if (event.event === 'progress') {
      show(event)
    } else if (event.event === 'plan') {
      const size = event.bytes === undefined ? '' : `, about ${formatSize(event.bytes)}`
      print(context, `${isDry ? 'would send' : 'sending'} ${from} to ${to}: ${describe(event.plan)}${size}`)
    } else if (event.event === 'sent') {
      print(context, `${clear}sent ${formatSize(event.bytes)}`)
    } else if (event.event === 'abandoned') {
      print(context, `${isDry ? 'would give up' : 'gave up'} an interrupted stream: ${event.reason}`)
    } else {
      for (const name of event.snapshots) print(context, `destroyed ${to}@${name}`)
    }
  }
}

function describe(plan: StreamPlan): string {
  if (plan.kind === 'resume') return 'what an interrupted stream left'
  if (plan.kind === 'full') return `all of ${plan.to}`
  return `up to ${plan.to}, from the ${plan.base.kind} ${plan.base.name}`
}

export async function listReplications(
  context: CommandContext,
  options: ReplicateOptions,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  let code: ExitCode = ExitCode.done
  const rows = []
  for (const one of await withChildren(configuredReplications(configuration))) {
    try {
      rows.push(await replicationStatus(one))
    } catch (error) {
      code = fail(context, (error as Error).message)
    }
  }
  if (options.json) {
    const shown = rows.map((row) => ({
      ...row,
      reached: row.reached === undefined ? null : new Date(row.reached),
    }))
    print(context, JSON.stringify({ replications: shown }, undefined, 2))
    return code
  }
  const table = new Table({
    head: ['dataset', 'to', 'has it as of', 'behind'],
    style: { head: [], border: [] },
  })
  for (const { dataset, to, reached, missing } of rows) {
    const age = reached === undefined ? 'never' : `${formatDuration((Date.now() - reached) / 1000)} ago`
    table.push([dataset, to, age, missing === 0 ? '' : `${missing} snapshots`])
  }
  print(context, table.toString())
  return code
}
