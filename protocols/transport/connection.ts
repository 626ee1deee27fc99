/** One connection: bytes in become frames for an engine, its effects become bytes out. */

import { Socket } from 'node:net'
import type { BufferPool } from './buffer-pool.ts'
import type { ConnectionEngine, Effect, Engine, Frame, FrameFormat, Peer } from './engine.ts'
import { Framer } from './framer.ts'
import { Outbox } from './outbox.ts'

/** Bytes queued to a peer past which nothing more is read from it, until it has taken them all. */
const HIGH_WATER_BYTES = 16 << 20
/** A peer that takes nothing keeps the last words of a connection no longer than this. */
const LINGER_MILLISECONDS = 5000
/** Silence after which the kernel asks whether the peer is still there. */
const KEEP_ALIVE_MILLISECONDS = 30_000

export interface ConnectionOptions {
  readonly engine: Engine
  readonly format: FrameFormat
  readonly pool: BufferPool
  /** Shared by all connections: see Framer. */
  readonly scratch: Buffer
  /** Milliseconds in which the first frame must have arrived. */
  readonly firstFrameMilliseconds: number
  /** 'copied' does without the handle of the accepted socket: every byte is copied once more. */
  readonly receive: 'direct' | 'copied'
}

/** What Node's Socket can do and its types do not tell of: adopting an accepted handle, with an `onread`. */
interface HandleOptions {
  readonly handle: object
  readonly onread: { buffer: () => Buffer; callback: (count: number) => boolean }
}

/**
 * Serves an accepted socket, whose reading has not begun.
 * @param closed called once, when all is over
 * @returns undefined when the engine refused the peer; it was disconnected
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
  /** Until the engine was asked for its own, that of all. */
  #format: FrameFormat
  readonly #framer: Framer
  readonly #socket: Socket
  readonly #outbox: Outbox
  readonly #peer: Peer
  readonly #closed: (connection: ServedConnection) => void
  #engine: ConnectionEngine | undefined
  #firstFrame: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  /** The engine wants more. */
  #engineReads = true
  /** The peer takes what is sent to it. */
  #peerTakes = true
  /** The server stops: requests under way are the last. */
  #draining = false
  /** Nothing is received or sent any longer, but for what is queued. */
  #ended = false

  constructor(accepted: Socket, options: ConnectionOptions, closed: (connection: ServedConnection) => void) {
    this.#options = options
    this.#closed = closed
    this.#peer = peerOf(accepted)
    this.#format = options.format
    const deliver = (frame: Frame): void => this.#deliver(frame)
    this.#framer = new Framer(() => this.#format, options.pool, options.scratch, deliver)
    this.#socket = options.receive === 'direct' ? this.#adopt(accepted) : this.#copying(accepted)
    this.#outbox = new Outbox(this.#socket, options.pool, () => this.#sent())
  }

  get peer(): Peer {
    return this.#peer
  }

  /** The engine has answered what it got. */
  get isIdle(): boolean {
    return this.#engine?.isIdle?.() ?? true
  }

  start(): boolean {
    const socket = this.#socket
    socket.on('error', () => undefined)
    this.#engine = this.#options.engine.connect(this.#peer, (effect) => this.#apply(effect))
    if (this.#engine === undefined) {
      this.#ended = true
      socket.destroy()
      return false
    }
    this.#format = this.#engine.format ?? this.#format
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MILLISECONDS)
    socket.on('end', () => this.end())
    socket.on('drain', () => this.#drained())
    socket.on('close', () => this.#close())
    this.#firstFrame = setTimeout(() => socket.destroy(), this.#options.firstFrameMilliseconds)
    this.#regulate()
    return true
  }

  /** Takes no further requests; those under way can be answered. */
  drain(): void {
    this.#draining = true
    this.#regulate()
  }

  /** Sends what is queued and closes; after a while without regard to that. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#outbox.flush()
    this.#socket.end()
    // Only who reads learns that the peer has closed, too.
    this.#socket.resume()
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MILLISECONDS)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /**
   * Bytes land where the framer wants them: `onread` is to be had only when a socket is made anew around the handle.
   * The accepted socket is an empty shell then. (Its server goes on counting it as connected, which nobody asks for.)
   */
  #adopt(accepted: Socket): Socket {
    const shell = accepted as unknown as { _handle?: { useUserBuffer?: unknown } | null }
    const handle = shell._handle
    if (typeof handle?.useUserBuffer !== 'function') return this.#copying(accepted)
    shell._handle = null
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

  #copying(accepted: Socket): Socket {
    accepted.on('data', (bytes) => {
      if (!this.#ended && !this.#framer.take(bytes as Buffer)) this.end()
    })
    return accepted
  }

  #deliver(frame: Frame): void {
    clearTimeout(this.#firstFrame)
    // One read may hold several frames, and the engine may have disconnected at the first.
    if (this.#ended || this.#engine === undefined) frame.release()
    else this.#engine.receive(frame)
  }

  #apply(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.chunks, effect.release)
        break
      case 'disconnect':
        this.end()
        break
      case 'reading':
        this.#engineReads = effect.enabled
        this.#regulate()
    }
  }

  #send(chunks: readonly Buffer[], release: (() => void) | undefined): void {
    const socket = this.#socket
    if (this.#ended || socket.destroyed) {
      release?.()
      return
    }
    let length = 0
    for (const chunk of chunks) length += chunk.length
    const header = this.#format.header(length)
    this.#outbox.add(header, chunks, release)
  }

  #sent(): void {
    const socket = this.#socket
    if (socket.writableLength > HIGH_WATER_BYTES && this.#peerTakes) {
      this.#peerTakes = false
      this.#regulate()
    }
  }

  #drained(): void {
    if (this.#peerTakes) return
    this.#peerTakes = true
    this.#regulate()
  }

  #regulate(): void {
    if (this.#ended) return
    if (this.#engineReads && this.#peerTakes && !this.#draining) this.#socket.resume()
    else this.#socket.pause()
  }

  #close(): void {
    clearTimeout(this.#firstFrame)
    clearTimeout(this.#linger)
    this.#ended = true
    this.#framer.abandon()
    this.#outbox.flush()
    this.#engine?.closed()
    this.#closed(this)
  }
}

const IPV4_MAPPED = '::ffff:'

/** An IPv4 address as such, also where an IPv6 socket accepted it. */
export function plainAddress(address: string | undefined): string {
  const isMapped = address?.startsWith(IPV4_MAPPED) === true && address.includes('.')
  return isMapped ? address.slice(IPV4_MAPPED.length) : (address ?? '')
}

function peerOf(socket: Socket): Peer {
  return {
    remoteAddress: plainAddress(socket.remoteAddress),
    remotePort: socket.remotePort ?? 0,
    localAddress: plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
  }
}
