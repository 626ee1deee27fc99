/** MS-SMB2 3.3.1.1, 3.3.1.2, 3.3.5.2.3: the command sequence window and the granting of credits. Pure. */

/** Most message ids that a client may have between its oldest unused one and its newest: Windows grants as many. */
export const MAXIMUM_WINDOW_CREDITS = 8192

/** Bytes of payload that one credit pays for (3.2.4.1.5). */
export const BYTES_PER_CREDIT = 65536

/**
 * Connection.CommandSequenceWindow. A client may use each granted message id once, in any
 * order; the window moves on as its lowest id is used.
 */
export class CommandSequenceWindow {
  readonly #limit: number
  /** One byte for each id from `#low` to `#high`, at index id modulo the limit; 1: used. */
  readonly #used: Uint8Array
  /** Lowest id that was granted and not used yet. */
  #low = 0
  /** Lowest id that was not granted yet. */
  #high = 1
  /** Ids granted and not used. */
  #available = 1

  /** @param limit most credits a client may hold, 1 to 65535 */
  constructor(limit = MAXIMUM_WINDOW_CREDITS) {
    this.#limit = limit
    this.#used = new Uint8Array(limit)
  }

  /** Credits the client holds. */
  get available(): number {
    return this.#available
  }

  /**
   * Takes the `charge` ids from `messageId` on out of the window.
   * @returns false when one of them was not granted or is used already: the connection is to be closed
   */
  consume(messageId: bigint, charge: number): boolean {
    if (messageId < BigInt(this.#low) || messageId + BigInt(charge) > BigInt(this.#high)) return false
    const first = Number(messageId)
    for (let id = first; id < first + charge; id++) {
      if (this.#used[id % this.#limit] === 1) return false
    }
    for (let id = first; id < first + charge; id++) this.#used[id % this.#limit] = 1
    this.#available -= charge
    this.#advance()
    return true
  }

  /**
   * Grants up to `requested` credits, within the limit of the window, and at least one when the
   * client would otherwise be left without any (3.3.1.2).
   * @returns the number for the response's CreditResponse
   */
  grant(requested: number): number {
    const room = this.#limit - (this.#high - this.#low)
    const least = this.#available === 0 ? 1 : 0
    const granted = Math.min(Math.max(requested, least), room)
    this.#high += granted
    this.#available += granted
    return granted
  }

  #advance(): void {
    while (this.#low < this.#high && this.#used[this.#low % this.#limit] === 1) {
      this.#used[this.#low % this.#limit] = 0
      this.#low++
    }
  }
}

/** Credits a request must pay for `bytes` of payload, the larger of what it sends and asks for (3.3.5.2.5). */
export function requiredCharge(bytes: number): number {
  return bytes <= BYTES_PER_CREDIT ? 1 : Math.floor((bytes - 1) / BYTES_PER_CREDIT) + 1
}
