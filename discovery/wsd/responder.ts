/** WS-Discovery (April 2005) 4 to 7 on one link and family: Hello and Bye, and answers to Probe and Resolve, repeated as SOAP-over-UDP says. */

import { type Environment, type Log, randomBetween, Timers } from '../environment.ts'
import type { RateLimit } from '../rate-limit.ts'
import { XmlError } from '../xml/reader.ts'
import { DEVICE_TYPES, MESSAGE_MAXIMUM_BYTES } from './names.ts'
import { type Request, readRequest } from './read-message.ts'
import {
  bye,
  type Device,
  type Head,
  hello,
  probeMatches,
  resolveMatches,
  type Sequence,
} from './write-message.ts'

/** WS-Discovery 2.4: APP_MAX_DELAY, so that not all devices of a network answer at once. */
const ANSWER_WAIT_MAXIMUM_MILLISECONDS = 500
/** SOAP-over-UDP: how often a message is sent in all, and the growing distances between. */
const MULTICAST_COUNT = 4
const UNICAST_COUNT = 2
const FIRST_GAP_MILLISECONDS = [50, 250] as const
const GAP_MAXIMUM_MILLISECONDS = 500
/** Message ids that were answered: each request comes several times. */
const REMEMBERED_MESSAGES = 128
/** Answers that wait to be sent. */
const PENDING_MAXIMUM = 256

export interface Sender {
  readonly address: string
  readonly port: number
}

/** What a responder needs of the network; a test brings its own. */
export interface Datagrams {
  listen(receive: (bytes: Buffer, sender: Sender) => void): void
  /** @param to undefined: to the group */
  send(bytes: Buffer, to?: Sender): void
  close(): Promise<void>
}

export interface WsdResponderOptions {
  readonly environment: Environment
  readonly log: Log
  readonly datagrams: Datagrams
  readonly limit: RateLimit
  /** As it is when a message is written: the name can change. */
  device(): Device
  /** Where the metadata are, by an address of this link. */
  readonly metadataAddress: string
  newId(): string
  nextSequence(): Sequence
  isOnLink(address: string): boolean
}

export class WsdResponder {
  readonly #options: WsdResponderOptions
  readonly #timers: Timers
  readonly #seen = new Set<string>()
  #pending = 0

  constructor(options: WsdResponderOptions) {
    this.#options = options
    this.#timers = new Timers(options.environment)
    options.datagrams.listen((bytes, sender) => this.#receive(bytes, sender))
    this.sayHello()
  }

  /** At the start, after a change of name, after a sleep. */
  sayHello(): void {
    const { environment, device, metadataAddress } = this.#options
    this.#timers.after(randomBetween(environment, 0, ANSWER_WAIT_MAXIMUM_MILLISECONDS), () => {
      const message = hello(device(), this.#head(), this.#options.nextSequence(), metadataAddress)
      this.#repeat(message, MULTICAST_COUNT)
    })
  }

  /** Bye, and the end. Resolves when it was said as often as is due: within 1.3 seconds. */
  async stop(): Promise<void> {
    this.#timers.cancelAll()
    const message = bye(this.#options.device(), this.#head(), this.#options.nextSequence())
    await new Promise<void>((resolve) => this.#repeat(message, MULTICAST_COUNT, undefined, resolve))
    await this.#options.datagrams.close()
  }

  /** The link is gone: nobody would hear. */
  async abandon(): Promise<void> {
    this.#timers.cancelAll()
    await this.#options.datagrams.close()
  }

  #receive(bytes: Buffer, sender: Sender): void {
    const { isOnLink, limit, log } = this.#options
    if (bytes.length > MESSAGE_MAXIMUM_BYTES || !isOnLink(sender.address) || !limit.take(sender.address))
      return
    let request: Request | undefined
    try {
      request = readRequest(bytes)
    } catch (error) {
      if (!(error instanceof XmlError)) throw error
      return log('debug', `WS-Discovery: message of ${sender.address} dropped: ${error.message}`)
    }
    if (request === undefined || !this.#isNew(request.messageId)) return
    if (request.kind === 'probe' && this.#matches(request))
      return this.#answerProbe(request.messageId, sender)
    if (request.kind === 'resolve' && request.endpoint === this.#options.device().endpoint) {
      this.#answer(resolveMatches, request.messageId, sender, 0)
    }
  }

  #answerProbe(messageId: string, sender: Sender): void {
    const wait = randomBetween(this.#options.environment, 0, ANSWER_WAIT_MAXIMUM_MILLISECONDS)
    this.#answer(probeMatches, messageId, sender, wait)
  }

  #answer(write: typeof probeMatches, relatesTo: string, sender: Sender, wait: number): void {
    if (this.#pending >= PENDING_MAXIMUM) return
    this.#pending += 1
    this.#timers.after(wait, () => {
      const { device, metadataAddress } = this.#options
      const message = write(device(), this.#head(relatesTo), this.#options.nextSequence(), metadataAddress)
      this.#repeat(message, UNICAST_COUNT, sender, () => {
        this.#pending -= 1
      })
    })
  }

  /** WS-Discovery 5.1: all types that are asked for must be ours. We have no scopes, so none that is asked for matches. */
  #matches({ types, scopes }: Extract<Request, { kind: 'probe' }>): boolean {
    const isOurs = (type: { namespace: string; name: string }): boolean =>
      DEVICE_TYPES.some((one) => one.namespace === type.namespace && one.name === type.name)
    return scopes === '' && types.every(isOurs)
  }

  #isNew(messageId: string): boolean {
    if (this.#seen.has(messageId)) return false
    this.#seen.add(messageId)
    const [oldest] = this.#seen
    if (this.#seen.size > REMEMBERED_MESSAGES && oldest !== undefined) this.#seen.delete(oldest)
    return true
  }

  #head(relatesTo?: string): Head {
    const messageId = `urn:uuid:${this.#options.newId()}`
    return relatesTo === undefined ? { messageId } : { messageId, relatesTo }
  }

  #repeat(message: string, count: number, to?: Sender, done?: () => void): void {
    const bytes = Buffer.from(message)
    const send = (left: number, gap: number): void => {
      this.#options.datagrams.send(bytes, to)
      if (left <= 1) return done?.()
      this.#timers.after(gap, () => send(left - 1, Math.min(gap * 2, GAP_MAXIMUM_MILLISECONDS)))
    }
    send(count, randomBetween(this.#options.environment, ...FIRST_GAP_MILLISECONDS))
  }
}
