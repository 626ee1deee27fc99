/** An open file of a limited volume: what takes space is claimed before, what frees some is looked at afterwards. */

import { StorageError } from '../errors.ts'
import type {
  AttributeChanges,
  ByteRange,
  DirectoryCursor,
  ExtendedAttribute,
  FileHandle,
  FileStat,
  ListRequest,
  LocalChange,
  RenameRequest,
  StreamEntry,
} from '../file-system.ts'
import type { BundleMember, SparseBundles } from './sparse-bundles.ts'
import type { CountedNode, VolumeCounter } from './volume-counter.ts'

/** File systems give space in such pieces, or smaller ones; where in larger ones, that shows when it is settled. */
const BLOCK_BYTES = 4096
/** Pieces of data looked for where a write may not fit. */
const EXACT_RANGES = 4096

/** What handles need of their file system. */
export interface LimitedContext {
  readonly counter: VolumeCounter
  readonly bundles: SparseBundles
  /** Zeros take no space. */
  readonly punchesHoles: boolean
  /** Opens, counted, what a rename may replace; undefined when there is nothing. */
  openReplaced(request: RenameRequest): Promise<LimitedHandle | undefined>
  /** Asks for a walk of the tree. */
  suspect(): void
}

/** What a handle is open on. */
export interface LimitedOpen {
  readonly node: CountedNode
  readonly isFolder: boolean
  /** Of a sparse bundle. */
  readonly member: BundleMember | undefined
}

export class LimitedHandle implements FileHandle {
  readonly #inner: FileHandle
  readonly #context: LimitedContext
  readonly #node: CountedNode
  readonly #isFolder: boolean
  /** Undefined for a stream, which has no part in what its file is for a bundle. */
  #member: BundleMember | undefined
  #closing: Promise<void> | undefined

  constructor(inner: FileHandle, context: LimitedContext, { node, isFolder, member }: LimitedOpen) {
    this.#inner = inner
    this.#context = context
    this.#node = node
    this.#isFolder = isFolder && !node.isStream
    this.#member = node.isStream ? undefined : member
  }

  /** The handle that a file system without limits knows. */
  static inner(handle: FileHandle): FileHandle {
    return handle instanceof LimitedHandle ? handle.#inner : handle
  }

  read(target: Buffer, position: number): Promise<number> {
    return this.#inner.read(target, position)
  }

  async write(source: Buffer, position: number): Promise<void> {
    const range = { offset: position, length: source.length }
    await this.#take(range, () => this.#inner.write(source, position))
  }

  flush(): Promise<void> {
    return this.#inner.flush()
  }

  flushEntry(): Promise<void> {
    return this.#inner.flushEntry()
  }

  stat(): Promise<FileStat> {
    return this.#inner.stat()
  }

  async overwrite(dosAttributes: number): Promise<FileStat> {
    this.#node.reserved = 0
    return await this.#change(() => this.#inner.overwrite(dosAttributes))
  }

  change(changes: AttributeChanges): Promise<FileStat> {
    return this.#inner.change(changes)
  }

  /** Takes no space of files: Macs extend them and fill them later. What could never be filled is refused. */
  async setSize(size: number): Promise<void> {
    const { limit } = this.#context.counter
    if (limit !== undefined && size > limit && size > (await this.#inner.stat()).size) {
      throw new StorageError('disk-full', `a file of ${size} bytes where all may have ${limit}`)
    }
    this.#node.reserved = Math.min(this.#node.reserved, size)
    const set = (): Promise<void> => this.#inner.setSize(size)
    const grows = this.#node.isStream ? size - (await this.#inner.stat()).size : 0
    // Streams have no holes.
    if (grows > 0) await this.#take({ offset: size - grows, length: grows }, set)
    else await this.#change(set)
  }

  async setAllocation(bytes: number): Promise<void> {
    const node = this.#node
    const before = await this.#inner.stat()
    if (bytes < before.size) {
      node.reserved = Math.min(node.reserved, bytes)
      await this.#change(() => this.#inner.setAllocation(bytes))
      return
    }
    const from = Math.min(node.reserved, bytes)
    const wanted = { offset: from, length: bytes - from }
    const taken = bytesOf(wanted) - (await this.#occupiedIn(wanted))
    const reserve = (): Promise<void> => this.#inner.setAllocation(bytes)
    await this.#counted(() => this.#context.counter.write(node, taken, reserve))
    // Some file systems only take note.
    if ((await this.#inner.stat()).occupied >= bytes) node.reserved = Math.max(node.reserved, bytes)
  }

  async zeroRange(range: ByteRange): Promise<void> {
    const zero = (): Promise<void> => this.#inner.zeroRange(range)
    this.#node.reserved = Math.min(this.#node.reserved, range.offset)
    if (this.#context.punchesHoles) await this.#change(zero)
    else await this.#take(range, zero)
  }

  allocatedRanges(range: ByteRange, limit: number): Promise<readonly ByteRange[]> {
    return this.#inner.allocatedRanges(range, limit)
  }

  async copyFrom(source: FileHandle, from: ByteRange, to: number): Promise<number> {
    const range = { offset: to, length: from.length }
    return await this.#take(range, () => this.#inner.copyFrom(LimitedHandle.inner(source), from, to))
  }

  async cloneFrom(source: FileHandle, from: ByteRange, to: number): Promise<void> {
    const range = { offset: to, length: from.length }
    await this.#take(range, () => this.#inner.cloneFrom(LimitedHandle.inner(source), from, to))
  }

  streams(): Promise<readonly StreamEntry[]> {
    return this.#inner.streams()
  }

  extendedAttributes(): Promise<readonly ExtendedAttribute[]> {
    return this.#inner.extendedAttributes()
  }

  async setExtendedAttributes(attributes: readonly ExtendedAttribute[]): Promise<void> {
    await this.#change(() => this.#inner.setExtendedAttributes(attributes))
  }

  securityDescriptor(): Promise<Buffer | undefined> {
    return this.#inner.securityDescriptor()
  }

  async setSecurityDescriptor(descriptor: Buffer): Promise<void> {
    await this.#change(() => this.#inner.setSecurityDescriptor(descriptor))
  }

  compressed(): Promise<boolean> {
    return this.#inner.compressed()
  }

  setCompressed(enabled: boolean): Promise<void> {
    return this.#inner.setCompressed(enabled)
  }

  readLink(): Promise<string> {
    return this.#inner.readLink()
  }

  async makeLink(target: string): Promise<void> {
    await this.#change(() => this.#inner.makeLink(target))
  }

  list(request: ListRequest): Promise<DirectoryCursor> {
    return this.#inner.list(request)
  }

  watch(
    listener: (change: LocalChange) => void,
    recursive: boolean,
  ): Promise<(() => Promise<void>) | undefined> {
    return this.#inner.watch(listener, recursive)
  }

  async rename(request: RenameRequest): Promise<string> {
    const { bundles, suspect } = this.#context
    const from = this.#isFolder ? await this.#inner.path() : undefined
    const to = await this.#replace(request, () => this.#inner.rename(request))
    if (from !== undefined && !bundles.folderMoved(from, to)) suspect()
    if (!this.#isFolder && !this.#node.isStream) {
      bundles.removed(this.#member)
      this.#member = bundles.memberAt(to)
      bundles.added(this.#member)
    }
    return to
  }

  async link(request: RenameRequest): Promise<void> {
    await this.#replace(request, () => this.#inner.link(request))
    const { bundles } = this.#context
    bundles.added(bundles.memberAt(request.to))
  }

  async remove(): Promise<void> {
    await this.#inner.remove()
    this.#context.counter.removed(this.#node)
    this.#context.bundles.removed(this.#member)
  }

  path(): Promise<string> {
    return this.#inner.path()
  }

  shortName(): Promise<string> {
    return this.#inner.shortName()
  }

  async close(): Promise<void> {
    this.#closing ??= this.#context.counter.closed(this.#node, this.#inner, () => this.#inner.close())
    await this.#closing
  }

  /** Does what fills a range, at most. */
  async #take<T>(range: ByteRange, work: () => Promise<T>): Promise<T> {
    const from = Math.max(range.offset, this.#node.reserved)
    const length = Math.max(0, range.offset + range.length - from)
    const needed = { offset: from, length }
    const exact = async () => bytesOf(needed) - (await this.#occupiedIn(needed))
    const { counter, bundles } = this.#context
    try {
      return await this.#counted(() => counter.write(this.#node, bytesOf(needed), work, exact))
    } finally {
      bundles.infoChanged(this.#member)
    }
  }

  async #change<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#counted(work)
    } finally {
      this.#context.counter.changed(this.#node)
      this.#context.bundles.infoChanged(this.#member)
    }
  }

  /** Macs show a quota as a lack of permission: a limit is a full disk, whoever keeps it. */
  async #counted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'quota-exceeded') throw error
      throw new StorageError('disk-full', error.message)
    }
  }

  /** What of a range has space already, in whole blocks; never more than it has. */
  async #occupiedIn(range: ByteRange): Promise<number> {
    const begin = roundDown(range.offset)
    const wide = { offset: begin, length: roundUp(range.offset + range.length) - begin }
    // Streams count by their size.
    if (this.#node.isStream) {
      const { occupied } = await this.#inner.stat()
      return Math.min(wide.length, Math.max(0, occupied - begin))
    }
    const ranges = await this.#inner.allocatedRanges(wide, EXACT_RANGES)
    let [bytes, end] = [0, begin]
    for (const { offset, length } of ranges) {
      const from = Math.max(end, roundDown(offset))
      end = roundUp(offset + length)
      bytes += Math.max(0, end - from)
    }
    return bytes
  }

  #replaced(other: LimitedHandle): void {
    const { counter, bundles } = this.#context
    counter.removed(other.#node)
    // A name in another case is the file's own.
    if (other.#node !== this.#node) bundles.removed(other.#member)
  }

  async #replace<T>(request: RenameRequest, work: () => Promise<T>): Promise<T> {
    const replaced =
      request.replace && !this.#node.isStream ? await this.#context.openReplaced(request) : undefined
    try {
      const result = await this.#counted(work)
      if (replaced !== undefined) this.#replaced(replaced)
      return result
    } finally {
      await replaced?.close()
    }
  }
}

function roundDown(bytes: number): number {
  return Math.floor(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

/** Of all blocks that a range touches. */
function bytesOf({ offset, length }: ByteRange): number {
  return length === 0 ? 0 : roundUp(offset + length) - roundDown(offset)
}
