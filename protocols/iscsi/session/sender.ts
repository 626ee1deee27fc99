/** RFC 7143 4.2.2.2: what a target sends on one connection, with its numbers and digests. */

import type { Effect } from '../../transport/engine.ts'
import { encodeReject, type RejectReason } from '../pdu/reject.ts'
import { type Digests, joinPdu, NO_DIGESTS } from '../pdu/segments.ts'
import { next, type ResponseNumbers } from '../pdu/sequence.ts'
import type { CommandWindow } from './command-window.ts'

export class Sender {
  readonly #sink: (effect: Effect) => void
  #window: CommandWindow
  #digests: Digests = NO_DIGESTS
  #statSN = 0

  constructor(sink: (effect: Effect) => void, window: CommandWindow) {
    this.#sink = sink
    this.#window = window
  }

  get window(): CommandWindow {
    return this.#window
  }

  /** The connection belongs to a session that has others. */
  joinWindow(window: CommandWindow): void {
    this.#window = window
  }

  /** What follows has these digests. */
  useDigests(digests: Digests): void {
    this.#digests = digests
  }

  /** For a PDU that has a StatSN of its own. */
  nextNumbers(): ResponseNumbers {
    const numbers = this.numbers()
    this.#statSN = next(this.#statSN)
    return numbers
  }

  /** For a PDU that only tells the StatSN that comes next. */
  numbers(): ResponseNumbers {
    const { expCmdSN, maxCmdSN } = this.#window
    return { statSN: this.#statSN, expCmdSN, maxCmdSN }
  }

  send(bhs: Buffer, data: readonly Buffer[] = []): void {
    this.#sink({ kind: 'send', chunks: joinPdu(bhs, data, this.#digests) })
  }

  /** Several PDUs in one call to the kernel. @param release called when their data are no longer used */
  sendAll(pdus: readonly (readonly [bhs: Buffer, data: readonly Buffer[]])[], release: () => void): void {
    const chunks: Buffer[] = []
    for (const [bhs, data] of pdus) for (const chunk of joinPdu(bhs, data, this.#digests)) chunks.push(chunk)
    this.#sink({ kind: 'send', chunks, release })
  }

  /** 11.17: the header of what is refused goes back with it. */
  reject(reason: RejectReason, bhs: Buffer): void {
    this.send(encodeReject({ ...this.nextNumbers(), reason }), [Buffer.from(bhs)])
  }

  disconnect(reason: string): void {
    this.#sink({ kind: 'disconnect', reason })
  }
}
