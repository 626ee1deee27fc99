/** MS-SMB2 3.3.4.6, 3.3.4.7: tells a client that an oplock of an open, or a lease, is broken. */

import { abandonOpen } from './commands/disconnect-open.ts'
import { Command } from './messages/commands.ts'
import { type Header, HeaderFlag, UNSOLICITED_MESSAGE_ID } from './messages/header.ts'
import { encodeOplockBreakNotification, type OplockBreakNotification } from './messages/oplock-break.ts'
import { encodeReply, sendReplies } from './reply.ts'
import type { Connection } from './state/connection.ts'
import type { Lease } from './state/lease.ts'
import type { Open } from './state/open.ts'
import type { BreakNotification, Holders } from './state/oplock-breaks.ts'
import type { Server, Share } from './state/server.ts'
import type { Session } from './state/session.ts'

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

/** For `OplockBreaks`: what a server does with those who hold something. */
export function holdersOf(server: () => Server): Holders {
  return {
    notify: (broken) => notifyBreak(server(), broken),
    abandon: (open) => abandonOpen(server(), open),
  }
}

/**
 * The one place from which breaks are told. Whoever waits goes on when the opens are closed or time is up, too.
 * @returns where; undefined when nobody can be reached
 */
function notifyBreak(server: Server, broken: BreakNotification): Connection | undefined {
  const opens = broken.kind === 'lease' ? [...broken.lease.leaseOpens] : [broken.open]
  for (const open of opens) server.durables.changed(server, open)
  const way = broken.kind === 'lease' ? wayToHolder(broken.lease) : wayToOpen(broken.open)
  if (way !== undefined) {
    send(way, messageOf(broken))
    way.connection.onBreakSent?.()
    return way.connection
  }
  // "If no connection is available": nobody could answer for them, so what is kept for a client ends here.
  for (const open of opens) if (open.absence !== undefined) void abandonOpen(server, open)
  return undefined
}

function messageOf(broken: BreakNotification): OplockBreakNotification {
  if (broken.kind === 'lease') return broken.notification
  return { kind: 'oplock', oplockLevel: broken.oplockLevel, fileId: broken.open.fileId }
}

/** The notification is never signed, and encrypted where session or share want that (3.3.4.1.4). */
function send({ session, share, connection }: Way, message: OplockBreakNotification): void {
  const reply = encodeReply(
    NOTIFICATION_HEADER,
    (writer) => encodeOplockBreakNotification(writer, message),
    undefined,
    undefined,
  )
  const encrypts = session.encryptData || share.encryptData
  connection.apply(sendReplies(connection, [reply], encrypts ? session : undefined))
}

/** A connection on which the client of an open can be told of it. */
interface Way {
  readonly session: Session
  readonly share: Share
  readonly connection: Connection
}

/** 3.3.4.6: Open.Connection, or when that is gone another channel of the session. */
function wayToOpen(open: Open): Way | undefined {
  const { connection, session } = open
  if (connection?.closed === false && session !== undefined) return { session, share: open.share, connection }
  return wayOverAnyChannel(open)
}

/** 3.3.4.7: any connection of the client will do. The oldest is taken, as clients expect. */
function wayToHolder({ leaseOpens }: Lease): Way | undefined {
  for (const open of leaseOpens) {
    const way = wayOverAnyChannel(open)
    if (way !== undefined) return way
  }
  return undefined
}

function wayOverAnyChannel({ session, share }: Open): Way | undefined {
  for (const connection of session?.channelList.keys() ?? []) {
    if (session !== undefined && !connection.closed) return { session, share, connection }
  }
  return undefined
}
