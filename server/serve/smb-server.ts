/** The SMB server's global state (MS-SMB2 3.3.1.5) from the configuration. */

import { getegid, geteuid, getgroups } from 'node:process'
import { holdersOf } from '../../protocols/smb2/break-notifier.ts'
import { closeOpen } from '../../protocols/smb2/commands/close-open.ts'
import { tearDownSession, tearDownTreeConnect } from '../../protocols/smb2/commands/teardown.ts'
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
import type { Log, PayloadPool, Server, ServerSettings, Share } from '../../protocols/smb2/state/server.ts'
import { Usage } from '../../protocols/smb2/state/usage.ts'
import type { Engine, Environment } from '../../protocols/transport/engine.ts'
import { filetimeOfMilliseconds } from '../../protocols/wire/filetime.ts'
import type { Identity } from '../../storage/file-system.ts'
import { NodeTable } from '../../storage/sharing/node-table.ts'
import { Oplocks } from '../../storage/sharing/oplocks.ts'
import { TunnelCache } from '../../storage/sharing/tunnel-cache.ts'
import { addressAllowed } from '../config/addresses.ts'
import type { Configuration } from '../config/types.ts'
import { createAccountDirectory } from './account-directory.ts'
import { descriptorLimit, limitsWithin } from './descriptor-limits.ts'
import { createIdentityMap } from './identity-map.ts'
import { createLoginThrottle } from './login-throttle.ts'
import { hostInterfaces } from './network-interfaces.ts'
import type { AccountSources } from './shares.ts'
import { openIdText, sessionIdText } from './smb-status.ts'

export interface SmbServerOptions {
  readonly configuration: Configuration
  readonly serverGuid: Buffer
  readonly environment: Environment
  readonly payloads: PayloadPool
  readonly sources: AccountSources
  readonly shares: readonly Share[]
  readonly durableStore: DurableStore
  readonly log: Log
}

/** Of the hashes of tables. */
const SEED_BYTES = 4

const DIALECTS: Readonly<Record<Configuration['smb']['minProtocol'], number>> = {
  '2.0.2': Dialect.SMB_2_0_2,
  '2.1': Dialect.SMB_2_1,
  '3.0': Dialect.SMB_3_0,
  '3.0.2': Dialect.SMB_3_0_2,
  '3.1.1': Dialect.SMB_3_1_1,
}

export function createSmbServer(options: SmbServerOptions): Server {
  const { configuration, environment, sources, serverGuid } = options
  const oplocks = new Oplocks<SharedFile>()
  const limits = limitsWithin(descriptorLimit(), configuration.smb.maxConnections)
  const self = ownIdentity()
  const identities = createIdentityMap(serverGuid)
  const leaseTables = new LeaseTables(limits, environment.random(SEED_BYTES).readInt32LE())
  const server: Server = {
    counters: { connections: 0, requests: 0, failedLogins: 0, bytesRead: 0, bytesWritten: 0 },
    shareUses: new Map(),
    usage: new Usage(),
    serverGuid,
    serverStartTime: filetimeOfMilliseconds(environment.now()),
    settings: settingsOf(configuration),
    limits,
    environment,
    log: options.log,
    payloads: options.payloads,
    shareList: shareList(options.shares),
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
    changes: new ChangeBus(limits.keptChanges, () => environment.now()),
    connectionList: new Set(),
    lookup: (user) => sources.accounts.find(user),
    self,
    identities,
    accounts: () => createAccountDirectory(sources, identities, self.uid),
    networkInterfaces: () => hostInterfaces(configuration.smb.listen),
    loginThrottle: createLoginThrottle(() => environment.now()),
  }
  return server
}

/** Server.ShareList of these shares: names are compared without regard to case. */
export function shareList(shares: readonly Share[]): ReadonlyMap<string, Share> {
  return new Map(shares.map((share) => [share.name.toLowerCase(), share]))
}

function settingsOf({ server, smb }: Configuration): ServerSettings {
  return {
    name: server.name,
    workgroup: server.workgroup,
    comment: server.comment,
    model: server.model,
    minimumDialect: DIALECTS[smb.minProtocol],
    maximumDialect: DIALECTS[smb.maxProtocol],
    requireMessageSigning: smb.signing === 'required',
    encryption: smb.encryption,
    guest: smb.guest,
    anonymous: smb.anonymous,
    sessionTimeoutSeconds: smb.sessionTimeout,
    smbtortureFsctls: smb.smbtortureFsctls,
    posixExtensions: smb.posixExtensions,
  }
}

function ownIdentity(): Identity {
  return { uid: geteuid?.() ?? 0, gid: getegid?.() ?? 0, groups: getgroups?.() ?? [] }
}

export function createSmbEngine(server: Server, { smb }: Configuration): Engine {
  return createSmb2Engine(server, (peer) => addressAllowed(peer.remoteAddress, smb.hostsAllow, smb.hostsDeny))
}

/** `poolhouse session close`. @returns false when there is no such session */
export function closeSessionById(server: Server, id: string): boolean {
  for (const session of server.globalSessionTable.values()) {
    if (sessionIdText(session) !== id) continue
    tearDownSession(server, session).catch((error) =>
      server.log('error', 'a session did not close', { error }),
    )
    return true
  }
  return false
}

/** `poolhouse file close`. @returns false when there is no such open */
export function closeFileById(server: Server, id: string): boolean {
  for (const open of server.globalOpenTable.values()) {
    if (openIdText(open) !== id) continue
    closeOpen(server, open).catch((error) => server.log('error', 'a file did not close', { error }))
    return true
  }
  return false
}

/** Ends the tree connects of shares, and all opens, also of clients that are away. */
export async function releaseClients(server: Server, shares: ReadonlySet<string>): Promise<void> {
  const treeConnects = Array.from(server.globalSessionTable.values()).flatMap((session) =>
    Array.from(session.treeConnectTable.values()).filter(({ share }) => shares.has(share.name)),
  )
  await Promise.all(treeConnects.map((treeConnect) => tearDownTreeConnect(server, treeConnect)))
  const opens = Array.from(server.globalOpenTable.values()).filter((open) => shares.has(open.share.name))
  await Promise.all(opens.map((open) => closeOpen(server, open)))
}
