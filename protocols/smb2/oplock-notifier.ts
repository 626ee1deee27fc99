/** MS-SMB2 3.3.4.6: tells a client that the oplock of an open is broken. */

import { Command } from './messages/commands.ts'
import { type Header, HeaderFlag } from './messages/header.ts'
import { encodeOplockBreakNotification } from './messages/oplock-break.ts'
import { encodeReply, sendReplies } from './reply.ts'
import type { Open } from './state/open.ts'

/** 3.3.4.6: it answers no request, and "SessionId ... TreeId MUST be set to 0". */
const NOTIFICATION_HEADER: Header = {
  creditCharge: 0,
  status: 0,
  command: Command.OPLOCK_BREAK,
  credits: 0,
  flags: HeaderFlag.SERVER_TO_REDIR,
  nextCommand: 0,
  messageId: 0xffff_ffff_ffff_ffffn,
  asyncId: 0n,
  treeId: 0,
  sessionId: 0n,
}

/** Sends the OPLOCK_BREAK Notification: never signed, encrypted where session or share want that (3.3.4.1.4). */
export function notifyOplockBreak(open: Open, oplockLevel: number): void {
  const { connection, session, treeConnect, fileId } = open
  const reply = encodeReply(
    NOTIFICATION_HEADER,
    (writer) => encodeOplockBreakNotification(writer, { kind: 'oplock', oplockLevel, fileId }),
    undefined,
    undefined,
  )
  const encrypts = session.encryptData || treeConnect.share.encryptData
  connection.apply(sendReplies(connection, [reply], encrypts ? session : undefined))
}
