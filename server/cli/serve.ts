/** `poolhouse serve`: runs the server in the foreground until SIGTERM. */

import { closeSync, fstatSync, writeSync } from 'node:fs'
import { LiveAccounts } from '../accounts/live.ts'
import { SystemUsers } from '../accounts/system-users.ts'
import { isLoopback } from '../config/addresses.ts'
import type { Configuration } from '../config/types.ts'
import type { Logger } from '../logging/logger.ts'
import { createLogger } from '../logging/logger.ts'
import type { BuiltInUser } from '../serve/first-start.ts'
import { connectLines, diskLine, prepareBuiltIn } from '../serve/first-start.ts'
import type { Service } from '../serve/lifecycle.ts'
import {
  describeStartFailure,
  followMounts,
  prepareNames,
  readyDatasets,
  reload,
  shutDown,
  startStatus,
  wantedMounts,
  warnNotBuilt,
} from '../serve/lifecycle.ts'
import type { RunningServer } from '../serve/running-server.ts'
import { SharePauses } from '../serve/share-pauses.ts'
import { lockStateDirectory, prepareStateDirectory } from '../state/directory.ts'
import { MountWatch } from '../zfs/mount-watch.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import { ShareReplications } from '../zfs/share-replication.ts'
import { ShareSnapshots } from '../zfs/share-snapshots.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { readConfiguration } from './read-configuration.ts'

const STANDARD_STREAMS = 2

export interface ServeOptions extends CommonOptions {
  /** File descriptor that gets `ready` and a line end. */
  readonly readyFd?: number
  readonly public?: boolean
}

export async function serve(context: CommandContext, options: ServeOptions): Promise<ExitCode> {
  const isPublic = options.public ?? false
  const configuration = await readConfiguration(context, options, isPublic)
  if (!configuration) return ExitCode.usage
  const misuse = findMisuse(context, options, configuration)
  if (misuse !== undefined) return fail(context, misuse, ExitCode.usage)
  const { stateDir } = configuration.server
  const prepared = await prepareStateDirectory(stateDir)
  if (!prepared.ok) return fail(context, prepared.message)
  const lock = lockStateDirectory(stateDir)
  if (!lock.ok) return fail(context, lock.message)
  const user =
    configuration.source === undefined ? await prepareBuiltIn(configuration, context.isRoot) : undefined
  if (user && !user.ok) return fail(context, user.message)
  const signals = listenForSignals()
  const service = await start(context, configuration)
  if (typeof service === 'string') return fail(context, service)
  const mounts = new MountWatch({
    wanted: () => wantedMounts(service),
    changed: () => followMounts(service),
    failed: (error) => service.log.error({ err: error }, 'bug: mounts could not be followed'),
  })
  const status = await startStatus(service)
  announce(context, service, status?.url, user?.value, isPublic)
  sayReady(context, options.readyFd)
  await signals.untilStopped(() => reload(service), service.log)
  await shutDown(service, status, mounts)
  service.log.info('stopped')
  lock.value.release()
  return ExitCode.done
}

function findMisuse(
  context: CommandContext,
  options: ServeOptions,
  configuration: Configuration,
): string | undefined {
  if (options.public && configuration.source !== undefined) {
    return `--public is for starting without a configuration; here, set smb.listen in ${configuration.source}`
  }
  if (options.public && !context.isRoot)
    return '--public takes the standard ports, which needs root; run it as root'
  if (options.readyFd === undefined) return undefined
  try {
    fstatSync(options.readyFd)
    return undefined
  } catch {
    return `--ready-fd ${options.readyFd}: there is no such open file descriptor`
  }
}

/** @returns what went wrong, when it cannot start */
async function start(context: CommandContext, written: Configuration): Promise<Service | string> {
  const log = createLogger(written.log)
  logBugs(log)
  const zfs = createCommandRunner()
  const configuration = await readyDatasets(written, zfs, log)
  const accounts = new LiveAccounts(configuration.server.stateDir, (message) => log.error(message))
  const loaded = accounts.load()
  if (!loaded.ok) return loaded.message
  const systemUsers = new SystemUsers()
  await prepareNames(configuration, accounts, systemUsers)
  warnAtStart(context, configuration, accounts, log)
  const { isRoot } = context
  try {
    const running = await context.startServer({ configuration, accounts, systemUsers, isRoot, log })
    const snapshots = new ShareSnapshots(configuration, running.events, { run: zfs, log, now: Date.now })
    const replications = new ShareReplications(configuration, running.events, { log })
    const pauses = new SharePauses()
    const { targets } = configuration
    return {
      ...{ running, accounts, systemUsers, log, configuration, zfs },
      ...{ snapshots, replications, pauses, targets, written, reloading: Promise.resolve() },
    }
  } catch (error) {
    log.debug({ err: error }, 'start failed')
    return describeStartFailure(error)
  }
}

function warnAtStart(
  context: CommandContext,
  configuration: Configuration,
  accounts: LiveAccounts,
  log: Logger,
): void {
  warnNotBuilt(configuration, log)
  if (!context.isRoot) log.warn('not started as root: all clients act as the user this process runs as')
  if (configuration.shares.length === 0)
    log.warn('no [[share]] is configured: there is nothing to connect to')
  if (accounts.all().length === 0 && !configuration.smb.guest) {
    log.warn('there are no accounts: nobody can log in; add one: poolhouse user add NAME')
  }
  const { enabled, listen } = configuration.status
  if (enabled && !isLoopback(listen.host)) {
    log.warn('status.listen is reachable from other hosts: anyone there can see users and open files')
  }
}

/** A promise that nobody waited for is a bug to report, not a reason to drop all clients; a throw out of nowhere is. */
function logBugs(log: Logger): void {
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'bug: unhandled rejection'))
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'bug: uncaught exception')
    process.exit(ExitCode.failed)
  })
}

function announce(
  context: CommandContext,
  { running, configuration }: Service,
  statusUrl: string | undefined,
  user: BuiltInUser | undefined,
  isPublic: boolean,
): void {
  for (const { protocol, address } of running.listeners) print(context, `listening ${protocol} ${address}`)
  if (statusUrl !== undefined) print(context, `listening status ${statusUrl}`)
  for (const { protocol, name, links } of running.announcements()) {
    if (links.length > 0) print(context, `announcing ${protocol} ${name} on ${links.join(', ')}`)
  }
  for (const { name, path } of running.shares()) print(context, `share ${name} ${path}`)
  if (!user) return
  const [smb, iscsi] = [portOf(running, 'smb'), portOf(running, 'iscsi')]
  if (smb !== undefined) for (const line of connectLines(user, smb, isPublic)) print(context, line)
  const secretFile = configuration.targets[0]?.chap?.secretFile
  if (iscsi !== undefined) print(context, diskLine(iscsi, isPublic, secretFile))
}

function portOf(running: RunningServer, protocol: 'smb' | 'iscsi'): number | undefined {
  const address = running.listeners.find((listener) => listener.protocol === protocol)?.address
  return address === undefined ? undefined : Number(address.slice(address.lastIndexOf(':') + 1))
}

function sayReady(context: CommandContext, fd: number | undefined): void {
  print(context, 'ready')
  if (fd === undefined) return
  writeSync(fd, 'ready\n')
  if (fd > STANDARD_STREAMS) closeSync(fd)
}

/** Catches signals from now on, so that one that comes while starting is not lost. */
function listenForSignals() {
  let stop: () => void = () => undefined
  let onReload: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  let stopping = false
  const end = (): void => {
    // The second Ctrl-C of someone who will not wait.
    if (stopping) process.exit(ExitCode.failed)
    stopping = true
    stop()
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.on('SIGHUP', () => onReload())
  return {
    /** One reload after the other; resolves at SIGTERM or SIGINT. */
    async untilStopped(run: () => Promise<unknown>, log: Logger): Promise<void> {
      let last: Promise<unknown> = Promise.resolve()
      onReload = () => {
        last = last.then(run).catch((error: unknown) => log.error({ err: error }, 'bug: reload failed'))
      }
      await stopped
      await last
    },
  }
}
