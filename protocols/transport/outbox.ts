/** What an engine sends within one turn of the event loop goes to the kernel in one call: also what several threads have finished. */

import type { Socket } from 'node:net'
import { answered } from './attention.ts'
import type { BufferPool } from './buffer-pool.ts'

/** Up to here copying chunks into one buffer costs less than handing them over one by one. */
const JOINED_BYTES = 64 * 1024

export class Outbox {
  readonly #socket: Socket
  readonly #pool: BufferPool
  readonly #flushed: () => void
  #chunks: Buffer[] = []
  #releases: (() => void)[] = []
  #bytes = 0
  #isScheduled = false

  /** @param flushed called when something was handed to the socket */
  constructor(socket: Socket, pool: BufferPool, flushed: () => void) {
    this.#socket = socket
    this.#pool = pool
    this.#flushed = flushed
  }

  /** @param release called when the chunks were handed to the kernel, or will never be */
  add(header: Buffer | undefined, chunks: readonly Buffer[], release: (() => void) | undefined): void {
    if (header !== undefined) this.#push(header)
    for (const chunk of chunks) this.#push(chunk)
    if (release !== undefined) this.#releases.push(release)
    // Joining gains nothing any more; and what a turn may add would be beyond the limit of what is queued.
    if (this.#bytes > JOINED_BYTES) return this.flush()
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.flush())
  }

  #push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** Sends now what is there. */
  flush(): void {
    this.#isScheduled = false
    const chunks = this.#chunks
    const releases = this.#releases
    const bytes = this.#bytes
    if (chunks.length === 0 && releases.length === 0) return
    this.#chunks = []
    this.#releases = []
    this.#bytes = 0
    const socket = this.#socket
    const done = (): void => {
      for (const release of releases) release()
    }
    if (socket.destroyed || socket.writableEnded || chunks.length === 0) return done()
    // What the peer is slow to take is not held twice.
    const isJoined = chunks.length > 1 && bytes <= JOINED_BYTES && socket.writableLength === 0
    if (isJoined) this.#writeJoined(chunks, bytes, done)
    else this.#writeEach(chunks, done)
    this.#flushed()
    answered(socket)
  }

  #writeJoined(chunks: readonly Buffer[], bytes: number, done: () => void): void {
    const lease = this.#pool.acquire(bytes)
    let at = 0
    for (const chunk of chunks) at += chunk.copy(lease.buffer, at)
    this.#socket.write(lease.buffer, () => {
      lease.release()
      done()
    })
  }

  /** The chunks are not joined. `done` is called also when the socket dies before. */
  #writeEach(chunks: readonly Buffer[], done: () => void): void {
    const socket = this.#socket
    const last = chunks.length - 1
    socket.cork()
    for (let index = 0; index < last; index++) socket.write(chunks[index] as Buffer)
    socket.write(chunks[last] as Buffer, done)
    socket.uncork()
  }
}
