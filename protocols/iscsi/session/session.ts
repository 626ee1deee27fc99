/** RFC 7143 4.4.3: one normal session: an I_T nexus with its connections. */

import type { Peer } from '../../transport/engine.ts'
import type { Agreement } from '../login/login.ts'
import type { Parameters } from '../login/parameters.ts'
import { AsyncEvent, encodeAsyncMessage } from '../pdu/async-message.ts'
import type { Nexus } from '../scsi/task.ts'
import type { CommandWindow } from './command-window.ts'
import { type IscsiServer, PORTAL_GROUP_TAG, type TargetNode } from './server.ts'
import type { SessionConnection } from './session-connection.ts'
import { Tasks } from './tasks.ts'

const HIGHEST_TSIH = 0xffff
const MILLISECONDS_PER_SECOND = 1000

export class Session {
  readonly tsih: number
  readonly initiatorName: string
  readonly isid: Buffer
  /** CHAP's; '' without. */
  readonly user: string
  readonly target: TargetNode
  /** As its first connection agreed upon them. */
  readonly parameters: Parameters
  readonly nexus: Nexus
  /** Of the first connection. */
  readonly peer: Peer
  /** The order of commands is that of the session, whichever connection they come by. */
  readonly window: CommandWindow
  readonly tasks: Tasks
  /** Milliseconds since 1970. */
  readonly creationTime: number
  /** When something was received last. */
  lastHeard: number
  /** Task management functions under way. */
  functions = 0
  readonly #server: IscsiServer
  /** By CID. */
  readonly #connections = new Map<number, SessionConnection>()
  #ended: Promise<void> | undefined
  #onEnd: (() => void) | undefined
  #dismissed: Promise<void> | undefined

  constructor(server: IscsiServer, agreement: Agreement, target: TargetNode, first: SessionConnection) {
    this.#server = server
    this.tsih = freeTsih(server)
    this.initiatorName = agreement.initiatorName
    this.isid = agreement.isid
    this.user = agreement.user
    this.target = target
    this.parameters = agreement.parameters
    this.nexus = {
      initiatorPort: `${agreement.initiatorName},i,0x${agreement.isid.toString('hex')}`,
      relativeTargetPort: PORTAL_GROUP_TAG,
    }
    this.peer = first.peer
    this.window = first.sender.window
    this.#connections.set(first.cid, first)
    this.creationTime = server.environment.now()
    this.lastHeard = this.creationTime
    this.tasks = new Tasks(this, server)
    server.sessions.set(this.tsih, this)
    target.scsi.attach(this.nexus)
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /** Connections that it has. */
  get size(): number {
    return this.#connections.size
  }

  connection(cid: number): SessionConnection | undefined {
    return this.#connections.get(cid)
  }

  /** Whether what comes by a connection is still this session's. */
  includes(connection: SessionConnection): boolean {
    return !this.hasEnded && this.#connections.get(connection.cid) === connection
  }

  /** 6.3.4: whether a connection may be added, or take the place of one with the same CID. */
  admits(cid: number): boolean {
    return this.#connections.has(cid) || this.#connections.size < this.parameters.maxConnections
  }

  /** 6.3.4: one more connection, under a CID that no other has. */
  add(connection: SessionConnection): void {
    connection.sender.joinWindow(this.window)
    this.#connections.set(connection.cid, connection)
  }

  /**
   * 11.14.1: one connection of several goes, by a logout or because another takes its place: what it carried is aborted.
   * @returns resolves when the disk does nothing for that any longer, or after the limit
   */
  async leave(connection: SessionConnection): Promise<void> {
    if (!this.includes(connection)) return
    this.#connections.delete(connection.cid)
    this.window.forget(connection)
    await this.tasks.abort((_command, carrier) => carrier === connection)
  }

  /**
   * Aborts what is under way and gives up what belongs to the session, before this returns; disconnects.
   * @param last a connection that has something to say yet
   * @returns resolves when the disk does nothing for it any longer, or after the limit
   */
  end(reason: string, last?: SessionConnection): Promise<void> {
    if (this.#ended === undefined) {
      this.#ended = this.#end(reason)
      this.#onEnd?.()
      for (const connection of this.#connections.values()) {
        if (connection !== last) connection.sender.disconnect(reason)
      }
    }
    return this.#ended
  }

  #end(reason: string): Promise<void> {
    this.#server.sessions.delete(this.tsih)
    const settled = this.tasks.abort(() => true)
    this.window.close()
    this.target.scsi.detach(this.nexus)
    this.#server.log('info', 'iSCSI session ended', { ...this.names(), reason })
    return settled.then(() => undefined)
  }

  /** 11.9: says that it is over, ends and disconnects. @returns as `end` */
  close(reason: string): Promise<void> {
    if (!this.hasEnded) this.#announce(AsyncEvent.dropsSession, this.parameters.defaultTime2Wait, 0)
    return this.end(reason)
  }

  /** 11.9: asks the initiator to log out, which lets it end in order what it does; who does not is closed. @returns as `end` */
  dismiss(reason: string): Promise<void> {
    this.#dismissed ??= this.#ended ?? this.#askToLogOut(reason)
    return this.#dismissed
  }

  #askToLogOut(reason: string): Promise<void> {
    const { environment, limits } = this.#server
    this.#announce(
      AsyncEvent.logoutRequest,
      0,
      Math.ceil(limits.logoutMilliseconds / MILLISECONDS_PER_SECOND),
    )
    return new Promise((resolve) => {
      const cancel = environment.after(limits.logoutMilliseconds, () => void this.close(reason))
      this.#onEnd = () => {
        cancel()
        resolve(this.#ended)
      }
    })
  }

  #announce(event: AsyncEvent, parameter2: number, parameter3: number): void {
    const message = { lun: 0n, event, vendorCode: 0, parameter1: 0, parameter2, parameter3 }
    for (const { sender } of this.#connections.values()) {
      sender.send(encodeAsyncMessage({ ...sender.nextNumbers(), ...message }))
    }
  }

  /** For the log. */
  names(): Record<string, string> {
    return {
      initiator: this.initiatorName,
      target: this.target.name,
      peer: this.peer.remoteAddress,
    }
  }
}

/** The session that a further connection is to join. */
export function findSession(
  { sessions }: IscsiServer,
  initiatorName: string,
  isid: Buffer,
  tsih: number,
): Session | undefined {
  const session = sessions.get(tsih)
  return session?.initiatorName === initiatorName && session.isid.equals(isid) ? session : undefined
}

/** 6.3.1: the session that a new one of the same initiator port takes the place of. */
export function sessionOfPort(
  server: IscsiServer,
  target: TargetNode,
  initiatorName: string,
  isid: Buffer,
): Session | undefined {
  for (const session of server.sessions.values()) {
    const isSame = session.initiatorName === initiatorName && session.isid.equals(isid)
    if (isSame && session.target.scsi === target.scsi) return session
  }
  return undefined
}

/** The caller has made sure that there are fewer sessions than TSIHs. */
function freeTsih(server: IscsiServer): number {
  let tsih = 0
  while (tsih === 0 || server.sessions.has(tsih)) {
    tsih = server.environment.random(2).readUInt16BE() & HIGHEST_TSIH
  }
  return tsih
}
