/** What simulated clients share: the server, what its files may hold, and what went wrong. */

import type { SimServer } from '../sim-server.ts'
import { Ledger, type Value } from './ledger.ts'

/** Files are read and written in pieces of so many bytes. */
export const CELL_BYTES = 8

export function cellBytes(value: Value): Buffer {
  const bytes = Buffer.alloc(CELL_BYTES)
  bytes.writeDoubleLE(value)
  return bytes
}

export function cellValue(bytes: Buffer): Value {
  return bytes.length < CELL_BYTES ? 0 : bytes.readDoubleLE()
}

export class Referee {
  readonly sim: SimServer
  /** What happened how often: a simulation in which nothing happens proves nothing. */
  readonly counts = new Map<string, number>()
  readonly violations: string[] = []
  /** All that happened, in order. */
  readonly story: string[] = []
  readonly #ledgers = new Map<string, Ledger>()
  #values = 0

  constructor(sim: SimServer) {
    this.sim = sim
  }

  /** A value that was never written before. */
  nextValue(): Value {
    return ++this.#values
  }

  ledger(file: string, cell: number): Ledger {
    const name = this.cellName(file, cell)
    let ledger = this.#ledgers.get(name)
    if (ledger === undefined) {
      ledger = new Ledger()
      this.#ledgers.set(name, ledger)
    }
    return ledger
  }

  cellName(file: string, cell: number): string {
    return `${file}:${cell}`
  }

  settled(cellName: string, value: Value): void {
    this.#ledgers.get(cellName)?.settled(value)
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  /** Keeps what happened, for whoever has to find out why. */
  note(who: string, what: string): void {
    this.story.push(`${this.sim.environment.now()} ${who}: ${what}`)
  }

  /** @param problem undefined: there is none */
  expect(who: string, problem: string | undefined): void {
    if (problem === undefined) return
    this.violations.push(`${who}: ${problem}`)
    this.note(who, `VIOLATION: ${problem}`)
  }
}
