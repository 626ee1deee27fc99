/** The life of a serving process: start, reload at SIGHUP, stop at SIGTERM or SIGINT. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { referencedNames } from '../accounts/identity.ts'
import type { LiveAccounts } from '../accounts/live.ts'
import type { SystemUsers } from '../accounts/system-users.ts'
import { formatListenAddress } from '../config/addresses.ts'
import { loadConfiguration } from '../config/load.ts'
import { formatProblem } from '../config/problems.ts'
import type { Configuration, TargetConfiguration } from '../config/types.ts'
import type { Logger } from '../logging/logger.ts'
import type { StatusListener } from '../status/listener.ts'
import { type DatasetChanges, prepareDatasets, type ServedPath } from '../zfs/dataset-shares.ts'
import type { MountWatch, WantedMounts } from '../zfs/mount-watch.ts'
import type { ShareReplications } from '../zfs/share-replication.ts'
import type { ShareSnapshots } from '../zfs/share-snapshots.ts'
import { lunPaths, prepareVolumes } from '../zfs/volume-targets.ts'
import { notBuilt } from './not-built.ts'
import type { RunningServer } from './running-server.ts'
import type { SharePauses } from './share-pauses.ts'

/** After this, connections are cut: a supervisor kills what takes longer than it allows. */
const DRAIN_MILLISECONDS = 10_000
/** What a reload takes over; the rest needs a restart. */
const RELOADED_SECTIONS = ['source', 'shares', 'snapshots', 'replicate', 'targets']

export interface Service {
  readonly running: RunningServer
  readonly accounts: LiveAccounts
  readonly systemUsers: SystemUsers
  readonly log: Logger
  /** As started with. */
  readonly configuration: Configuration
  readonly zfs: CommandRunner
  readonly snapshots: ShareSnapshots
  readonly replications: ShareReplications
  readonly pauses: SharePauses
  /** As of the last reload. */
  targets: readonly TargetConfiguration[]
  /** As it was read at the last reload, before datasets were looked up. */
  written: Configuration
  /** The last of the reloads, which follow each other. */
  reloading: Promise<unknown>
}

/** What clients have at this moment. */
export interface Served {
  readonly shares: readonly ServedPath[]
  readonly targets: readonly TargetConfiguration[]
}

/**
 * The configuration with the mount points of its datasets, and with the volumes of its targets made; what cannot be
 * served is told in the log.
 *
 * @param served as of this moment
 * @param changes of datasets
 */
export async function readyDatasets(
  configuration: Configuration,
  zfs: CommandRunner,
  log: Logger,
  served: Served = { shares: [], targets: [] },
  changes: DatasetChanges = 'all',
): Promise<Configuration> {
  const prepared = await prepareDatasets(configuration, zfs, changes, served.shares)
  for (const { share, isServed, message } of prepared.failures) {
    log.error(`share "${share}" is ${isServed ? 'served as before' : 'not served'}: ${message}`)
  }
  const volumes = await prepareVolumes(prepared.configuration, zfs, served.targets)
  for (const { target, isServed, message } of volumes.failures) {
    log.error(`target "${target}" is ${isServed ? 'served as before' : 'not served'}: ${message}`)
  }
  for (const { target, message } of volumes.notes) log.warn(`target "${target}": ${message}`)
  return volumes.configuration
}

/** Reads passwd, group and whatever else the system knows about the names in use. */
export function prepareNames(
  configuration: Configuration,
  accounts: LiveAccounts,
  systemUsers: SystemUsers,
): Promise<void> {
  const names = referencedNames(configuration.shares, accounts.all())
  return systemUsers.prepare(names.users, names.groups)
}

/** Tells in the log what was configured and does not exist yet. */
export function warnNotBuilt(configuration: Configuration, log: Logger): void {
  for (const { message } of notBuilt(configuration)) log.warn(message)
}

/** Opens the status page. A server that cannot show it serves files all the same. */
export async function startStatus(service: Service): Promise<StatusListener | undefined> {
  const { running, configuration, log, pauses } = service
  const { enabled, listen } = configuration.status
  if (!enabled) return undefined
  const { name, stateDir: stateDirectory } = configuration.server
  try {
    const again = () => reload(service)
    const shares = {
      pause: (share: string, force: boolean) => pauses.pause(running, again, share, force),
      resume: (share: string) => pauses.resume(again, share),
    }
    // Its packages take memory that a server without it does not need.
    const { openStatusListener } = await import('../status/listener.ts')
    return await openStatusListener({ running, shares, name, listen, stateDirectory })
  } catch (error) {
    log.warn(
      `no status page: ${formatListenAddress(listen)}: ${(error as Error).message}; set another status.listen, or status.enabled = false`,
    )
    return undefined
  }
}

/** Takes over shares and users from the file. With an error, all stays as it was and the log says why. @returns it, too */
export function reload(service: Service): Promise<string | undefined> {
  return inTurn(service, async () => {
    const written = await readAgain(service.configuration, service.log)
    return written
      ? await apply(service, written, 'all')
      : 'the configuration has errors; see: poolhouse check'
  })
}

/** Looks whether the datasets of shares are where they were: what has gone is let go of, what has come is served. */
export function followMounts(service: Service): Promise<void> {
  return inTurn(service, async () => {
    const { running, log, written } = service
    const before = running.shares()
    // A dataset that has been destroyed is not made anew, empty, behind the back of those who used it.
    if ((await apply(service, written, 'limits')) !== undefined) return
    const [known, served] = [namesOf(before), namesOf(running.shares())]
    const gone = before.filter(({ name }) => !served.has(name))
    // Open files would keep the dataset from being mounted elsewhere, exported or destroyed.
    if (gone.length > 0) await running.releaseShares(gone)
    for (const name of served) if (!known.has(name)) log.info(`share "${name}" is served again`)
  })
}

/** The datasets that shares are to be of, and where other shares and disks are. */
export function wantedMounts({ written: { shares, iscsi, targets } }: Service): WantedMounts {
  const luns = iscsi.enabled ? targets.flatMap(({ lun }) => lun) : []
  const folders = shares.flatMap(({ dataset, path }) => (dataset === undefined ? (path ?? []) : []))
  return {
    datasets: shares.flatMap(({ dataset }) => dataset ?? []),
    paths: [...folders, ...luns.flatMap(lunPaths)],
  }
}

function namesOf(shares: readonly { readonly name: string }[]): Set<string> {
  return new Set(shares.map(({ name }) => name))
}

/** Reloads follow each other, whoever asks for them. */
function inTurn<T>(service: Service, work: () => Promise<T>): Promise<T> {
  const result = service.reloading.then(work)
  service.reloading = result.catch(() => undefined)
  return result
}

/** @returns why it could not */
async function apply(
  service: Service,
  written: Configuration,
  changes: DatasetChanges,
): Promise<string | undefined> {
  const { running, accounts, systemUsers, log, configuration: started } = service
  const configuration = await readyDatasets(
    service.pauses.without(written),
    service.zfs,
    log,
    { shares: running.shares(), targets: service.targets },
    changes,
  )
  const loaded = accounts.load()
  if (!loaded.ok) {
    log.error(`not reloaded: ${loaded.message}`)
    return loaded.message
  }
  await prepareNames(configuration, accounts, systemUsers)
  try {
    await running.reload(configuration)
  } catch (error) {
    const { message } = error as Error
    log.error({ err: error }, `not reloaded: ${message}`)
    return message
  }
  service.targets = configuration.targets
  service.written = written
  service.snapshots.follow(configuration)
  service.replications.follow(configuration)
  warnNotBuilt(configuration, log)
  for (const section of changedSections(started, configuration)) {
    log.warn(`[${section}] has changed; that takes effect at the next start`)
  }
  log.info({ shares: running.shares().map((share) => share.name) }, 'reloaded')
  return undefined
}

async function readAgain(started: Configuration, log: Logger): Promise<Configuration | undefined> {
  if (started.source === undefined) return started
  const outcome = await loadConfiguration({ file: started.source, directory: '/' })
  if (outcome.ok) return outcome.configuration
  for (const problem of outcome.problems) log.error(`not reloaded: ${formatProblem(problem)}`)
  return undefined
}

function changedSections(before: Configuration, after: Configuration): string[] {
  return Object.keys(before).filter((section) => {
    const key = section as keyof Configuration
    return !RELOADED_SECTIONS.includes(section) && JSON.stringify(before[key]) !== JSON.stringify(after[key])
  })
}

/** Says goodbye, lets requests under way finish, and returns after a bounded time. */
export async function shutDown(
  service: Service,
  status: StatusListener | undefined,
  mounts: Pick<MountWatch, 'close'>,
): Promise<void> {
  const { running, snapshots, replications } = service
  // What a look at the mounts has begun is a reload, and a command of it may hang.
  const closing = mounts
    .close()
    .then(() => Promise.all([running.close(), status?.close(), snapshots.close(), replications.close()]))
    .then(() => true)
  const deadline = new AbortController()
  const inTime = await Promise.race([closing, sleep(DRAIN_MILLISECONDS, false, { signal: deadline.signal })])
  deadline.abort()
  if (!inTime)
    service.log.warn(
      `clients still had requests under way after ${DRAIN_MILLISECONDS / 1000} s; stopped anyway`,
    )
}

/** Why the server could not start, for people. */
export function describeStartFailure(error: unknown): string {
  const { code, address, port, message } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  const where =
    address !== undefined && port !== undefined ? formatListenAddress({ host: address, port }) : 'the address'
  if (code === 'EADDRINUSE')
    return `${where} is in use; stop the program that has it, or set another "listen"`
  if (code === 'EADDRNOTAVAIL') return `${where} is no address of this host; set another "listen"`
  if (code === 'EACCES' && port !== undefined) {
    return `${where} needs root; run as root, or "listen" on a port above 1023`
  }
  return `cannot start: ${message}`
}
