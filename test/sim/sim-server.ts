/** MS-SMB2 3.3.1.5: a whole SMB server without sockets, clock and disk: the engine over a file system in RAM. */

import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { createSmb2Engine } from '../../protocols/smb2/engine.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { notifyOplockBreak } from '../../protocols/smb2/oplock-notifier.ts'
import { ChangeBus } from '../../protocols/smb2/state/change-bus.ts'
import type { SharedFile } from '../../protocols/smb2/state/open.ts'
import { OplockBreaks } from '../../protocols/smb2/state/oplock-breaks.ts'
import {
  DEFAULT_LIMITS,
  type Server,
  type ServerSettings,
  type Share,
} from '../../protocols/smb2/state/server.ts'
import type { Engine } from '../../protocols/transport/engine.ts'
import { filetimeOfMilliseconds } from '../../protocols/wire/filetime.ts'
import { createIdentityMap } from '../../server/serve/identity-map.ts'
import { createMemoryFileSystem, type MemoryFileSystem } from '../../storage/memory/file-system.ts'
import { NodeTable } from '../../storage/sharing/node-table.ts'
import { Oplocks } from '../../storage/sharing/oplocks.ts'
import { TunnelCache } from '../../storage/sharing/tunnel-cache.ts'
import { SimEnvironment } from './sim-environment.ts'

export const SIM_USER = 'anna'
export const SIM_PASSWORD = 'Passw0rd'
export const SIM_SHARE = 'share'
/** Who the server is, and all that its clients do is done by it. */
const SELF = { uid: 0, gid: 0, groups: [] }
const FILE_MODE = 0o644
const DIRECTORY_MODE = 0o755

export interface SimServer {
  readonly environment: SimEnvironment
  readonly server: Server
  readonly engine: Engine
  readonly storage: MemoryFileSystem
  /** Messages of levels 'warn' and 'error': there should be none. */
  readonly complaints: string[]
}

export interface SimServerOptions {
  readonly seed?: number
  readonly settings?: Partial<ServerSettings>
  readonly share?: Partial<Share>
}

export function createSimServer(options: SimServerOptions = {}): SimServer {
  const environment = new SimEnvironment(options.seed)
  const storage = createMemoryFileSystem()
  const complaints: string[] = []
  const oplocks = new Oplocks<SharedFile>()
  const serverGuid = environment.random(16)
  const credential = { name: SIM_USER, ntHash: ntHash(SIM_PASSWORD) }
  const server: Server = {
    counters: { connections: 0, requests: 0, failedLogins: 0, bytesRead: 0, bytesWritten: 0 },
    serverGuid,
    serverStartTime: filetimeOfMilliseconds(environment.now()),
    settings: { ...SETTINGS, ...options.settings },
    limits: DEFAULT_LIMITS,
    environment,
    log: (level, message, details) => {
      if (level === 'warn' || level === 'error')
        complaints.push(`${message} ${String(details?.['error'] ?? '')}`)
    },
    payloads: { acquire: (bytes) => ({ buffer: Buffer.alloc(bytes), release: () => undefined }) },
    shareList: new Map([[SIM_SHARE, { ...shareOf(storage), ...options.share }]]),
    globalSessionTable: new Map(),
    globalOpenTable: new Map(),
    nodes: new NodeTable([oplocks]),
    oplocks: new OplockBreaks(oplocks, environment, notifyOplockBreak),
    tunnel: new TunnelCache(),
    changes: new ChangeBus(),
    connectionList: new Set(),
    lookup: (user) => (user === SIM_USER ? credential : undefined),
    self: SELF,
    identities: createIdentityMap(serverGuid),
    networkInterfaces: () => [],
    loginThrottle: { failed: () => 0, succeeded: () => undefined, blocked: () => false },
  }
  return { environment, server, storage, complaints, engine: createSmb2Engine(server, () => true) }
}

const SETTINGS: ServerSettings = {
  name: 'SIM',
  workgroup: 'WORKGROUP',
  comment: '',
  minimumDialect: Dialect.SMB_2_0_2,
  maximumDialect: Dialect.SMB_3_1_1,
  requireMessageSigning: false,
  encryption: 'enabled',
  guest: false,
  anonymous: false,
  sessionTimeoutSeconds: 0,
}

function shareOf(fileSystem: MemoryFileSystem): Share {
  return {
    name: SIM_SHARE,
    type: 'disk',
    remark: '',
    path: '',
    browseable: true,
    encryptData: false,
    fileSystem,
    createMask: FILE_MODE,
    directoryMask: DIRECTORY_MODE,
    forcedOwner: undefined,
    hideDotFiles: false,
    hidden: undefined,
    hideUnreadable: false,
    followLinks: false,
    admit: () => ({ identity: undefined, readOnly: false, administrator: false }),
  }
}
