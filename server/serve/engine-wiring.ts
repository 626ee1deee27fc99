/** The composition root: configuration, accounts, storage, protocols and transport become one running server. */

import { restoreOpens, suspendOpens } from '../../protocols/smb2/commands/restore-opens.ts'
import { disconnectSession } from '../../protocols/smb2/commands/teardown.ts'
import type { Log, LogLevel, Server, Share } from '../../protocols/smb2/state/server.ts'
import { BufferPool } from '../../protocols/transport/buffer-pool.ts'
import { createEnvironment } from '../../protocols/transport/environment.ts'
import { DIRECT_TCP } from '../../protocols/transport/framer.ts'
import { type Listener, listen } from '../../protocols/transport/listener.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import { createPosixFileSystem } from '../../storage/posix/file-system.ts'
import { createWorkerPool, type WorkerPool } from '../../storage/posix/worker-pool.ts'
import type { BackupMonitor, MonitoredShare } from '../backups/monitor.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import { Events } from '../events.ts'
import { type DurableHandleFile, openDurableHandles } from '../state/durable-handles.ts'
import type { ServerUsage } from '../status/server-status.ts'
import { followBackups } from './backups.ts'
import { type ServerDiscovery, startServerDiscovery } from './discovery.ts'
import { servedShares } from './not-built.ts'
import type { RunningServer, StartOptions, StartServer } from './running-server.ts'
import { serverGuid } from './server-guid.ts'
import { diskShare, pipeShare } from './shares.ts'
import { closeFileById, closeSessionById, createSmbEngine, createSmbServer, shareList } from './smb-server.ts'
import { smbStatus, smbUsage } from './smb-status.ts'

/** What of a share decides about its storage. */
type StoredShare = Pick<
  ShareConfiguration,
  'path' | 'fruit' | 'fruitMetadata' | 'fruitResource' | 'hideAppleDouble'
>

/** The storage of all shares: one file system for each served folder with the same formats, kept over reloads. */
class ShareStorage {
  readonly #workers: WorkerPool
  readonly #byFolder = new Map<string, FileSystem>()

  constructor(workers: WorkerPool) {
    this.#workers = workers
  }

  async open(share: StoredShare): Promise<FileSystem> {
    const { path = '', fruit, fruitMetadata, fruitResource, hideAppleDouble } = share
    const key = JSON.stringify([path, fruit, fruitMetadata, fruitResource, hideAppleDouble])
    const known = this.#byFolder.get(key)
    if (known !== undefined) return known
    const fileSystem = await createPosixFileSystem({
      root: path,
      workers: this.#workers,
      macStreams: fruit,
      macMetadata: fruitMetadata,
      macResource: fruitResource,
      hidesSidecars: hideAppleDouble,
    })
    this.#byFolder.set(key, fileSystem)
    return fileSystem
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#byFolder.values(), (fileSystem) => fileSystem.close()))
    await this.#workers.close()
  }
}

export const startServer: StartServer = async (options) => {
  const storage = new ShareStorage(createWorkerPool())
  try {
    return await start(options, storage)
  } catch (error) {
    await storage.close()
    throw error
  }
}

async function start(options: StartOptions, storage: ShareStorage): Promise<RunningServer> {
  const { configuration, log } = options
  const environment = createEnvironment()
  const pool = new BufferPool()
  const guid = await serverGuid(configuration.server.stateDir)
  const logTo: Log = (level, message, details) => logAs(log, level, message, details)
  const durables = await openDurableHandles(configuration.server.stateDir, logTo)
  const server = createSmbServer({
    configuration,
    serverGuid: guid,
    environment,
    payloads: pool,
    sources: options,
    shares: await makeShares(configuration, options, storage),
    durableStore: durables,
    log: logTo,
  })
  const restored = await restoreOpens(server, durables.records)
  if (restored > 0) log.info({ opens: restored }, 'durable opens of an earlier run wait for their clients')
  const listener = await listen({
    addresses: configuration.smb.enabled ? configuration.smb.listen : [],
    engine: createSmbEngine(server, configuration),
    format: DIRECT_TCP,
    pool,
    maximumConnections: configuration.smb.maxConnections,
    maximumConnectionsPerAddress: configuration.smb.maxConnectionsPerAddress,
    onError: (message) => log.warn(message),
  })
  const smbAddresses = listener.addresses
  const discovery = await startServerDiscovery({
    configuration,
    smbAddresses,
    serverGuid: guid,
    environment,
    log: logTo,
  })
  const events = new Events((error) => log.error({ err: error }, 'bug: a listener failed'))
  const backups = followBackups(server, await monitoredShares(configuration, storage), events)
  return runningServer({ options, storage, server, listener, discovery, durables, backups, events })
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

async function makeShares(
  configuration: Configuration,
  options: StartOptions,
  storage: ShareStorage,
): Promise<Share[]> {
  const shares: Share[] = [pipeShare(configuration, options)]
  for (const share of servedShares(configuration)) {
    const fileSystem = await storage.open(share)
    warnOfMissingFeatures(share, fileSystem, options)
    shares.push(diskShare(share, fileSystem, options))
  }
  return shares
}

/** The shares into which Macs back up. */
async function monitoredShares(
  configuration: Configuration,
  storage: ShareStorage,
): Promise<MonitoredShare[]> {
  const shares = servedShares(configuration).filter(({ timeMachine }) => timeMachine)
  return Promise.all(
    shares.map(async (share) => {
      const { name, staleAfterDays } = share
      return { name, fileSystem: await storage.open(share), staleAfterDays }
    }),
  )
}

function warnOfMissingFeatures(
  share: ShareConfiguration,
  fileSystem: FileSystem,
  { log }: StartOptions,
): void {
  if (fileSystem.features.extendedAttributes) return
  log.warn(
    `share "${share.name}": the file system of ${share.path} has no user extended attributes; ` +
      'named streams, DOS attributes and security descriptors cannot be kept there',
  )
}

interface Parts {
  readonly options: StartOptions
  readonly storage: ShareStorage
  readonly server: Server
  readonly listener: Listener
  readonly discovery: ServerDiscovery
  readonly durables: DurableHandleFile
  readonly backups: BackupMonitor
  readonly events: Events
}

function runningServer(parts: Parts): RunningServer {
  const { options, storage, server, listener, discovery, durables, backups, events } = parts
  let served = servedShares(options.configuration)
  return {
    events,
    listeners: listener.addresses.map((address) => ({ protocol: 'smb', address })),
    announcements: () => discovery.announcements(),
    shares: () => served.map(({ name, path }) => ({ name, path: path ?? '' })),
    async reload(configuration) {
      const shares = await makeShares(configuration, options, storage)
      server.shareList = shareList(shares)
      served = servedShares(configuration)
      backups.follow(await monitoredShares(configuration, storage))
      discovery.update(configuration)
    },
    status: () => smbStatus(server),
    usage: () => usage(options, server, listener),
    backups: () => backups.statuses(),
    closeSession: (id) => closeSessionById(server, id),
    closeFile: (id) => closeFileById(server, id),
    async close() {
      // The first goodbye is on the wire before a connection is closed; its repetitions need not be waited for before.
      const goodbye = discovery.close()
      await listener.close()
      const sessions = Array.from(server.globalSessionTable.values())
      await Promise.all(sessions.map((session) => disconnectSession(server, session)))
      // What their clients may come back for is kept for the next run.
      server.durables.end(server)
      await Promise.all([suspendOpens(server), durables.close()])
      await backups.close()
      await Promise.all([storage.close(), goodbye])
    },
  }
}

function usage({ configuration }: StartOptions, server: Server, listener: Listener): ServerUsage {
  const { limits, totals } = smbUsage(server)
  const limit = configuration.smb.maxConnections
  return { limits: [{ what: 'connections', limit, ...listener.connections() }, ...limits], totals }
}
