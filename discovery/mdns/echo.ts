/** Recognises our own messages when they come back: from the loopback of our socket, or over another link to the same network. */

import type { Environment } from '../environment.ts'
import { nameKey, recordKey } from './compare.ts'
import type { Packet, ResourceRecord } from './packet.ts'

/** How long a message can be under way on one link. */
const REMEMBERED_MILLISECONDS = 2000
const REMEMBERED_MESSAGES = 256

/** RFC 6762 has no field that names the sender, and Avahi beside us sends from the same address and port: the content tells. */
export class EchoFilter {
  readonly #environment: Environment
  readonly #sent = new Map<string, number>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  sent(packet: Partial<Packet>): void {
    const key = contentOf(packet)
    this.#sent.delete(key)
    this.#sent.set(key, this.#environment.now())
    if (this.#sent.size <= REMEMBERED_MESSAGES) return
    const [oldest] = this.#sent.keys()
    if (oldest !== undefined) this.#sent.delete(oldest)
  }

  isEcho(packet: Packet): boolean {
    const at = this.#sent.get(contentOf(packet))
    return at !== undefined && this.#environment.now() - at <= REMEMBERED_MILLISECONDS
  }
}

function contentOf({
  questions = [],
  answers = [],
  authorities = [],
  additionals = [],
}: Partial<Packet>): string {
  const records = (list: readonly ResourceRecord[]): string[] =>
    list.map((record) => `${recordKey(record)} ${record.ttl ?? 0}`)
  const asked = questions.map(({ name, type }) => `${nameKey(name)} ${type}`)
  return JSON.stringify([asked, records(answers), records(authorities), records(additionals)])
}
