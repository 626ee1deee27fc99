/** The server's names and records on all links: one responder for each link and family, one name for all (RFC 6762 9 and 14). */

import { type Cancel, type Environment, type Log, Timers } from '../environment.ts'
import { addressesOf, type Family, type Link } from '../network/link.ts'
import type { LinkState } from '../network/links.ts'
import type { Service } from '../services.ts'
import { EchoFilter } from './echo.ts'
import { nextName } from './names.ts'
import { Responder } from './responder.ts'
import { MessageLimit, openTransport, type Transport } from './transport.ts'
import { makeZone, type Zone } from './zone.ts'

/** RFC 6762 8.1: after so many conflicts in so short a time, something is wrong, and each further try waits. */
const CONFLICTS_MAXIMUM = 15
const CONFLICT_WINDOW_MILLISECONDS = 10_000
const CONFLICT_WAIT_MILLISECONDS = 5000
/** How often a responder beside us that answers for the host's name is asked whether it still does. */
const NEIGHBOUR_CHECK_MILLISECONDS = 30_000
/** The first time sooner: it may have been a server that takes another name by now. */
const FIRST_NEIGHBOUR_CHECK_MILLISECONDS = 5000
/** How long it may take to answer. */
const NEIGHBOUR_ANSWER_MILLISECONDS = 3000
const FAMILIES: readonly Family[] = [4, 6]

export interface MdnsOptions {
  readonly environment: Environment
  readonly log: Log
  readonly name: string
  readonly services: readonly Service[]
  /** Called when a conflict has given the server another name. */
  renamed(name: string): void
  /** How a transport is made; a test brings its own. */
  readonly open?: typeof openTransport
}

interface Entry {
  readonly responder: Responder
  readonly link: Link
}

export class MdnsAdvertiser {
  readonly #options: MdnsOptions
  readonly #echoes: EchoFilter
  readonly #timers: Timers
  readonly #entries = new Map<string, Entry>()
  #services: readonly Service[]
  #state: LinkState = { links: [], ownAddresses: new Set() }
  #name: string
  #conflicts: number[] = []
  #stopped = false
  /** Another responder of this machine answers for the host's name. */
  #hasNeighbour = false
  #neighbourHeard = 0
  #check: Cancel | undefined
  /** Changes of links are taken over one after the other. */
  #work: Promise<boolean> = Promise.resolve(true)
  /** Links that could not be taken, so that it is said once. */
  readonly #refused = new Set<string>()

  constructor(options: MdnsOptions) {
    this.#options = options
    this.#services = options.services
    this.#name = options.name
    this.#echoes = new EchoFilter(options.environment)
    this.#timers = new Timers(options.environment)
  }

  /** The name as it is now: another host may have had the first. */
  get name(): string {
    return this.#name
  }

  /** The interfaces on which it answers. */
  get links(): string[] {
    return [...new Set(Array.from(this.#entries.values(), ({ link }) => link.name))]
  }

  /**
   * Takes over links and addresses as they are now; what is new is announced, what is gone withdrawn.
   * @returns false when a link could not be taken: worth another try, an address may not be ready yet
   */
  setLinks(state: LinkState): Promise<boolean> {
    this.#work = this.#work.then(() => this.#setLinks(state))
    return this.#work
  }

  async #setLinks(state: LinkState): Promise<boolean> {
    if (this.#stopped) return true
    this.#state = state
    const wanted = new Map<string, { readonly link: Link; readonly family: Family }>()
    for (const link of state.links) {
      for (const family of FAMILIES) {
        if (addressesOf(link, family).length > 0) wanted.set(`${link.name} ${family}`, { link, family })
      }
    }
    for (const [key, entry] of [...this.#entries]) {
      if (wanted.has(key)) continue
      this.#entries.delete(key)
      await entry.responder.stop()
    }
    const taken = Array.from(wanted, ([key, { link, family }]) => this.#putLink(key, link, family))
    return (await Promise.all(taken)).every((each) => each)
  }

  /** Other services, after a reload. */
  setServices(services: readonly Service[]): void {
    if (JSON.stringify(services) === JSON.stringify(this.#services)) return
    this.#services = services
    for (const { responder, link } of this.#entries.values()) responder.update(this.#zoneOf(link))
  }

  /** After a sleep. */
  announceAgain(): void {
    for (const { responder } of this.#entries.values()) responder.announceAgain()
  }

  /** Goodbye on all links. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timers.cancelAll()
    await this.#work
    await Promise.all(Array.from(this.#entries.values(), ({ responder }) => responder.stop()))
    this.#entries.clear()
  }

  /** The system forgets a socket's group and source address when the address goes: so a changed link gets a new socket. */
  async #putLink(key: string, link: Link, family: Family): Promise<boolean> {
    const known = this.#entries.get(key)
    if (known !== undefined && JSON.stringify(known.link) === JSON.stringify(link)) return true
    const { open = openTransport, log, environment } = this.#options
    try {
      const limit = new MessageLimit(environment)
      const transport = await open({ link, family, echoes: this.#echoes, log, limit })
      const isClaimed = known?.responder.isClaimed ?? false
      await known?.responder.stop(this.#zoneOf(link))
      this.#entries.set(key, { link, responder: this.#respondOn(link, transport, isClaimed) })
      this.#refused.delete(key)
      return true
    } catch (error) {
      const { message } = error as Error
      const level = this.#refused.has(key) ? 'debug' : 'warn'
      this.#refused.add(key)
      log(level, `mDNS: not announced on ${link.name} (IPv${family}): ${message}`)
      return false
    }
  }

  #respondOn(link: Link, transport: Transport, isClaimed: boolean): Responder {
    const { environment, log } = this.#options
    return new Responder({
      environment,
      transport,
      link,
      zone: this.#zoneOf(link),
      isOwnAddress: (address) => this.#state.ownAddresses.has(address),
      isClaimed,
      events: {
        claimed: () => log('info', `mDNS: announced as ${this.#name}.local on ${link.name}`),
        conflict: (name) => this.#rename(name, link),
        neighbour: (present) => this.#meetNeighbour(present),
      },
    })
  }

  #zoneOf(link: Link): Zone {
    const addresses = this.#hasNeighbour ? [] : link.addresses
    return makeZone({ name: this.#name, services: this.#services, addresses })
  }

  /** All records move to the next name together: Macs join `_smb` and `_adisk` by it. */
  #rename(taken: string, link: Link): void {
    const { environment, log } = this.#options
    const now = environment.now()
    this.#conflicts = [...this.#conflicts.filter((at) => now - at < CONFLICT_WINDOW_MILLISECONDS), now]
    const wait = this.#conflicts.length >= CONFLICTS_MAXIMUM ? CONFLICT_WAIT_MILLISECONDS : 0
    const before = this.#name
    this.#name = nextName(this.#options.name, before)
    log(
      'warn',
      `mDNS: another host on ${link.name} has ${taken}; this one is ${this.#name} instead of ${before}`,
    )
    this.#leaveNeighbour()
    for (const entry of this.#entries.values()) entry.responder.claim(this.#zoneOf(entry.link), wait)
    this.#options.renamed(this.#name)
  }

  #meetNeighbour(present: boolean): void {
    this.#neighbourHeard = this.#options.environment.now()
    if (!present) {
      // It goes, or takes back one address: whoever is left answers the question.
      if (this.#hasNeighbour) this.#askNeighbour()
      return
    }
    if (this.#hasNeighbour) return
    this.#hasNeighbour = true
    this.#options.log(
      'info',
      `mDNS: another responder of this machine answers for ${this.#name}.local; it keeps that`,
    )
    for (const { responder, link } of this.#entries.values()) responder.handOver(this.#zoneOf(link))
    this.#check = this.#timers.after(FIRST_NEIGHBOUR_CHECK_MILLISECONDS, () => this.#askNeighbour())
  }

  #askNeighbour(): void {
    this.#check?.()
    const asked = this.#options.environment.now()
    for (const { responder } of this.#entries.values()) responder.askForHost()
    this.#check = this.#timers.after(NEIGHBOUR_ANSWER_MILLISECONDS, () => {
      if (this.#neighbourHeard > asked) {
        this.#check = this.#timers.after(NEIGHBOUR_CHECK_MILLISECONDS, () => this.#askNeighbour())
        return
      }
      this.#options.log('info', `mDNS: nobody else answers for ${this.#name}.local any longer`)
      this.#leaveNeighbour()
      for (const { responder, link } of this.#entries.values()) responder.update(this.#zoneOf(link))
    })
  }

  #leaveNeighbour(): void {
    this.#check?.()
    this.#check = undefined
    this.#hasNeighbour = false
  }
}
