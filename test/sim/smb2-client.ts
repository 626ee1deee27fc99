/** MS-SMB2 3.2: a client of a simulated server, by commands rather than by messages. */

import { FileInformationClass } from '../../protocols/smb2/fscc/file-information.ts'
import { type CloseResponse, decodeCloseResponse } from '../../protocols/smb2/messages/close.ts'
import { Command, commandName } from '../../protocols/smb2/messages/commands.ts'
import {
  type CreateResponse,
  decodeCreateResponse,
  OplockLevel,
} from '../../protocols/smb2/messages/create.ts'
import { LeaseState } from '../../protocols/smb2/messages/create-context-lease.ts'
import { CreateContextName } from '../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { decodeIoctlResponse, type IoctlRequest } from '../../protocols/smb2/messages/ioctl.ts'
import type { LockElement } from '../../protocols/smb2/messages/lock.ts'
import type { NegotiateContext } from '../../protocols/smb2/messages/negotiate-contexts.ts'
import {
  decodeOplockBreakNotification,
  encodeOplockBreakRequest,
  type OplockBreakNotification,
} from '../../protocols/smb2/messages/oplock-break.ts'
import { decodeOutputBody } from '../../protocols/smb2/messages/output-body.ts'
import type { QueryDirectoryRequest } from '../../protocols/smb2/messages/query-directory.ts'
import type { QueryInfoRequest } from '../../protocols/smb2/messages/query-info.ts'
import { decodeReadResponse } from '../../protocols/smb2/messages/read.ts'
import type { SetInfoRequest } from '../../protocols/smb2/messages/set-info.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import { decodeTreeConnectResponse, ShareFlag } from '../../protocols/smb2/messages/tree-connect.ts'
import { Status } from '../../protocols/smb2/status.ts'
import type { Writer } from '../../protocols/wire/writer.ts'
import { SIM_SHARE, type SimServer } from './sim-server.ts'
import { type SimAnswer, SimConnection } from './smb2-connection.ts'
import * as requests from './smb2-requests.ts'
import { type LogOnOptions, logOn, negotiate, negotiateContexts } from './smb2-session.ts'

export interface MountOptions extends LogOnOptions {
  readonly address?: string
  /** Default 2.1 alone. */
  readonly dialects?: number[]
  /** Offered on 3.1.1. */
  readonly ciphers?: readonly number[]
  readonly signing?: readonly number[]
  readonly share?: string
  /** Default: a new one. */
  readonly clientGuid?: Buffer
  /** Asks for the POSIX extensions. */
  readonly posix?: boolean
  /** Signs all it sends. */
  readonly signs?: boolean
}

const POSIX_CONTEXT: NegotiateContext = {
  kind: 'posix',
  versions: [Buffer.from(CreateContextName.POSIX, 'latin1')],
}

export interface SimOutput {
  readonly status: number
  /** Empty when the request failed. */
  readonly output: Buffer
}

export class SimClient extends SimConnection {
  /** All that came, as "CREATE 0x00000000", "CREATE pending", "break II" or "break RWH>RH?". */
  readonly arrivals: string[] = []
  /** Notifications not taken yet. */
  readonly breaks: OplockBreakNotification[] = []

  /** A client with a session and a tree connect. @throws Error when it does not get them */
  static async mount(sim: SimServer, options: string | MountOptions = {}): Promise<SimClient> {
    const given = typeof options === 'string' ? { address: options } : options
    const client = await SimClient.logOn(sim, given)
    const status = await client.connectTree(given.share ?? SIM_SHARE)
    if (status !== Status.SUCCESS) throw new Error(`the TREE_CONNECT failed with 0x${status.toString(16)}`)
    return client
  }

  /** A client with a session. @throws Error when it gets none */
  static async logOn(sim: SimServer, options: MountOptions = {}): Promise<SimClient> {
    const client = await SimClient.negotiate(sim, options)
    const { status } = await logOn(client, options)
    if (status !== Status.SUCCESS) throw new Error(`the SESSION_SETUP failed with 0x${status.toString(16)}`)
    client.signs = options.signs ?? false
    return client
  }

  /** A client that has negotiated a dialect. */
  static async negotiate(sim: SimServer, options: MountOptions = {}): Promise<SimClient> {
    const client = new SimClient(sim, options.address)
    const { dialects = [Dialect.SMB_2_1] } = options
    const random = (bytes: number) => sim.environment.random(bytes)
    const answer = await negotiate(client, {
      dialects,
      ...(options.clientGuid === undefined ? {} : { clientGuid: options.clientGuid }),
      negotiateContexts: dialects.includes(Dialect.SMB_3_1_1)
        ? [
            ...negotiateContexts(random, options.ciphers, options.signing),
            ...(options.posix === true ? [POSIX_CONTEXT] : []),
          ]
        : [],
    })
    if (answer.status !== Status.SUCCESS) throw new Error('the NEGOTIATE failed')
    return client
  }

  /** Later requests are sent on this share. @returns the status */
  async connectTree(share: string): Promise<number> {
    const { status, header, body } = await this.request(requests.treeConnectRequest(share))
    if (status !== Status.SUCCESS) return status
    this.treeId = header.treeId
    this.treeEncrypts = (decodeTreeConnectResponse(body).shareFlags & ShareFlag.ENCRYPT_DATA) !== 0
    return status
  }

  /** @returns the final status, and what was opened when it succeeded */
  async create(fields: requests.CreateFields): Promise<SimCreated> {
    return createdOf(await this.request(requests.createRequest(fields)))
  }

  async close(fileId: FileId): Promise<number> {
    return (await this.request(requests.closeRequest(fileId))).status
  }

  /** CLOSE with the attributes asked for. @throws DecodeError when it failed */
  async closeQuerying(fileId: FileId): Promise<CloseResponse> {
    return decodeCloseResponse((await this.request(requests.closeRequest(fileId, 1))).body)
  }

  async read(fileId: FileId, length: number, offset = 0n, minimumCount = 0): Promise<SimOutput> {
    const answer = await this.request(requests.readRequest({ fileId, length, offset, minimumCount }))
    return {
      status: answer.status,
      output: succeeded(answer) ? decodeReadResponse(answer.body).data : NO_BYTES,
    }
  }

  async write(fileId: FileId, data: string | Buffer, offset = 0n, flags = 0): Promise<number> {
    return (await this.request(requests.writeRequest({ fileId, data: Buffer.from(data), offset, flags })))
      .status
  }

  async flush(fileId: FileId): Promise<number> {
    return (await this.request(requests.flushRequest(fileId))).status
  }

  async lock(fileId: FileId, ...locks: readonly LockElement[]): Promise<number> {
    return (await this.request(requests.lockRequest(fileId, ...locks))).status
  }

  async ioctl(ctlCode: number, fields: Partial<IoctlRequest> = {}): Promise<SimOutput> {
    const answer = await this.request(requests.ioctlRequest(ctlCode, fields))
    const { status, body } = answer
    const isResponse =
      status === Status.SUCCESS || body.view(body.offset, 2).readUInt16LE() === IOCTL_RESPONSE_SIZE
    return { status, output: isResponse ? decodeIoctlResponse(body).output : NO_BYTES }
  }

  /** A page of a listing, with the names in it. */
  async list(
    fileId: FileId,
    fields: Partial<QueryDirectoryRequest> = {},
  ): Promise<SimOutput & { names: string[] }> {
    const result = outputOf(await this.request(requests.queryDirectoryRequest({ fileId, ...fields })))
    const layout = fields.fileInformationClass ?? FileInformationClass.IdBothDirectory
    return { ...result, names: namesIn(result.output, layout) }
  }

  async queryInfo(fileId: FileId, fields: Partial<QueryInfoRequest> = {}): Promise<SimOutput> {
    return outputOf(await this.request(requests.queryInfoRequest({ fileId, ...fields })))
  }

  async setInfo(fileId: FileId, fields: Partial<SetInfoRequest>): Promise<number> {
    return (await this.request(requests.setInfoRequest({ fileId, ...fields }))).status
  }

  /** Acknowledges a break of an oplock. */
  async acknowledge(fileId: FileId, oplockLevel: number): Promise<number> {
    const write = (writer: Writer) =>
      encodeOplockBreakRequest(writer, { kind: 'oplock', oplockLevel, fileId })
    return (await this.request({ command: Command.OPLOCK_BREAK, write })).status
  }

  /** Acknowledges a break of a lease. @param leaseState as "RH" */
  async acknowledgeLease(leaseKey: Buffer, leaseState: string): Promise<number> {
    const fields = { kind: 'lease', leaseKey, leaseState: leaseBits(leaseState) } as const
    const write = (writer: Writer) => encodeOplockBreakRequest(writer, fields)
    return (await this.request({ command: Command.OPLOCK_BREAK, write })).status
  }

  protected override notified({ body }: SimAnswer): void {
    const notification = decodeOplockBreakNotification(body)
    this.breaks.push(notification)
    this.arrivals.push(`break ${breakText(notification)}`)
  }

  protected override answered({ header, status }: SimAnswer): void {
    const text = status === Status.PENDING ? 'pending' : `0x${status.toString(16).padStart(8, '0')}`
    this.arrivals.push(`${commandName(header.command)} ${text}`)
  }
}

const LEASE_LETTERS = [
  [LeaseState.READ_CACHING, 'R'],
  [LeaseState.WRITE_CACHING, 'W'],
  [LeaseState.HANDLE_CACHING, 'H'],
] as const

/** "RWH" */
export function leaseText(leaseState: number): string {
  return LEASE_LETTERS.map(([bit, letter]) => ((leaseState & bit) === 0 ? '' : letter)).join('')
}

export function leaseBits(text: string): number {
  return LEASE_LETTERS.reduce((bits, [bit, letter]) => (text.includes(letter) ? bits | bit : bits), 0)
}

/** Of an oplock the level, of a lease "RWH>RH", with "?" when it is to be acknowledged. */
function breakText(notification: OplockBreakNotification): string {
  if (notification.kind === 'oplock') return LEVEL_NAMES.get(notification.oplockLevel) ?? ''
  const { currentLeaseState, newLeaseState, flags } = notification
  return `${leaseText(currentLeaseState)}>${leaseText(newLeaseState)}${flags === 0 ? '' : '?'}`
}

const NO_BYTES = Buffer.alloc(0)
const IOCTL_RESPONSE_SIZE = 49
const LEVEL_NAMES = new Map<number, string>(Object.entries(OplockLevel).map(([name, level]) => [level, name]))

function succeeded({ status }: SimAnswer): boolean {
  return status === Status.SUCCESS || status === Status.BUFFER_OVERFLOW
}

/** What QUERY_DIRECTORY, QUERY_INFO and CHANGE_NOTIFY brought. BUFFER_OVERFLOW may be an error, or come with data. */
export function outputOf(answer: SimAnswer): SimOutput {
  const { status, body } = answer
  const isError = !succeeded(answer) || body.view(body.offset + 2, 2).readUInt16LE() === 0
  return { status, output: isError ? NO_BYTES : decodeOutputBody(body).output }
}

/** Offsets of FileName (MS-FSCC 2.4) by class. */
const NAME_OFFSETS = new Map<number, number>([
  [FileInformationClass.Directory, 64],
  [FileInformationClass.FullDirectory, 68],
  [FileInformationClass.BothDirectory, 94],
  [FileInformationClass.Names, 12],
  [FileInformationClass.IdBothDirectory, 104],
  [FileInformationClass.IdFullDirectory, 80],
  [FileInformationClass.IdExtdDirectory, 88],
  [FileInformationClass.IdExtdBothDirectory, 114],
])
const NAME_LENGTH_OFFSET = 60

/** The names of a listing, in order. */
export function namesIn(list: Buffer, fileInformationClass: number): string[] {
  const nameAt = NAME_OFFSETS.get(fileInformationClass)
  if (nameAt === undefined || list.length === 0) return []
  const lengthAt = fileInformationClass === FileInformationClass.Names ? 8 : NAME_LENGTH_OFFSET
  const names: string[] = []
  for (let at = 0, next = 1; next > 0; at += next) {
    next = list.readUInt32LE(at)
    const length = list.readUInt32LE(at + lengthAt)
    names.push(list.toString('utf16le', at + nameAt, at + nameAt + length))
  }
  return names
}

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
