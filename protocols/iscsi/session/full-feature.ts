/** RFC 7143 4.3 and 7: the full feature phase of one connection: PDUs in the order of their CmdSN. */

import { DecodeError } from '../../wire/errors.ts'
import { decodeDataOut } from '../pdu/data.ts'
import {
  decodeLogoutRequest,
  encodeLogoutResponse,
  LogoutReason,
  type LogoutRequest,
  LogoutResult,
} from '../pdu/logout.ts'
import { decodeNopOut, encodeNopIn, type NopOut } from '../pdu/nop.ts'
import { RejectReason } from '../pdu/reject.ts'
import { decodeScsiCommand } from '../pdu/scsi-command.ts'
import { Opcode, RESERVED_TAG, type ReceivedPdu } from '../pdu/segments.ts'
import { decodeTaskManagementRequest } from '../pdu/task-management.ts'
import { decodeTextRequest } from '../pdu/text.ts'
import type { Sender } from './sender.ts'
import type { IscsiServer } from './server.ts'
import type { Session } from './session.ts'
import type { SessionConnection } from './session-connection.ts'
import { manageTasks } from './task-management.ts'
import { type TextContext, TextExchange } from './text-exchange.ts'

/** What carries a CmdSN. */
const NUMBERED: ReadonlySet<number> = new Set([
  ...[Opcode.nopOut, Opcode.scsiCommand, Opcode.taskManagementRequest, Opcode.textRequest],
  Opcode.logoutRequest,
])
const CMD_SN_OFFSET = 24

export class FullFeature {
  readonly #server: IscsiServer
  readonly #connection: SessionConnection
  readonly #sender: Sender
  /** undefined in a discovery session. */
  readonly #session: Session | undefined
  readonly #text: TextExchange
  #lastHeard: number
  #pinged = false
  #pingTag = 0
  #cancelPing: () => void

  /** @param session undefined in a discovery session */
  constructor(server: IscsiServer, context: TextContext, session: Session | undefined) {
    this.#server = server
    this.#connection = context.connection
    this.#sender = context.connection.sender
    this.#session = session
    this.#text = new TextExchange(server, context)
    this.#lastHeard = server.environment.now()
    this.#cancelPing = this.#watch()
  }

  get isIdle(): boolean {
    return (this.#session?.tasks.size ?? 0) === 0
  }

  /** 7.1.5: without error recovery a session does not outlive the loss of one of its connections. */
  close(reason: string): void {
    this.#cancelPing()
    if (this.#session === undefined) this.#sender.window.close()
    else if (this.#session.includes(this.#connection)) void this.#session.end(reason, this.#connection)
  }

  /**
   * @param release called once, when the PDU's memory is no longer used
   * @throws DecodeError when the connection is to be closed; `release` was called
   */
  receive(pdu: ReceivedPdu, release: () => void): void {
    this.#lastHeard = this.#server.environment.now()
    this.#pinged = false
    if (this.#session !== undefined) this.#session.lastHeard = this.#lastHeard
    this.#server.counters.requests++
    // After a logout, until the connection is closed.
    if (this.#session?.includes(this.#connection) === false) return release()
    if (pdu.opcode === Opcode.dataOut) return this.#takeDataOut(pdu, release)
    if (!pdu.dataDigestOk) {
      // 7.8: what was in it is lost, and with it a CmdSN: without recovery the session begins anew.
      this.#sender.reject(RejectReason.dataDigestError, pdu.bhs)
      release()
      throw new DecodeError('the data digest of a PDU is wrong')
    }
    if (!NUMBERED.has(pdu.opcode)) {
      const isSnack = pdu.opcode === Opcode.snackRequest
      this.#sender.reject(isSnack ? RejectReason.snack : RejectReason.commandNotSupported, pdu.bhs)
      return release()
    }
    if (pdu.immediate) return this.#run(pdu, release)
    const run = (): void => this.#run(pdu, release)
    this.#sender.window.admit(this.#connection, pdu.bhs.readUInt32BE(CMD_SN_OFFSET), run, release)
  }

  #takeDataOut(pdu: ReceivedPdu, release: () => void): void {
    if (!pdu.dataDigestOk) this.#sender.reject(RejectReason.dataDigestError, pdu.bhs)
    const { tasks } = this.#session ?? {}
    if (tasks === undefined) release()
    else tasks.takeDataOut(this.#connection, decodeDataOut(pdu), pdu, release)
  }

  /** A wrong additional header segment is refused; the command's number is used up all the same. */
  #run(pdu: ReceivedPdu, release: () => void): void {
    try {
      if (pdu.opcode === Opcode.scsiCommand) return this.#command(pdu, release)
      this.#request(pdu)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#sender.reject(RejectReason.invalidPduField, pdu.bhs)
    }
    release()
  }

  #command(pdu: ReceivedPdu, release: () => void): void {
    const command = decodeScsiCommand(pdu)
    if (this.#session !== undefined) return this.#session.tasks.start(this.#connection, command, pdu, release)
    this.#sender.reject(RejectReason.protocolError, pdu.bhs)
    release()
  }

  #request(pdu: ReceivedPdu): void {
    switch (pdu.opcode) {
      case Opcode.nopOut:
        return this.#nop(decodeNopOut(pdu), pdu.data)
      case Opcode.textRequest:
        return this.#text.take(decodeTextRequest(pdu), pdu)
      case Opcode.logoutRequest:
        void this.#logout(decodeLogoutRequest(pdu))
        return
      case Opcode.taskManagementRequest:
        if (this.#session === undefined) return this.#sender.reject(RejectReason.protocolError, pdu.bhs)
        if (!manageTasks(this.#server, this.#session, this.#connection, decodeTaskManagementRequest(pdu)))
          this.#sender.reject(RejectReason.tooManyImmediateCommands, pdu.bhs)
    }
  }

  /** 11.18: what has no tag answers us. */
  #nop(nop: NopOut, data: Buffer): void {
    if (nop.initiatorTaskTag === RESERVED_TAG) return
    const echo = data.subarray(0, this.#connection.parameters.initiatorMaxRecvDataSegmentLength)
    const { lun, initiatorTaskTag } = nop
    const numbers = this.#sender.nextNumbers()
    this.#sender.send(encodeNopIn({ ...numbers, lun, initiatorTaskTag, targetTransferTag: RESERVED_TAG }), [
      Buffer.from(echo),
    ])
  }

  async #logout(request: LogoutRequest): Promise<void> {
    const response = await this.#logOut(request)
    this.#sender.send(
      encodeLogoutResponse({
        ...this.#sender.nextNumbers(),
        response,
        initiatorTaskTag: request.initiatorTaskTag,
        time2Wait: this.#connection.parameters.defaultTime2Wait,
        time2Retain: 0,
      }),
    )
    const isOver = this.#session?.includes(this.#connection) !== true
    if (response === LogoutResult.closed && isOver) this.#sender.disconnect('logout')
  }

  /** 11.14: what the session or the connection holds is given up before the response is sent. */
  async #logOut({ reason, cid }: LogoutRequest): Promise<LogoutResult> {
    if (reason === LogoutReason.removeForRecovery) return LogoutResult.recoveryNotSupported
    const [session, own] = [this.#session, this.#connection]
    if (reason === LogoutReason.closeConnection) {
      const meant = cid === own.cid ? own : session?.connection(cid)
      if (meant === undefined) return LogoutResult.cidNotFound
      if (session !== undefined && session.size > 1) {
        await session.leave(meant)
        if (meant !== own) meant.sender.disconnect('logged out by another connection')
        return LogoutResult.closed
      }
    }
    await session?.end('logout', own)
    return LogoutResult.closed
  }

  /** 4.6: silence is ended with a NOP-In; who does not answer is gone. */
  #watch(): () => void {
    const { environment, limits } = this.#server
    return environment.after(limits.silenceMilliseconds, () => {
      const silence = environment.now() - this.#lastHeard
      if (this.#pinged) return this.#sender.disconnect('the initiator does not answer')
      if (silence >= limits.silenceMilliseconds) {
        this.#pinged = true
        this.#pingTag = (this.#pingTag + 1) % RESERVED_TAG
        const tags = { initiatorTaskTag: RESERVED_TAG, targetTransferTag: this.#pingTag }
        this.#sender.send(encodeNopIn({ ...this.#sender.numbers(), lun: 0n, ...tags }))
      }
      this.#cancelPing = this.#watch()
    })
  }
}
