/** Listening on addresses, accepting within limits, and closing in order. */

import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { BufferPool } from './buffer-pool.ts'
import { type ConnectionOptions, plainAddress, type ServedConnection, serveConnection } from './connection.ts'
import type { Engine, FrameFormat } from './engine.ts'

/** Read between frames. Measured: 4 to 72 KiB are alike for large frames, less is slow for small ones. */
const SCRATCH_BYTES = 16 * 1024
const FIRST_FRAME_MILLISECONDS = 30_000
const DRAIN_MILLISECONDS = 3000
const DRAIN_POLL_MILLISECONDS = 20
const BACKLOG = 512

export interface ListenOptions {
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  readonly engine: Engine
  readonly format: FrameFormat
  readonly pool: BufferPool
  readonly maximumConnections: number
  readonly maximumConnectionsPerAddress: number
  /** Told of what goes wrong while accepting. */
  readonly onError: (message: string) => void
  /** Milliseconds in which a connection's first frame must have arrived; 30,000 without it. */
  readonly firstFrameMilliseconds?: number
  /** Milliseconds that `close` gives to requests under way; 3,000 without it. */
  readonly drainMilliseconds?: number
  /** How bytes are received; 'direct' without it, where Node can. */
  readonly receive?: ConnectionOptions['receive']
}

export interface Listener {
  /** As bound, `host:port` or `[v6]:port`. */
  readonly addresses: readonly string[]
  /** Connections there are, and how many were turned away since there were too many. */
  connections(): { readonly used: number; readonly refused: number }
  /** Stops accepting and closes the connections, each after its requests under way were answered and sent. */
  close(): Promise<void>
}

/** @throws Error of node:net (with code, address and port) when an address cannot be bound; then none is */
export async function listen(options: ListenOptions): Promise<Listener> {
  const connections = new ConnectionTable(options)
  const servers: Server[] = []
  try {
    for (const { host, port } of options.addresses) servers.push(await bind(host, port, connections, options))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  return {
    addresses: servers.map(boundAddress),
    connections: () => connections.counts(),
    async close() {
      for (const server of servers) server.close()
      await connections.drain()
    },
  }
}

function bind(
  host: string,
  port: number,
  connections: ConnectionTable,
  options: ListenOptions,
): Promise<Server> {
  const server = createServer({ pauseOnConnect: true }, (socket) => connections.accept(socket))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Both 0.0.0.0 and :: may be configured: the second must not take the first one's addresses.
    server.listen({ host, port, backlog: BACKLOG, ipv6Only: isIPv6(host) }, () => {
      server.off('error', reject)
      server.on('error', (error) => options.onError(`cannot accept connections: ${error.message}`))
      resolve(server)
    })
  })
}

function boundAddress(server: Server): string {
  const { address, port } = server.address() as AddressInfo
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}

class ConnectionTable {
  readonly #options: ListenOptions
  readonly #connectionOptions: ConnectionOptions
  readonly #connections = new Set<ServedConnection>()
  readonly #perAddress = new Map<string, number>()
  #closing = false
  #refused = 0

  constructor(options: ListenOptions) {
    const { engine, format, pool } = options
    this.#options = options
    this.#connectionOptions = {
      engine,
      format,
      pool,
      scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
      firstFrameMilliseconds: options.firstFrameMilliseconds ?? FIRST_FRAME_MILLISECONDS,
      receive: options.receive ?? 'direct',
    }
  }

  accept(socket: Socket): void {
    const { maximumConnections, maximumConnectionsPerAddress } = this.#options
    const address = plainAddress(socket.remoteAddress)
    const ofAddress = this.#perAddress.get(address) ?? 0
    const isFull =
      this.#closing ||
      this.#connections.size >= maximumConnections ||
      ofAddress >= maximumConnectionsPerAddress
    // A peer that is gone already has no address.
    if (isFull || address === '') {
      if (isFull && !this.#closing) this.#refused++
      socket.destroy()
      return
    }
    const connection = serveConnection(socket, this.#connectionOptions, (closed) =>
      this.#forget(closed, address),
    )
    if (connection === undefined) return
    this.#connections.add(connection)
    this.#perAddress.set(address, ofAddress + 1)
  }

  #forget(connection: ServedConnection, address: string): void {
    if (!this.#connections.delete(connection)) return
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, left)
  }

  counts(): { used: number; refused: number } {
    return { used: this.#connections.size, refused: this.#refused }
  }

  async drain(): Promise<void> {
    this.#closing = true
    for (const connection of this.#connections) connection.drain()
    const deadline = Date.now() + (this.#options.drainMilliseconds ?? DRAIN_MILLISECONDS)
    while (this.#connections.size > 0 && Date.now() < deadline) {
      for (const connection of this.#connections) if (connection.isIdle) connection.end()
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MILLISECONDS))
    }
    for (const connection of this.#connections) connection.destroy()
  }
}
