/** MS-SMB2 3.2: a client that hands its frames to an engine and keeps all that comes back, in order. Dialect 2.1, unsigned. */

import { createInitiator } from '../../protocols/auth/initiator.ts'
import { ntHash } from '../../protocols/auth/nt-hash.ts'
import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, ImpersonationLevel } from '../../protocols/smb2/fscc/create-options.ts'
import { encodeCloseRequest } from '../../protocols/smb2/messages/close.ts'
import { Command, commandName } from '../../protocols/smb2/messages/commands.ts'
import {
  type CreateRequest,
  type CreateResponse,
  decodeCreateResponse,
  encodeCreateRequest,
  OplockLevel,
} from '../../protocols/smb2/messages/create.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type Header,
  HeaderFlag,
  UNSOLICITED_MESSAGE_ID,
} from '../../protocols/smb2/messages/header.ts'
import { encodeNegotiateRequest } from '../../protocols/smb2/messages/negotiate.ts'
import {
  decodeOplockBreakNotification,
  encodeOplockBreakRequest,
  type OplockBreakNotification,
} from '../../protocols/smb2/messages/oplock-break.ts'
import {
  decodeSessionSetupResponse,
  encodeSessionSetupRequest,
} from '../../protocols/smb2/messages/session-setup.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import { encodeTreeConnectRequest } from '../../protocols/smb2/messages/tree-connect.ts'
import { encodeWriteRequest } from '../../protocols/smb2/messages/write.ts'
import { Status } from '../../protocols/smb2/status.ts'
import type { ConnectionEngine, Effect } from '../../protocols/transport/engine.ts'
import { Reader } from '../../protocols/wire/reader.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { SIM_PASSWORD, SIM_SHARE, SIM_USER, type SimServer } from './sim-server.ts'

const CREDITS_WANTED = 64
const ALIGNMENT_BYTES = 8
const SHARE_ALL = 7
const SECURITY_SIGNING_ENABLED = 1
const PORT = 445

/** A request's command and body; several make a compound. */
export interface SimRequest {
  readonly command: number
  readonly write: (writer: Writer) => void
  /** Takes session, tree and open of the one before it in its compound. */
  readonly related?: boolean
}

export interface SimAnswer {
  readonly header: Header
  readonly status: number
  /** At the body. */
  readonly body: Reader
}

/** What a CREATE asks for when nothing else is said: to read and write, sharing all. */
const CREATE_DEFAULTS: Omit<CreateRequest, 'name'> = {
  requestedOplockLevel: OplockLevel.NONE,
  impersonationLevel: ImpersonationLevel.IMPERSONATION,
  desiredAccess: FileAccess.READ_DATA | FileAccess.WRITE_DATA | FileAccess.DELETE,
  fileAttributes: 0,
  shareAccess: SHARE_ALL,
  createDisposition: CreateDisposition.OPEN_IF,
  createOptions: 0,
  createContexts: [],
}

export class SimClient {
  /** All that came, as "CREATE 0x00000000", "CREATE pending" or "break II". */
  readonly arrivals: string[] = []
  /** Notifications not taken yet. */
  readonly breaks: OplockBreakNotification[] = []
  /** The server has hung up. */
  disconnected = false
  readonly #engine: ConnectionEngine
  readonly #random: (bytes: number) => Buffer
  readonly #now: () => number
  readonly #waiting = new Map<bigint, (answer: SimAnswer) => void>()
  #messageId = 0n
  #sessionId = 0n
  #treeId = 0

  constructor({ engine, environment }: SimServer, name = 'client') {
    const peer = { remoteAddress: name, remotePort: PORT, localAddress: 'server', localPort: PORT }
    const connection = engine.connect(peer, (effect) => this.#take(effect))
    if (connection === undefined) throw new Error('the engine refused the connection')
    this.#engine = connection
    this.#random = (bytes) => environment.random(bytes)
    this.#now = () => environment.now()
  }

  /** A client with a session and a tree connect. */
  static async mount(server: SimServer, name?: string): Promise<SimClient> {
    const client = new SimClient(server, name)
    await client.#negotiate()
    await client.#logOn()
    const path = `\\\\server\\${SIM_SHARE}`
    const tree = await client.request({
      command: Command.TREE_CONNECT,
      write: (writer) => encodeTreeConnectRequest(writer, { flags: 0, path }),
    })
    client.#treeId = tree.header.treeId
    return client
  }

  /** Sends one request. @returns its final answer */
  async request(request: SimRequest): Promise<SimAnswer> {
    const [answer] = await Promise.all(this.send([request]))
    return answer as SimAnswer
  }

  /** Sends requests in one frame. @returns their final answers, each when it comes */
  send(requests: readonly SimRequest[]): Promise<SimAnswer>[] {
    const members: Buffer[] = []
    const answers = requests.map((request, index) => {
      const messageId = this.#messageId++
      const isLast = index === requests.length - 1
      members.push(encodeMember(this.#headerOf(request, messageId), request, isLast))
      return new Promise<SimAnswer>((resolve) => this.#waiting.set(messageId, resolve))
    })
    this.#engine.receive({ bytes: Buffer.concat(members), release: () => undefined })
    return answers
  }

  /** @returns the final status, and what was opened when it succeeded */
  async create(fields: Partial<CreateRequest> & { name: string }): Promise<SimCreated> {
    const answer = await this.request(createRequest(fields))
    return createdOf(answer)
  }

  async close(fileId: FileId): Promise<number> {
    return (await this.request(closeRequest(fileId))).status
  }

  async write(fileId: FileId, data: string, offset = 0n): Promise<number> {
    const fields = { offset, fileId, channel: 0, remainingBytes: 0, flags: 0, data: Buffer.from(data) }
    return (
      await this.request({ command: Command.WRITE, write: (writer) => encodeWriteRequest(writer, fields) })
    ).status
  }

  /** Acknowledges a break of an oplock. */
  async acknowledge(fileId: FileId, oplockLevel: number): Promise<number> {
    const write = (writer: Writer) =>
      encodeOplockBreakRequest(writer, { kind: 'oplock', oplockLevel, fileId })
    return (await this.request({ command: Command.OPLOCK_BREAK, write })).status
  }

  /** Gives a request up that may be pending. */
  cancel(messageId: bigint): void {
    const writer = new Writer()
    encodeHeader(writer, this.#headerOf({ command: Command.CANCEL }, messageId))
    writer.u16(4).u16(0)
    this.#engine.receive({ bytes: writer.finish(), release: () => undefined })
  }

  /** MessageId of the next request. */
  get nextMessageId(): bigint {
    return this.#messageId
  }

  /** The connection breaks. */
  drop(): void {
    this.#engine.closed()
  }

  async #negotiate(): Promise<void> {
    const clientGuid = this.#random(16)
    await this.request({
      command: Command.NEGOTIATE,
      write: (writer) =>
        encodeNegotiateRequest(writer, {
          securityMode: SECURITY_SIGNING_ENABLED,
          capabilities: 0,
          clientGuid,
          dialects: [Dialect.SMB_2_1],
          negotiateContexts: [],
        }),
    })
  }

  async #logOn(): Promise<void> {
    const initiator = createInitiator({
      ...{ user: SIM_USER, domain: '', workstation: 'SIM', ntHash: ntHash(SIM_PASSWORD) },
      ...{ now: this.#now, random: this.#random },
    })
    let { token } = initiator.step()
    while (token !== undefined) {
      const securityBuffer = token
      const answer = await this.request({
        command: Command.SESSION_SETUP,
        write: (writer) =>
          encodeSessionSetupRequest(writer, {
            ...{ flags: 0, securityMode: SECURITY_SIGNING_ENABLED, capabilities: 0 },
            ...{ previousSessionId: 0n, securityBuffer },
          }),
      })
      this.#sessionId = answer.header.sessionId
      if (answer.status === Status.SUCCESS) return
      token = initiator.step(decodeSessionSetupResponse(answer.body).securityBuffer).token
    }
    throw new Error('no session was granted')
  }

  #headerOf({ command, related }: Pick<SimRequest, 'command' | 'related'>, messageId: bigint): Header {
    return {
      ...{ creditCharge: 1, status: 0, command, credits: CREDITS_WANTED },
      flags: related === true ? HeaderFlag.RELATED_OPERATIONS : 0,
      ...{ nextCommand: 0, messageId, asyncId: 0n, treeId: this.#treeId, sessionId: this.#sessionId },
    }
  }

  #take(effect: Effect): void {
    if (effect.kind === 'disconnect') this.disconnected = true
    if (effect.kind !== 'send') return
    const frame = Buffer.concat(effect.chunks)
    effect.release?.()
    for (let at = 0, next = 1; next > 0; at += next) {
      next = frame.readUInt32LE(at + NEXT_COMMAND_OFFSET)
      this.#takeMessage(frame.subarray(at, next === 0 ? frame.length : at + next))
    }
  }

  #takeMessage(message: Buffer): void {
    const body = new Reader(message)
    const header = decodeHeader(body)
    body.seek(HEADER_BYTES)
    if (header.messageId === UNSOLICITED_MESSAGE_ID) {
      const notification = decodeOplockBreakNotification(body)
      this.breaks.push(notification)
      const level = notification.kind === 'oplock' ? LEVEL_NAMES.get(notification.oplockLevel) : 'lease'
      this.arrivals.push(`break ${level}`)
      return
    }
    const { status } = header
    const isInterim = status === Status.PENDING
    const text = isInterim ? 'pending' : `0x${status.toString(16).padStart(8, '0')}`
    this.arrivals.push(`${commandName(header.command)} ${text}`)
    if (isInterim) return
    this.#waiting.get(header.messageId)?.({ header, status, body })
    this.#waiting.delete(header.messageId)
  }
}

const NEXT_COMMAND_OFFSET = 20
const LEVEL_NAMES = new Map<number, string>(Object.entries(OplockLevel).map(([name, level]) => [level, name]))

export interface SimCreated {
  readonly status: number
  /** Absent when it failed. */
  readonly response: CreateResponse | undefined
  /** @throws Error when it failed */
  readonly fileId: FileId
}

/** What a CREATE brought. */
export function createdOf({ status, body }: SimAnswer): SimCreated {
  const response = status === Status.SUCCESS ? decodeCreateResponse(body) : undefined
  return {
    status,
    response,
    get fileId() {
      if (response === undefined) throw new Error(`the CREATE failed with 0x${status.toString(16)}`)
      return response.fileId
    },
  }
}

export function createRequest(fields: Partial<CreateRequest> & { name: string }): SimRequest {
  const request = { ...CREATE_DEFAULTS, ...fields }
  return { command: Command.CREATE, write: (writer) => encodeCreateRequest(writer, request) }
}

export function closeRequest(fileId: FileId): SimRequest {
  return { command: Command.CLOSE, write: (writer) => encodeCloseRequest(writer, { flags: 0, fileId }) }
}

function encodeMember(header: Header, request: SimRequest, isLast: boolean): Buffer {
  const writer = new Writer()
  encodeHeader(writer, header)
  request.write(writer)
  if (isLast) return writer.finish()
  writer.align(ALIGNMENT_BYTES)
  const member = writer.finish()
  member.writeUInt32LE(member.length, NEXT_COMMAND_OFFSET)
  return member
}
