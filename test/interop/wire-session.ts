/** MS-SMB2 3.2: just enough of a client to stand inside a session: unsigned, one tree, one request at a time. */

import { randomBytes } from 'node:crypto'
import { createInitiator } from '../../protocols/auth/initiator.ts'
import { ntHash } from '../../protocols/auth/nt-hash.ts'
import {
  CreateDisposition,
  CreateOption,
  ImpersonationLevel,
} from '../../protocols/smb2/fscc/create-options.ts'
import { Command, commandName } from '../../protocols/smb2/messages/commands.ts'
import { encodeCreateRequest, OplockLevel } from '../../protocols/smb2/messages/create.ts'
import type { CreateContext } from '../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { decodeHeader, encodeHeader, type Header } from '../../protocols/smb2/messages/header.ts'
import { decodeNegotiateResponse, encodeNegotiateRequest } from '../../protocols/smb2/messages/negotiate.ts'
import {
  decodeSessionSetupResponse,
  encodeSessionSetupRequest,
} from '../../protocols/smb2/messages/session-setup.ts'
import { encodeTreeConnectRequest } from '../../protocols/smb2/messages/tree-connect.ts'
import { Status } from '../../protocols/smb2/status.ts'
import { Reader } from '../../protocols/wire/reader.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { framed, RawConnection } from './fuzz/wire.ts'
import type { Account } from './server-process.ts'

/** Longer than a break of somebody's oplock may take (3.3.2.1: 35 s): attackers do not acknowledge. */
const ANSWER_MILLISECONDS = 45_000
const CREDITS_WANTED = 256
const SIGNING_ENABLED = 1
const MAXIMUM_ALLOWED = 0x0200_0000
const SHARE_ALL = 7
const ERROR_SEVERITY = 0xc000_0000

export interface WireAnswer {
  readonly header: Header
  /** At the body. */
  readonly body: Reader
  /** The whole message. */
  readonly frame: Buffer
}

export class WireSession {
  readonly connection: RawConnection
  protected sessionId = 0n
  protected treeId = 0
  #messageId = 0n

  readonly #dialect: number

  /** @param dialect below 3.1.1, which wants signatures */
  constructor(port: number, dialect: number = Dialect.SMB_2_1) {
    this.connection = new RawConnection(port)
    this.#dialect = dialect
  }

  /** @throws Error when the server does not answer as it must */
  async mount(account: Account, share: string): Promise<void> {
    await this.#negotiate()
    await this.#logOn(account)
    const tree = await this.request(Command.TREE_CONNECT, (writer) =>
      encodeTreeConnectRequest(writer, { flags: 0, path: `\\\\127.0.0.1\\${share}` }),
    )
    this.treeId = tree.header.treeId
  }

  async #negotiate(): Promise<void> {
    const { body } = await this.request(Command.NEGOTIATE, (writer) =>
      encodeNegotiateRequest(writer, {
        securityMode: SIGNING_ENABLED,
        capabilities: 0,
        clientGuid: randomBytes(16),
        dialects: [this.#dialect],
        negotiateContexts: [],
      }),
    )
    decodeNegotiateResponse(body)
  }

  async #logOn(account: Account): Promise<void> {
    const initiator = createInitiator({
      user: account.name,
      domain: '',
      workstation: 'WIRE',
      ntHash: ntHash(account.password),
      now: Date.now,
      random: randomBytes,
    })
    let step = initiator.step()
    while (step.token !== undefined) {
      const token = step.token
      const { header, body } = await this.request(Command.SESSION_SETUP, (writer) =>
        encodeSessionSetupRequest(writer, {
          flags: 0,
          securityMode: SIGNING_ENABLED,
          capabilities: 0,
          previousSessionId: 0n,
          securityBuffer: token,
        }),
      )
      this.sessionId = header.sessionId
      if (header.status === Status.SUCCESS) return
      step = initiator.step(decodeSessionSetupResponse(body).securityBuffer)
    }
    throw new Error(`the session was not granted: ${step.failure ?? ''}`)
  }

  /** 3.2.4.1.5: a request takes as many ids as it is charged credits. */
  protected nextMessageId(creditCharge: number): bigint {
    const id = this.#messageId
    this.#messageId += BigInt(creditCharge)
    return id
  }

  /** @returns the request's MessageId */
  protected send(command: number, writeBody: (writer: Writer) => void): bigint {
    const messageId = this.nextMessageId(1)
    const writer = new Writer()
    encodeHeader(writer, {
      creditCharge: 1,
      status: 0,
      command,
      credits: CREDITS_WANTED,
      flags: 0,
      nextCommand: 0,
      messageId,
      asyncId: 0n,
      treeId: this.treeId,
      sessionId: this.sessionId,
    })
    writeBody(writer)
    this.connection.send(framed(writer.finish()))
    return messageId
  }

  /** The next message that is no interim response. @throws Error when none comes in time */
  protected async nextAnswer(to: string): Promise<WireAnswer> {
    for (;;) {
      const frame = await this.connection.next(ANSWER_MILLISECONDS)
      if (frame === undefined) {
        throw new Error(`no answer to ${to}${this.connection.isClosed ? ', disconnected' : ''}`)
      }
      const body = new Reader(frame)
      const header = decodeHeader(body)
      if (header.status !== Status.PENDING) return { header, body, frame }
    }
  }

  /** @param expected statuses of failures that are none. @throws Error when the request fails otherwise */
  async request(
    command: number,
    writeBody: (writer: Writer) => void,
    expected: readonly number[] = [Status.MORE_PROCESSING_REQUIRED],
  ): Promise<WireAnswer> {
    const messageId = this.send(command, writeBody)
    for (;;) {
      const answer = await this.nextAnswer(commandName(command))
      const { status } = answer.header
      if (answer.header.messageId !== messageId) continue
      if (status >= ERROR_SEVERITY && !expected.includes(status)) {
        throw new Error(`${commandName(command)} failed with status 0x${status.toString(16)}`)
      }
      return answer
    }
  }
}

/** A file, which is made when it is missing, or an existing folder. */
export function createBody(
  name: string,
  isFolder: boolean,
  createContexts: CreateContext[] = [],
): (writer: Writer) => void {
  return (writer) =>
    encodeCreateRequest(writer, {
      requestedOplockLevel: OplockLevel.NONE,
      impersonationLevel: ImpersonationLevel.IMPERSONATION,
      desiredAccess: MAXIMUM_ALLOWED,
      fileAttributes: 0,
      shareAccess: SHARE_ALL,
      createDisposition: isFolder ? CreateDisposition.OPEN : CreateDisposition.OPEN_IF,
      createOptions: isFolder ? CreateOption.DIRECTORY_FILE : CreateOption.NON_DIRECTORY_FILE,
      name,
      createContexts,
    })
}
