/** One connection: bytes in become frames for an engine, its effects become bytes out. */

import { Socket } from 'node:net'
import type { BufferPool } from './buffer-pool.ts'
import type { ConnectionEngine, Effect, Engine, Peer } from './engine.ts'
import { type FrameFormat, Framer } from './framer.ts'

/** Queued bytes to the peer past which nothing more is read from it, and below which reading goes on. */
const HIGH_WATER_BYTES = 16 << 20
const LOW_WATER_BYTES = 4 << 20
/** A peer that takes nothing keeps the last words of a connection no longer than this. */
const LINGER_MILLISECONDS = 5000
const KEEP_ALIVE_MILLISECONDS = 30_000

export interface ConnectionOptions {
  readonly engine: Engine
  readonly format: FrameFormat
  readonly pool: BufferPool
  /** Shared by all connections: see Framer. */
  readonly scratch: Buffer
  /** Milliseconds in which the first frame must have arrived. */
  readonly firstFrameMilliseconds: number
}

/** Node's Socket takes the handle of an accepted one and an `onread`; its types tell only of the public options. */
interface HandleOptions {
  readonly handle: object
  readonly onread: { buffer: () => Buffer; callback: (count: number) => boolean }
}

/**
 * Serves an accepted socket, whose reading has not begun.
 * @param closed called once, when all is over
 * @returns undefined when the engine refused the peer
 */
export function serveConnection(
  accepted: Socket,
  options: ConnectionOptions,
  closed: (connection: ServedConnection) => void,
): ServedConnection | undefined {
  const connection = new ServedConnection(accepted, options, closed)
  return connection.start() ? connection : undefined
}

export class ServedConnection {
  readonly #options: ConnectionOptions
  readonly #framer: Framer
  readonly #socket: Socket
  readonly #peer: Peer
  readonly #closed: (connection: ServedConnection) => void
  #engine: ConnectionEngine | undefined
  #firstFrame: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  #engineReads = true
  #peerReads = true
  #ended = false

  constructor(accepted: Socket, options: ConnectionOptions, closed: (connection: ServedConnection) => void) {
    this.#options = options
    this.#closed = closed
    this.#peer = peerOf(accepted)
    this.#framer = new Framer(options.format, options.pool, options.scratch, (frame) => {
      clearTimeout(this.#firstFrame)
      this.#engine?.receive(frame)
    })
    this.#socket = this.#adopt(accepted)
  }

  get peer(): Peer {
    return this.#peer
  }

  start(): boolean {
    const socket = this.#socket
    this.#engine = this.#options.engine.connect(this.#peer, (effect) => this.#apply(effect))
    if (this.#engine === undefined) {
      socket.destroy()
      return false
    }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MILLISECONDS)
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('drain', () => this.#drained())
    socket.on('close', () => this.#close())
    this.#firstFrame = setTimeout(() => socket.destroy(), this.#options.firstFrameMilliseconds)
    socket.resume()
    return true
  }

  /** Sends what is queued and closes; after a while without regard to that. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket.end()
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MILLISECONDS)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Bytes land where the framer wants them: `onread` is to be had only when a socket is made anew around the handle. */
  #adopt(accepted: Socket): Socket {
    const { _handle: handle } = accepted as unknown as { _handle?: object | null }
    if (handle === undefined || handle === null) return this.#copying(accepted)
    ;(accepted as unknown as { _handle: null })._handle = null
    const options: HandleOptions = {
      handle,
      onread: {
        buffer: () => this.#framer.target(),
        callback: (count) => {
          if (!this.#ended && !this.#framer.received(count)) this.end()
          return true
        },
      },
    }
    return new Socket(options as object)
  }

  /** Without access to the handle, with one copy more. */
  #copying(accepted: Socket): Socket {
    accepted.on('data', (bytes) => {
      if (!this.#ended && !this.#framer.take(bytes as Buffer)) this.end()
    })
    return accepted
  }

  #apply(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#send(effect.chunks, effect.release)
      case 'disconnect':
        return this.end()
      case 'reading':
        this.#engineReads = effect.enabled
        return this.#regulate()
    }
  }

  /** One frame in one system call: the chunks are not joined. */
  #send(chunks: readonly Buffer[], release: (() => void) | undefined): void {
    const socket = this.#socket
    if (this.#ended || socket.destroyed) return release?.()
    let length = 0
    for (const chunk of chunks) length += chunk.length
    socket.cork()
    const last = chunks.length - 1
    socket.write(this.#options.format.header(length))
    chunks.forEach((chunk, index) => {
      if (index === last && release !== undefined) socket.write(chunk, () => release())
      else socket.write(chunk)
    })
    socket.uncork()
    if (socket.writableLength > HIGH_WATER_BYTES && this.#peerReads) {
      this.#peerReads = false
      this.#regulate()
    }
  }

  #drained(): void {
    if (this.#peerReads || this.#socket.writableLength > LOW_WATER_BYTES) return
    this.#peerReads = true
    this.#regulate()
  }

  #regulate(): void {
    if (this.#engineReads && this.#peerReads) this.#socket.resume()
    else this.#socket.pause()
  }

  #close(): void {
    clearTimeout(this.#firstFrame)
    clearTimeout(this.#linger)
    this.#ended = true
    this.#framer.abandon()
    this.#engine?.closed()
    this.#closed(this)
  }
}

const IPV4_MAPPED = '::ffff:'

function plainAddress(address: string | undefined): string {
  return address?.startsWith(IPV4_MAPPED) === true ? address.slice(IPV4_MAPPED.length) : (address ?? '')
}

function peerOf(socket: Socket): Peer {
  return {
    remoteAddress: plainAddress(socket.remoteAddress),
    remotePort: socket.remotePort ?? 0,
    localAddress: plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
  }
}
