/** MS-SMB2 3.3.4.8, 3.3.5.6, 3.3.5.8, 3.3.7.1: what ends with a tree connect, a session or a connection. */

import { Command } from '../messages/commands.ts'
import type { Connection } from '../state/connection.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import type { Session } from '../state/session.ts'
import type { TreeConnect } from '../state/tree-connect.ts'
import { closeOpen } from './close-open.ts'
import { disconnectOpen } from './disconnect-open.ts'

async function closeAll(server: Server, opens: Iterable<Open>): Promise<void> {
  await Promise.all(Array.from(opens, (open) => closeOpen(server, open)))
}

/** Closes what was opened through a tree connect, and forgets it. */
export async function tearDownTreeConnect(server: Server, treeConnect: TreeConnect): Promise<void> {
  const { session } = treeConnect
  session.treeConnectTable.delete(treeConnect.treeId)
  await closeAll(
    server,
    Array.from(session.openTable.values()).filter((open) => open.treeConnect === treeConnect),
  )
}

/** Ends a session for good: its opens are closed, its id is no longer known on any connection. */
export async function tearDownSession(server: Server, session: Session): Promise<void> {
  await endSession(server, session, closeOpen)
}

/** 3.3.5.6, 3.3.5.5.3, 3.3.7.1: ends a session whose client may come back for what is durable. */
export async function disconnectSession(server: Server, session: Session): Promise<void> {
  await endSession(server, session, disconnectOpen)
}

async function endSession(
  server: Server,
  session: Session,
  end: (server: Server, open: Open) => Promise<unknown>,
): Promise<void> {
  session.closing = true
  server.globalSessionTable.delete(session.sessionId)
  for (const connection of session.channelList.keys()) connection.sessionTable.delete(session.sessionId)
  await Promise.all(Array.from(session.openTable.values(), (open) => end(server, open)))
  session.treeConnectTable.clear()
}

/** 3.3.7.1: the transport is gone. */
export async function tearDownConnection(server: Server, connection: Connection): Promise<void> {
  const sessions = Array.from(connection.sessionTable.values())
  connection.sessionTable.clear()
  for (const session of sessions) session.channelList.delete(connection)
  for (const request of connection.requestList.values()) {
    // A CREATE goes on: the client will ask for its open over another channel (3.3.5.9 for a replay).
    const { command, sessionId } = request.header
    const goesOn = command === Command.CREATE && isAlive(server, sessionId)
    if (!goesOn) request.cancel?.()
  }
  // A session that has other channels goes on.
  const ended = sessions.filter((session) => session.channelList.size === 0)
  await Promise.all(ended.map((session) => disconnectSession(server, session)))
  server.oplocks.connectionLost(connection)
}

/** The session has other channels. */
function isAlive({ globalSessionTable }: Server, sessionId: bigint): boolean {
  return (globalSessionTable.get(sessionId)?.channelList.size ?? 0) > 0
}
