/** MS-SMB2 2.1 and its like: cutting a stream into frames, without a socket; large frames are filled in place. */

import type { BufferPool, Lease } from './buffer-pool.ts'
import type { Frame, FrameFormat } from './engine.ts'

const DIRECT_TCP_HEADER_BYTES = 4
const LENGTH_MASK = 0x00ff_ffff
const SESSION_MESSAGE = 0x00
/** RFC 1002 4.3.6: a keep-alive of NetBIOS' session service, which some clients still send. */
const SESSION_KEEP_ALIVE = 0x85
/** The largest write (8 MiB) with room for the head, contexts and encryption around it. */
const DIRECT_TCP_MAXIMUM_BYTES = (8 << 20) + (64 << 10)

/** MS-SMB2 2.1: one byte of zero, then the length in 24 bits. */
export const DIRECT_TCP: FrameFormat = {
  headerBytes: DIRECT_TCP_HEADER_BYTES,
  maximumPayloadBytes: DIRECT_TCP_MAXIMUM_BYTES,
  deliversHeader: false,
  payloadBytes(header) {
    const length = header.readUInt32BE(0) & LENGTH_MASK
    if (header[0] === SESSION_KEEP_ALIVE) return length === 0 ? 'skip' : undefined
    return header[0] === SESSION_MESSAGE ? length : undefined
  },
  header(payloadBytes) {
    const header = Buffer.allocUnsafe(DIRECT_TCP_HEADER_BYTES)
    header.writeUInt32BE(payloadBytes)
    return header
  },
}

/** A frame of which a part has arrived. */
interface Filling {
  readonly lease: Lease
  filled: number
}

/**
 * Takes bytes as they come. Between frames they are read into a scratch buffer that all connections
 * share, so that one that is idle holds no memory; once a frame is known to be longer than what has
 * arrived, the rest of it is read straight into a buffer of its size.
 */
export class Framer {
  readonly #formatOf: () => FrameFormat
  readonly #pool: BufferPool
  readonly #scratch: Buffer
  readonly #onFrame: (frame: Frame) => void
  /** A header that has arrived in part. */
  #header: Buffer | undefined
  #headerFilled = 0
  #filling: Filling | undefined

  /**
   * @param formatOf asked when a frame begins
   * @param scratch what is in it is used up before `received` returns
   */
  constructor(
    formatOf: () => FrameFormat,
    pool: BufferPool,
    scratch: Buffer,
    onFrame: (frame: Frame) => void,
  ) {
    this.#formatOf = formatOf
    this.#pool = pool
    this.#scratch = scratch
    this.#onFrame = onFrame
  }

  /** Where the next bytes are to be put: never empty. */
  target(): Buffer {
    const filling = this.#filling
    return filling === undefined ? this.#scratch : filling.lease.buffer.subarray(filling.filled)
  }

  /**
   * `count` bytes were put where `target` said.
   * @returns false when they are no frames of the protocol: the connection is to be closed
   */
  received(count: number): boolean {
    const filling = this.#filling
    if (filling === undefined) return this.take(this.#scratch.subarray(0, count))
    filling.filled += count
    if (filling.filled === filling.lease.buffer.length) this.#complete(filling)
    return true
  }

  /** Takes bytes from elsewhere than `target`. @returns as `received` */
  take(bytes: Buffer): boolean {
    let rest = bytes
    while (rest.length > 0) {
      const used =
        this.#filling === undefined ? this.#takeHeader(rest) : this.#takePayload(this.#filling, rest)
      if (used === undefined) return false
      rest = rest.subarray(used)
    }
    return true
  }

  /** Gives back what a frame that will never be complete has borrowed. */
  abandon(): void {
    this.#filling?.lease.release()
    this.#filling = undefined
  }

  #takeHeader(bytes: Buffer): number | undefined {
    const format = this.#formatOf()
    const { headerBytes } = format
    this.#header ??= Buffer.allocUnsafe(headerBytes)
    const used = bytes.copy(this.#header, this.#headerFilled, 0, headerBytes - this.#headerFilled)
    this.#headerFilled += used
    if (this.#headerFilled < headerBytes) return used
    this.#headerFilled = 0
    const length = format.payloadBytes(this.#header)
    if (length === 'skip') return used
    if (length === undefined || length > format.maximumPayloadBytes) return undefined
    const kept = format.deliversHeader ? headerBytes : 0
    const filling = { lease: this.#pool.acquire(kept + length), filled: kept }
    if (kept > 0) this.#header.copy(filling.lease.buffer)
    this.#filling = filling
    if (length === 0) this.#complete(filling)
    return used
  }

  #takePayload(filling: Filling, bytes: Buffer): number {
    const used = bytes.copy(filling.lease.buffer, filling.filled)
    filling.filled += used
    if (filling.filled === filling.lease.buffer.length) this.#complete(filling)
    return used
  }

  #complete({ lease }: Filling): void {
    this.#filling = undefined
    this.#onFrame({ bytes: lease.buffer, release: lease.release })
  }
}
