/** MS-SMB2 3.3.4.6, 3.3.4.7: tells a client that an oplock of an open, or a lease, is broken. */

import { abandonOpen } from './commands/disconnect-open.ts'
import { Command } from './messages/commands.ts'
import { type Header, HeaderFlag, UNSOLICITED_MESSAGE_ID } from './messages/header.ts'
import { encodeOplockBreakNotification, type OplockBreakNotification } from './messages/oplock-break.ts'
import { encodeReply, sendReplies } from './reply.ts'
import type { Connection } from './state/connection.ts'
import type { Lease } from './state/lease.ts'
import type { Open } from './state/open.ts'
import type { BreakNotification } from './state/oplock-breaks.ts'
import type { Server } from './state/server.ts'

/** 3.3.4.6: it answers no request, and "SessionId ... TreeId MUST be set to 0". */
const NOTIFICATION_HEADER: Header = {
  creditCharge: 0,
  status: 0,
  command: Command.OPLOCK_BREAK,
  credits: 0,
  flags: HeaderFlag.SERVER_TO_REDIR,
  nextCommand: 0,
  messageId: UNSOLICITED_MESSAGE_ID,
  asyncId: 0n,
  treeId: 0,
  sessionId: 0n,
}

/**
 * The one place from which breaks are told. Whoever waits goes on when the opens are closed or time is up, too.
 * @returns where; undefined when nobody can be reached
 */
export function notifyBreak(server: Server, broken: BreakNotification): Connection | undefined {
  const way = broken.kind === 'lease' ? wayToHolder(broken.lease) : wayToOpen(broken.open)
  if (way !== undefined) {
    send(way.open, way.connection, messageOf(broken))
    way.connection.onBreakSent?.()
    return way.connection
  }
  // "If no connection is available": nobody could answer for them, so what is kept for a client ends here.
  const opens = broken.kind === 'lease' ? [...broken.lease.leaseOpens] : [broken.open]
  for (const open of opens) if (open.absence !== undefined) abandonOpen(server, open)
  return undefined
}

function messageOf(broken: BreakNotification): OplockBreakNotification {
  if (broken.kind === 'lease') return broken.notification
  return { kind: 'oplock', oplockLevel: broken.oplockLevel, fileId: broken.open.fileId }
}

/** The notification is never signed, and encrypted where session or share want that (3.3.4.1.4). */
function send(
  { session, treeConnect }: Open,
  connection: Connection,
  message: OplockBreakNotification,
): void {
  const reply = encodeReply(
    NOTIFICATION_HEADER,
    (writer) => encodeOplockBreakNotification(writer, message),
    undefined,
    undefined,
  )
  const encrypts = session.encryptData || treeConnect.share.encryptData
  connection.apply(sendReplies(connection, [reply], encrypts ? session : undefined))
}

/** An open, and a connection on which its client can be told of it. */
interface Way {
  readonly open: Open
  readonly connection: Connection
}

/** 3.3.4.6: Open.Connection, or when that is gone another channel of the session. */
function wayToOpen(open: Open): Way | undefined {
  return wayOn(open, [open.connection, ...open.session.channelList.keys()])
}

/** 3.3.4.7: any connection of the client will do. The oldest is taken, as clients expect. */
function wayToHolder({ leaseOpens }: Lease): Way | undefined {
  for (const open of leaseOpens) {
    const way = wayOn(open, open.session.channelList.keys())
    if (way !== undefined) return way
  }
  return undefined
}

function wayOn(open: Open, connections: Iterable<Connection>): Way | undefined {
  if (open.absence !== undefined) return undefined
  for (const connection of connections) if (!connection.closed) return { open, connection }
  return undefined
}
