/** MS-SMB2 3.2: just enough of a client to stand inside a session: dialect 2.1, unsigned, one tree, one file, one folder. */

import { randomBytes } from 'node:crypto'
import { createInitiator } from '../../../protocols/auth/initiator.ts'
import { ntHash } from '../../../protocols/auth/nt-hash.ts'
import {
  CreateDisposition,
  CreateOption,
  ImpersonationLevel,
} from '../../../protocols/smb2/fscc/create-options.ts'
import { Command, commandName } from '../../../protocols/smb2/messages/commands.ts'
import {
  decodeCreateResponse,
  encodeCreateRequest,
  OplockLevel,
} from '../../../protocols/smb2/messages/create.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type Header,
} from '../../../protocols/smb2/messages/header.ts'
import {
  decodeNegotiateResponse,
  encodeNegotiateRequest,
} from '../../../protocols/smb2/messages/negotiate.ts'
import {
  decodeSessionSetupResponse,
  encodeSessionSetupRequest,
} from '../../../protocols/smb2/messages/session-setup.ts'
import { encodeTreeConnectRequest } from '../../../protocols/smb2/messages/tree-connect.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import type { Account } from '../server-process.ts'
import { framed, RawConnection } from './wire.ts'

/** Longer than a break of somebody's oplock may take (3.3.2.1: 35 s): attackers do not acknowledge. */
const ANSWER_MILLISECONDS = 45_000
const CREDITS_WANTED = 256
const CREDIT_CHARGE_OFFSET = 6
const MESSAGE_ID_OFFSET = 24
const TREE_ID_OFFSET = 36
const SESSION_ID_OFFSET = 40
const SIGNING_ENABLED = 1
const MAXIMUM_ALLOWED = 0x0200_0000
const SHARE_ALL = 7
const ECHO_STRUCTURE_SIZE = 4

/** Where a request's FileId stands, from the start of the frame (the sections of 2.2.15 to 2.2.39). */
const fileIdOffsets: ReadonlyMap<number, number> = new Map(
  Object.entries({
    [Command.CLOSE]: 8,
    [Command.FLUSH]: 8,
    [Command.READ]: 16,
    [Command.WRITE]: 16,
    [Command.LOCK]: 8,
    [Command.IOCTL]: 8,
    [Command.QUERY_DIRECTORY]: 8,
    [Command.CHANGE_NOTIFY]: 8,
    [Command.QUERY_INFO]: 24,
    [Command.SET_INFO]: 16,
    [Command.OPLOCK_BREAK]: 8,
  }).map(([command, offset]) => [Number(command), HEADER_BYTES + offset]),
)

/** A connection with a session, a tree and two opens, from which frames of the corpus are sent as its own. */
export class FuzzSession {
  readonly connection: RawConnection
  #messageId = 0n
  #sessionId = 0n
  #treeId = 0
  /** FileId of the file and of the folder, 16 bytes each. */
  #fileIds: readonly Buffer[] = []

  constructor(port: number) {
    this.connection = new RawConnection(port)
  }

  /** @throws Error when the server does not answer as it must */
  async open(account: Account, share: string): Promise<void> {
    await this.#negotiate()
    await this.#logOn(account)
    const tree = await this.#request(Command.TREE_CONNECT, (writer) =>
      encodeTreeConnectRequest(writer, { flags: 0, path: `\\\\127.0.0.1\\${share}` }),
    )
    this.#treeId = tree.header.treeId
    const file = await this.#create(`fuzz-${this.#sessionId.toString(16)}.bin`)
    this.#fileIds = [file, await this.#create('')]
  }

  /** A frame of the corpus with this session's ids and the next MessageId. */
  adopt(frame: Buffer, command: number): Buffer {
    const bytes = Buffer.from(frame)
    const charge = Math.max(1, bytes.readUInt16LE(CREDIT_CHARGE_OFFSET))
    bytes.writeBigUInt64LE(this.#nextMessageId(charge), MESSAGE_ID_OFFSET)
    bytes.writeUInt32LE(this.#treeId, TREE_ID_OFFSET)
    bytes.writeBigUInt64LE(this.#sessionId, SESSION_ID_OFFSET)
    const at = fileIdOffsets.get(command)
    const fileId = this.#fileIds[command === Command.QUERY_DIRECTORY ? 1 : 0]
    if (at !== undefined && fileId !== undefined && at + fileId.length <= bytes.length) {
      fileId.copy(bytes, at)
    }
    return bytes
  }

  /** Asks for an ECHO. @returns false when the connection stays open and silent */
  async answersOrCloses(milliseconds: number): Promise<boolean> {
    const deadline = Date.now() + milliseconds
    const echo = this.#send(Command.ECHO, (writer) => writer.u16(ECHO_STRUCTURE_SIZE).u16(0))
    while (Date.now() < deadline) {
      const frame = await this.connection.next(deadline - Date.now())
      if (frame === undefined) {
        return this.connection.isClosed
      }
      if (frame.length >= HEADER_BYTES && frame.readBigUInt64LE(MESSAGE_ID_OFFSET) === echo) {
        return true
      }
    }
    return this.connection.isClosed
  }

  async #negotiate(): Promise<void> {
    const { body } = await this.#request(Command.NEGOTIATE, (writer) =>
      encodeNegotiateRequest(writer, {
        securityMode: SIGNING_ENABLED,
        capabilities: 0,
        clientGuid: randomBytes(16),
        dialects: [Dialect.SMB_2_1],
        negotiateContexts: [],
      }),
    )
    decodeNegotiateResponse(body)
  }

  async #logOn(account: Account): Promise<void> {
    const initiator = createInitiator({
      user: account.name,
      domain: '',
      workstation: 'FUZZ',
      ntHash: ntHash(account.password),
      now: Date.now,
      random: randomBytes,
    })
    let step = initiator.step()
    while (step.token !== undefined) {
      const token = step.token
      const { header, body } = await this.#request(Command.SESSION_SETUP, (writer) =>
        encodeSessionSetupRequest(writer, {
          flags: 0,
          securityMode: SIGNING_ENABLED,
          capabilities: 0,
          previousSessionId: 0n,
          securityBuffer: token,
        }),
      )
      this.#sessionId = header.sessionId
      if (header.status === 0) {
        return
      }
      step = initiator.step(decodeSessionSetupResponse(body).securityBuffer)
    }
    throw new Error(`the session was not granted: ${step.failure ?? ''}`)
  }

  /** Opens files, or makes them, all at once. @returns the statuses, in no order */
  async openAtOnce(names: readonly string[]): Promise<number[]> {
    const asked = new Set(names.map((name) => this.#send(Command.CREATE, createBody(name))))
    const statuses: number[] = []
    while (asked.size > 0) {
      const frame = await this.connection.next(ANSWER_MILLISECONDS)
      if (frame === undefined) {
        throw new Error(`no answer to ${asked.size} of ${names.length} CREATEs`)
      }
      const { messageId, status } = decodeHeader(new Reader(frame))
      if (status !== STATUS_PENDING && asked.delete(messageId)) {
        statuses.push(status)
      }
    }
    return statuses
  }

  async #create(name: string): Promise<Buffer> {
    const { body, frame } = await this.#request(Command.CREATE, createBody(name))
    decodeCreateResponse(body)
    return Buffer.from(frame.subarray(CREATE_RESPONSE_FILE_ID_OFFSET, CREATE_RESPONSE_FILE_ID_OFFSET + 16))
  }

  /** 3.2.4.1.5: a request takes as many ids as it is charged credits. */
  #nextMessageId(creditCharge: number): bigint {
    const id = this.#messageId
    this.#messageId += BigInt(creditCharge)
    return id
  }

  #send(command: number, writeBody: (writer: Writer) => void): bigint {
    const messageId = this.#nextMessageId(1)
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
      treeId: this.#treeId,
      sessionId: this.#sessionId,
    })
    writeBody(writer)
    this.connection.send(framed(writer.finish()))
    return messageId
  }

  async #request(command: number, writeBody: (writer: Writer) => void): Promise<Answer> {
    const messageId = this.#send(command, writeBody)
    for (;;) {
      const frame = await this.connection.next(ANSWER_MILLISECONDS)
      if (frame === undefined) {
        throw new Error(
          `no answer to ${commandName(command)}${this.connection.isClosed ? ', disconnected' : ''}`,
        )
      }
      const body = new Reader(frame)
      const header = decodeHeader(body)
      if (header.messageId !== messageId || header.status === STATUS_PENDING) {
        continue
      }
      if (header.status >= 0xc000_0000 && header.status !== STATUS_MORE_PROCESSING_REQUIRED) {
        throw new Error(`${commandName(command)} failed with status 0x${header.status.toString(16)}`)
      }
      return { header, body, frame }
    }
  }
}

const CREATE_RESPONSE_FILE_ID_OFFSET = HEADER_BYTES + 64
const STATUS_PENDING = 0x103
const STATUS_MORE_PROCESSING_REQUIRED = 0xc000_0016

/** A file, which is made when it is missing; '' is the share's root. */
function createBody(name: string): (writer: Writer) => void {
  const isFolder = name === ''
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
      createContexts: [],
    })
}

interface Answer {
  readonly header: Header
  readonly body: Reader
  readonly frame: Buffer
}
