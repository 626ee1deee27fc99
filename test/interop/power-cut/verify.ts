/** Compares the files on the disk with the ledger. */

import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BAND_BYTES, BLOCK_BYTES, BLOCKS, type Content, describePiece, PIECE_BYTES } from './content.ts'
import type { BandLedger, Ledger } from './ledger.ts'
import { bandPath, plistPath, plistText, temporaryPath } from './names.ts'

export interface Found {
  /** Of blocks that had to be as they were synced, with nothing written since. */
  verifiedBytes: number
  readonly losses: string[]
}

export class Verifier {
  readonly #share: string
  readonly #content: Content
  readonly #data: Buffer = Buffer.alloc(BAND_BYTES)
  readonly #expected: Buffer = Buffer.alloc(BLOCK_BYTES)

  constructor(share: string, content: Content) {
    this.#share = share
    this.#content = content
  }

  /** Looks at the bands given, and at the plist. */
  async compare(ledger: Ledger, bands: Iterable<BandLedger>): Promise<Found> {
    const found: Found = { verifiedBytes: 0, losses: [] }
    for (const band of bands) await this.#compareBand(band, found)
    await this.#comparePlist(ledger, found)
    return found
  }

  async #compareBand(band: BandLedger, found: Found): Promise<void> {
    const path = bandPath(band.number)
    if (!(await this.#load(path))) {
      if (band.named) found.losses.push(`${path} was synced and is not there`)
      return
    }
    for (let block = 0; block < BLOCKS; block += 1) {
      const synced = band.synced[block] ?? 0
      const later = band.later.get(block)?.map((entry) => entry.generation) ?? []
      const problem = this.#compareBlock(band.number, block, [synced, ...later])
      if (problem !== undefined) found.losses.push(`${path}, block ${block}: ${problem}`)
      else if (later.length === 0 && synced > 0) found.verifiedBytes += BLOCK_BYTES
    }
  }

  /** Fills the buffer, with zeros after the end. @returns whether there is such a file */
  async #load(path: string): Promise<boolean> {
    const file = await open(join(this.#share, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (file === undefined) return false
    try {
      let at = 0
      for (;;) {
        const { bytesRead } = await file.read(this.#data, at, BAND_BYTES - at, at)
        at += bytesRead
        if (bytesRead === 0 || at === BAND_BYTES) break
      }
      this.#data.fill(0, at)
      return true
    } finally {
      await file.close()
    }
  }

  /** @param allowed generations, that of the last sync first: each piece must be of one of them */
  #compareBlock(band: number, block: number, allowed: readonly number[]): string | undefined {
    const at = block * BLOCK_BYTES
    const open = new Set<number>()
    for (let piece = 0; piece < BLOCK_BYTES; piece += PIECE_BYTES) open.add(piece)
    for (const generation of allowed) {
      this.#content.fill(this.#expected, 0, band, block, generation)
      for (const piece of open) {
        const from = at + piece
        const same =
          this.#expected.compare(this.#data, from, from + PIECE_BYTES, piece, piece + PIECE_BYTES) === 0
        if (same) open.delete(piece)
      }
      if (open.size === 0) return undefined
    }
    const [first = 0] = open
    const is = describePiece(this.#data, at + first)
    return `${open.size} pieces are none of the generations ${allowed.join(', ')}; the first is ${is}`
  }

  async #comparePlist({ plist }: Ledger, found: Found): Promise<void> {
    const text = (path: string) => readFile(join(this.#share, path), 'utf8').catch(() => undefined)
    const [inPlace, temporary] = [await text(plistPath), await text(temporaryPath)]
    const { durable } = plist
    if (durable !== undefined && ![inPlace, temporary].includes(plistText(durable)))
      found.losses.push(`${temporaryPath} of generation ${durable} was synced and is not there`)
    const allowed = [...plist.inPlace]
    if (!allowed.some((generation) => inPlace === (generation === 0 ? undefined : plistText(generation))))
      found.losses.push(`${plistPath} is not of generation ${allowed.join(', ')}: ${inPlace ?? 'not there'}`)
  }
}
