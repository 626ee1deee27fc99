/** Replication as configured: which dataset goes where, how far each target is; in a running server after backups and by the clock. */

import { readReplica } from '../../storage/zfs/replica-state.ts'
import { bookmarkPrefix, type ReplicaState } from '../../storage/zfs/replication.ts'
import { listSnapshottedChildren } from '../../storage/zfs/snapshot.ts'
import type { Configuration, ReplicateConfiguration } from '../config/types.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../logging/logger.ts'
import { progressLine } from '../progress.ts'
import { type Replication, ReplicationRefused, type ReplicationResult, replicate } from './replicate.ts'
import { createSide, type Side } from './replication-side.ts'
import { policyOf } from './share-snapshots.ts'

/** One `[[replicate]]`, with the dataset that is meant. */
export interface ConfiguredReplication {
  readonly dataset: string
  readonly table: ReplicateConfiguration
  /** The datasets directly below go with it: those of accounts, below a `per_user` share's. */
  readonly hasChildren?: boolean
  /** Of one directly below: what it goes with. */
  readonly above?: ConfiguredReplication
}

export function configuredReplications({ replicate, shares }: Configuration): ConfiguredReplication[] {
  return replicate.flatMap((table) => {
    const named = table.share?.toLowerCase()
    const share = shares.find(({ name }) => name.toLowerCase() === named)
    const dataset = table.dataset ?? share?.dataset
    const hasChildren = shares.some((each) => each.perUser && each.dataset === dataset)
    return dataset === undefined ? [] : [{ dataset, table, hasChildren }]
  })
}

/** All of them with those directly below, each after what it goes with. What cannot be listed fails when it is carried out. */
export async function withChildren(
  configured: readonly ConfiguredReplication[],
  list: (dataset: string) => Promise<string[]> = childrenOf,
): Promise<ConfiguredReplication[]> {
  const lists = configured.map(async (one) => {
    const children = one.hasChildren ? await list(one.dataset).catch(() => []) : []
    return [one, ...children.map((child) => below(one, child))]
  })
  return (await Promise.all(lists)).flat()
}

/** Of those who have nothing to send there is nothing to be said. */
function childrenOf(dataset: string): Promise<string[]> {
  return listSnapshottedChildren(localSide(dataset).run, dataset)
}

function below(above: ConfiguredReplication, child: string): ConfiguredReplication {
  const { to } = above.table
  const component = child.slice(above.dataset.length)
  const place = { ...to, dataset: `${to.dataset}${component}`, text: `${to.text}${component}` }
  return { dataset: child, above, table: { ...above.table, to: place } }
}

/** A dataset of this machine. */
export function localSide(dataset: string): Side {
  return createSide({ text: dataset, host: undefined, dataset }, { command: 'ssh' })
}

type Undecided = 'report' | 'now' | 'dryRun' | 'signal'

export function replicationOf({ dataset, table }: ConfiguredReplication): Omit<Replication, Undecided> {
  const { to, sshCommand, sshKey, sshPort, keep } = table
  return {
    source: localSide(dataset),
    target: createSide(to, { command: sshCommand, key: sshKey, port: sshPort }),
    id: to.text,
    keep: keep && policyOf(keep),
    isReadOnly: true,
  }
}

/** How far a target is, by what the source remembers of it; the target is not asked. */
export interface ReplicationStatus {
  readonly dataset: string
  readonly to: string
  /** When the newest snapshot that arrived was taken, in milliseconds since 1970; undefined: none has. */
  readonly reached: number | undefined
  /** Snapshots that are still to be sent. */
  readonly missing: number
}

/** @throws ZfsError, or an error that there is no such dataset */
export async function replicationStatus({
  dataset,
  table,
}: ConfiguredReplication): Promise<ReplicationStatus> {
  const source = await readReplica(localSide(dataset).run, dataset)
  if (source === undefined) throw new Error(`there is no dataset "${dataset}"`)
  return statusOf(source, table.to.text)
}

export function statusOf(source: ReplicaState, id: string): ReplicationStatus {
  const prefix = bookmarkPrefix(id)
  const reached = source.bookmarks.findLast(({ name }) => name.startsWith(prefix))
  const missing = source.snapshots.filter(({ createtxg }) => createtxg > (reached?.createtxg ?? -1)).length
  return { dataset: source.name, to: id, reached: reached?.created, missing }
}

const HOUR_MILLISECONDS = 3_600_000
/** How often it is looked what is due. */
const LOOK_MILLISECONDS = 60_000
/** A target that could not be reached is tried again after so long. */
const RETRY_MILLISECONDS = 900_000
/** Progress in the log. */
const TELL_MILLISECONDS = 300_000

export interface ReplicationSurroundings {
  readonly log: Logger
  now(): number
  /** Carries one out; a test has its own. */
  run(work: Replication): Promise<ReplicationResult>
  /** Names of the datasets directly below one that have something to send. */
  children(dataset: string): Promise<string[]>
}

/** Of a running server: one stream at a time for each target, none of which delays file service. */
export class ShareReplications {
  readonly #surroundings: ReplicationSurroundings
  #configured: readonly ConfiguredReplication[]
  readonly #running = new Map<string, Promise<void>>()
  /** Asked for while it ran. */
  readonly #again = new Set<string>()
  readonly #dueAt = new Map<string, number>()
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void

  constructor(
    configuration: Configuration,
    events: Events,
    surroundings: Partial<ReplicationSurroundings> & Pick<ReplicationSurroundings, 'log'>,
  ) {
    this.#surroundings = { now: Date.now, run: replicate, children: childrenOf, ...surroundings }
    this.#configured = configuredReplications(configuration)
    this.#stopListening = events.on('snapshot taken', ({ dataset, reason }) => {
      if (reason === 'backup') this.#afterBackup(dataset)
    })
    this.#timer = setInterval(() => this.look(), LOOK_MILLISECONDS).unref()
  }

  /** Another configuration holds from now on. */
  follow(configuration: Configuration): void {
    this.#configured = configuredReplications(configuration)
  }

  /** Streams that run are cut; the next start goes on with them. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopListening()
    this.#again.clear()
    this.#abort.abort()
    await Promise.all(this.#running.values())
  }

  /** Starts what is due. */
  look(): void {
    const now = this.#surroundings.now()
    for (const one of this.#configured) {
      const first = one.table.every === 0 ? Number.POSITIVE_INFINITY : 0
      if (now >= (this.#dueAt.get(keyOf(one)) ?? first)) this.#start(one)
    }
  }

  #afterBackup(dataset: string): void {
    for (const one of this.#configured) {
      const isOfIt = one.dataset === dataset || (one.hasChildren && dataset.startsWith(`${one.dataset}/`))
      if (isOfIt && one.table.afterBackup) this.#start(one)
    }
  }

  #start(one: ConfiguredReplication): void {
    const key = keyOf(one)
    if (this.#abort.signal.aborted) return
    if (this.#running.has(key)) return void this.#again.add(key)
    const running = this.#carryOut(one).then(async () => {
      // What is below can only be received when this is there.
      const [, ...children] = await withChildren([one], this.#surroundings.children)
      for (const child of children) this.#start(child)
      this.#running.delete(key)
      if (this.#again.delete(key)) this.#start(one)
    })
    this.#running.set(key, running)
  }

  async #carryOut(one: ConfiguredReplication): Promise<void> {
    const { log, now, run } = this.#surroundings
    const about = { dataset: one.dataset, to: one.table.to.text }
    const every = one.table.every === 0 ? Number.POSITIVE_INFINITY : one.table.every * HOUR_MILLISECONDS
    if (one.above === undefined) this.#dueAt.set(keyOf(one), now() + every)
    let told = now()
    try {
      const result = await run({
        ...replicationOf(one),
        now,
        signal: this.#abort.signal,
        report: (event) => {
          if (event.event === 'thinned') log.info({ ...about, snapshots: event.snapshots }, 'target thinned')
          if (event.event === 'abandoned')
            log.warn(about, `an interrupted stream was given up: ${event.reason}`)
          if (event.event !== 'progress' || now() - told < TELL_MILLISECONDS) return
          told = now()
          log.info(about, `replication: ${progressLine(event)}`)
        },
      })
      log.info({ ...about, snapshot: result.snapshot, bytes: result.bytes }, 'replicated')
    } catch (error) {
      if (this.#abort.signal.aborted) return
      // What is refused stays so until somebody does something about it.
      const retry = error instanceof ReplicationRefused ? every : Math.min(every, RETRY_MILLISECONDS)
      this.#dueAt.set(keyOf(one.above ?? one), now() + retry)
      log.error(about, `not replicated: ${(error as Error).message}`)
    }
  }
}

function keyOf({ dataset, table }: ConfiguredReplication): string {
  return `${dataset} ${table.to.text}`
}
