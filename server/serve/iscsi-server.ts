/** [iscsi]: listeners, targets and sessions of the iSCSI server, as one service of the composition root. */

import { createIscsiEngine } from '../../protocols/iscsi/engine.ts'
import { DEFAULT_LIMITS, type IscsiServer, type Log } from '../../protocols/iscsi/session/server.ts'
import type { Session } from '../../protocols/iscsi/session/session.ts'
import type { BufferPool } from '../../protocols/transport/buffer-pool.ts'
import type { Environment, FrameFormat } from '../../protocols/transport/engine.ts'
import { type Listener, listen } from '../../protocols/transport/listener.ts'
import type { Lane } from '../../storage/lane.ts'
import { isLoopback } from '../config/addresses.ts'
import type { Configuration } from '../config/types.ts'
import type { ServerStatus, ServerUsage, SessionStatus } from '../status/server-status.ts'
import { IscsiTargets } from './iscsi-targets.ts'
import { createLoginThrottle } from './login-throttle.ts'

const MAXIMUM_CONNECTIONS = 512
const MAXIMUM_CONNECTIONS_PER_ADDRESS = 64
const MILLISECONDS_PER_SECOND = 1000
/** Before the TSIH in a session's id: those of SMB are numbers of their own. */
const ID_PREFIX = 'iscsi-'

export interface IscsiService {
  /** As bound. */
  readonly addresses: readonly string[]
  /** Takes over [[target]]; rejects when it cannot, and then nothing has changed. */
  reload(configuration: Configuration): Promise<void>
  status(): Pick<ServerStatus, 'sessions' | 'treeConnects'>
  usage(): ServerUsage
  /** @returns false when there is no such session */
  closeSession(id: string): boolean
  /** Asks all to log out, ends the sessions of those that do not; syncs and closes the disks. */
  close(): Promise<void>
}

export interface IscsiOptions {
  readonly configuration: Configuration
  readonly environment: Environment
  readonly pool: BufferPool
  /** The way to the disks of a file or device. */
  readonly laneFor: (path: string) => Promise<Lane>
  readonly log: Log
}

/** Rejects when an address cannot be bound or a disk cannot be opened, with nothing left open. */
export async function startIscsi(options: IscsiOptions): Promise<IscsiService> {
  const { configuration, environment, pool, laneFor, log } = options
  const { enabled, listen: listenOn } = configuration.iscsi
  const server = createIscsiServer(environment, log)
  const targets = new IscsiTargets(server, {
    stateDirectory: configuration.server.stateDir,
    environment,
    log: (level, message, fields) => log(level, message, { ...fields }),
    buffers: pool,
    laneFor,
  })
  let listener: Listener | undefined
  const reload = async ({ targets: wanted }: Configuration): Promise<void> => {
    // A server without targets has no business on the network.
    if (listener === undefined && enabled && wanted.length > 0) {
      listener = await listenFor(server, listenOn, options)
    }
    await targets.follow(enabled ? wanted : [])
    if (enabled) warnOfOpenTargets(wanted, listenOn, log)
  }
  try {
    await reload(configuration)
  } catch (error) {
    await listener?.close()
    await targets.close()
    throw error
  }
  return {
    get addresses() {
      return listener?.addresses ?? []
    },
    reload,
    status: () => iscsiStatus(server),
    usage: () => iscsiUsage(server, listener),
    closeSession: (id) => closeSessionById(server, id),
    async close() {
      // Initiators are asked to log out, which they can only as long as they are listened to.
      await targets.close()
      await listener?.close()
    },
  }
}

function createIscsiServer(environment: Environment, log: Log): IscsiServer {
  return {
    targets: new Map(),
    sessions: new Map(),
    limits: DEFAULT_LIMITS,
    environment,
    loginThrottle: createLoginThrottle(() => environment.now()),
    log,
    counters: { connections: 0, requests: 0, failedLogins: 0, bytesRead: 0, bytesWritten: 0 },
  }
}

/** Each connection has a format of its own; nothing is taken by this one. */
const NO_FORMAT: FrameFormat = {
  headerBytes: 1,
  maximumPayloadBytes: 0,
  deliversHeader: true,
  payloadBytes: () => undefined,
  header: () => undefined,
}

function listenFor(
  server: IscsiServer,
  addresses: Configuration['iscsi']['listen'],
  { pool, log }: IscsiOptions,
): Promise<Listener> {
  return listen({
    addresses,
    engine: createIscsiEngine(server),
    format: NO_FORMAT,
    pool,
    maximumConnections: MAXIMUM_CONNECTIONS,
    maximumConnectionsPerAddress: MAXIMUM_CONNECTIONS_PER_ADDRESS,
    onError: (message) => log('warn', message),
  })
}

function warnOfOpenTargets(
  targets: Configuration['targets'],
  addresses: Configuration['iscsi']['listen'],
  log: Log,
): void {
  if (addresses.every(({ host }) => isLoopback(host))) return
  for (const { name, chap, hostsAllow } of targets) {
    if (chap !== undefined || hostsAllow.length > 0) continue
    log(
      'warn',
      `target "${name}" has no [target.chap] and is reachable from other hosts: anyone there can read and ` +
        'write its disks; set [target.chap], or hosts_allow, or listen on 127.0.0.1',
    )
  }
}

function sessionIdText(session: Session): string {
  return `${ID_PREFIX}${session.tsih.toString(16)}`
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

function sessionStatus({ environment }: IscsiServer, session: Session): SessionStatus {
  const { initiatorName, peer, creationTime, lastHeard } = session
  return {
    id: sessionIdText(session),
    protocol: 'iscsi',
    user: initiatorName,
    address: peer.remoteAddress,
    dialect: 'RFC 7143',
    signed: false,
    encrypted: false,
    since: isoTime(creationTime),
    idleSeconds: Math.floor((environment.now() - lastHeard) / MILLISECONDS_PER_SECOND),
  }
}

function iscsiStatus(server: IscsiServer): Pick<ServerStatus, 'sessions' | 'treeConnects'> {
  const sessions = [...server.sessions.values()]
  return {
    sessions: sessions.map((session) => sessionStatus(server, session)),
    treeConnects: sessions.map((session) => ({
      sessionId: sessionIdText(session),
      share: session.target.name,
      since: isoTime(session.creationTime),
    })),
  }
}

function iscsiUsage(server: IscsiServer, listener: Listener | undefined): ServerUsage {
  const connections = listener?.connections() ?? { used: 0, refused: 0 }
  return {
    limits: [
      { what: 'iscsi_connections', limit: MAXIMUM_CONNECTIONS, ...connections },
      { what: 'iscsi_sessions', limit: server.limits.sessions, used: server.sessions.size, refused: 0 },
    ],
    totals: { ...server.counters },
  }
}

function closeSessionById(server: IscsiServer, id: string): boolean {
  const session = [...server.sessions.values()].find((one) => sessionIdText(one) === id)
  if (session === undefined) return false
  void session.close('closed by the administrator')
  return true
}
