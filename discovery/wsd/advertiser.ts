/** The server in Windows' Network view: one WS-Discovery responder and one metadata server for each link and family. */

import { randomUUID } from 'node:crypto'
import type { Environment, Log } from '../environment.ts'
import { addressesOf, type Family, isOnLink, type Link, type LinkAddress } from '../network/link.ts'
import type { LinkState } from '../network/links.ts'
import { openMulticastSocket } from '../network/multicast-socket.ts'
import { RateLimit } from '../rate-limit.ts'
import { openMetadataServer } from './metadata-server.ts'
import { DISCOVERY_PORT, GROUPS, HOPS, METADATA_PORT } from './names.ts'
import { type Datagrams, WsdResponder } from './responder.ts'
import { type Device, getResponse, type Sequence } from './write-message.ts'

const FAMILIES: readonly Family[] = [4, 6]
const MILLISECONDS_PER_SECOND = 1000

export interface WsdOptions {
  readonly environment: Environment
  readonly log: Log
  /** Lower case; the same over restarts. */
  readonly endpointUuid: string
  readonly name: string
  readonly workgroup: string
  readonly version: string
}

/** What runs on one link and family. */
interface Entry {
  readonly link: string
  readonly responder: WsdResponder
  stop(sayBye: boolean): Promise<void>
}

export class WsdAdvertiser {
  readonly #options: WsdOptions
  readonly #entries = new Map<string, Entry>()
  readonly #limit: RateLimit
  readonly #instanceId: number
  readonly #sequenceId = `urn:uuid:${randomUUID()}`
  #messageNumber = 0
  #name: string
  /** Changes of links are taken over one after the other. */
  #work: Promise<boolean> = Promise.resolve(true)
  /** Links that could not be taken, so that it is said once. */
  readonly #refused = new Set<string>()
  #stopped = false

  constructor(options: WsdOptions) {
    this.#options = options
    this.#name = options.name
    this.#limit = new RateLimit(options.environment)
    this.#instanceId = Math.floor(options.environment.now() / MILLISECONDS_PER_SECOND)
  }

  /** The interfaces on which it answers. */
  get links(): string[] {
    return [...new Set(Array.from(this.#entries.values(), ({ link }) => link))]
  }

  /**
   * Takes over links and addresses as they are now.
   * @returns false when a link could not be taken: worth another try, a fresh IPv6 address is not ready for a second or two
   */
  setLinks(state: LinkState): Promise<boolean> {
    this.#work = this.#work.then(() => this.#setLinks(state))
    return this.#work
  }

  /** The host has another name: Windows would look for the first one in vain. */
  rename(name: string): void {
    this.#name = name
    this.helloAgain()
  }

  /** After a sleep. */
  helloAgain(): void {
    for (const { responder } of this.#entries.values()) responder.sayHello()
  }

  /** Bye on all links. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#work
    await Promise.all(Array.from(this.#entries.values(), (entry) => entry.stop(true)))
    this.#entries.clear()
  }

  async #setLinks(state: LinkState): Promise<boolean> {
    const wanted = new Map<string, { link: Link; family: Family; address: LinkAddress }>()
    for (const link of state.links) {
      for (const family of FAMILIES) {
        const address = usedAddress(link, family)
        if (address !== undefined)
          wanted.set(`${link.name} ${family} ${address.address}`, { link, family, address })
      }
    }
    for (const [key, entry] of [...this.#entries]) {
      if (wanted.has(key)) continue
      this.#entries.delete(key)
      await entry.stop(false)
    }
    let isComplete = true
    for (const [key, { link, family, address }] of wanted) {
      if (this.#entries.has(key) || this.#stopped) continue
      try {
        this.#entries.set(key, await this.#open(link, family, address))
        this.#refused.delete(key)
      } catch (error) {
        isComplete = false
        const { message } = error as Error
        const level = this.#refused.has(key) ? 'debug' : 'warn'
        this.#refused.add(key)
        this.#options.log(level, `WS-Discovery: not announced on ${link.name} (IPv${family}): ${message}`)
      }
    }
    return isComplete
  }

  async #open(link: Link, family: Family, address: LinkAddress): Promise<Entry> {
    const { environment, log, endpointUuid } = this.#options
    const path = `/${endpointUuid}`
    const onLink = (sender: string): boolean => isOnLink(link, sender)
    const metadata = await openMetadataServer({
      log,
      limit: this.#limit,
      path,
      host: address.isLinkLocal && family === 6 ? `${address.address}%${link.name}` : address.address,
      port: METADATA_PORT,
      isOnLink: onLink,
      answer: (relatesTo) =>
        getResponse(this.#device(), { messageId: `urn:uuid:${randomUUID()}`, relatesTo }),
    })
    try {
      const host = family === 6 ? `[${address.address}]` : address.address
      const responder = new WsdResponder({
        environment,
        log,
        datagrams: await openDatagrams(link, family, log),
        limit: this.#limit,
        device: () => this.#device(),
        metadataAddress: `http://${host}:${METADATA_PORT}${path}`,
        newId: randomUUID,
        nextSequence: () => this.#nextSequence(),
        isOnLink: onLink,
      })
      const stop = async (sayBye: boolean): Promise<void> => {
        await (sayBye ? responder.stop() : responder.abandon())
        await metadata.close()
      }
      return { link: link.name, responder, stop }
    } catch (error) {
      await metadata.close()
      throw error
    }
  }

  #device(): Device {
    const { endpointUuid, workgroup, version } = this.#options
    return { endpoint: `urn:uuid:${endpointUuid}`, name: this.#name, workgroup, version }
  }

  #nextSequence(): Sequence {
    this.#messageNumber += 1
    return {
      instanceId: this.#instanceId,
      sequenceId: this.#sequenceId,
      messageNumber: this.#messageNumber,
    }
  }
}

/** Of IPv6, Windows uses link-local addresses for discovery. */
function usedAddress(link: Link, family: Family): LinkAddress | undefined {
  const addresses = addressesOf(link, family)
  return family === 4 ? addresses[0] : addresses.find((address) => address.isLinkLocal)
}

async function openDatagrams(link: Link, family: Family, log: Log): Promise<Datagrams> {
  const group = GROUPS[family]
  const socket = await openMulticastSocket({ link, family, port: DISCOVERY_PORT, group, hops: HOPS })
  socket.on('error', () => undefined)
  const target = family === 4 ? group : `${group}%${link.name}`
  return {
    listen: (receive) =>
      void socket.on('message', (bytes, sender) => {
        try {
          receive(bytes, sender)
        } catch (error) {
          // Whoever is on the link can send anything: a bug of ours must not end the server.
          log('warn', `bug: WS-Discovery message of ${sender.address} not understood`, { error })
        }
      }),
    // A datagram that the system refuses is lost, as any may be: it is repeated.
    send: (bytes, to) =>
      socket.send(bytes, to?.port ?? DISCOVERY_PORT, to?.address ?? target, () => undefined),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}
