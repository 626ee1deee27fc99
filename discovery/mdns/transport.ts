/** Sends and receives mDNS messages on one link (RFC 6762 3 and 11): bonjour-service's socket side, for one socket that we made. */

import type { Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import bonjour from 'bonjour-service'
import type { Environment, Log } from '../environment.ts'
import type { Family, Link } from '../network/link.ts'
import { openMulticastSocket } from '../network/multicast-socket.ts'
import { RateLimit } from '../rate-limit.ts'
import type { EchoFilter } from './echo.ts'
import { MDNS_PORT, type Packet, type Sender } from './packet.ts'

const GROUPS = { 4: '224.0.0.251', 6: 'ff02::fb' } as const
const HOPS = 255

/** What a responder needs of the network; a test brings its own. */
export interface Transport {
  /** Calls back for every message but our own, decoded. */
  listen(receive: (packet: Packet, sender: Sender) => void): void
  /** Resolves when the system has taken it; what it refuses is lost, as any datagram may be. */
  send(kind: 'query' | 'response', packet: Partial<Packet>, to?: Sender): Promise<void>
  close(): Promise<void>
}

/** The part of multicast-dns that bonjour-service keeps to itself; its types call it `any`. */
interface MulticastDns {
  on(event: 'packet', listener: (packet: Packet, sender: Sender) => void): void
  on(event: 'warning' | 'error', listener: (error: Error) => void): void
  removeAllListeners(event: 'query'): void
  query(packet: object, type: undefined, to: Sender | null, done: (error?: Error | null) => void): void
  respond(packet: object, to: Sender | null, done: (error?: Error | null) => void): void
}

export interface TransportOptions {
  readonly link: Link
  readonly family: Family
  readonly echoes: EchoFilter
  readonly log: Log
  /** How many messages are looked at. */
  readonly limit: MessageLimit
}

/** RFC 6762 17: no message is larger. */
const MESSAGE_MAXIMUM_BYTES = 9000

/** What is more than this was not sent to find anything: decoding it would take time from those who are served. */
export class MessageLimit {
  readonly #each: RateLimit
  readonly #all: RateLimit

  constructor(environment: Environment) {
    this.#each = new RateLimit(environment, { burst: 200, perSecond: 100, addresses: 512 })
    this.#all = new RateLimit(environment, { burst: 1000, perSecond: 500, addresses: 1 })
  }

  take(address: string): boolean {
    return this.#each.take(address) && this.#all.take('all')
  }
}

/** The socket as bonjour-service sees it: what is too large or too much does not come through. */
class LimitedSocket extends EventEmitter {
  readonly send: Socket['send']
  readonly close: Socket['close']

  constructor(socket: Socket, limit: MessageLimit) {
    super()
    this.send = socket.send.bind(socket)
    this.close = socket.close.bind(socket)
    socket.on('error', (error) => this.emit('error', error))
    socket.on('message', (bytes, sender) => {
      if (bytes.length <= MESSAGE_MAXIMUM_BYTES && limit.take(sender.address))
        this.emit('message', bytes, sender)
    })
  }
}

/**
 * Opens the socket of one link and family.
 * @throws NodeJS.ErrnoException when the port cannot be bound
 */
export async function openTransport(options: TransportOptions): Promise<Transport> {
  const { link, family } = options
  const group = GROUPS[family]
  const socket = await openMulticastSocket({ link, family, port: MDNS_PORT, group, hops: HOPS })
  return transportOver(socket, options)
}

/**
 * A transport on a socket that is bound and has joined. One `Bonjour` for each link and family: the package joins the
 * group and answers on one interface only, so each gets a socket of its own. It keeps framing, coding and sending; its own
 * answers are taken off, because they know no known-answer suppression, no unicast questions, no waits and no conflicts
 * (responder.ts has them), and its registry is left alone, because to stop one service there withdraws the host's addresses.
 */
export function transportOver(socket: Socket, options: TransportOptions): Transport {
  const { link, family, echoes, log, limit } = options
  const group = GROUPS[family]
  const settings = {
    socket: new LimitedSocket(socket, limit),
    bind: false,
    multicast: false,
    type: family === 4 ? 'udp4' : 'udp6',
    port: MDNS_PORT,
    ip: family === 4 ? group : `${group}%${link.name}`,
    interface: link.name,
  }
  const service = new bonjour.Bonjour(settings as object, () => undefined)
  const { mdns } = (service as unknown as { readonly server: { readonly mdns: MulticastDns } }).server
  mdns.removeAllListeners('query')
  // What cannot be decoded is dropped, whoever sent it.
  mdns.on('warning', () => undefined)
  mdns.on('error', () => undefined)
  return {
    listen: (receive) =>
      mdns.on('packet', (packet, sender) => {
        try {
          if (!echoes.isEcho(packet)) receive(packet, sender)
        } catch (error) {
          // Whoever is on the link can send anything: a bug of ours must not end the server.
          log('warn', `bug: mDNS message of ${sender.address} not understood`, { error })
        }
      }),
    send: (kind, packet, to) =>
      new Promise((resolve) => {
        echoes.sent(packet)
        const done = (): void => resolve()
        if (kind === 'query') mdns.query({ ...packet }, undefined, to ?? null, done)
        else mdns.respond({ ...packet }, to ?? null, done)
      }),
    close: () => new Promise((resolve) => service.destroy(() => resolve())),
  }
}
