/** How a query is answered: to all or to the asker alone, at once or after a wait (RFC 6762 5.4, 6, 6.7, 7.1 and 7.2). */

import { type Environment, randomBetween, Timers } from '../environment.ts'
import type { RateLimit } from '../rate-limit.ts'
import { additionalsFor, answersTo, withoutKnown } from './answers.ts'
import { recordKey } from './compare.ts'
import {
  MDNS_PORT,
  type Packet,
  type Question,
  type ResourceRecord,
  type Sender,
  thatFit,
  wantsUnicast,
} from './packet.ts'
import type { ResponseQueue } from './response-queue.ts'
import type { Transport } from './transport.ts'
import type { OwnRecord, Zone } from './zone.ts'

/** RFC 6762 6: answers that others may give as well wait, so that not all speak at once. Milliseconds. */
const SHARED_WAIT = [20, 120] as const
/** RFC 6762 7.2: more known answers follow. */
const TRUNCATED_WAIT = [400, 500] as const
/** RFC 6762 6.7: who asks from another port is no mDNS resolver and must not keep the answer. Seconds. */
const LEGACY_TTL = 10
/** RFC 6762 5.4: a record that was not multicast for a quarter of its time goes to all even when one asks for himself. */
const FRESH_PART = 4
/** Limits of what one message can make us do. */
const QUESTIONS_MAXIMUM = 64
const HELD_MAXIMUM = 64
const MILLISECONDS_PER_SECOND = 1000

export interface QueryAnswererOptions {
  readonly environment: Environment
  readonly transport: Transport
  readonly queue: ResponseQueue
  readonly limit: RateLimit
  isOnLink(address: string): boolean
}

/** A query whose known answers come in several messages. */
interface HeldQuery {
  answers: OwnRecord[]
}

export class QueryAnswerer {
  readonly #options: QueryAnswererOptions
  readonly #timers: Timers
  readonly #held = new Map<string, HeldQuery>()

  constructor(options: QueryAnswererOptions) {
    this.#options = options
    this.#timers = new Timers(options.environment)
  }

  stop(): void {
    this.#timers.cancelAll()
    this.#held.clear()
  }

  answer(packet: Packet, sender: Sender, zone: Zone): void {
    const held = this.#held.get(sender.address)
    if (held !== undefined && packet.questions.length === 0) {
      held.answers = withoutKnown(held.answers, packet.answers)
      return
    }
    const questions = packet.questions.slice(0, QUESTIONS_MAXIMUM)
    const isProbe = packet.authorities.length > 0
    const answersOf = (question: Question): OwnRecord[] =>
      isProbe ? answersTo(question, zone) : withoutKnown(answersTo(question, zone), packet.answers)
    const isLegacy = sender.port !== MDNS_PORT
    if (isLegacy)
      return this.#answerLegacy(packet, questions, distinct(questions.flatMap(answersOf)), sender, zone)
    const direct = distinct(questions.filter(wantsUnicast).flatMap(answersOf)).filter((one) =>
      this.#isFresh(one),
    )
    const forAsker = new Set(direct.map(recordKey))
    const forAll = distinct(questions.flatMap(answersOf)).filter((one) => !forAsker.has(recordKey(one)))
    // A probe must hear before it is over, whether its answer may go to it alone or not.
    if (isProbe) return this.#options.queue.add([...direct, ...forAll], 0, true)
    this.#answerDirectly(direct, sender, zone)
    this.#answerAll(packet, forAll, sender)
  }

  /** RFC 6762 7.4: what another responder of this name just said to all need not be said again. */
  noteResponse(packet: Packet): void {
    for (const held of this.#held.values()) held.answers = withoutKnown(held.answers, packet.answers)
  }

  #answerAll(packet: Packet, answers: readonly OwnRecord[], sender: Sender): void {
    const { environment, queue } = this.#options
    if (answers.length === 0) return
    if (packet.flag_tc !== true || this.#held.size >= HELD_MAXIMUM) {
      const isShared = answers.some((record) => !record.flush)
      return queue.add(answers, isShared ? randomBetween(environment, ...SHARED_WAIT) : 0, false)
    }
    const held: HeldQuery = { answers: [...answers] }
    this.#held.set(sender.address, held)
    this.#timers.after(randomBetween(environment, ...TRUNCATED_WAIT), () => {
      this.#held.delete(sender.address)
      queue.add(held.answers, 0, false)
    })
  }

  #answerDirectly(answers: readonly OwnRecord[], sender: Sender, zone: Zone): void {
    if (answers.length === 0 || !this.#mayAnswer(sender)) return
    const additionals = thatFit(additionalsFor(answers, zone), answers)
    void this.#options.transport.send('response', { answers, additionals }, target(sender))
  }

  #answerLegacy(
    packet: Packet,
    questions: readonly Question[],
    answers: readonly OwnRecord[],
    sender: Sender,
    zone: Zone,
  ): void {
    if (answers.length === 0 || !this.#mayAnswer(sender)) return
    const plain = (record: ResourceRecord): ResourceRecord => ({
      ...record,
      ttl: Math.min(record.ttl ?? 0, LEGACY_TTL),
      flush: false,
    })
    const asked = questions.map(({ name, type }) => ({ name, type }))
    const additionals = thatFit(additionalsFor(answers, zone), answers).map(plain)
    const response = { id: packet.id ?? 0, questions: asked, answers: answers.map(plain), additionals }
    void this.#options.transport.send('response', response, target(sender))
  }

  /** An address outside the link could be anyone's, forged to have us flood it. */
  #mayAnswer(sender: Sender): boolean {
    return this.#options.isOnLink(sender.address) && this.#options.limit.take(sender.address)
  }

  #isFresh(record: OwnRecord): boolean {
    return this.#options.queue.age(record) < (record.ttl * MILLISECONDS_PER_SECOND) / FRESH_PART
  }
}

/** The sender as a plain target: the codec's own object carries more. */
function target({ address, port }: Sender): Sender {
  return { address, port }
}

function distinct(records: readonly OwnRecord[]): OwnRecord[] {
  return [...new Map(records.map((record) => [recordKey(record), record])).values()]
}
