/** What was promised: of each block the content at the last acknowledged full sync, and what was written since. */

import { BLOCKS } from './content.ts'

/** A WRITE to a block after its last sync. */
interface Later {
  readonly generation: number
  acknowledged: boolean
}

/** What a sync will have made durable when it is acknowledged: by block, the last generation acknowledged before it. */
export type Covered = ReadonlyMap<number, number>

export class BandLedger {
  readonly number: number
  /** A full sync of it was acknowledged: the name must be there. */
  named = false
  /** By block; 0: nothing. */
  readonly synced: Uint32Array = new Uint32Array(BLOCKS)
  readonly later: Map<number, Later[]> = new Map()
  #generation = 0

  constructor(number: number) {
    this.number = number
  }

  nextGeneration(): number {
    this.#generation += 1
    return this.#generation
  }

  /** A WRITE is about to be sent. @returns what to call when it is acknowledged */
  writing(first: number, count: number, generation: number): () => void {
    const entries: Later[] = []
    for (let block = first; block < first + count; block += 1) {
      const entry = { generation, acknowledged: false }
      const list = this.later.get(block)
      if (list === undefined) this.later.set(block, [entry])
      else list.push(entry)
      entries.push(entry)
    }
    return () => {
      for (const entry of entries) entry.acknowledged = true
    }
  }

  /** What a FLUSH that is sent now covers. */
  covered(): Covered {
    const covered = new Map<number, number>()
    for (const [block, list] of this.later) {
      const last = list.findLast((entry) => entry.acknowledged)
      if (last !== undefined) covered.set(block, last.generation)
    }
    return covered
  }

  /** The FLUSH was acknowledged. */
  acknowledged(covered: Covered): void {
    this.named = true
    for (const [block, generation] of covered) {
      this.synced[block] = generation
      const rest = (this.later.get(block) ?? []).filter((entry) => entry.generation > generation)
      if (rest.length === 0) this.later.delete(block)
      else this.later.set(block, rest)
    }
  }

  /** After a power cut nothing is known of what was acknowledged but not synced. */
  forget(): void {
    for (const list of this.later.values()) for (const entry of list) entry.acknowledged = false
  }
}

/** The small file that is made anew and renamed into its place. */
export interface PlistLedger {
  generation: number
  /** Generations that may be in its place; 0: no file. One alone from a full sync on until the next is begun. */
  readonly inPlace: Set<number>
  /** One that was synced under its first name, and may have either. */
  durable: number | undefined
}

export class Ledger {
  readonly bands: Map<number, BandLedger> = new Map()
  readonly plist: PlistLedger = { generation: 0, inPlace: new Set([0]), durable: undefined }
  /** Bands written to since they were last compared after a restart of any kind, and after a power cut. */
  readonly sinceRestart: Set<BandLedger> = new Set()
  readonly sinceCut: Set<BandLedger> = new Set()
  syncs = 0
  writtenBytes = 0
  dances = 0

  band(number: number): BandLedger {
    let band = this.bands.get(number)
    if (band === undefined) {
      band = new BandLedger(number)
      this.bands.set(number, band)
    }
    this.sinceRestart.add(band)
    this.sinceCut.add(band)
    return band
  }

  /** The power is gone. */
  forget(): void {
    for (const band of this.bands.values()) band.forget()
  }
}
