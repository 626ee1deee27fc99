/** MS-SMB2 3.3.4.6: tells a client that the oplock of an open is broken. */

import { Command } from './messages/commands.ts'
import { type Header, HeaderFlag, UNSOLICITED_MESSAGE_ID } from './messages/header.ts'
import { encodeOplockBreakNotification } from './messages/oplock-break.ts'
import { encodeReply, sendReplies } from './reply.ts'
import type { Connection } from './state/connection.ts'
import type { Open } from './state/open.ts'

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

/** Sends the OPLOCK_BREAK Notification: never signed, encrypted where session or share want that (3.3.4.1.4). */
export function notifyOplockBreak(open: Open, oplockLevel: number): void {
  const { session, treeConnect, fileId } = open
  const connection = connectionTo(open)
  // Whoever waits goes on when the open is closed, which it will be, or when time is up.
  if (connection === undefined) return
  const reply = encodeReply(
    NOTIFICATION_HEADER,
    (writer) => encodeOplockBreakNotification(writer, { kind: 'oplock', oplockLevel, fileId }),
    undefined,
    undefined,
  )
  const encrypts = session.encryptData || treeConnect.share.encryptData
  connection.apply(sendReplies(connection, [reply], encrypts ? session : undefined))
}

/** 3.3.4.6: Open.Connection, or when that is gone another channel of the session. */
function connectionTo({ connection, session }: Open): Connection | undefined {
  return [connection, ...session.channelList.keys()].find(({ closed }) => !closed)
}
