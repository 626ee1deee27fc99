/** MS-SRVS 3.1.1: the server's tables as its remote procedures show them. */

import type { CommandContext } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import {
  FilePermission,
  type RpcFile,
  type RpcHost,
  type RpcSession,
  type RpcShare,
  type RpcTreeConnect,
  type RpcUser,
} from '../rpc/host.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import type { Session } from '../state/session.ts'

const MILLISECONDS_PER_SECOND = 1000
const ID_MASK = 0xffff_ffffn

/** The server as the user of this request may see it. */
export function rpcHostFor(context: CommandContext): RpcHost {
  const { server, session, treeConnect } = context
  const serverName = server.settings.name.toUpperCase()
  return {
    user: userOf(session, serverName),
    accountDomainSid: server.identities.domainSid,
    accounts: () => server.accounts(),
    serverName,
    domainName: server.settings.workgroup,
    comment: server.settings.comment,
    isAdministrator: treeConnect.admission.administrator,
    shares: () => visibleShares(server, session),
    sessions: () => Array.from(server.globalSessionTable.values(), (each) => describeSession(server, each)),
    files: () => files(server),
    connections: () => connections(server),
    now: () => server.environment.now(),
  }
}

/** MS-LSAT 3.1.4.4: who is not an account of this server is one that every Windows server knows. */
function userOf({ principal }: Session, serverName: string): RpcUser {
  switch (principal?.kind) {
    case 'user':
      return { kind: 'user', name: principal.user, domain: serverName }
    case 'guest':
      return { kind: 'guest', name: 'Guest', domain: serverName }
    default:
      return { kind: 'anonymous', name: 'ANONYMOUS LOGON', domain: 'NT AUTHORITY' }
  }
}

/** Shares that the user may connect to and that are listed. */
function visibleShares(server: Server, session: Session): RpcShare[] {
  const { principal } = session
  if (principal === undefined) return []
  return Array.from(server.shareList.values())
    .filter((share) => share.type === 'pipe' || (share.browseable && share.admit(principal) !== undefined))
    .map((share) => ({
      name: share.name,
      type: share.type === 'pipe' ? 'ipc' : 'disk',
      comment: share.remark,
      path: share.path,
      currentUsers: usersOf(server, share.name),
    }))
}

function usersOf(server: Server, shareName: string): number {
  let users = 0
  for (const session of server.globalSessionTable.values()) {
    for (const treeConnect of session.treeConnectTable.values())
      if (treeConnect.share.name === shareName) users++
  }
  return users
}

function clientOf(session: Session): string {
  const [connection] = session.channelList.keys()
  return connection?.peer.remoteAddress ?? ''
}

function secondsSince(server: Server, time: number): number {
  return Math.max(0, Math.floor((server.environment.now() - time) / MILLISECONDS_PER_SECOND))
}

function describeSession(server: Server, session: Session): RpcSession {
  return {
    client: clientOf(session),
    user: session.principal?.user ?? '',
    openFiles: session.openTable.size,
    activeSeconds: secondsSince(server, session.creationTime),
    idleSeconds: secondsSince(server, session.idleTime),
    guest: session.principal?.kind === 'guest',
  }
}

function files(server: Server): RpcFile[] {
  return Array.from(server.globalOpenTable.values(), (open) => ({
    id: Number(open.fileId.volatile & ID_MASK),
    permissions: permissionsOf(open),
    locks: open.lockCount,
    path: open.isPipe
      ? `/PIPE/${open.pathName}`
      : `${open.share.path}/${open.pathName.replaceAll('\\', '/')}`,
    user: open.session?.principal?.user ?? open.durable?.owner ?? '',
  }))
}

function permissionsOf(open: Open): number {
  return (
    (open.grantsAny(FileAccess.READ_DATA | FileAccess.EXECUTE) ? FilePermission.READ : 0) |
    (open.grantsAny(FileAccess.WRITE_DATA | FileAccess.APPEND_DATA) ? FilePermission.WRITE : 0)
  )
}

function connections(server: Server): RpcTreeConnect[] {
  return Array.from(server.globalSessionTable.values()).flatMap((session) =>
    Array.from(session.treeConnectTable.values(), (treeConnect) => ({
      id: treeConnect.treeId,
      share: treeConnect.share.name,
      shareType: treeConnect.share.type === 'pipe' ? ('ipc' as const) : ('disk' as const),
      client: clientOf(session),
      user: session.principal?.user ?? '',
      openFiles: Array.from(session.openTable.values()).filter((open) => open.treeConnect === treeConnect)
        .length,
      activeSeconds: secondsSince(server, treeConnect.creationTime),
    })),
  )
}
