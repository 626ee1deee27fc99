/** MS-SMB2 3.3.4.8, 3.3.5.6, 3.3.5.8, 3.3.7.1: what ends with a tree connect, a session or a connection. */

import type { Connection } from '../state/connection.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import type { Session } from '../state/session.ts'
import type { TreeConnect } from '../state/tree-connect.ts'
import { closeOpen } from './close-open.ts'

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

/** Ends a session: its opens are closed, its id is no longer known on any connection. */
export async function tearDownSession(server: Server, session: Session): Promise<void> {
  session.closing = true
  server.globalSessionTable.delete(session.sessionId)
  for (const connection of session.channelList.keys()) connection.sessionTable.delete(session.sessionId)
  await closeAll(server, session.openTable.values())
  session.treeConnectTable.clear()
}

/** 3.3.7.1: the transport is gone. */
export async function tearDownConnection(server: Server, connection: Connection): Promise<void> {
  for (const request of connection.requestList.values()) request.cancel?.()
  const sessions = Array.from(connection.sessionTable.values())
  connection.sessionTable.clear()
  for (const session of sessions) session.channelList.delete(connection)
  // A session that has other channels goes on.
  const ended = sessions.filter((session) => session.channelList.size === 0)
  await Promise.all(ended.map((session) => tearDownSession(server, session)))
}
