/** What a tree held at an earlier time: opened when someone wants something of it, closed when nobody has for a while. */

import { StorageError } from '../errors.ts'
import type { Features, FileStat, FileSystem, OpenOutcome, OpenRequest, SpaceInfo } from '../file-system.ts'
import { PreviousHandle } from './handle.ts'
import type { OpenTrees } from './open-trees.ts'

export interface PreviousFileSystemOptions {
  /** What is there now: the previous version is shown as part of the same volume. */
  readonly live: Pick<FileSystem, 'features' | 'volumeId'>
  /** Milliseconds since 1970, whole seconds: tells its file ids from those of other times. */
  readonly created: number
  /** Opens the tree. */
  open(): Promise<FileSystem>
  readonly trees: OpenTrees
}

/** Odd, so that no two seconds have the same multiple. */
const FACTOR = 0x9e37_79b9_7f4a_7c15n
const ID_BITS = 64
const MILLISECONDS = 1000

export class PreviousFileSystem implements FileSystem {
  readonly features: Features
  readonly volumeId: bigint
  readonly #options: PreviousFileSystemOptions
  /** What file ids differ in from the live ones. */
  readonly #salt: bigint
  #inner: Promise<FileSystem> | undefined
  /** Calls under way, and handles. */
  #users = 0

  constructor(options: PreviousFileSystemOptions) {
    this.#options = options
    this.features = options.live.features
    this.volumeId = options.live.volumeId
    this.#salt = BigInt.asUintN(ID_BITS, BigInt(Math.trunc(options.created / MILLISECONDS)) * FACTOR)
  }

  /** Someone uses it: it is not closed. */
  get isInUse(): boolean {
    return this.#users > 0
  }

  async open(request: OpenRequest): Promise<OpenOutcome> {
    if (request.disposition === 'create') return { ok: false, error: 'read-only' }
    // Who opens it for writing is refused when writing.
    const reading = { ...request, disposition: 'open', write: false } as const
    const outcome = await this.#use((tree) => tree.open(reading))
    if (!outcome.ok) {
      const isMissing = outcome.error === 'not-found' && request.disposition === 'open-if'
      return isMissing ? { ok: false, error: 'read-only' } : outcome
    }
    this.#begin()
    const handle = new PreviousHandle(outcome.handle, {
      shown: (stat) => this.#shown(stat),
      closed: () => this.#end(),
    })
    return { ...outcome, handle, stat: this.#shown(outcome.stat) }
  }

  space(): Promise<SpaceInfo> {
    return this.#use((tree) => tree.space())
  }

  occupied(...told: Parameters<FileSystem['occupied']>): Promise<number | undefined> {
    return this.#use((tree) => tree.occupied(...told))
  }

  /** Lets go of the tree. What uses it later opens it anew. */
  async close(): Promise<void> {
    const opened = this.#inner
    this.#inner = undefined
    this.#options.trees.remove(this)
    // One that could not be opened is not open.
    await opened?.then(
      (tree) => tree.close(),
      () => undefined,
    )
  }

  #shown(stat: FileStat): FileStat {
    return { ...stat, volumeId: this.volumeId, fileId: stat.fileId ^ this.#salt }
  }

  async #use<T>(work: (tree: FileSystem) => Promise<T>): Promise<T> {
    this.#begin()
    try {
      return await work(await this.#tree())
    } finally {
      this.#end()
    }
  }

  async #tree(): Promise<FileSystem> {
    if (this.#inner === undefined) {
      if (!this.#options.trees.add(this)) {
        throw new StorageError('too-many-open-files', 'too many previous versions are in use')
      }
      const opening = this.#options.open()
      this.#inner = opening
      opening.catch(() => {
        if (this.#inner !== opening) return
        this.#inner = undefined
        this.#options.trees.remove(this)
      })
    }
    return await this.#inner
  }

  #begin(): void {
    this.#users++
  }

  #end(): void {
    this.#users--
    if (this.#users === 0) this.#options.trees.rests(this)
  }
}
