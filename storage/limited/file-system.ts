/** A size limit for any file system: it shows the limit as its size, counts what is used as it changes, and is full when that is reached. */

import type {
  Features,
  FileSystem,
  OpenOutcome,
  OpenRequest,
  RenameRequest,
  SpaceInfo,
} from '../file-system.ts'
import { type LimitedContext, LimitedHandle } from './handle.ts'
import { limitByStatfs, type NativeLimit } from './native-limit.ts'
import { Recount, type RecountClock, type RecountEvents } from './recount.ts'
import { type BandSizeReader, SparseBundles } from './sparse-bundles.ts'
import { VolumeCounter } from './volume-counter.ts'

export interface LimitedOptions {
  readonly clock: RecountClock
  /** Bytes; undefined: no limit for now. */
  readonly limit: number | undefined
  /** What an earlier run counted: holds until the tree was walked. */
  readonly used?: number | undefined
  /** Likewise what its bundles would take with full bands. */
  readonly bundleBytes?: number | undefined
  /** Understands the property lists of sparse bundles; without it none is looked at. */
  readonly bandSizeOf?: BandSizeReader
  readonly events?: RecountEvents
  /** Who may keep the limit instead; what statfs says, unless given. */
  readonly native?: NativeLimit
}

/** What status pages show of a volume. */
export interface VolumeUse extends SpaceInfo {
  /** Bytes; undefined where there is none. */
  readonly limit: number | undefined
  /** Bytes occupied; undefined where nobody counts. */
  readonly used: number | undefined
}

/**
 * The allocation unit that clients see: small, as limits are no multiples of the disk's blocks, and what Samba shows for a
 * Time Machine volume with a limit.
 */
const ALLOCATION_UNIT_BYTES = 1024

export class LimitedFileSystem implements FileSystem {
  readonly features: Features
  readonly volumeId: bigint
  readonly #inner: FileSystem
  readonly #counter: VolumeCounter
  readonly #bundles: SparseBundles
  readonly #recount: Recount
  readonly #native: NativeLimit
  readonly #context: LimitedContext
  /** The file system keeps the limit itself. */
  #isNative = false
  #limit: number | undefined

  constructor(inner: FileSystem, options: LimitedOptions) {
    this.features = inner.features
    this.volumeId = inner.volumeId
    this.#inner = inner
    this.#limit = options.limit
    this.#counter = new VolumeCounter(options.limit, options.used)
    this.#bundles = new SparseBundles(inner, options.bandSizeOf ?? (() => undefined), options.bundleBytes)
    const counted = { counter: this.#counter, bundles: this.#bundles }
    this.#recount = new Recount(inner, counted, options.clock, options.events)
    this.#native = options.native ?? limitByStatfs(inner)
    this.#context = {
      ...counted,
      punchesHoles: inner.features.sparse,
      openReplaced: (request) => this.#openReplaced(request),
      suspect: () => this.#recount.suspect(),
    }
  }

  /** What was counted, for the next run; undefined when nobody did. */
  get counted(): number | undefined {
    return this.#counter.isKnown && this.#counts ? this.#counter.used : undefined
  }

  /** The same of what bundles would take with full bands. */
  get bundleBytes(): number {
    return this.#bundles.bytes
  }

  get limit(): number | undefined {
    return this.#limit
  }

  get #counts(): boolean {
    return this.#limit !== undefined && !this.#isNative
  }

  /** Begins to keep the limit, with a walk of the tree in the background. @returns when that has ended */
  async start(): Promise<void> {
    await this.#decide()
    if (this.#counts) await this.#recount.walk()
  }

  /** Sets another limit; handles and what was counted stay. @returns when all is counted */
  async setLimit(limit: number | undefined): Promise<void> {
    if (limit === this.#limit) return
    const counted = this.#counts
    this.#limit = limit
    await this.#decide()
    // What was opened without a limit was not counted.
    if (!this.#counts) this.#recount.pause()
    else if (!counted) await this.#recount.walk()
  }

  /** Counts anew what is there. */
  async recount(): Promise<void> {
    if (this.#counts) await this.#recount.walk()
  }

  async #decide(): Promise<void> {
    const limit = this.#limit
    this.#isNative = limit !== undefined && (await this.#native.space(limit)) !== undefined
    this.#counter.limit = this.#counts ? limit : undefined
  }

  async open(request: OpenRequest): Promise<OpenOutcome> {
    const outcome = await this.#inner.open(request)
    if (!outcome.ok) return outcome.error === 'quota-exceeded' ? { ...outcome, error: 'disk-full' } : outcome
    return this.#limit === undefined ? outcome : { ...outcome, handle: this.#limited(outcome) }
  }

  #limited(outcome: OpenOutcome & { ok: true }): LimitedHandle {
    const { handle, stat, stream, created, fileCreated, path } = outcome
    const key = stream === undefined ? stat.fileId : `${stat.fileId}:${stream.toLowerCase()}`
    const node = this.#counter.opened(key, handle, stat.occupied, created)
    const member = this.#bundles.memberAt(path)
    if (fileCreated) this.#bundles.added(member)
    const isFolder = stat.type === 'directory'
    return new LimitedHandle(handle, this.#context, { node, isFolder, member })
  }

  async #openReplaced({ to, posixNames }: RenameRequest): Promise<LimitedHandle | undefined> {
    const outcome = await this.#inner.open({
      ...{ path: to, identity: undefined, disposition: 'open', kind: 'any', followLinks: false },
      ...{ read: false, write: false, create: { mode: 0, dosAttributes: 0 }, wantPermissions: false },
      ...(posixNames !== undefined && { posixNames }),
    })
    return outcome.ok ? this.#limited(outcome) : undefined
  }

  /**
   * As clients see it: the limit is the size. What is available is the worse of two figures that have nothing to do with each
   * other: what is really left, and what would be left beside bundles whose bands are all full.
   */
  async space(): Promise<SpaceInfo> {
    const limit = this.#limit
    if (limit === undefined) return await this.#inner.space()
    if (this.#isNative) return (await this.#native.space(limit)) ?? (await this.#inner.space())
    await Promise.all([this.#counter.settle(), this.#bundles.settle()])
    const space = await this.#inner.space()
    const { room } = this.#counter
    const beside = Math.max(0, limit - this.#bundles.bytes)
    return {
      blockSize: ALLOCATION_UNIT_BYTES,
      total: Math.min(limit, space.total),
      free: Math.min(room, space.free),
      available: Math.min(room, beside, space.available),
    }
  }

  /** What is used of the limit. */
  async use(): Promise<VolumeUse> {
    const space = await this.space()
    const limit = this.#limit
    const counted = this.#isNative ? space.total - space.free : this.#counter.used
    return { ...space, limit, used: limit === undefined ? undefined : counted }
  }

  occupied(...told: Parameters<FileSystem['occupied']>): Promise<number | undefined> {
    return this.#inner.occupied(...told)
  }

  async close(): Promise<void> {
    await this.#recount.close()
    await this.#inner.close()
  }
}
