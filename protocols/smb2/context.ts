/** What a command's handler is given, and the row that the dispatcher needs to know of it (MS-SMB2 3.3.5.2). */

import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import type { Header } from './messages/header.ts'
import type { FileId } from './messages/structure.ts'
import type { Outcome } from './outcome.ts'
import type { Admission } from './state/channel-sequence.ts'
import type { Connection } from './state/connection.ts'
import type { Open } from './state/open.ts'
import type { Request } from './state/request.ts'
import type { Server } from './state/server.ts'
import type { Channel, Session } from './state/session.ts'
import type { Tree, TreeConnect } from './state/tree-connect.ts'

/** What must be found and valid before a command runs. Each includes those before it. */
export type Needs = 'nothing' | 'session' | 'tree' | 'open'

/** One request on its way through the server. */
export class CommandContext {
  readonly server: Server
  readonly connection: Connection
  readonly request: Request
  /** The whole message from its header on, as received (and decrypted). */
  readonly message: Buffer
  /** It came inside a TRANSFORM_HEADER. */
  readonly encrypted: boolean
  /** Nothing follows it in its compound: it may be answered asynchronously. */
  readonly last: boolean
  /** Sees the response as it goes out (preauthentication integrity). */
  onResponse: ((message: Buffer) => void) | undefined
  /** Counted in Open.OutstandingRequestCount, until it is answered. */
  admission: Admission | undefined
  /** Called when the response was sent, with those of the same frame. */
  onSent: (() => void) | undefined
  /** Signs the response: the key that the request was signed with, or that a SESSION_SETUP has just made (3.3.5.5.3). */
  signingKey: Channel['signingKey']
  #session: Session | undefined
  #treeConnect: TreeConnect | undefined
  #view: Tree | undefined
  #open: Open | undefined

  constructor(fields: {
    server: Server
    connection: Connection
    request: Request
    message: Buffer
    encrypted: boolean
    last: boolean
  }) {
    this.server = fields.server
    this.connection = fields.connection
    this.request = fields.request
    this.message = fields.message
    this.encrypted = fields.encrypted
    this.last = fields.last
  }

  get header(): Header {
    return this.request.header
  }

  /** @throws Error when the command's row does not need a session: a bug */
  get session(): Session {
    if (this.#session === undefined) throw new Error('the command has no session')
    return this.#session
  }

  set session(session: Session) {
    this.#session = session
    this.request.session = session
  }

  get treeConnect(): TreeConnect {
    if (this.#treeConnect === undefined) throw new Error('the command has no tree connect')
    return this.#treeConnect
  }

  set treeConnect(treeConnect: TreeConnect) {
    this.#treeConnect = treeConnect
  }

  /** In a CREATE: what its name is looked for in, the tree connect's tree or a previous version of it. */
  get tree(): Tree {
    return this.#view ?? this.treeConnect
  }

  /** The previous version that a CREATE is of; undefined: it is of what is there now. */
  get view(): Tree | undefined {
    return this.#view
  }

  set view(view: Tree) {
    this.#view = view
  }

  /** In a CREATE: the open it made, for those that follow in its compound. */
  get open(): Open {
    if (this.#open === undefined) throw new Error('the command has no open')
    return this.#open
  }

  set open(open: Open) {
    this.#open = open
  }

  get sessionIfAny(): Session | undefined {
    return this.#session
  }

  get treeConnectIfAny(): TreeConnect | undefined {
    return this.#treeConnect
  }

  get openIfAny(): Open | undefined {
    return this.#open
  }
}

/** A command of the table. */
export interface CommandRow<Body = unknown, RequestBody = unknown> {
  readonly code: number
  readonly name: string
  readonly needs: Needs
  /** Runs on an expired session too (3.3.5.2.9). */
  readonly whenExpired?: boolean
  decode(reader: Reader): RequestBody
  /** 3.3.5.2.10: it changes what its open is of, so it must not come late. */
  readonly modifies?: boolean
  /** Serves what is asked of the connection alone, before a session is looked for; undefined for all else. */
  runOnConnection?(context: CommandContext, reader: Reader): Outcome<Body> | undefined
  /** Where the request names its open; undefined for one of the few requests that name none. */
  fileId?(request: RequestBody): FileId | undefined
  /** Bytes of payload that the request sends or asks for, for which its credits must pay (3.3.5.2.5). */
  payloadBytes?(request: RequestBody): number
  run(context: CommandContext, request: RequestBody): Outcome<Body> | Promise<Outcome<Body>>
  encode(writer: Writer, body: Body): void
}

/** A row whose types the table has forgotten. */
export type AnyCommandRow = CommandRow<never, never>

/** Keeps a row's types while it is written down. */
export function command<Body, RequestBody>(row: CommandRow<Body, RequestBody>): AnyCommandRow {
  // decode's result is only ever given to the same row's functions, and run's body to its encode.
  return row as unknown as AnyCommandRow
}
