/** The composition root: configuration, accounts, storage, protocols and transport become one running server. */

import { restoreOpens, suspendOpens } from '../../protocols/smb2/commands/restore-opens.ts'
import { disconnectSession } from '../../protocols/smb2/commands/teardown.ts'
import type { Log, LogLevel, Server } from '../../protocols/smb2/state/server.ts'
import { BufferPool } from '../../protocols/transport/buffer-pool.ts'
import type { Environment } from '../../protocols/transport/engine.ts'
import { createEnvironment } from '../../protocols/transport/environment.ts'
import { DIRECT_TCP } from '../../protocols/transport/framer.ts'
import { type Listener, listen } from '../../protocols/transport/listener.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import type { BackupMonitor } from '../backups/monitor.ts'
import { Events } from '../events.ts'
import { ServedPreviousVersions } from '../previous/previous-versions.ts'
import { type DurableHandleFile, openDurableHandles } from '../state/durable-handles.ts'
import type { ServerStatus, ServerTotals, ServerUsage } from '../status/server-status.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import { followBackups } from './backups.ts'
import { type ServerDiscovery, startServerDiscovery } from './discovery.ts'
import { IdleMemory } from './idle-memory.ts'
import { type IscsiService, startIscsi } from './iscsi-server.ts'
import { PoolThreads } from './pool-threads.ts'
import type { RunningServer, StartOptions, StartServer } from './running-server.ts'
import { ServedVolumes } from './served-volumes.ts'
import { serverGuid } from './server-guid.ts'
import { ShareStorage } from './share-storage.ts'
import {
  closeFileById,
  closeSessionById,
  createSmbEngine,
  createSmbServer,
  releaseClients,
  shareList,
} from './smb-server.ts'
import { smbStatus, smbUsage } from './smb-status.ts'

export const startServer: StartServer = async (options) => {
  const environment = createEnvironment()
  const { log } = options
  const events = new Events((error) => log.error({ err: error }, 'bug: a listener failed'))
  const threads = new PoolThreads({ log })
  const workersFor = (folder: string) => threads.workersFor(folder)
  const storage = new ShareStorage({
    workersFor,
    clock: environment,
    stateDirectory: options.configuration.server.stateDir,
    log,
  })
  const run = createCommandRunner()
  const previous = new ServedPreviousVersions({ workersFor, clock: environment, run, log })
  try {
    return await start(options, environment, { run, events, threads, storage, previous })
  } catch (error) {
    await storage.close()
    await threads.close()
    throw error
  }
}

interface Foundation {
  readonly run: CommandRunner
  readonly events: Events
  readonly threads: PoolThreads
  readonly storage: ShareStorage
  readonly previous: ServedPreviousVersions
}

async function start(
  options: StartOptions,
  environment: Environment,
  foundation: Foundation,
): Promise<RunningServer> {
  const { configuration, log } = options
  const { run, events, threads, storage, previous } = foundation
  const pool = new BufferPool()
  const guid = await serverGuid(configuration.server.stateDir)
  const logTo: Log = (level, message, details) => logAs(log, level, message, details)
  const durables = await openDurableHandles(configuration.server.stateDir, logTo)
  const laneFor = (path: string) => threads.laneFor(path)
  const volumes = new ServedVolumes(options, storage, previous, { run, laneFor })
  const shares = await volumes.makeShares(configuration)
  const server = createSmbServer({
    configuration,
    serverGuid: guid,
    environment,
    payloads: pool,
    sources: options,
    shares,
    durableStore: durables,
    log: logTo,
  })
  const restored = await restoreOpens(server, durables.records)
  if (restored > 0) log.info({ opens: restored }, 'durable opens of an earlier run wait for their clients')
  const iscsi = await startIscsi({ configuration, environment, pool, laneFor, log: logTo })
  const listener = await listen({
    addresses: configuration.smb.enabled ? configuration.smb.listen : [],
    engine: createSmbEngine(server, configuration),
    format: DIRECT_TCP,
    pool,
    maximumConnections: configuration.smb.maxConnections,
    maximumConnectionsPerAddress: configuration.smb.maxConnectionsPerAddress,
    onError: (message) => log.warn(message),
  }).catch(async (error) => {
    await iscsi.close()
    throw error
  })
  const smbAddresses = listener.addresses
  const discovery = await startServerDiscovery({
    configuration,
    smbAddresses,
    serverGuid: guid,
    environment,
    log: logTo,
  })
  const backups = followBackups(server, volumes.monitored(), events)
  volumes.onNew = () => backups.follow(volumes.monitored())
  const parts = { options, volumes, server, listener, iscsi, discovery, durables }
  const memory = new IdleMemory({ log })
  return runningServer({ ...foundation, ...parts, backups, memory })
}

function logAs(
  log: StartOptions['log'],
  level: LogLevel,
  message: string,
  details: Record<string, unknown> | undefined,
): void {
  const { error, ...rest } = details ?? {}
  log[level](error === undefined ? rest : { ...rest, err: error }, message)
}

interface Parts extends Foundation {
  readonly options: StartOptions
  readonly volumes: ServedVolumes
  readonly server: Server
  readonly listener: Listener
  readonly iscsi: IscsiService
  readonly discovery: ServerDiscovery
  readonly durables: DurableHandleFile
  readonly backups: BackupMonitor
  readonly memory: IdleMemory
}

function runningServer(parts: Parts): RunningServer {
  const { options, events, threads, storage, previous } = parts
  const { volumes, server, listener, iscsi, discovery, durables, backups, memory } = parts
  return {
    events,
    get listeners() {
      const smb = listener.addresses.map((address) => ({ protocol: 'smb' as const, address }))
      return [...smb, ...iscsi.addresses.map((address) => ({ protocol: 'iscsi' as const, address }))]
    },
    announcements: () => discovery.announcements(),
    shares: () => volumes.shares(),
    async reload(configuration) {
      const shares = await volumes.makeShares(configuration)
      await iscsi.reload(configuration)
      server.shareList = shareList(shares)
      backups.follow(volumes.monitored())
      discovery.update(configuration)
    },
    async releaseShares(shares) {
      await releaseClients(server, new Set(shares.map((share) => share.name)))
      await volumes.release(shares.map((share) => share.path))
    },
    status: () => status(server, iscsi),
    usage: () => usage(options, server, listener, iscsi),
    backups: () => backups.statuses(),
    pools: () => threads.statuses(),
    closeSession: (id) => closeSessionById(server, id) || iscsi.closeSession(id),
    closeFile: (id) => closeFileById(server, id),
    async close() {
      // The first goodbye is on the wire before a connection is closed; its repetitions need not be waited for before.
      const goodbye = discovery.close()
      await Promise.all([listener.close(), iscsi.close()])
      const sessions = Array.from(server.globalSessionTable.values())
      await Promise.all(sessions.map((session) => disconnectSession(server, session)))
      // What their clients may come back for is kept for the next run.
      server.durables.end(server)
      await Promise.all([suspendOpens(server), durables.close()])
      await Promise.all([backups.close(), previous.close(), memory.close()])
      await Promise.all([storage.close(), goodbye])
      await threads.close()
    },
  }
}

function status(server: Server, iscsi: IscsiService): ServerStatus {
  const smb = smbStatus(server)
  const { sessions, treeConnects } = iscsi.status()
  return {
    ...smb,
    sessions: [...smb.sessions, ...sessions],
    treeConnects: [...smb.treeConnects, ...treeConnects],
    totals: sumOf(smb.totals, iscsi.usage().totals),
  }
}

function usage(
  { configuration }: StartOptions,
  server: Server,
  listener: Listener,
  iscsi: IscsiService,
): ServerUsage {
  const smb = smbUsage(server)
  const ofIscsi = iscsi.usage()
  const limit = configuration.smb.maxConnections
  const connections = { what: 'connections', limit, ...listener.connections() }
  return {
    limits: [connections, ...smb.limits, ...ofIscsi.limits],
    totals: sumOf(smb.totals, ofIscsi.totals),
  }
}

function sumOf(one: ServerTotals, other: ServerTotals): ServerTotals {
  return {
    connections: one.connections + other.connections,
    requests: one.requests + other.requests,
    failedLogins: one.failedLogins + other.failedLogins,
    bytesRead: one.bytesRead + other.bytesRead,
    bytesWritten: one.bytesWritten + other.bytesWritten,
  }
}
