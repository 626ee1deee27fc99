/** MS-SMB2 3.3.5.3: the SMB1 NEGOTIATE with which a client of several protocols begins; it is answered in SMB2. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Command } from '../messages/commands.ts'
import { Dialect } from '../messages/dialects.ts'
import { HeaderFlag } from '../messages/header.ts'
import { encodeNegotiateResponse } from '../messages/negotiate.ts'
import {
  decodeSmb1NegotiateRequest,
  SMB1_DIALECT_2_002,
  SMB1_DIALECT_2_WILDCARD,
} from '../messages/smb1-negotiate.ts'
import { encodeReply, sendReplies } from '../reply.ts'
import type { Connection } from '../state/connection.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'
import { establishDialect, negotiateResponse } from './negotiate.ts'

/** @throws DecodeError when SMB2 is not among the dialects, or one was chosen already: the connection closes */
export function answerSmb1Negotiate(server: Server, connection: Connection, frame: Buffer): void {
  if (connection.negotiateDialect !== undefined) throw new DecodeError('an SMB1 message after NEGOTIATE')
  const dialect = chooseDialect(server, decodeSmb1NegotiateRequest(new Reader(frame)).dialects)
  if (dialect === undefined) throw new DecodeError('an SMB1 NEGOTIATE without a dialect of SMB2')
  // 3.3.5.3.1, 3.3.5.3.2: the response has MessageId 0, which is thereby used.
  connection.commandSequenceWindow.consume(0n, 1)
  establishDialect(server, connection, dialect)
  // A second NEGOTIATE, in SMB2, is to come: until then no dialect is chosen.
  if (dialect === Dialect.WILDCARD) connection.dialect = 0
  const response = negotiateResponse(server, connection, dialect, [])
  const header = {
    creditCharge: 0,
    status: Status.SUCCESS,
    command: Command.NEGOTIATE,
    credits: connection.commandSequenceWindow.grant(1),
    flags: HeaderFlag.SERVER_TO_REDIR,
    nextCommand: 0,
    messageId: 0n,
    asyncId: 0n,
    treeId: 0,
    sessionId: 0n,
  }
  const reply = encodeReply(
    header,
    (writer) => encodeNegotiateResponse(writer, response),
    undefined,
    undefined,
  )
  connection.apply(sendReplies(connection, [reply], undefined))
}

function chooseDialect(server: Server, offered: readonly string[]): number | undefined {
  const { minimumDialect, maximumDialect } = server.settings
  if (offered.includes(SMB1_DIALECT_2_WILDCARD) && maximumDialect > Dialect.SMB_2_0_2) return Dialect.WILDCARD
  if (offered.includes(SMB1_DIALECT_2_002) && minimumDialect <= Dialect.SMB_2_0_2) return Dialect.SMB_2_0_2
  return undefined
}
