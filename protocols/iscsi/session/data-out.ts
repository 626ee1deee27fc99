/** RFC 7143 4.2.5.2 and 11.7: the Data-Out of one command, burst by burst, in order. */

import type { DataOut } from '../pdu/data.ts'
import { RESERVED_TAG } from '../pdu/segments.ts'

/** Pieces of one command's data, in so many PDUs of 512 bytes that the largest transfer still comes. */
const MAXIMUM_PIECES = 20_000

/** 11.4.7.2: what is told in sense data. */
export type DataOutFault = 'wrong-sequence' | 'unexpected' | 'incorrect-amount'

/** What is to be done after a piece: nothing, ask for the next burst, or run the command. */
export type DataOutState = 'receiving' | 'wants-more' | 'complete'

export interface DataOutOptions {
  /** Bytes that are wanted in all. */
  readonly total: number
  /** Bytes that may come without being asked for. */
  readonly unsolicited: number
  readonly maxBurstLength: number
  /** The command had its F bit set: no unsolicited Data-Out follows. */
  readonly final: boolean
}

export interface Burst {
  readonly bufferOffset: number
  readonly length: number
}

export class DataOutSequence {
  readonly #options: DataOutOptions
  readonly #pieces: Buffer[] = []
  readonly #releases: (() => void)[] = []
  #received = 0
  #burstEnd: number
  #expectedDataSN = 0
  #transferTag: number = RESERVED_TAG
  #isOpen: boolean
  #fault: DataOutFault | undefined

  constructor(options: DataOutOptions) {
    this.#options = options
    this.#burstEnd = Math.min(options.total, options.unsolicited)
    this.#isOpen = !options.final
  }

  get pieces(): readonly Buffer[] {
    return this.#pieces
  }

  get fault(): DataOutFault | undefined {
    return this.#fault
  }

  get state(): DataOutState {
    if (this.#isOpen) return 'receiving'
    return this.#fault !== undefined || this.#received >= this.#options.total ? 'complete' : 'wants-more'
  }

  /** @param allowed ImmediateData=Yes @param release called when the bytes are no longer used */
  takeImmediate(bytes: Buffer, allowed: boolean, release: () => void): void {
    if (!allowed || bytes.length > this.#burstEnd) this.#fault = 'unexpected'
    this.#keep(bytes, release)
  }

  /** Unsolicited data were announced where none may come. */
  refuseUnsolicited(): void {
    this.#fault = 'unexpected'
  }

  /** The next burst to ask for; its data bear the tag. */
  nextBurst(transferTag: number): Burst {
    const { total, maxBurstLength } = this.#options
    const bufferOffset = this.#received
    this.#burstEnd = Math.min(total, bufferOffset + maxBurstLength)
    this.#transferTag = transferTag
    this.#expectedDataSN = 0
    this.#isOpen = true
    return { bufferOffset, length: this.#burstEnd - bufferOffset }
  }

  /** @returns false when it does not belong to the burst under way: it is passed over, and `release` was called */
  take(header: DataOut, bytes: Buffer, intact: boolean, release: () => void): boolean {
    if (!this.#isOpen || header.targetTransferTag !== this.#transferTag) {
      release()
      return false
    }
    const isInOrder =
      intact && header.dataSN === this.#expectedDataSN && header.bufferOffset === this.#received
    if (!isInOrder) this.#fault ??= 'wrong-sequence'
    else if (this.#received + bytes.length > this.#burstEnd) this.#fault ??= 'incorrect-amount'
    this.#expectedDataSN = (this.#expectedDataSN + 1) >>> 0
    this.#keep(bytes, release)
    if (!header.final) return true
    this.#isOpen = false
    const isSolicited = this.#transferTag !== RESERVED_TAG
    if (isSolicited && this.#received < this.#burstEnd) this.#fault ??= 'incorrect-amount'
    return true
  }

  /** Gives the memory of all pieces back. */
  release(): void {
    for (const release of this.#releases.splice(0)) release()
    this.#pieces.length = 0
  }

  /** After a fault the data are of no use. */
  #keep(bytes: Buffer, release: () => void): void {
    if (this.#pieces.length >= MAXIMUM_PIECES) this.#fault ??= 'incorrect-amount'
    if (this.#fault !== undefined || bytes.length === 0) return release()
    this.#pieces.push(bytes)
    this.#releases.push(release)
    this.#received += bytes.length
  }
}
