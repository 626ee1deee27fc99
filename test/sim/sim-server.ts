/** MS-SMB2 3.3.1.5: a whole SMB server without sockets, clock and disk: the engine over a file system in RAM. */

import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { holdersOf } from '../../protocols/smb2/break-notifier.ts'
import { createSmb2Engine } from '../../protocols/smb2/engine.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { ChangeBus } from '../../protocols/smb2/state/change-bus.ts'
import { AbsentOpens } from '../../protocols/smb2/state/durable-handle.ts'
import { DurableJournal } from '../../protocols/smb2/state/durable-journal.ts'
import type { DurableStore } from '../../protocols/smb2/state/durable-store.ts'
import { KnownPaths } from '../../protocols/smb2/state/known-paths.ts'
import { LeaseTables } from '../../protocols/smb2/state/lease.ts'
import type { SharedFile } from '../../protocols/smb2/state/open.ts'
import { OplockBreaks } from '../../protocols/smb2/state/oplock-breaks.ts'
import { ReplayCache } from '../../protocols/smb2/state/replay-cache.ts'
import {
  DEFAULT_LIMITS,
  type LoginThrottle,
  type PayloadPool,
  type Server,
  type ServerLimits,
  type ServerSettings,
  type Share,
} from '../../protocols/smb2/state/server.ts'
import { Usage } from '../../protocols/smb2/state/usage.ts'
import type { Engine, Peer } from '../../protocols/transport/engine.ts'
import { filetimeOfMilliseconds } from '../../protocols/wire/filetime.ts'
import { createIdentityMap } from '../../server/serve/identity-map.ts'
import { createMemoryFileSystem, type MemoryFileSystem } from '../../storage/memory/file-system.ts'
import { NodeTable } from '../../storage/sharing/node-table.ts'
import { Oplocks } from '../../storage/sharing/oplocks.ts'
import { TunnelCache } from '../../storage/sharing/tunnel-cache.ts'
import { simAccounts } from './sim-accounts.ts'
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
  /** Memory that the engine has and should give back. */
  readonly leases: Leases
}

/** Counts of what is borrowed at the moment. */
export interface Leases {
  /** Received frames, counted by the clients. */
  frames: number
  /** Payloads of READ. */
  payloads: number
}

export interface SimServerOptions {
  readonly seed?: number
  readonly settings?: Partial<ServerSettings>
  /** What differs in the share SIM_SHARE. */
  readonly share?: Partial<Share>
  /** Further shares, on the same storage. */
  readonly shares?: readonly (Partial<Share> & { readonly name: string })[]
  readonly limits?: Partial<ServerLimits>
  /** Accounts besides SIM_USER, with their passwords. */
  readonly users?: Readonly<Record<string, string>>
  readonly loginThrottle?: LoginThrottle
  /** Where durable opens outlive the server. */
  readonly durableStore?: DurableStore
  /** Of a server that ran before: default is an empty one. */
  readonly storage?: MemoryFileSystem
  readonly mayConnect?: (peer: Peer) => boolean
}

export function createSimServer(options: SimServerOptions = {}): SimServer {
  const environment = new SimEnvironment(options.seed)
  const storage = options.storage ?? createMemoryFileSystem()
  const complaints: string[] = []
  const oplocks = new Oplocks<SharedFile>()
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const serverGuid = environment.random(16)
  const leaseTables = new LeaseTables(limits, environment.random(4).readInt32LE())
  const identities = createIdentityMap(serverGuid)
  const passwords = new Map(Object.entries({ ...options.users, [SIM_USER]: SIM_PASSWORD }))
  const leases = { frames: 0, payloads: 0 }
  const server: Server = {
    counters: { connections: 0, requests: 0, failedLogins: 0, bytesRead: 0, bytesWritten: 0 },
    shareUses: new Map(),
    usage: new Usage(),
    serverGuid,
    serverStartTime: filetimeOfMilliseconds(environment.now()),
    settings: { ...SETTINGS, ...options.settings },
    limits,
    environment,
    log: (level, message, details) => {
      if (level === 'warn' || level === 'error')
        complaints.push(`${message} ${String(details?.['error'] ?? '')}`)
    },
    payloads: countingPool(leases),
    shareList: sharesOf(storage, options),
    globalSessionTable: new Map(),
    globalOpenTable: new Map(),
    absentOpens: new AbsentOpens(),
    durables: new DurableJournal(options.durableStore, environment),
    replays: new ReplayCache(),
    knownPaths: new KnownPaths(),
    nodes: new NodeTable([oplocks]),
    oplocks: new OplockBreaks(
      oplocks,
      leaseTables,
      environment,
      holdersOf(() => server),
    ),
    leaseTables,
    tunnel: new TunnelCache(),
    changes: new ChangeBus(options.limits?.keptChanges ?? DEFAULT_LIMITS.keptChanges, () =>
      environment.now(),
    ),
    connectionList: new Set(),
    lookup(user) {
      const password = passwords.get(user.toLowerCase())
      return password === undefined ? undefined : { name: user.toLowerCase(), ntHash: ntHash(password) }
    },
    self: SELF,
    identities,
    accounts: () => simAccounts(identities, { [SIM_USER]: SELF.uid }),
    networkInterfaces: () => [],
    loginThrottle: options.loginThrottle ?? {
      failed: () => 0,
      succeeded: () => undefined,
      blocked: () => false,
    },
  }
  const engine = createSmb2Engine(server, options.mayConnect ?? (() => true))
  return { environment, server, storage, complaints, leases, engine }
}

/** What a payload's memory holds after it was given back: whoever still sends it, shows it. */
const POISON = 0xdd

function countingPool(leases: Leases): PayloadPool {
  return {
    acquire(bytes) {
      // Dirty, as pooled memory is: what is sent must have been written before.
      const buffer = Buffer.alloc(bytes, POISON)
      let released = false
      leases.payloads++
      return {
        buffer,
        release() {
          if (released) throw new Error('a payload was given back twice')
          released = true
          leases.payloads--
          buffer.fill(POISON)
        },
      }
    },
  }
}

function sharesOf(storage: MemoryFileSystem, { share, shares = [] }: SimServerOptions): Map<string, Share> {
  const plain = shareOf(storage)
  const pipes: Share = { ...plain, name: 'IPC$', type: 'pipe', fileSystem: undefined }
  const list = [pipes, { ...plain, ...share }, ...shares.map((more) => ({ ...plain, ...more }))]
  return new Map(list.map((each) => [each.name.toLowerCase(), each]))
}

const SETTINGS: ServerSettings = {
  name: 'SIM',
  workgroup: 'WORKGROUP',
  comment: '',
  model: 'TimeCapsule8,119',
  minimumDialect: Dialect.SMB_2_0_2,
  maximumDialect: Dialect.SMB_3_1_1,
  requireMessageSigning: false,
  encryption: 'enabled',
  guest: false,
  anonymous: false,
  sessionTimeoutSeconds: 0,
  smbtortureFsctls: false,
  posixExtensions: true,
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
    deleteReadonly: false,
    netatalkLocking: false,
    zeroFileId: false,
    modesByDefault: false,
    followLinks: false,
    admit: () => ({ identity: undefined, readOnly: false, administrator: false }),
  }
}
