/** One sparsebundle on one disk: written, interrupted by kills and power cuts, compared after each. */

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Dice } from '../../sim/world/dice.ts'
import { alice, makeShareDirectory } from '../environment.ts'
import { MacClient } from '../mac/client.ts'
import { CheckError, expect } from '../report.ts'
import { startServer } from '../server.ts'
import { lastLines, type Server } from '../server-process.ts'
import { BAND_BYTES, Content } from './content.ts'
import { Disk } from './disk.ts'
import { Ledger } from './ledger.ts'
import { type Found, Verifier } from './verify.ts'
import { type Book, Writer } from './writer.ts'

const shareName = 'backups'
/** Beyond the bands: the log of XFS, and what was begun. */
const SPARE_BYTES = 1 << 30
/** An interruption comes so long after its share of the bytes, at most. */
const MOST_LATE_MILLISECONDS = 200
/** The server goes on for so long after a power cut, at most. */
const MOST_ON_DEAD_DISK_MILLISECONDS = 200
const PAUSE_MILLISECONDS = 5
const GONE_SECONDS = 30

export type Interruption = 'kill' | 'cut'

export interface Plan {
  readonly bytes: number
  readonly seed: number
  /** The Mac sends its full syncs; false: it only notes them. */
  readonly syncs: boolean
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
}

export class Trial {
  readonly ledger: Ledger = new Ledger()
  verifiedBytes = 0
  /** Of them, those of the last time. */
  lastVerifiedBytes = 0
  /** Interruptions that came while a full sync was in flight. */
  amidSyncs = 0
  readonly #directory: string
  readonly #disk: Disk
  readonly #book: Book
  readonly #verifier: Verifier
  readonly #dice: Dice
  #server: Server | undefined

  private constructor(directory: string, disk: Disk, { bytes, seed, syncs }: Plan) {
    this.#directory = directory
    this.#disk = disk
    const content = new Content(seed)
    this.#dice = new Dice(seed)
    this.#book = {
      ...{ ledger: this.ledger, content, syncs, nextBand: 0, unfinished: new Set() },
      ...{ random: new Dice(seed + 1), bands: Math.floor(bytes / BAND_BYTES) },
    }
    this.#verifier = new Verifier(join(disk.mountPoint, shareName), content)
  }

  /** A new disk, a server on it, an empty sparsebundle. */
  static async begin(directory: string, plan: Plan): Promise<Trial> {
    const disk = await Disk.make(join(directory, 'disk'), plan.bytes + SPARE_BYTES)
    await makeShareDirectory(join(disk.mountPoint, shareName), plan.owner)
    await disk.sync()
    const trial = new Trial(directory, disk, plan)
    await trial.#start([alice])
    const mac = await trial.#mount()
    await new Writer(mac, trial.#book).makeBundle()
    await mac.disconnect()
    return trial
  }

  /** Writes about `bytes`, interrupts, starts anew, compares what changed. @returns the losses */
  async interrupt(kind: Interruption, bytes: number): Promise<readonly string[]> {
    const mac = await this.#mount()
    const writer = new Writer(mac, this.#book)
    const target = this.ledger.writtenBytes + bytes
    let interrupted = false
    const writing = writer.run()
    const failure = writing.then(async (error) => {
      if (!interrupted) throw new CheckError(await this.#told(`the Mac failed: ${String(error)}`))
    })
    failure.catch(() => undefined)
    while (this.ledger.writtenBytes < target) await Promise.race([failure, pause(PAUSE_MILLISECONDS)])
    await Promise.race([failure, pause(this.#dice.below(MOST_LATE_MILLISECONDS))])
    interrupted = true
    if (writer.syncing > 0) this.amidSyncs += 1
    if (kind === 'cut') {
      await this.#disk.cutPower()
      // A server that took the disk's errors for success would acknowledge syncs now.
      await pause(this.#dice.below(MOST_ON_DEAD_DISK_MILLISECONDS))
    }
    await this.#kill()
    writer.stop()
    mac.cut()
    await writing
    return this.#recover(kind)
  }

  /** Writes the rest, syncs, cuts the power once more and compares everything. @returns the losses */
  async end(): Promise<readonly string[]> {
    const mac = await this.#mount()
    await new Writer(mac, this.#book).finish()
    await this.#disk.cutPower()
    await this.#kill()
    mac.cut()
    for (const band of this.ledger.bands.values()) this.ledger.sinceCut.add(band)
    return this.#recover('cut')
  }

  /** Nothing of it is left. */
  async dispose(): Promise<void> {
    await this.#kill()
    await this.#disk.unmount()
  }

  async #recover(kind: Interruption): Promise<readonly string[]> {
    const { ledger } = this
    if (kind === 'cut') {
      ledger.forget()
      await this.#disk.powerUp()
    }
    const found: Found = await this.#verifier.compare(
      ledger,
      kind === 'cut' ? ledger.sinceCut : ledger.sinceRestart,
    )
    ledger.sinceRestart.clear()
    if (kind === 'cut') ledger.sinceCut.clear()
    this.verifiedBytes += found.verifiedBytes
    this.lastVerifiedBytes = found.verifiedBytes
    await this.#start([])
    return found.losses
  }

  async #start(accounts: readonly (typeof alice)[]): Promise<void> {
    const path = join(this.#disk.mountPoint, shareName)
    const shares = [{ name: shareName, path, valid_users: [alice.name], time_machine: true }]
    this.#server = await startServer({ directory: join(this.#directory, 'server'), accounts, shares })
  }

  /** SIGKILL. Returns when the process is gone. */
  async #kill(): Promise<void> {
    const server = this.#server
    if (server === undefined || !server.alive()) return
    process.kill(server.pid, 'SIGKILL')
    const end = performance.now() + GONE_SECONDS * 1000
    while (server.alive()) {
      expect(performance.now() < end, `the server is there ${GONE_SECONDS} s after SIGKILL`)
      await pause(PAUSE_MILLISECONDS)
    }
  }

  #mount(): Promise<MacClient> {
    const port = this.#server?.port ?? 0
    const { name: user, password } = alice
    return MacClient.connect({ host: '127.0.0.1', port, share: shareName, user, password })
  }

  async #told(what: string): Promise<string> {
    return `${what}\n${lastLines((await this.#server?.log()) ?? '')}`
  }
}
