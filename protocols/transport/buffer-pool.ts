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
/** Between two looks at what nobody has needed since the last one. */
const LOOK_MILLISECONDS = 2000

function later(milliseconds: number, work: () => void): void {
  setTimeout(work, milliseconds).unref()
}

/**
 * Keeps released buffers up to a bound, as long as they are needed from time to time; what is beyond it is left to the garbage
 * collector.
 */
export class BufferPool {
  readonly #free: Buffer[][] = CLASS_BYTES.map(() => [])
  /** The fewest that were free at a time since the last look, by class: nobody has needed so many. */
  readonly #unneeded: number[] = CLASS_BYTES.map(() => 0)
  readonly #keptBytesLimit: number
  readonly #after: typeof later
  #keptBytes = 0
  #isLooking = false

  /**
   * @param keptBytesLimit bytes of free buffers kept for later use
   * @param after runs work later
   */
  constructor(keptBytesLimit = DEFAULT_KEPT_BYTES, after = later) {
    this.#keptBytesLimit = keptBytesLimit
    this.#after = after
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
    if (known !== undefined) {
      this.#keptBytes -= size
      if (free.length < (this.#unneeded[index] as number)) this.#unneeded[index] = free.length
    }
    const whole = known ?? Buffer.allocUnsafeSlow(size)
    return leaseOf(whole.subarray(0, bytes), () => this.#keep(free, whole))
  }

  #keep(free: Buffer[], whole: Buffer): void {
    if (this.#keptBytes + whole.length > this.#keptBytesLimit) return
    this.#keptBytes += whole.length
    free.push(whole)
    this.#lookLater()
  }

  #lookLater(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#after(LOOK_MILLISECONDS, () => {
      this.#isLooking = false
      this.#giveBack()
      if (this.#keptBytes > 0) this.#lookLater()
    })
  }

  #giveBack(): void {
    const unneeded = this.#free.flatMap((free, index) => {
      const gone = free.splice(0, this.#unneeded[index])
      this.#unneeded[index] = free.length
      return gone
    })
    for (const { length } of unneeded) this.#keptBytes -= length
    if (unneeded.length > 0) discard(unneeded)
  }
}

/**
 * Gives memory back at once: a server that has nothing to do makes no garbage, so its collector would not come for long. What is
 * sent to nobody belongs to nobody.
 */
function discard(buffers: readonly Buffer[]): void {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  port1.postMessage(
    undefined,
    // Each buffer of the pool has memory of its own, and that alone.
    buffers.map(({ buffer }) => buffer as ArrayBuffer),
  )
  port1.close()
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
