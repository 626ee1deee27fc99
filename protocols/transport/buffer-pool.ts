/** Buffers that are used again: for large frames that are received and payloads that are sent. */

/** A buffer on loan. */
export interface Lease {
  /** Exactly as long as was asked for; its contents are whatever was there before. */
  readonly buffer: Buffer
  /** Gives it back. Once: a second time throws, since somebody else may have it by then. */
  release(): void
}

/** Smaller ones come from Node's own slabs, which is cheaper. */
const SMALLEST_POOLED_BYTES = 2 * 1024
/** Room beside a payload of a power of two for the message's head. */
const HEAD_ROOM_BYTES = 4096
const KIB = 1024
/**
 * Payload sizes that clients use: 4 and 16 KiB (blocks of disks), 64 KiB, the quanta of a Mac (256 KiB to 1 MiB), and
 * the largest that is offered.
 */
const CLASS_BYTES: readonly number[] = [
  4 * KIB,
  16 * KIB,
  64 * KIB,
  256 * KIB,
  512 * KIB,
  1024 * KIB,
  4096 * KIB,
  8192 * KIB,
].map((bytes) => bytes + HEAD_ROOM_BYTES)
const DEFAULT_KEPT_BYTES = 48 * KIB * KIB

/** Keeps released buffers up to a bound; what is beyond it is left to the garbage collector. */
export class BufferPool {
  readonly #free: Buffer[][] = CLASS_BYTES.map(() => [])
  readonly #keptBytesLimit: number
  #keptBytes = 0

  /** @param keptBytesLimit bytes of free buffers kept for later use */
  constructor(keptBytesLimit = DEFAULT_KEPT_BYTES) {
    this.#keptBytesLimit = keptBytesLimit
  }

  /** Bytes of free buffers. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** @param bytes a number that has met its limit already */
  acquire(bytes: number): Lease {
    const index = bytes < SMALLEST_POOLED_BYTES ? -1 : CLASS_BYTES.findIndex((size) => size >= bytes)
    if (index < 0) return leaseOf(Buffer.allocUnsafe(bytes), () => undefined)
    const size = CLASS_BYTES[index] as number
    const free = this.#free[index] as Buffer[]
    const known = free.pop()
    if (known !== undefined) this.#keptBytes -= size
    const whole = known ?? Buffer.allocUnsafeSlow(size)
    return leaseOf(whole.subarray(0, bytes), () => this.#keep(free, whole))
  }

  #keep(free: Buffer[], whole: Buffer): void {
    if (this.#keptBytes + whole.length > this.#keptBytesLimit) return
    this.#keptBytes += whole.length
    free.push(whole)
  }
}

function leaseOf(buffer: Buffer, giveBack: () => void): Lease {
  let isOut = true
  return {
    buffer,
    release() {
      if (!isOut) throw new Error('a buffer was given back twice')
      isOut = false
      giveBack()
    },
  }
}
