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
