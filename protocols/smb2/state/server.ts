/** MS-SMB2 3.3.1.5 Server (global) and 3.3.1.6 Share: what all connections have in common. */

import type { FileSystem, Identity } from '../../../storage/file-system.ts'
import type { NodeTable } from '../../../storage/sharing/node-table.ts'
import type { TunnelCache } from '../../../storage/sharing/tunnel-cache.ts'
import type { Credential } from '../../auth/acceptor.ts'
import type { Environment } from '../../transport/engine.ts'
import type { RpcAccounts } from '../rpc/host.ts'
import type { ChangeBus } from './change-bus.ts'
import type { Connection } from './connection.ts'
import type { AbsentOpens } from './durable-handle.ts'
import type { DurableJournal } from './durable-journal.ts'
import type { KnownPaths } from './known-paths.ts'
import type { LeaseLimits, LeaseTables } from './lease.ts'
import type { Open, SharedFile } from './open.ts'
import type { OplockBreaks } from './oplock-breaks.ts'
import type { ReplayCache } from './replay-cache.ts'
import type { Session } from './session.ts'
import type { Usage } from './usage.ts'

/** Who a session speaks for, after authentication. */
export interface Principal {
  readonly kind: 'user' | 'guest' | 'anonymous'
  /** Account name as it is stored; '' for anonymous. */
  readonly user: string
  readonly domain: string
}

/** What a share lets a principal do. */
export interface Admission {
  /** The account the kernel sees; absent: the server's own. */
  readonly identity: Identity | undefined
  readonly readOnly: boolean
  /** May administer shares and sessions over srvsvc. */
  readonly administrator: boolean
}

/** What a share held at earlier times (MS-SMB2 2.2.13.2.7, 2.2.32.2). */
export interface PreviousVersions {
  /**
   * When they were made: milliseconds since 1970, whole seconds, newest first, no two the same.
   * @throws StorageError when they cannot be listed
   */
  list(): Promise<readonly number[]>
  /**
   * One as a tree that cannot be written, with other file ids than the live one's, and the same object as long as one has it open.
   * @returns undefined when there is none of that time
   */
  at(created: number): Promise<FileSystem | undefined>
}

export interface Share {
  readonly name: string
  readonly type: 'disk' | 'pipe'
  readonly remark: string
  /** For srvsvc and logs only. */
  readonly path: string
  /** Listed to clients. */
  readonly browseable: boolean
  /** Share.EncryptData */
  readonly encryptData: boolean
  /** Absent for pipes. */
  readonly fileSystem: FileSystem | undefined
  readonly createMask: number
  readonly directoryMask: number
  /** Owner of what is made here, when it is not the identity. */
  readonly forcedOwner: { readonly uid: number; readonly gid: number } | undefined
  readonly hideDotFiles: boolean
  /** Matches names that are shown as hidden. */
  readonly hidden: ((name: string) => boolean) | undefined
  readonly hideUnreadable: boolean
  /** Files with the read-only attribute can be deleted. */
  readonly deleteReadonly: boolean
  readonly followLinks: boolean
  /** netatalk has the same files open. */
  readonly netatalkLocking: boolean
  /** Macs are told no file ids. */
  readonly zeroFileId: boolean
  /** What nothing is inherited for is left to its mode, not to its owner alone. */
  readonly modesByDefault: boolean
  /** Absent: there are none. */
  readonly previousVersions?: PreviousVersions | undefined
  /** @returns undefined when the principal may not connect */
  admit(principal: Principal): Admission | undefined
  /**
   * The share as an admitted principal has it, with a tree of its own; absent: all have the same.
   * @returns undefined when there is none for it. Rejects when it cannot be made
   */
  own?(principal: Principal): Promise<Share | undefined>
}

export type EncryptionPolicy = 'off' | 'enabled' | 'required'

export interface ServerSettings {
  /** NetBIOS name, and DNS name in lower case. */
  readonly name: string
  readonly workgroup: string
  readonly comment: string
  /** What Macs show an icon of, such as "TimeCapsule8,119". */
  readonly model: string
  /** Dialect numbers, lowest and highest. */
  readonly minimumDialect: number
  readonly maximumDialect: number
  /** Server.RequireMessageSigning */
  readonly requireMessageSigning: boolean
  readonly encryption: EncryptionPolicy
  /** Unknown users, never known ones with a wrong password, become guest. */
  readonly guest: boolean
  /** Anonymous sessions may be set up; they reach IPC$ only. */
  readonly anonymous: boolean
  /** Seconds after which a session must authenticate again; 0: never. */
  readonly sessionTimeoutSeconds: number
  /** The FSCTLs by which smbtorture makes a server behave badly are served. */
  readonly smbtortureFsctls: boolean
  /** The POSIX extensions of 3.1.1, for clients that ask for them. */
  readonly posixExtensions: boolean
}

/** Bounds on what one client, and all together, can make the server keep. */
export interface ServerLimits extends LeaseLimits {
  readonly sessionsPerConnection: number
  readonly sessions: number
  readonly treeConnectsPerSession: number
  readonly treeConnects: number
  readonly opensPerSession: number
  readonly opens: number
  /** Durable ones whose client is away. */
  readonly absentOpens: number
  /** The same of one account. */
  readonly absentOpensPerOwner: number
  /** Largest READ, WRITE and transaction, bytes. */
  readonly maxReadSize: number
  readonly maxWriteSize: number
  readonly maxTransactSize: number
  /** Members of one compound. */
  readonly compoundMembers: number
  /** Bytes of one connection's received frames in use and payloads under way, past which no more is read from it. */
  readonly bytesInFlight: number
  readonly locksPerOpen: number
  readonly locksPerSession: number
  readonly locks: number
  /** Requests of one connection that wait for others (locks, changes, broken oplocks). */
  readonly asyncCommands: number
  /** The same of a session with several connections, and of all. */
  readonly pendingRequestsPerSession: number
  readonly pendingRequests: number
  /** Opens that watch a directory. */
  readonly watchesPerSession: number
  readonly watches: number
  /** Bytes of changes that one watch keeps between two requests, whatever the client offers. */
  readonly watchBytes: number
  /** Changes that all watches together keep. */
  readonly keptChanges: number
}

export const DEFAULT_LIMITS: ServerLimits = {
  sessionsPerConnection: 64,
  sessions: 16_384,
  treeConnectsPerSession: 256,
  treeConnects: 65_536,
  opensPerSession: 65_536,
  opens: 262_144,
  absentOpens: 65_536,
  absentOpensPerOwner: 16_384,
  leasesPerClient: 65_536,
  leases: 262_144,
  maxReadSize: 8 << 20,
  maxWriteSize: 8 << 20,
  maxTransactSize: 8 << 20,
  compoundMembers: 64,
  bytesInFlight: 48 << 20,
  locksPerOpen: 65_536,
  locksPerSession: 131_072,
  locks: 524_288,
  // Windows' AsynchronousCredits.
  asyncCommands: 512,
  pendingRequestsPerSession: 2048,
  pendingRequests: 65_536,
  watchesPerSession: 65_536,
  watches: 131_072,
  watchBytes: 64 << 10,
  keptChanges: 262_144,
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Record<string, unknown>) => void

/** Payload memory for READ, borrowed for the time a response is under way. */
export interface PayloadPool {
  acquire(bytes: number): { readonly buffer: Buffer; release(): void }
}

/** A network interface of this host, for FSCTL_QUERY_NETWORK_INTERFACE_INFO. */
export interface NetworkInterface {
  readonly index: number
  /** 4 or 16 bytes in network order. */
  readonly address: Buffer
  readonly family: 4 | 6
  readonly linkSpeedBitsPerSecond: number
  /** It spreads what it receives over several queues: clients then use several connections. */
  readonly receiveSideScaling: boolean
}

/** Sums since the start (ours). */
export interface Counters {
  connections: number
  requests: number
  failedLogins: number
  /** Payload bytes of READ and WRITE. */
  bytesRead: number
  bytesWritten: number
}

export interface Server {
  readonly counters: Counters
  /** Tree connects made since the start, by the share's name: who was here between two looks is seen, too. */
  readonly shareUses: Map<string, number>
  readonly usage: Usage
  readonly serverGuid: Buffer
  /** FILETIME */
  readonly serverStartTime: bigint
  readonly settings: ServerSettings
  readonly limits: ServerLimits
  readonly environment: Environment
  readonly log: Log
  readonly payloads: PayloadPool
  /** Server.ShareList, by lower-case name. Replaced whole at a reload. */
  shareList: ReadonlyMap<string, Share>
  readonly globalSessionTable: Map<bigint, Session>
  /** Server.GlobalOpenTable, by the volatile part of the FileId. */
  readonly globalOpenTable: Map<bigint, Open>
  /** Opens in GlobalOpenTable whose client is away (ours). */
  readonly absentOpens: AbsentOpens
  /** Keeps what is needed to have durable opens after a restart (ours). */
  readonly durables: DurableJournal
  /** CREATEs that a client may send once more (ours). */
  readonly replays: ReplayCache
  /** The opens of all shares, and of other protocols, by file. */
  readonly nodes: NodeTable<SharedFile>
  /** Who may cache which of them. */
  readonly oplocks: OplockBreaks
  /** Server.GlobalLeaseTableList */
  readonly leaseTables: LeaseTables
  /** Volume.TunnelCacheList of all shares. */
  readonly tunnel: TunnelCache
  /** Of files that Macs have met (ours). */
  readonly knownPaths: KnownPaths
  /** Brings changes to those who watch directories. */
  readonly changes: ChangeBus
  /** Server.ConnectionList */
  readonly connectionList: Set<Connection>
  lookup(user: string, domain: string): Credential | undefined
  /** Who the server's own process is: acts for those without an account of their own. */
  readonly self: Identity
  /** Security identifiers of a local account and its groups (ours). */
  readonly identities: IdentityMap
  /** Their names, as they are now (ours). */
  accounts(): RpcAccounts
  networkInterfaces(): readonly NetworkInterface[]
  /** Delay before a failed login is answered, and whether the address may try at all (ours). */
  readonly loginThrottle: LoginThrottle
}

/** Local users and groups as SIDs in text form, and back. */
export interface IdentityMap {
  /** What all of them begin with. */
  readonly domainSid: string
  userSid(uid: number): string
  groupSid(gid: number): string
  /** @returns undefined for a SID that is no local account's */
  accountOf(sid: string): { readonly uid?: number; readonly gid?: number } | undefined
}

export interface LoginThrottle {
  /** @returns milliseconds to wait before the answer; undefined: refuse without looking */
  failed(address: string): number
  succeeded(address: string): void
  /** Whether the address has failed too often lately to be listened to. */
  blocked(address: string): boolean
}
