/**
 * A scripted Mac: speaks to a server as macOS' smbfs does, byte for byte (macos.md), by commands. Several may be in
 * flight at a time; every one throws MacError when the server refuses, LinkLost when the link is gone.
 */

import { randomBytes } from 'node:crypto'
import { CheckError, expect } from '../report.ts'
import { type MacAnswer, MacConnection, type MacRequest, Smb } from './connection.ts'
import * as contexts from './contexts.ts'
import {
  connectTree,
  multiProtocolNegotiate,
  type Negotiated,
  negotiate,
  setUpSession,
  type Who,
} from './logon.ts'
import * as requests from './requests.ts'
import { CreateOption, Disposition } from './requests.ts'
import { connectTcp, type MacTransport } from './transport.ts'

export { LinkLost } from './connection.ts'
export { Disposition } from './requests.ts'

export interface MacOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly share: string
  /** 16 bytes. Default: a new one, as for every mount of a Mac; `reconnect` keeps it. */
  readonly clientGuid?: Buffer
  /** Another way than TCP to the server. */
  readonly transport?: () => Promise<MacTransport>
  /** An answer is waited for so long, in milliseconds. Default: a Mac's 45 seconds. */
  readonly timeout?: number
  /** Time Machine's wish for durable handles, in milliseconds. Default: 30 seconds. */
  readonly durableTimeout?: number
}

/** What the Mac may cache of a file. */
export interface MacLease {
  readonly key: Buffer
  /** Granted: R 1, H 2, W 4. */
  state: number
}

/** An open of the Mac's; those that are durable live on after the link is cut. */
export interface MacHandle {
  /** Follows renames by this Mac. */
  path: string
  fileId: Buffer
  readonly isDirectory: boolean
  /** FILE_OPENED 1, FILE_CREATED 2, FILE_OVERWRITTEN 3. */
  readonly action: number
  readonly access: number
  readonly share: number
  readonly createGuid: Buffer
  /** One for all opens of a file by this Mac; undefined for directories. */
  readonly lease: MacLease | undefined
  /** Granted, in milliseconds; undefined: it is not durable. */
  readonly timeout: number | undefined
}

export interface OpenOptions {
  /** Asks for a durable handle and a lease, as for every regular file. Default true. */
  readonly durable?: boolean
  readonly access?: number
  readonly share?: number
  readonly directory?: boolean
}

/** The server refused a command. */
export class MacError extends CheckError {
  readonly status: number

  constructor(what: string, status: number) {
    super(`${what} ended with 0x${status.toString(16).padStart(8, '0')}`)
    this.status = status
  }
}

const DURABLE_MILLISECONDS = 30_000
const NO_KEY = Buffer.alloc(16)
const LEASE = { R: 1, H: 2, W: 4 } as const

export class MacClient {
  readonly connection: MacConnection
  readonly negotiated: Negotiated
  /** The answer to AAPL at the mount. */
  readonly aapl: contexts.AaplAnswer
  /** FileFsAttributeInformation of the share. */
  readonly fsAttributes: Buffer
  readonly handles = new Set<MacHandle>()
  readonly options: MacOptions & { readonly clientGuid: Buffer }

  private constructor(
    options: MacOptions & { readonly clientGuid: Buffer },
    connection: MacConnection,
    negotiated: Negotiated,
    mounted: { readonly aapl: contexts.AaplAnswer; readonly fsAttributes: Buffer },
  ) {
    this.options = options
    this.connection = connection
    this.negotiated = negotiated
    this.aapl = mounted.aapl
    this.fsAttributes = mounted.fsAttributes
    connection.onBreak = ({ leaseKey, next }) => {
      for (const { lease } of this.handles) if (lease?.key.equals(leaseKey)) lease.state = next
      connection.request(requests.acknowledgeLease(leaseKey, next)).catch(() => undefined)
    }
  }

  /** Mounts the share: negotiates through SMB 1, logs on, asks for AAPL. @throws CheckError where a Mac would give up */
  static connect(options: MacOptions): Promise<MacClient> {
    return MacClient.#mount(options, undefined)
  }

  static async #mount(options: MacOptions, before: MacClient | undefined): Promise<MacClient> {
    const clientGuid = options.clientGuid ?? randomBytes(16)
    const who: Who = { host: options.host, user: options.user, password: options.password, clientGuid }
    const transport = await (options.transport ?? (() => connectTcp(options.host, options.port)))()
    const connection = new MacConnection(transport, options.timeout)
    try {
      if (before === undefined) await multiProtocolNegotiate(connection)
      const greeting = await negotiate(connection, who, before?.negotiated)
      await setUpSession(connection, who, greeting, before?.connection.sessionId)
      await connectTree(connection, who.host, options.share, greeting.negotiated.dialect)
      if (before !== undefined) await askAgain(connection)
      const mounted = before ?? (await queryRoot(connection))
      return new MacClient({ ...options, clientGuid }, connection, greeting.negotiated, mounted)
    } catch (error) {
      connection.transport.destroy()
      throw error
    }
  }

  /**
   * Comes back after the link was lost: SMB 2 only with what was in use, PreviousSessionId, AAPL again, and every
   * handle with DH2C. All handles, or none (macos.md 8). The handles are the same objects; this client is of no use then.
   * @throws CheckError when any part fails
   */
  async reconnect(): Promise<MacClient> {
    const next = await MacClient.#mount(this.options, this)
    try {
      for (const handle of this.handles) await next.#reclaim(handle)
    } catch (error) {
      next.cut()
      throw error
    }
    return next
  }

  /** One handle with DH2C; the answer may hold a lease and nothing else. */
  async #reclaim(handle: MacHandle): Promise<void> {
    const asked = [
      contexts.durableReconnect(handle.fileId, handle.createGuid),
      contexts.lease(handle.lease?.key ?? NO_KEY, handle.lease?.state ?? 0),
    ]
    const answer = await this.request(
      `the DH2C reconnect of ${handle.path}`,
      requests.create({
        path: handle.path,
        access: handle.access,
        share: handle.share,
        contexts: asked,
      }),
    )
    const created = requests.parseCreate(answer, asked)
    const names = [...created.contexts.keys()].filter((name) => name !== 'RqLs')
    expect(names.length === 0, `a DH2C reconnect is answered with ${names}`)
    const leaseState = created.contexts.get('RqLs')?.readUInt32LE(16)
    expect(leaseState !== undefined, 'a DH2C reconnect is answered without a lease')
    handle.fileId = created.fileId
    if (handle.lease !== undefined) handle.lease.state = leaseState
    this.handles.add(handle)
  }

  /** Opens what exists. */
  open(path: string, options: OpenOptions = {}): Promise<MacHandle> {
    return this.create(path, Disposition.OPEN, options)
  }

  /** @param disposition one of Disposition. @throws MacError, CheckError for an answer that fails the open on a Mac */
  async create(path: string, disposition: number, options: OpenOptions = {}): Promise<MacHandle> {
    const { directory = false, access = requests.WRITE_ACCESS, share = requests.Share.ALL } = options
    const createGuid = randomBytes(16)
    const lease = this.#leaseOf(path)
    const writes = (access & requests.Access.WRITE_DATA) !== 0
    const asked =
      options.durable === false || directory
        ? [contexts.empty('MxAc')]
        : [
            ...(disposition === Disposition.OPEN ? [] : [contexts.empty('QFid')]),
            contexts.empty('MxAc'),
            contexts.durable(createGuid, this.options.durableTimeout ?? DURABLE_MILLISECONDS),
            contexts.lease(lease.key, LEASE.R | LEASE.H | (writes ? LEASE.W : 0)),
          ]
    const request = requests.create({
      ...{ path, access, share, disposition, contexts: asked },
      options: directory ? CreateOption.DIRECTORY : 0,
      attributes: directory ? 0x10 : 0x80,
    })
    const created = requests.parseCreate(await this.request(`the CREATE of ${path}`, request), asked)
    lease.state = created.contexts.get('RqLs')?.readUInt32LE(16) ?? lease.state
    const handle: MacHandle = {
      ...{ path, isDirectory: directory, access, share, createGuid },
      lease: directory ? undefined : lease,
      fileId: created.fileId,
      action: created.action,
      timeout: created.contexts.get('DH2Q')?.readUInt32LE(0),
    }
    this.handles.add(handle)
    return handle
  }

  /** Makes a directory, as mkdir(2) does. */
  async makeDirectory(path: string): Promise<void> {
    const fields = { path, access: requests.QUERY_ACCESS, disposition: Disposition.CREATE, attributes: 0x10 }
    const asked = [contexts.empty('MxAc')]
    const request = requests.create({ ...fields, contexts: asked, options: CreateOption.DIRECTORY })
    requests.parseCreate(await this.first(`the CREATE of ${path}`, [request, requests.close()]), asked)
  }

  /** All of the buffer in one WRITE: at most what the server takes, 8 MiB with a Mac. */
  async write(handle: MacHandle, offset: number, data: Buffer): Promise<void> {
    const answer = await this.request(
      `a WRITE to ${handle.path}`,
      requests.write(handle.fileId, offset, data),
    )
    const count = answer.body.readUInt32LE(4)
    expect(count === data.length, `${count} of ${data.length} bytes were written to ${handle.path}`)
  }

  /** What is there, at most `length` bytes; empty at the end of the file. */
  async read(handle: MacHandle, offset: number, length: number): Promise<Buffer> {
    const answer = await this.connection.request(requests.read(handle.fileId, offset, length))
    if (answer.status === END_OF_FILE) return Buffer.alloc(0)
    return requests.readData(accepted(`a READ of ${handle.path}`, answer))
  }

  /** FLUSH, as fsync(2) sends it. */
  async flush(handle: MacHandle): Promise<void> {
    await this.request(`a FLUSH of ${handle.path}`, requests.flush(handle.fileId))
  }

  /** F_FULLFSYNC: an ordinary FLUSH, then one with Reserved1 0xFFFF. When it returns, all is on the disk. */
  async fullSync(handle: MacHandle): Promise<void> {
    await this.flush(handle)
    await this.request(`a full FLUSH of ${handle.path}`, requests.flush(handle.fileId, true))
  }

  async setEndOfFile(handle: MacHandle, size: number): Promise<void> {
    await this.request(`a new end of ${handle.path}`, requests.endOfFile(size, handle.fileId))
  }

  /** By path, in one compound, as rename(2) does. Handles to it, or below it, follow. Never replaces what is there. */
  async rename(from: string, to: string, { directory = false } = {}): Promise<void> {
    const what = `the rename of ${from} to ${to}`
    await this.#change(what, from, directory, requests.Share.ALL, requests.renameTo(to))
    for (const handle of this.handles) {
      if (handle.path === from || handle.path.startsWith(`${from}/`))
        handle.path = to + handle.path.slice(from.length)
    }
  }

  /** By path, in one compound, as unlink(2) and rmdir(2) do: shared with nobody. */
  async remove(path: string, { directory = false } = {}): Promise<void> {
    await this.#change(`the deletion of ${path}`, path, directory, 0, requests.disposition())
  }

  /** smb2fs_smb_cmpd_set_info: of a file with its own lease key, so that its opens lose nothing. */
  async #change(
    what: string,
    path: string,
    directory: boolean,
    share: number,
    change: MacRequest,
  ): Promise<void> {
    const lease = this.#leaseOf(path)
    const asked = [contexts.empty('MxAc'), ...(directory ? [] : [contexts.lease(lease.key, lease.state)])]
    const options = directory ? CreateOption.DIRECTORY : 0
    const open = requests.create({ path, access: requests.DELETE_ACCESS, share, options, contexts: asked })
    const [opened] = await this.all(what, [open, change, requests.close()])
    if (opened !== undefined) requests.parseCreate(opened, asked)
  }

  /** That of its opens, else a new one without any state. */
  #leaseOf(path: string): MacLease {
    for (const handle of this.handles) {
      if (handle.path === path && handle.lease !== undefined) return handle.lease
    }
    return { key: randomBytes(16), state: 0 }
  }

  /** @returns the answer with the attributes that a Mac asks for */
  async close(handle: MacHandle): Promise<MacAnswer> {
    this.handles.delete(handle)
    return this.request(`the CLOSE of ${handle.path}`, requests.close(handle.fileId))
  }

  /** One command. @returns its answer. @throws MacError unless it succeeded */
  async request(what: string, request: MacRequest): Promise<MacAnswer> {
    return accepted(what, await this.connection.request(request))
  }

  /** A compound all of which must succeed. */
  async all(what: string, members: readonly MacRequest[]): Promise<MacAnswer[]> {
    return (await this.connection.compound(members)).map((answer) => accepted(what, answer))
  }

  /** As `all`. @returns the first answer */
  async first(what: string, members: readonly MacRequest[]): Promise<MacAnswer> {
    const [answer] = await this.all(what, members)
    expect(answer !== undefined, `${what}: no answer`)
    return answer
  }

  /** Unmounts: handles are closed, then tree and session ended. */
  async disconnect(): Promise<void> {
    for (const handle of [...this.handles]) await this.close(handle)
    const body = Buffer.from([4, 0, 0, 0])
    await this.request('TREE_DISCONNECT', { command: Smb.TREE_DISCONNECT, body })
    await this.request('LOGOFF', { command: Smb.LOGOFF, body })
    this.connection.transport.destroy()
  }

  /** The link is gone at once, as when the power or the network fails; what is in flight throws LinkLost. */
  cut(): void {
    this.connection.transport.destroy()
  }
}

const END_OF_FILE = 0xc000_0011

function accepted(what: string, answer: MacAnswer): MacAnswer {
  if (answer.status !== 0) throw new MacError(what, answer.status)
  return answer
}

/** smb2fs_smb_cmpd_query at every mount: CREATE of the root with AAPL and MxAc, FileFsAttributeInformation, CLOSE. */
async function queryRoot(
  connection: MacConnection,
): Promise<{ readonly aapl: contexts.AaplAnswer; readonly fsAttributes: Buffer }> {
  const asked = [contexts.aapl(), contexts.empty('MxAc')]
  const open = requests.create({
    ...{ path: '', access: requests.QUERY_ACCESS, contexts: asked, options: CreateOption.DIRECTORY },
  })
  const query = requests.queryInfo(2, requests.FsClass.ATTRIBUTE)
  const answers = await connection.compound([open, query, requests.close()])
  const [opened, queried] = answers.map((answer) => accepted('the query of the share root', answer))
  expect(opened !== undefined && queried !== undefined, 'no answers')
  const data = requests.parseCreate(opened, asked).contexts.get('AAPL')
  expect(data !== undefined, 'AAPL is not answered')
  return { aapl: contexts.parseAapl(data), fsAttributes: requests.outputOf(queried) }
}

/** smb2fs_reconnect: AAPL alone, else ENOTCONN. */
async function askAgain(connection: MacConnection): Promise<void> {
  const asked = [contexts.aapl()]
  const access = requests.Access.READ_ATTRIBUTES | requests.Access.SYNCHRONIZE
  const open = requests.create({ path: '', access, contexts: asked, options: CreateOption.DIRECTORY })
  const [opened] = await connection.compound([open, requests.close()])
  expect(opened !== undefined, 'no answer')
  const created = requests.parseCreate(accepted('AAPL after a reconnect', opened), asked)
  expect(created.contexts.has('AAPL'), 'AAPL is not answered after a reconnect')
}
