/**
 * What the sparse bundles of a limited volume would take if each of their bands were full. Bands are files with holes, or compressed:
 * a Mac may fill those that it has at any time, and room that is promised to it beyond that would end amid a backup. Only
 * shown, never kept: a write is refused by what is really used.
 */

import type { FileSystem, OpenRequest } from '../file-system.ts'
import { BUNDLE_INFO, type BundlePart, bundlePart } from '../sparse-bundle.ts'
import { WalkLog } from './walk-log.ts'

/** Each is a Mac, or a disk image of one; past it no more are looked at. */
const BUNDLES_MAXIMUM = 1024
/** macOS writes less than 1 KiB. */
const INFO_BYTES_MAXIMUM = 64 * 1024
/** hdiutil makes bands of 2^24 sectors of 512 bytes at most; what says more is none. */
const BAND_BYTES_MAXIMUM = 2 ** 33

const READ: Omit<OpenRequest, 'path'> = {
  identity: undefined,
  disposition: 'open',
  kind: 'file',
  followLinks: false,
  read: true,
  write: false,
  create: { mode: 0, dosAttributes: 0 },
  wantPermissions: false,
}

/** What `band-size` of an Info.plist is, in bytes; undefined where it has none, or is none. Throws nothing. */
export type BandSizeReader = (info: Buffer) => number | undefined

/** A bundle, whatever its name is by now. */
interface Bundle {
  bands: number
  /** Bytes; 0 where nobody knows. */
  bandSize: number
  /** Info.plist may say something else. */
  isStale: boolean
  reading: Promise<void> | undefined
  log: WalkLog | undefined
  /** What the walk under way has met. */
  met: number
  /** It got its name while the tree was walked: what was met is not all. */
  isPartly: boolean
}

/** What an open handle is of a bundle. */
export interface BundleMember {
  readonly bundle: Bundle
  readonly kind: 'band' | 'info'
}

export class SparseBundles {
  readonly #fileSystem: FileSystem
  readonly #bandSizeOf: BandSizeReader
  readonly #bundles = new Map<string, Bundle>()
  /** What an earlier run had; undefined once the tree was walked. */
  #earlier: number | undefined
  #isWalking = false

  /** @param earlier bytes by the count of an earlier run */
  constructor(fileSystem: FileSystem, bandSizeOf: BandSizeReader, earlier: number | undefined) {
    this.#fileSystem = fileSystem
    this.#bandSizeOf = bandSizeOf
    this.#earlier = earlier
  }

  /** What the bundles would take with each band full; other files are not in it. */
  get bytes(): number {
    let bytes = 0
    for (const { bands, bandSize } of this.#bundles.values()) bytes += Math.max(0, bands) * bandSize
    return Math.min(Math.max(bytes, this.#earlier ?? 0), Number.MAX_SAFE_INTEGER)
  }

  /** Reads what tells the size of bands where that may have changed. */
  async settle(): Promise<void> {
    const stale = [...this.#bundles].filter(([, { isStale, reading }]) => isStale || reading !== undefined)
    await Promise.all(stale.map(([name, bundle]) => this.#read(name, bundle)))
  }

  async #read(name: string, bundle: Bundle): Promise<void> {
    await bundle.reading
    if (!bundle.isStale) return await bundle.reading
    bundle.isStale = false
    bundle.reading = this.#readInfo(`${name}/${BUNDLE_INFO}`)
      .catch(() => undefined)
      .then((size = 0) => {
        const isOne = Number.isSafeInteger(size) && size > 0 && size <= BAND_BYTES_MAXIMUM
        bundle.bandSize = isOne ? size : 0
        bundle.reading = undefined
      })
    await bundle.reading
  }

  async #readInfo(path: string): Promise<number | undefined> {
    const outcome = await this.#fileSystem.open({ ...READ, path })
    if (!outcome.ok) return undefined
    const { handle, stat } = outcome
    try {
      if (stat.type !== 'file' || stat.size > INFO_BYTES_MAXIMUM) return undefined
      const bytes = Buffer.alloc(stat.size)
      return this.#bandSizeOf(bytes.subarray(0, await handle.read(bytes, 0)))
    } finally {
      await handle.close()
    }
  }

  /** What the entry is that was opened by a path, as it is stored. */
  memberAt(path: string): BundleMember | undefined {
    const part = bundlePart(path)
    if (part === undefined || (part.kind !== 'band' && part.kind !== 'info')) return undefined
    const bundle = this.#bundleOf(part)
    return bundle && { bundle, kind: part.kind }
  }

  #bundleOf({ bundle: name }: BundlePart): Bundle | undefined {
    let bundle = this.#bundles.get(name)
    if (bundle === undefined && this.#bundles.size < BUNDLES_MAXIMUM) {
      bundle = {
        ...{ bands: 0, bandSize: 0, isStale: true, reading: undefined, met: 0, isPartly: false },
        log: this.#isWalking ? new WalkLog() : undefined,
      }
      this.#bundles.set(name, bundle)
    }
    return bundle
  }

  /** A name was made, or moved there. */
  added(member: BundleMember | undefined): void {
    if (member?.kind === 'band') count(member.bundle, 1)
    else this.infoChanged(member)
  }

  /** A name was removed, or moved away. */
  removed(member: BundleMember | undefined): void {
    if (member?.kind === 'band') count(member.bundle, -1)
    else this.infoChanged(member)
  }

  /** The content of a file was. */
  infoChanged(member: BundleMember | undefined): void {
    if (member?.kind === 'info') member.bundle.isStale = true
  }

  /**
   * A folder has another path. Macs make bundles under a temporary name, which is one of a bundle too.
   * @returns false: what is in a bundle now is known when the tree was walked
   */
  folderMoved(from: string, to: string): boolean {
    const [left, entered] = [bundlePart(from), bundlePart(to)]
    const moved = left?.kind === 'bundle' ? this.#bundles.get(left.bundle) : undefined
    if (left?.kind === 'bundle' || left?.kind === 'bands') this.#bundles.delete(left.bundle)
    if (left?.kind === 'bands') this.#bundleOf(left)
    if (entered?.kind === 'bundle' && moved !== undefined) {
      // Its bands were met with the one name, the other, or both.
      moved.isPartly = this.#isWalking
      moved.isStale = true
      this.#bundles.set(entered.bundle, moved)
      return !moved.isPartly
    }
    return entered?.kind !== 'bundle' && entered?.kind !== 'bands'
  }

  beginWalk(): void {
    this.#isWalking = true
    for (const bundle of this.#bundles.values()) {
      Object.assign(bundle, { met: 0, isPartly: false, log: new WalkLog() })
    }
  }

  /** The walk has met bands; further ones of the same bundle add up. */
  met(name: string, bands: number): void {
    const bundle = this.#bundleOf({ kind: 'bands', bundle: name })
    if (bundle !== undefined) bundle.met += bands
  }

  /** @param isWhole false: the walk was given up. @returns when the sizes of bands are known, whoever changed them */
  async endWalk(isWhole: boolean): Promise<void> {
    this.#isWalking = false
    for (const bundle of this.#bundles.values()) {
      const { bands, met, log, isPartly } = bundle
      bundle.log = undefined
      if (!isWhole) continue
      if (log !== undefined && !isPartly) bundle.bands = log.corrected(bands, met)
      bundle.isStale = true
    }
    await this.settle()
    if (!isWhole) return
    this.#earlier = undefined
    for (const [name, { bands, bandSize }] of this.#bundles) {
      if (bands <= 0 && bandSize === 0) this.#bundles.delete(name)
    }
  }
}

function count(bundle: Bundle, by: number): void {
  bundle.bands += by
  bundle.log?.changed(by)
}
