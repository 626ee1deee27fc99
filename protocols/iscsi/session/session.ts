/** RFC 7143 4.4.3: one normal session: an I_T nexus with one connection. */

import type { Peer } from '../../transport/engine.ts'
import type { Agreement } from '../login/login.ts'
import type { Parameters } from '../login/parameters.ts'
import { AsyncEvent, encodeAsyncMessage } from '../pdu/async-message.ts'
import type { Nexus } from '../scsi/task.ts'
import type { Sender } from './sender.ts'
import { type IscsiServer, PORTAL_GROUP_TAG, type TargetNode } from './server.ts'
import { Tasks } from './tasks.ts'

const HIGHEST_TSIH = 0xffff
const MILLISECONDS_PER_SECOND = 1000

export class Session {
  readonly tsih: number
  readonly initiatorName: string
  readonly isid: Buffer
  readonly cid: number
  /** CHAP's; '' without. */
  readonly user: string
  readonly target: TargetNode
  readonly parameters: Parameters
  readonly nexus: Nexus
  readonly peer: Peer
  readonly sender: Sender
  readonly tasks: Tasks
  /** Milliseconds since 1970. */
  readonly creationTime: number
  /** When something was received last. */
  lastHeard: number
  /** Task management functions under way. */
  functions = 0
  readonly #server: IscsiServer
  #ended: Promise<void> | undefined
  #onEnd: (() => void) | undefined
  #dismissed: Promise<void> | undefined

  constructor(server: IscsiServer, agreement: Agreement, target: TargetNode, peer: Peer, sender: Sender) {
    this.#server = server
    this.tsih = freeTsih(server)
    this.initiatorName = agreement.initiatorName
    this.isid = agreement.isid
    this.cid = agreement.cid
    this.user = agreement.user
    this.target = target
    this.parameters = agreement.parameters
    this.nexus = {
      initiatorPort: `${agreement.initiatorName},i,0x${agreement.isid.toString('hex')}`,
      relativeTargetPort: PORTAL_GROUP_TAG,
    }
    this.peer = peer
    this.sender = sender
    this.creationTime = server.environment.now()
    this.lastHeard = this.creationTime
    this.tasks = new Tasks(this, server)
    server.sessions.set(this.tsih, this)
    target.scsi.attach(this.nexus)
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /**
   * Aborts what is under way and gives up what belongs to the session, before this returns.
   * @returns resolves when the disk does nothing for it any longer, or after the limit
   */
  end(reason: string): Promise<void> {
    if (this.#ended === undefined) {
      this.#ended = this.#end(reason)
      this.#onEnd?.()
    }
    return this.#ended
  }

  #end(reason: string): Promise<void> {
    this.#server.sessions.delete(this.tsih)
    const settled = this.tasks.abort(() => true)
    this.sender.window.close()
    this.target.scsi.detach(this.nexus)
    this.#server.log('info', 'iSCSI session ended', { ...this.names(), reason })
    return settled.then(() => undefined)
  }

  /** 11.9: says that it is over, ends and disconnects. @returns as `end` */
  close(reason: string): Promise<void> {
    if (!this.hasEnded) this.#announce(AsyncEvent.dropsSession, this.parameters.defaultTime2Wait, 0)
    const settled = this.end(reason)
    this.sender.disconnect(reason)
    return settled
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
    const numbers = this.sender.nextNumbers()
    const parameters = { parameter1: 0, parameter2, parameter3 }
    this.sender.send(encodeAsyncMessage({ ...numbers, lun: 0n, event, vendorCode: 0, ...parameters }))
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
