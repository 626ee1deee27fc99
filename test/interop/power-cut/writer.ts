/** A Mac that writes a sparsebundle: new bands in order, earlier ones here and there, the plist in between. */

import type { Dice } from '../../sim/world/dice.ts'
import { Disposition, type MacClient, MacError, type MacHandle } from '../mac/client.ts'
import { Status } from '../mac/scene.ts'
import { BLOCK_BYTES, BLOCKS, type Content } from './content.ts'
import type { BandLedger, Ledger } from './ledger.ts'
import { bandPath, bandsPath, bundlePath, plistPath, plistText, temporaryPath } from './names.ts'

/** Bands that are written at a time, and WRITEs in flight for each. */
const WORKERS = 3
const IN_FLIGHT = 4
/** A Mac's WRITE to a band. */
const WRITE_BLOCKS = (1 << 20) / BLOCK_BYTES
const REWRITES = 4
const CREDIT_BYTES = 64 << 10
/** How many of a hundred jobs are which. */
const Percent = { OLD_BAND: 25, PLIST: 8, SYNC_BETWEEN: 30, SYNC_AT_END: 85 } as const

export interface Book {
  readonly ledger: Ledger
  readonly content: Content
  readonly random: Dice
  /** Bands of the whole sparsebundle. */
  readonly bands: number
  /** False: the Mac notes its syncs and sends none. */
  readonly syncs: boolean
  /** The next that does not exist yet, and those that were begun. */
  nextBand: number
  readonly unfinished: Set<number>
}

export class Writer {
  readonly #mac: MacClient
  readonly #book: Book
  readonly #busy = new Set<number>()
  #dancing = false
  #stops = false
  /** FULL FLUSHes that are not answered yet. */
  syncing = 0

  constructor(mac: MacClient, book: Book) {
    this.#mac = mac
    this.#book = book
  }

  async makeBundle(): Promise<void> {
    await this.#mac.makeDirectory(bundlePath)
    await this.#mac.makeDirectory(bandsPath)
  }

  /** No further job is begun. */
  stop(): void {
    this.#stops = true
  }

  /** Writes until it is stopped or a command fails. @returns what failed */
  async run(): Promise<unknown> {
    const failures: unknown[] = []
    const work = async (): Promise<void> => {
      while (!this.#stops) await this.#job()
    }
    const workers = Array.from({ length: WORKERS }, () =>
      work().catch((error: unknown) => {
        this.stop()
        failures.push(error)
      }),
    )
    await Promise.all(workers)
    return failures[0]
  }

  /** Writes what is missing of the sparsebundle, and anew what is not synced. @throws MacError, LinkLost */
  async finish(): Promise<void> {
    for (let band = this.#next(); band !== undefined; band = this.#next()) await this.#newBand(band)
    for (const band of this.#book.ledger.bands.values())
      while (band.later.size > 0) await this.#newBand(band.number)
  }

  #next(): number | undefined {
    const begun = [...this.#book.unfinished].find((band) => !this.#busy.has(band))
    if (begun !== undefined) return begun
    if (this.#book.nextBand >= this.#book.bands) return undefined
    const band = this.#book.nextBand
    this.#book.nextBand += 1
    this.#book.unfinished.add(band)
    return band
  }

  async #job(): Promise<void> {
    const { random, nextBand } = this.#book
    if (!this.#dancing && random.below(100) < Percent.PLIST) {
      await this.#dance()
      return
    }
    const band = random.below(100) < Percent.OLD_BAND ? undefined : this.#next()
    if (band !== undefined) {
      await this.#newBand(band)
      return
    }
    const old = random.below(Math.max(1, nextBand))
    if (!this.#busy.has(old) && !this.#book.unfinished.has(old) && nextBand > 0) await this.#oldBand(old)
    // Nothing to do for this one: the others go on.
    else await new Promise((resolve) => setImmediate(resolve))
  }

  async #newBand(number: number): Promise<void> {
    await this.#withBand(number, async (handle, band) => {
      for (let first = 0; first < BLOCKS; first += IN_FLIGHT * WRITE_BLOCKS) {
        const writes: Promise<void>[] = []
        for (let index = 0; index < IN_FLIGHT; index += 1)
          writes.push(this.#write(handle, band, first + index * WRITE_BLOCKS, WRITE_BLOCKS))
        await settled(writes)
        if (this.#book.random.below(100) < Percent.SYNC_BETWEEN) await this.#sync(handle, band)
      }
    })
    this.#book.unfinished.delete(number)
  }

  async #oldBand(number: number): Promise<void> {
    const { random } = this.#book
    await this.#withBand(number, async (handle, band) => {
      const count = 1 + random.below(REWRITES)
      const part = BLOCKS / count
      const writes: Promise<void>[] = []
      // Each in a part of its own: what of two WRITEs to one block is the later nobody knows.
      for (let index = 0; index < count; index += 1) {
        const length = 1 + random.below(WRITE_BLOCKS)
        const first = Math.ceil(index * part) + random.below(Math.floor(part) - WRITE_BLOCKS)
        writes.push(this.#write(handle, band, first, length))
      }
      await settled(writes)
    })
  }

  async #withBand(
    number: number,
    use: (handle: MacHandle, band: BandLedger) => Promise<void>,
  ): Promise<void> {
    this.#busy.add(number)
    const band = this.#book.ledger.band(number)
    const handle = await this.#mac.create(bandPath(number), Disposition.OPEN_IF)
    await use(handle, band)
    if (this.#book.random.below(100) < Percent.SYNC_AT_END) await this.#sync(handle, band)
    await this.#mac.close(handle)
    this.#busy.delete(number)
  }

  async #write(handle: MacHandle, band: BandLedger, first: number, count: number): Promise<void> {
    const generation = band.nextGeneration()
    const data = Buffer.allocUnsafe(count * BLOCK_BYTES)
    for (let index = 0; index < count; index += 1)
      this.#book.content.fill(data, index * BLOCK_BYTES, band.number, first + index, generation)
    const acknowledge = band.writing(first, count, generation)
    // A Mac sends only what it has credits for.
    while (this.#mac.connection.credits <= data.length / CREDIT_BYTES && !this.#stops)
      await new Promise((resolve) => setImmediate(resolve))
    await this.#mac.write(handle, first * BLOCK_BYTES, data)
    acknowledge()
    this.#book.ledger.writtenBytes += data.length
  }

  async #sync(handle: MacHandle, band: BandLedger): Promise<void> {
    const covered = band.covered()
    await this.#fullSync(handle)
    band.acknowledged(covered)
  }

  async #fullSync(handle: MacHandle): Promise<void> {
    if (this.#book.syncs) {
      this.syncing += 1
      await this.#mac.fullSync(handle)
      this.syncing -= 1
    }
    this.#book.ledger.syncs += 1
  }

  /** A new file takes the old one's place; smbfs renames over nothing, so the old one goes first (macos.md 10). */
  async #dance(): Promise<void> {
    const { plist } = this.#book.ledger
    this.#dancing = true
    plist.generation += 1
    const { generation } = plist
    // What is overwritten now need not be there any more.
    plist.durable = undefined
    const handle = await this.#mac.create(temporaryPath, Disposition.OVERWRITE_IF)
    await this.#mac.write(handle, 0, Buffer.from(plistText(generation)))
    await this.#fullSync(handle)
    plist.durable = generation
    plist.inPlace.add(0)
    plist.inPlace.add(generation)
    await this.#mac.remove(plistPath).catch(isAbsent)
    await this.#mac.rename(temporaryPath, plistPath)
    await this.#fullSync(handle)
    plist.inPlace.clear()
    plist.inPlace.add(generation)
    await this.#mac.close(handle)
    this.#book.ledger.dances += 1
    this.#dancing = false
  }
}

/** After a crash, or the first time. @throws anything else */
function isAbsent(error: unknown): void {
  if (!(error instanceof MacError && error.status === Status.OBJECT_NAME_NOT_FOUND)) throw error
}

/** Waits for all, also when one fails: none may come after. */
async function settled(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises)
  await Promise.all(promises)
}
