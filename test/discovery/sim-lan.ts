/** A network in memory under the real codec: sockets that hand each other bytes, and what went over the wire, decoded. */

import type { Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import type { Log } from '../../discovery/environment.ts'
import { MdnsAdvertiser } from '../../discovery/mdns/advertiser.ts'
import { EchoFilter } from '../../discovery/mdns/echo.ts'
import { MDNS_PORT, type Packet, type Sender } from '../../discovery/mdns/packet.ts'
import { type MessageLimit, type Transport, transportOver } from '../../discovery/mdns/transport.ts'
import type { Link, LinkAddress } from '../../discovery/network/link.ts'
import type { LinkState } from '../../discovery/network/links.ts'
import { type Offer, servicesOf } from '../../discovery/services.ts'
import type { SimEnvironment } from '../sim/sim-environment.ts'

export const groupAddress = '224.0.0.251'

/** So that every message of a test is looked at. */
const unlimited = { take: () => true } as unknown as MessageLimit

/** One message as it was sent. */
export interface Sent {
  /** Milliseconds since the LAN was made. */
  readonly at: number
  readonly from: string
  readonly to: Sender
  readonly bytes: Buffer
}

class SimSocket extends EventEmitter {
  readonly lan: SimLan
  readonly address: string
  readonly port: number

  constructor(lan: SimLan, address: string, port: number) {
    super()
    this.lan = lan
    this.address = address
    this.port = port
  }

  send(
    bytes: Buffer,
    _offset: number,
    _length: number,
    port: number,
    address: string,
    done: () => void,
  ): void {
    this.lan.carry(this, Buffer.from(bytes), { address, port })
    done()
  }

  close(done: () => void): void {
    this.lan.sockets.delete(this)
    done()
  }
}

/** One link that several hosts are on; IPv4 alone. */
export class SimLan {
  readonly environment: SimEnvironment
  readonly sockets = new Set<SimSocket>()
  readonly sent: Sent[] = []
  /** What the hosts logged as warnings. */
  readonly warnings: string[] = []
  readonly #start: number

  constructor(environment: SimEnvironment) {
    this.environment = environment
    this.#start = environment.now()
  }

  socket(address: string, port = MDNS_PORT): Socket {
    const socket = new SimSocket(this, address, port)
    this.sockets.add(socket)
    return socket as unknown as Socket
  }

  carry(from: SimSocket, bytes: Buffer, to: Sender): void {
    this.sent.push({ at: this.environment.now() - this.#start, from: from.address, to, bytes })
    const sender = { address: from.address, port: from.port, family: 'IPv4', size: bytes.length }
    for (const socket of [...this.sockets]) {
      const isMeant =
        to.address === groupAddress || (to.address === socket.address && to.port === socket.port)
      if (isMeant) socket.emit('message', bytes, sender)
    }
  }

  readonly log: Log = (level, message) => {
    if (level === 'warn') this.warnings.push(message)
  }

  /** A client or a foreign responder: it sends what it is told to and keeps what it hears. */
  stranger(address: string, port = MDNS_PORT): { readonly transport: Transport; readonly heard: Packet[] } {
    const heard: Packet[] = []
    const transport = this.#transport(address, port)
    transport.listen((packet) => heard.push(packet))
    return { transport, heard }
  }

  #transport(address: string, port: number): Transport {
    const echoes = new EchoFilter(this.environment)
    const { log } = this
    return transportOver(this.socket(address, port), {
      link: linkOf('eth0', address),
      family: 4,
      echoes,
      log,
      limit: unlimited,
    })
  }
}

export function linkOf(name: string, ...addresses: string[]): Link {
  return { name, addresses: addresses.map(linkAddress) }
}

function linkAddress(address: string): LinkAddress {
  const family = address.includes(':') ? 6 : 4
  return {
    family,
    address,
    prefixLength: family === 4 ? 24 : 64,
    isLinkLocal: address.startsWith('fe80:'),
  }
}

export const offer: Offer = {
  smbPort: 445,
  afpPort: undefined,
  model: 'TimeCapsule8,119',
  timeMachine: [{ name: 'backup', uuid: '2ED6657D-E927-568B-95E1-2665A8AEA6A2', smb: true, afp: false }],
}

export interface SimHost {
  readonly advertiser: MdnsAdvertiser
  readonly names: string[]
}

/** A server on these LANs, with one address on each, that starts to announce itself. */
export async function startHost(
  links: ReadonlyMap<string, { readonly lan: SimLan; readonly address: string }>,
  options: { readonly name?: string; readonly offer?: Offer; readonly limited?: boolean } = {},
): Promise<SimHost> {
  const [first] = links.values()
  if (first === undefined) throw new Error('a host has a link')
  const names: string[] = []
  const advertiser = new MdnsAdvertiser({
    environment: first.lan.environment,
    log: first.lan.log,
    name: options.name ?? 'ocean',
    services: servicesOf(options.offer ?? offer),
    renamed: (name) => names.push(name),
    open: async (transport) => {
      const { lan } = links.get(transport.link.name) ?? first
      const [own] = transport.link.addresses
      const limit = options.limited === true ? transport.limit : unlimited
      return transportOver(lan.socket(own?.address ?? ''), { ...transport, limit })
    },
  })
  await advertiser.setLinks(stateOf([...links].map(([name, { address }]) => linkOf(name, address))))
  return { advertiser, names }
}

export function stateOf(links: readonly Link[]): LinkState {
  const addresses = links.flatMap((link) => link.addresses.map(({ address }) => address))
  return { links, ownAddresses: new Set(addresses) }
}
