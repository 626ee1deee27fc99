/** MS-SMB2 3.3.5.1 and 3.3.5.2: one connection's frames, from receipt to the sending of their responses. */

import type { ConnectionEngine, Frame } from '../transport/engine.ts'
import { DecodeError } from '../wire/errors.ts'
import { Reader } from '../wire/reader.ts'
import { answerSmb1Negotiate } from './commands/smb1-negotiate.ts'
import { tearDownConnection } from './commands/teardown.ts'
import { type Member, splitCompound } from './compound.ts'
import type { AnyCommandRow } from './context.ts'
import { decrypt } from './crypto/encryption.ts'
import { FrameRun } from './frame-run.ts'
import { Command } from './messages/commands.ts'
import { HeaderFlag, ProtocolId } from './messages/header.ts'
import { decodeTransformHeader, TRANSFORM_HEADER_BYTES } from './messages/transform-header.ts'
import type { Connection } from './state/connection.ts'
import type { Server } from './state/server.ts'
import type { Session } from './state/session.ts'
import { mayCancel } from './verify.ts'

export class ConnectionProcessor implements ConnectionEngine {
  readonly #server: Server
  readonly #connection: Connection
  readonly #table: ReadonlyMap<number, AnyCommandRow>

  constructor(server: Server, connection: Connection, table: ReadonlyMap<number, AnyCommandRow>) {
    this.#server = server
    this.#connection = connection
    this.#table = table
  }

  receive(frame: Frame): void {
    const connection = this.#connection
    if (connection.closed) return frame.release()
    const bytes = frame.bytes.length
    connection.bytesReceived += bytes
    connection.account(bytes)
    const release = () => {
      frame.release()
      connection.account(-bytes)
    }
    try {
      this.#receive(frame.bytes, release)
    } catch (error) {
      release()
      if (!(error instanceof DecodeError)) {
        this.#server.log('error', 'a frame failed unexpectedly: this is a bug', { error })
      }
      this.#disconnect(error instanceof Error ? error.message : String(error))
    }
  }

  /** Only what waits for others (CHANGE_NOTIFY, a blocked LOCK) is under way: it can be cancelled. */
  isIdle(): boolean {
    for (const request of this.#connection.requestList.values()) {
      if (request.asyncId === undefined || request.cancel === undefined) return false
    }
    return true
  }

  closed(): void {
    const connection = this.#connection
    connection.closed = true
    this.#server.connectionList.delete(connection)
    tearDownConnection(this.#server, connection).catch((error) => {
      this.#server.log('error', 'a connection could not be cleaned up', { error })
    })
  }

  /** @throws DecodeError when the connection is to be closed; `release` was not called then */
  #receive(bytes: Buffer, release: () => void): void {
    switch (new Reader(bytes).u32()) {
      case ProtocolId.SMB2:
        return this.#run(bytes, undefined, release)
      case ProtocolId.TRANSFORM: {
        const { plain, session } = this.#decrypt(bytes)
        return this.#run(plain, session, release)
      }
      case ProtocolId.SMB1:
        answerSmb1Negotiate(this.#server, this.#connection, bytes)
        return release()
      default:
        throw new DecodeError('a frame of an unknown protocol')
    }
  }

  /** 3.3.5.2.1.1. @throws DecodeError when it is not what a session's client encrypted */
  #decrypt(bytes: Buffer): { plain: Buffer; session: Session } {
    const reader = new Reader(bytes)
    const transform = decodeTransformHeader(reader)
    const session = this.#sessionOf(transform.sessionId)
    const key = session?.keys?.decryptionKey
    const cipher = this.#connection.cipherId
    if (session === undefined || key === undefined || cipher === 0) {
      throw new DecodeError('an encrypted frame of no session')
    }
    const body = bytes.subarray(TRANSFORM_HEADER_BYTES)
    if (body.length !== transform.originalMessageSize)
      throw new DecodeError('an encrypted frame of a wrong size')
    const plain = decrypt(cipher, key, bytes.subarray(0, TRANSFORM_HEADER_BYTES), body)
    if (plain === undefined) throw new DecodeError('an encrypted frame was changed on its way')
    return { plain, session }
  }

  /**
   * The session a frame is encrypted for. One of another connection is found too, once this one has a session of its
   * own: a client that takes it for bound must be told, in a way that it can read, that it is not.
   */
  #sessionOf(sessionId: bigint): Session | undefined {
    const { sessionTable, cipherId } = this.#connection
    const own = sessionTable.get(sessionId)
    if (own !== undefined || sessionTable.size === 0) return own
    const foreign = this.#server.globalSessionTable.get(sessionId)
    return foreign?.cipherId === cipherId ? foreign : undefined
  }

  #run(bytes: Buffer, encryptedWith: Session | undefined, release: () => void): void {
    const members = splitCompound(bytes, this.#server.limits.compoundMembers)
    for (const member of members) this.#consumeMessageIds(member, encryptedWith)
    if (members.length === 1 && members[0]?.header.command === Command.CANCEL) {
      this.#cancel(members[0], encryptedWith !== undefined)
      return release()
    }
    new FrameRun(this.#server, this.#connection, this.#table, members, encryptedWith, release).start()
  }

  /** 3.3.5.2.3: each id is used once. @throws DecodeError when it is not in the window */
  #consumeMessageIds(member: Member, encryptedWith: Session | undefined): void {
    const { header } = member
    if ((header.flags & HeaderFlag.SERVER_TO_REDIR) !== 0)
      throw new DecodeError('a response came from the client')
    if (encryptedWith !== undefined && !sameSession(header.sessionId, header.flags, encryptedWith)) {
      throw new DecodeError('the session of an encrypted message is not that of its transform header')
    }
    if (header.command === Command.CANCEL) return
    const charge = this.#connection.supportsMultiCredit ? Math.max(1, header.creditCharge) : 1
    if (!this.#connection.commandSequenceWindow.consume(header.messageId, charge)) {
      throw new DecodeError(`message id ${header.messageId} (charge ${charge}) is not in the window`)
    }
  }

  /** 3.3.5.16: no response of its own. */
  #cancel(member: Member, encrypted: boolean): void {
    const { header } = member
    const isAsync = (header.flags & HeaderFlag.ASYNC_COMMAND) !== 0
    const request = isAsync
      ? this.#connection.asyncCommandList.get(header.asyncId)
      : this.#connection.requestList.get(header.messageId)
    if (request !== undefined && mayCancel(this.#connection, member, encrypted, request)) request.cancel?.()
  }

  #disconnect(reason: string): void {
    this.#server.log('info', 'connection closed by the server', {
      peer: this.#connection.peer.remoteAddress,
      reason,
    })
    this.#connection.disconnect(reason)
  }
}

/** In a related request the header's SessionId may be anything (3.3.5.2.7.2 takes the one before). */
function sameSession(sessionId: bigint, flags: number, session: Session): boolean {
  return sessionId === session.sessionId || (flags & HeaderFlag.RELATED_OPERATIONS) !== 0
}
