/** MS-SMB2 3.3.5.7 and 3.3.5.8: receiving a TREE_CONNECT or TREE_DISCONNECT Request. */

import { type CommandContext, command } from '../context.ts'
import { FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ } from '../fscc/access.ts'
import { Command } from '../messages/commands.ts'
import { Dialect } from '../messages/dialects.ts'
import { HeaderFlag } from '../messages/header.ts'
import {
  decodeTreeConnectRequest,
  encodeTreeConnectResponse,
  ShareFlag,
  ShareType,
  type TreeConnectRequest,
  type TreeConnectResponse,
} from '../messages/tree-connect.ts'
import { decodeTreeDisconnectRequest, encodeTreeDisconnectResponse } from '../messages/tree-disconnect.ts'
import { disconnect, fail, type Outcome, ok } from '../outcome.ts'
import type { Admission, Share } from '../state/server.ts'
import type { Session } from '../state/session.ts'
import type { TreeConnect } from '../state/tree-connect.ts'
import { isFull } from '../state/usage.ts'
import { Status } from '../status.ts'
import { tearDownTreeConnect } from './teardown.ts'

export const treeConnect = command<TreeConnectResponse, TreeConnectRequest>({
  code: Command.TREE_CONNECT,
  name: 'TREE_CONNECT',
  needs: 'session',
  decode: decodeTreeConnectRequest,
  encode: encodeTreeConnectResponse,
  run: runTreeConnect,
})

export const treeDisconnect = command({
  code: Command.TREE_DISCONNECT,
  name: 'TREE_DISCONNECT',
  needs: 'tree',
  whenExpired: true,
  decode: decodeTreeDisconnectRequest,
  encode: encodeTreeDisconnectResponse,
  async run(context) {
    await tearDownTreeConnect(context.server, context.treeConnect)
    return ok({})
  },
})

function runTreeConnect(
  context: CommandContext,
  request: TreeConnectRequest,
): Outcome<TreeConnectResponse> | Promise<Outcome<TreeConnectResponse>> {
  const { server, session, connection } = context
  const isProtected = context.encrypted || (context.header.flags & HeaderFlag.SIGNED) !== 0
  // 3.3.5.7: on 3.1.1 "the request is not signed or not encrypted": a man in the middle may have been there.
  if (connection.dialect === Dialect.SMB_3_1_1 && session.principal?.kind === 'user' && !isProtected) {
    return disconnect('a TREE_CONNECT that is neither signed nor encrypted')
  }
  const share = server.shareList.get(shareNameOf(request.path).toLowerCase())
  if (share === undefined) return fail(Status.BAD_NETWORK_NAME)
  if (admit(share, session) === undefined) return fail(Status.ACCESS_DENIED)
  if (share.encryptData && (connection.cipherId === 0 || session.keys === undefined)) {
    return fail(Status.ACCESS_DENIED)
  }
  return share.own === undefined ? connectWithin(context, share) : connectToOwn(context, share)
}

/** Connects to the tree that the session's user has under this name. */
async function connectToOwn(context: CommandContext, share: Share): Promise<Outcome<TreeConnectResponse>> {
  const { server, session } = context
  const own = await ownShare(context, share)
  // Meanwhile the session may have ended.
  if (server.globalSessionTable.get(session.sessionId) !== session) return fail(Status.USER_SESSION_DELETED)
  return own === undefined ? fail(Status.ACCESS_DENIED) : connectWithin(context, own)
}

async function ownShare({ server, session }: CommandContext, share: Share): Promise<Share | undefined> {
  const { principal } = session
  if (principal === undefined) return undefined
  try {
    return await share.own?.(principal)
  } catch (error) {
    server.log('error', 'the folder of a user cannot be had', {
      share: share.name,
      user: principal.user,
      error,
    })
    return undefined
  }
}

/** Connects, if the session's user of now may, and has not too many. */
function connectWithin(context: CommandContext, share: Share): Outcome<TreeConnectResponse> {
  const { server, session } = context
  const admission = admit(share, session)
  if (admission === undefined) return fail(Status.ACCESS_DENIED)
  if (isFull(server, 'treeConnects', session)) return fail(Status.INSUFFICIENT_RESOURCES)
  return ok(connect(context, share, admission))
}

/** `\\server\share`; the server's name is not looked at: people use aliases and addresses. */
function shareNameOf(path: string): string {
  return path.slice(path.lastIndexOf('\\') + 1)
}

function admit(share: Share, session: Session): Admission | undefined {
  return session.principal === undefined ? undefined : share.admit(session.principal)
}

/** TreeConnect.MaximalAccess */
export function maximalAccessOf({ readOnly }: Admission): number {
  return readOnly ? FILE_GENERIC_READ | FILE_GENERIC_EXECUTE : FILE_ALL_ACCESS
}

/**
 * 3.3.5.5.3: Session.SecurityContext was replaced. Handles keep what they were granted; all else is decided anew
 * for the user of now.
 */
export function readmit(session: Session): void {
  for (const treeConnect of session.treeConnectTable.values()) {
    const admission = admit(treeConnect.share, session)
    treeConnect.revoked = admission === undefined
    // Whom deletions that were promised before are done for stays known.
    treeConnect.admission = admission ?? { ...treeConnect.admission, readOnly: true, administrator: false }
    treeConnect.maximalAccess = admission === undefined ? 0 : maximalAccessOf(admission)
  }
}

function connect(context: CommandContext, share: Share, admission: Admission): TreeConnectResponse {
  const { session } = context
  const treeId = session.nextTreeId++
  const maximalAccess = maximalAccessOf(admission)
  const treeConnect: TreeConnect = {
    treeId,
    session,
    share,
    maximalAccess,
    admission,
    revoked: false,
    creationTime: context.server.environment.now(),
  }
  session.treeConnectTable.set(treeId, treeConnect)
  const { shareUses } = context.server
  shareUses.set(share.name, (shareUses.get(share.name) ?? 0) + 1)
  context.treeConnect = treeConnect
  const isPipe = share.type === 'pipe'
  return {
    shareType: isPipe ? ShareType.PIPE : ShareType.DISK,
    shareFlags:
      (isPipe ? ShareFlag.NO_CACHING : ShareFlag.MANUAL_CACHING) |
      (share.encryptData ? ShareFlag.ENCRYPT_DATA : 0) |
      (share.hideUnreadable ? ShareFlag.ACCESS_BASED_DIRECTORY_ENUM : 0),
    capabilities: 0,
    maximalAccess,
  }
}
