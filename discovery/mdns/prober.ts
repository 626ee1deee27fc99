/** Asks three times whether a name is free before it is used: RFC 6762 8.1. */

import { type Environment, randomBetween, Timers } from '../environment.ts'
import { nameKey } from './compare.ts'
import { intoMessages, recordBytes } from './packet.ts'
import type { Transport } from './transport.ts'
import type { OwnRecord, Zone } from './zone.ts'

const PROBES = 3
const INTERVAL_MILLISECONDS = 250
/** RFC 6762 8.2: the loser of a simultaneous probe waits, so that the winner has the name by then. */
const DEFERRAL_MILLISECONDS = 1000

export class Prober {
  readonly #environment: Environment
  readonly #transport: Transport
  readonly #timers: Timers
  readonly #free: () => void
  #zone: Zone | undefined

  /** @param free nobody has objected */
  constructor(environment: Environment, transport: Transport, free: () => void) {
    this.#environment = environment
    this.#transport = transport
    this.#timers = new Timers(environment)
    this.#free = free
  }

  /** Starts from the beginning. @param wait milliseconds before the random wait that comes first */
  start(zone: Zone, wait = 0): void {
    this.stop()
    this.#zone = zone
    const first = wait + randomBetween(this.#environment, 0, INTERVAL_MILLISECONDS)
    this.#timers.after(first, () => this.#probe(PROBES))
  }

  /** Begins again when the winner of a simultaneous probe has had time to claim the name. */
  defer(): void {
    if (this.#zone !== undefined) this.start(this.#zone, DEFERRAL_MILLISECONDS)
  }

  stop(): void {
    this.#timers.cancelAll()
    this.#zone = undefined
  }

  #probe(left: number): void {
    const zone = this.#zone
    if (zone === undefined) return
    if (left === 0) {
      this.stop()
      return this.#free()
    }
    const unique = zone.records.filter((record) => record.flush)
    for (const claimed of intoMessages(unique, questionBytes(unique))) this.#send(claimed)
    this.#timers.after(INTERVAL_MILLISECONDS, () => this.#probe(left - 1))
  }

  /**
   * Without the bit for unicast answers: of the programs that share port 5353 on this machine, one that is not us could
   * get them, and we would not hear that the name is taken.
   */
  #send(claimed: readonly OwnRecord[]): void {
    const names = new Map(claimed.map((record) => [nameKey(record.name), record.name]))
    const questions = Array.from(names.values(), (name) => ({ name, type: 'ANY' }))
    const authorities = claimed.map((record) => ({ ...record, flush: false }))
    void this.#transport.send('query', { questions, authorities })
  }
}

function questionBytes(records: readonly OwnRecord[]): number {
  const names = new Map(records.map((record) => [nameKey(record.name), record.name]))
  return Array.from(names.values(), (name) => recordBytes({ name, type: 'ANY' })).reduce((a, b) => a + b, 0)
}
