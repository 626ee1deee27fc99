/** RFC 7143 4.2.5.2 and 11.7: the Data-Out of one command, burst by burst, in order. */

import type { DataOut } from '../pdu/data.ts'
import { RESERVED_TAG } from '../pdu/segments.ts'

/**
 * Smaller pieces are copied together and their frames given back at once: frames that hold little would take many times
 * the memory of what they hold.
 */
const SMALL_PIECE_BYTES = 32 * 1024
const TAIL_BYTES = 64 * 1024

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
  /** Bursts that may be asked for at a time. */
  readonly maxOutstandingR2T: number
  /** The command had its F bit set: no unsolicited Data-Out follows. */
  readonly final: boolean
}

export interface Burst {
  readonly bufferOffset: number
  readonly length: number
}

/** A burst that is to come; the unsolicited one has no tag. */
interface OpenBurst {
  readonly tag: number
  readonly end: number
  expectedDataSN: number
}

export class DataOutSequence {
  readonly #options: DataOutOptions
  readonly #pieces: Buffer[] = []
  readonly #releases: (() => void)[] = []
  /** In the order in which they must come (DataSequenceInOrder=Yes). */
  readonly #bursts: OpenBurst[] = []
  #received = 0
  /** Up to where data have been asked for. */
  #solicited = 0
  /** Where small pieces are copied to, and how much of it is used. */
  #tail: Buffer | undefined
  #tailUsed = 0
  #fault: DataOutFault | undefined

  constructor(options: DataOutOptions) {
    this.#options = options
    if (!options.final) this.#bursts.push({ tag: RESERVED_TAG, end: this.#unsolicitedEnd, expectedDataSN: 0 })
  }

  get #unsolicitedEnd(): number {
    return Math.min(this.#options.total, this.#options.unsolicited)
  }

  get pieces(): readonly Buffer[] {
    return this.#pieces
  }

  get fault(): DataOutFault | undefined {
    return this.#fault
  }

  get state(): DataOutState {
    if (this.#fault === undefined && this.#canSolicit) return 'wants-more'
    return this.#bursts.length > 0 ? 'receiving' : 'complete'
  }

  /** How much comes unsolicited is known at its end alone. */
  get #canSolicit(): boolean {
    const { total, maxOutstandingR2T } = this.#options
    if (this.#nextOffset >= total || this.#bursts.length >= maxOutstandingR2T) return false
    return this.#bursts[0]?.tag !== RESERVED_TAG
  }

  get #nextOffset(): number {
    return Math.max(this.#received, this.#solicited)
  }

  /** @param allowed ImmediateData=Yes @param release called when the bytes are no longer used */
  takeImmediate(bytes: Buffer, allowed: boolean, release: () => void): void {
    if (!allowed || bytes.length > this.#unsolicitedEnd) this.#fault = 'unexpected'
    this.#keep(bytes, release)
  }

  /** Unsolicited data were announced where none may come. */
  refuseUnsolicited(): void {
    this.#fault = 'unexpected'
  }

  /** The next burst to ask for; its data bear the tag. */
  nextBurst(tag: number): Burst {
    const { total, maxBurstLength } = this.#options
    const bufferOffset = this.#nextOffset
    const end = Math.min(total, bufferOffset + maxBurstLength)
    this.#solicited = end
    this.#bursts.push({ tag, end, expectedDataSN: 0 })
    return { bufferOffset, length: end - bufferOffset }
  }

  /** @returns false when it does not belong to a burst under way: it is passed over, and `release` was called */
  take(header: DataOut, bytes: Buffer, intact: boolean, release: () => void): boolean {
    const index = this.#bursts.findIndex(({ tag }) => tag === header.targetTransferTag)
    const burst = this.#bursts[index]
    if (burst === undefined) {
      release()
      return false
    }
    const isNext = index === 0 && header.dataSN === burst.expectedDataSN
    const isInOrder = intact && isNext && header.bufferOffset === this.#received
    if (!isInOrder) this.#fault ??= 'wrong-sequence'
    else if (this.#received + bytes.length > burst.end) this.#fault ??= 'incorrect-amount'
    burst.expectedDataSN = (burst.expectedDataSN + 1) >>> 0
    this.#keep(bytes, release)
    if (!header.final) return true
    this.#bursts.splice(index, 1)
    const isSolicited = burst.tag !== RESERVED_TAG
    if (isSolicited && this.#received < burst.end) this.#fault ??= 'incorrect-amount'
    return true
  }

  /** Gives the memory of all pieces back. */
  release(): void {
    for (const release of this.#releases.splice(0)) release()
    this.#pieces.length = 0
    this.#tail = undefined
  }

  /** After a fault the data are of no use. */
  #keep(bytes: Buffer, release: () => void): void {
    if (this.#fault !== undefined || bytes.length === 0) return release()
    if (bytes.length >= SMALL_PIECE_BYTES || bytes.length === this.#options.total) {
      this.#pieces.push(bytes)
      this.#releases.push(release)
    } else {
      this.#copy(bytes)
      release()
    }
    this.#received += bytes.length
  }

  #copy(bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      if (this.#tail === undefined || this.#tailUsed === this.#tail.length) {
        const rest = this.#options.total - this.#received - done
        this.#tail = Buffer.allocUnsafe(Math.min(TAIL_BYTES, rest))
        this.#tailUsed = 0
      }
      const from = this.#tailUsed
      this.#tailUsed += bytes.copy(this.#tail, from, done)
      done += this.#tailUsed - from
      this.#append(this.#tail, from, this.#tailUsed)
    }
  }

  /** Longer is the last piece when it ends where this begins. */
  #append(tail: Buffer, from: number, to: number): void {
    const last = this.#pieces.at(-1)
    const isNext = last?.buffer === tail.buffer && last.byteOffset + last.length === tail.byteOffset + from
    if (last === undefined || !isNext || from === 0) this.#pieces.push(tail.subarray(from, to))
    else this.#pieces[this.#pieces.length - 1] = tail.subarray(from - last.length, to)
  }
}
