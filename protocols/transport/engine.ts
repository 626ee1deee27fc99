/** What the transport needs of a protocol: an engine that takes frames and gives back values. */

/** Who is at the other end of a connection. */
export interface Peer {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
}

/** One whole frame, without its framing header. */
export interface Frame {
  readonly bytes: Buffer
  /**
   * Gives the memory of `bytes` back. Called once, when neither the engine nor storage
   * uses a view of it any longer.
   */
  release(): void
}

/** How a protocol says the length of a frame. */
export interface FrameFormat {
  readonly headerBytes: number
  /**
   * Bytes of payload behind a header; 'skip' for a header that stands alone and means nothing.
   * @returns undefined when the header is none of the protocol's: the connection is closed
   */
  payloadBytes(header: Buffer): number | 'skip' | undefined
  /** Larger frames are refused before anything is allocated for them. */
  readonly maximumPayloadBytes: number
  /** The header is a part of the message (DSI, iSCSI): frames are delivered with it. */
  readonly deliversHeader: boolean
  /** What stands before a frame that is sent; undefined when the engine writes its headers itself. */
  header(payloadBytes: number): Buffer | undefined
}

/** What an engine asks of its connection, as values. */
export type Effect =
  | {
      readonly kind: 'send'
      /** One frame's payload, in order; written without being joined. */
      readonly chunks: readonly Buffer[]
      /** Called when the chunks were handed to the kernel, or will never be. */
      readonly release?: () => void
    }
  | { readonly kind: 'disconnect'; readonly reason: string }
  /** Stop, or go on, reading from this peer: the engine has as many open requests as it wants. */
  | { readonly kind: 'reading'; readonly enabled: boolean }

/** The engine's side of one connection. */
export interface ConnectionEngine {
  /** How this connection's frames are cut, where that is not the same for all: asked anew for every header. */
  readonly format?: FrameFormat
  /** Takes the next frame. Never throws. */
  receive(frame: Frame): void
  /** The connection is gone; nothing that is sent from now on arrives. */
  closed(): void
  /**
   * No request waits for its response, but for those that may wait for ever (changes of a folder, locks): asked while
   * the server stops, which closes the connection then. An engine without it is closed at once.
   */
  isIdle?(): boolean
}

/** A protocol's engine, shared by all its connections. */
export interface Engine {
  /** @returns undefined when the peer may not connect (hosts_allow, limits): the transport closes */
  connect(peer: Peer, sink: (effect: Effect) => void): ConnectionEngine | undefined
}

/** The outside world, handed to an engine so that a test can move it by hand. */
export interface Environment {
  /** Milliseconds since 1970. */
  now(): number
  /** `count` unpredictable bytes. */
  random(count: number): Buffer
  /** Calls `run` once, `milliseconds` from now, unless cancelled. */
  after(milliseconds: number, run: () => void): Cancel
}

export type Cancel = () => void
