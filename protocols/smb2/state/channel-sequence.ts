/** MS-SMB2 3.3.5.2.10: which of a client's requests on an open were sent before it last lost a channel. */

const SEQUENCES = 0x1_0000
/** "If the unsigned difference using 16-bit arithmetic ... is less than or equal to 0x7FFF". */
const MAXIMUM_STEP = 0x7fff

/** A request that counts. */
export interface Admission {
  readonly channelSequence: number
}

export class ChannelSequence {
  /** Open.ChannelSequence */
  #current = 0
  /** Open.OutstandingRequestCount */
  #outstanding = 0
  /** Open.OutstandingPreRequestCount: those sent on a channel that the client has given up. */
  #outstandingBefore = 0

  /**
   * Counts a request in.
   * @param isReplay SMB2_FLAGS_REPLAY_OPERATION
   * @returns undefined for one that is late, or that may overtake those it repeats: what it would
   * change must not be changed now (FILE_NOT_AVAILABLE); others go on uncounted
   */
  admit(channelSequence: number, isReplay: boolean): Admission | undefined {
    const step = (channelSequence - this.#current + SEQUENCES) % SEQUENCES
    if (step > MAXIMUM_STEP) return undefined
    if (isReplay && this.#outstandingBefore > 0) return undefined
    if (step === 0) {
      this.#outstanding++
    } else {
      this.#outstandingBefore += this.#outstanding
      this.#outstanding = 1
      this.#current = channelSequence
    }
    return { channelSequence }
  }

  /** 3.3.4.1: a request that was counted has been answered. */
  done({ channelSequence }: Admission): void {
    if (channelSequence === this.#current) this.#outstanding--
    else this.#outstandingBefore--
  }
}
