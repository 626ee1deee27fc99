/** The mDNS responder of one link and one family: probes, announces, answers, defends and says goodbye (RFC 6762 6 to 10). */

import { type Environment, Timers } from '../environment.ts'
import type { Link } from '../network/link.ts'
import { isOnLink } from '../network/link.ts'
import { RateLimit } from '../rate-limit.ts'
import { additionalsFor } from './answers.ts'
import { nameKey, recordKey, sameName } from './compare.ts'
import {
  conflictIn,
  type IsOwnAddress,
  isNeighbourProbe,
  losesTieBreak,
  neighbourRecords,
} from './conflict.ts'
import { intoMessages, type Packet, type Sender } from './packet.ts'
import { Prober } from './prober.ts'
import { QueryAnswerer } from './query-answerer.ts'
import { ResponseQueue } from './response-queue.ts'
import type { Transport } from './transport.ts'
import type { OwnRecord, Zone } from './zone.ts'

/** RFC 6762 8.3: at least two announcements, a second apart, then at growing distances. */
const ANNOUNCEMENT_MILLISECONDS = [1000, 2000]

/** What a responder tells of. None is called after `stop`. */
export interface ResponderEvents {
  /** The names are ours on this link. */
  claimed(): void
  /** Another host has one of the names. */
  conflict(name: string): void
  /** A responder on this machine, such as Avahi, answers for the host's name (true), or stopped to (false). */
  neighbour(present: boolean): void
}

export interface ResponderOptions {
  readonly environment: Environment
  readonly transport: Transport
  readonly link: Link
  readonly zone: Zone
  readonly isOwnAddress: IsOwnAddress
  readonly events: ResponderEvents
  /** The names were claimed on this link before: they need no probing. */
  readonly isClaimed: boolean
}

export class Responder {
  readonly #options: ResponderOptions
  readonly #timers: Timers
  readonly #queue: ResponseQueue
  readonly #prober: Prober
  readonly #answerer: QueryAnswerer
  #zone: Zone
  #state: 'probing' | 'announced' | 'stopped' = 'probing'

  constructor(options: ResponderOptions) {
    const { environment, transport, link } = options
    this.#options = options
    this.#zone = options.zone
    this.#timers = new Timers(environment)
    const more = (answers: readonly OwnRecord[]): OwnRecord[] => additionalsFor(answers, this.#zone)
    this.#queue = new ResponseQueue(environment, more, (answers, additionals) => {
      void transport.send('response', { answers, additionals })
    })
    this.#prober = new Prober(environment, transport, () => this.#becomeAnnounced())
    this.#answerer = new QueryAnswerer({
      environment,
      transport,
      queue: this.#queue,
      limit: new RateLimit(environment),
      isOnLink: (address) => isOnLink(link, address),
    })
    transport.listen((packet, sender) => this.#receive(packet, sender))
    if (options.isClaimed) this.#announce()
    else this.#prober.start(this.#zone)
  }

  /** Other records: new names are probed for, changed records announced, vanished ones withdrawn. */
  update(zone: Zone): void {
    if (this.#state === 'stopped') return
    const before = this.#zone
    this.#zone = zone
    const isNewName = [...zone.uniqueNames].some((name) => !before.uniqueNames.has(name))
    if (this.#state === 'announced') void this.#withdraw(before, zone)
    if (this.#state === 'probing' || isNewName) this.#probe(0)
    else this.#announce()
  }

  /** Hands the host's addresses over to another responder of this machine: no goodbye, they stay true. */
  handOver(zone: Zone): void {
    if (this.#state === 'stopped') return
    this.#zone = zone
    if (this.#state === 'probing') this.#probe(0)
  }

  /** Asks who has the host's name. */
  askForHost(): void {
    const question = { name: this.#zone.host, type: 'A' }
    const questions = [question, { ...question, type: 'AAAA' }]
    if (this.#state !== 'stopped') void this.#options.transport.send('query', { questions })
  }

  /** Says all again: what others remember may be out of date. */
  announceAgain(): void {
    if (this.#state === 'announced') this.#announce()
  }

  /** Claims the names of another zone, waiting first, in milliseconds. */
  claim(zone: Zone, wait: number): void {
    if (this.#state === 'stopped') return
    if (this.#state === 'announced') void this.#withdraw(this.#zone, zone)
    this.#zone = zone
    this.#probe(wait)
  }

  /** Whether the names are ours on this link by now. */
  get isClaimed(): boolean {
    return this.#state === 'announced'
  }

  /**
   * Says goodbye, once the names are ours, and closes the socket.
   * @param successor what another responder goes on to announce here, and needs no goodbye
   */
  async stop(successor?: Zone): Promise<void> {
    if (this.#state === 'stopped') return
    const isKnown = this.isClaimed
    this.#state = 'stopped'
    this.#prober.stop()
    this.#queue.clear()
    this.#timers.cancelAll()
    this.#answerer.stop()
    if (isKnown) await this.#withdraw(this.#zone, successor)
    await this.#options.transport.close()
  }

  #probe(wait: number): void {
    this.#state = 'probing'
    this.#timers.cancelAll()
    this.#queue.clear()
    this.#prober.start(this.#zone, wait)
  }

  #becomeAnnounced(): void {
    this.#announce()
    this.#options.events.claimed()
  }

  #announce(): void {
    this.#prober.stop()
    this.#timers.cancelAll()
    this.#state = 'announced'
    let sent = 0
    const announce = (): void => {
      this.#queue.noteSent(this.#zone.records)
      for (const answers of intoMessages(this.#zone.records)) {
        void this.#options.transport.send('response', { answers })
      }
      const next = ANNOUNCEMENT_MILLISECONDS[sent++]
      if (next !== undefined) this.#timers.after(next, announce)
    }
    announce()
  }

  /** RFC 6762 10.1, for records that are not in the new zone. */
  #withdraw(before: Zone, after: Zone | undefined): Promise<void> {
    const kept = new Set(after?.records.map(recordKey))
    return this.#goodbye(before.records.filter((record) => !kept.has(recordKey(record))))
  }

  async #goodbye(records: readonly OwnRecord[]): Promise<void> {
    const messages = intoMessages(records.map((record) => ({ ...record, ttl: 0 })))
    await Promise.all(messages.map((answers) => this.#options.transport.send('response', { answers })))
  }

  #receive(packet: Packet, sender: Sender): void {
    if (this.#state === 'stopped' || (packet.opcode ?? 'QUERY') !== 'QUERY') return
    if (packet.type === 'response') this.#receiveResponse(packet, sender)
    else this.#receiveQuery(packet, sender)
  }

  #receiveQuery(packet: Packet, sender: Sender): void {
    const { isOwnAddress, events } = this.#options
    const asksForHost = packet.questions.some((question) => sameName(question.name, this.#zone.host))
    if (asksForHost && this.#ownsHost() && isNeighbourProbe(packet, this.#zone, isOwnAddress)) {
      // Avahi starts after us and would rename the machine: it gets the name, with the same addresses.
      events.neighbour(true)
    }
    if (this.#state === 'announced') return this.#answerer.answer(packet, sender, this.#zone)
    if (packet.authorities.length > 0 && losesTieBreak(packet, this.#zone, isOwnAddress)) this.#prober.defer()
  }

  #receiveResponse(packet: Packet, sender: Sender): void {
    // RFC 6762 11: a unicast response from another network is somebody's trick; multicast does not come from there.
    if (!isOnLink(this.#options.link, sender.address) && !this.#options.isOwnAddress(sender.address)) return
    this.#answerer.noteResponse(packet)
    this.#watchNeighbour(packet)
    const { isOwnAddress, events } = this.#options
    const conflict = conflictIn(packet, this.#zone, isOwnAddress, this.#state === 'probing')
    if (conflict === undefined) return this.#rescue(packet)
    if (this.#state === 'probing') events.conflict(conflict.name)
    // RFC 6762 9: who had it first answers the probes that now follow; who had it second renames.
    else this.#probe(0)
  }

  #watchNeighbour(packet: Packet): void {
    const records = neighbourRecords(packet, this.#zone.host, this.#options.isOwnAddress)
    if (records.length === 0) return
    this.#options.events.neighbour(records.some((record) => (record.ttl ?? 0) > 0))
  }

  /** RFC 6762 9 and 10: someone says that a record of ours ends, or shortens it; we say that it lives. */
  #rescue(packet: Packet): void {
    if (this.#state !== 'announced') return
    const own = new Map(this.#zone.records.map((record) => [recordKey(record), record]))
    for (const record of packet.answers) {
      const ours = own.get(recordKey(record))
      if (ours !== undefined && (record.ttl ?? 0) < ours.ttl / 2) this.#queue.add([ours], 0, false)
    }
  }

  #ownsHost(): boolean {
    return this.#zone.uniqueNames.has(nameKey(this.#zone.host))
  }
}
