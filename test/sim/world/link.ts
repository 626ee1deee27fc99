/** MS-SMB2 3.2.4.1, 3.2.4.2, 3.2.5.1: a simulated client's connection: made, lost, made again. */

import { Capability, Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import type { OplockBreakNotification } from '../../../protocols/smb2/messages/oplock-break.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { SIM_SHARE, type SimServer } from '../sim-server.ts'
import { SimClient } from '../smb2-client.ts'
import type { SimAnswer, SimRequest } from '../smb2-connection.ts'
import { logOn, negotiate } from '../smb2-session.ts'

/** How a connection ends. */
export type Loss =
  /** The server learns of it at once. */
  | 'dropped'
  /** The server believes that the client is still there, until TCP gives up. */
  | 'silent'

/** What a request brings when the connection is lost before its answer. */
export const LOST = Symbol('lost')

/** A client that knows when it was told of breaks. */
class ListeningClient extends SimClient {
  /** Milliseconds since 1970, one for each of `breaks`. */
  readonly toldAt: number[] = []

  protected override notified(answer: SimAnswer): void {
    super.notified(answer)
    this.toldAt.push(this.sim.environment.now())
  }
}

/** A notification that has arrived. */
export interface Arrival {
  readonly notification: OplockBreakNotification
  /** Milliseconds since 1970. */
  readonly at: number
}

export class Link {
  readonly client: ListeningClient
  readonly sessionId: bigint
  isUp = true
  #lose: () => void = () => undefined
  readonly #lost: Promise<typeof LOST>

  private constructor(client: ListeningClient, sessionId: bigint) {
    this.client = client
    this.sessionId = sessionId
    this.#lost = new Promise((resolve) => {
      this.#lose = () => resolve(LOST)
    })
  }

  /**
   * @param previousSessionId of the connection before; 0: none
   * @throws Error when the server refuses
   */
  static async open(
    sim: SimServer,
    address: string,
    clientGuid: Buffer,
    previousSessionId: bigint,
  ): Promise<Link> {
    const client = new ListeningClient(sim, address)
    const capabilities = Capability.LEASING | Capability.ENCRYPTION
    await negotiate(client, { dialects: [Dialect.SMB_3_1_1], clientGuid, capabilities })
    const { session, status } = await logOn(client, { previousSessionId })
    if (status !== Status.SUCCESS) throw new Error(`the SESSION_SETUP failed with 0x${status.toString(16)}`)
    client.signs = true
    const tree = await client.connectTree(SIM_SHARE)
    if (tree !== Status.SUCCESS) throw new Error(`the TREE_CONNECT failed with 0x${tree.toString(16)}`)
    return new Link(client, session.id)
  }

  /** Sends a request. @returns its final answer, or LOST */
  async ask(request: SimRequest): Promise<SimAnswer | typeof LOST> {
    if (!this.isUp) return LOST
    return Promise.race([this.client.request(request), this.#lost])
  }

  /** The breaks that have arrived since this was last asked. */
  takeBreaks(): Arrival[] {
    const { breaks, toldAt } = this.client
    const times = toldAt.splice(0)
    return breaks.splice(0).map((notification, index) => ({ notification, at: times[index] ?? 0 }))
  }

  lose(how: Loss): void {
    this.isUp = false
    this.#lose()
    if (how === 'dropped') this.client.drop()
  }

  /** What TCP does in the end to a connection that was lost in silence. */
  bury(): void {
    if (!this.client.disconnected) this.client.drop()
  }
}
