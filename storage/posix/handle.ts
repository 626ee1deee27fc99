/** One open file, directory or stream (MS-FSA 2.1.1.6 Open): data goes from here, all else is a job for a worker. */

import { StorageError } from '../errors.ts'
import type {
  AttributeChanges,
  ByteRange,
  DirectoryCursor,
  ExtendedAttribute,
  FileHandle,
  FileStat,
  FileType,
  ListRequest,
  LocalChange,
  RenameRequest,
  StreamEntry,
} from '../file-system.ts'
import type { Lane } from '../lane.ts'
import { MAXIMUM_FORK_BYTES } from '../metadata/sidecar.ts'
import { toNative } from '../names/sfm.ts'
import { shortNameOf } from '../names/short-name.ts'
import { atOnce } from './at-once.ts'
import { copyKernel, copyPlain } from './copy.ts'
import { PosixCursor } from './cursor.ts'
import { closeDescriptor, closeQuickly, flushDescriptor, readData, writeFully } from './descriptor.ts'
import type { HandleContext, OpenState } from './handle-context.ts'
import { isSameStream, type NodeReference, type StreamReference } from './jobs.ts'
import { WOULD_WAIT } from './no-wait.ts'
import { decodeStat, isSpecial } from './stat-record.ts'
import type { Argument, Operation, Result } from './worker-pool.ts'

/** Zeros written at a time where no hole can be punched. */
const ZEROS = Buffer.alloc(1 << 20)

export class PosixHandle implements FileHandle {
  readonly #context: HandleContext<PosixHandle>
  readonly #open: OpenState
  #node: NodeReference
  #type: FileType
  readonly #cursors = new Set<PosixCursor>()
  /** Descriptors that the node no longer refers to. */
  readonly #retired: number[] = []
  #underWay = 0
  #drained: (() => void) | undefined
  #closed: Promise<void> | undefined

  constructor(context: HandleContext<PosixHandle>, open: OpenState) {
    this.#context = context
    this.#open = open
    this.#node = open.node
    this.#type = open.type
  }

  async read(target: Buffer, position: number): Promise<number> {
    return await this.#use(async () => {
      this.#assertData(this.#open.readable)
      if (this.#node.stream === undefined)
        return await this.#lane.run(() =>
          readData(this.#node.fd, target, position, this.#context.answersFromMemory),
        )
      const job = { node: this.#node, position, length: target.length }
      const bytes = await this.#context.workers.run(this.#open.nodeKey, 'readStream', job)
      target.set(bytes)
      return bytes.length
    })
  }

  async write(source: Buffer, position: number): Promise<void> {
    await this.#use(async () => {
      this.#assertData(this.#open.writable)
      if (this.#node.stream === undefined)
        return await this.#lane.run(() => writeFully(this.#node.fd, source, position))
      this.#limitStream(position + source.length)
      // Copied: a message would take the whole receive buffer behind the view along.
      const job = { node: this.#node, position, data: new Uint8Array(source) }
      await this.#context.workers.run(this.#open.nodeKey, 'writeStream', job)
    })
  }

  async flush(): Promise<void> {
    await this.#use(async () => {
      const isWhole = !this.#node.pathOnly && this.#node.stream?.kind !== 'resource-fork'
      if (isWhole) await this.#lane.run(() => flushDescriptor(this.#node.fd))
      else await this.#context.workers.run(this.#open.nodeKey, 'flush', this.#node)
    })
  }

  async flushEntry(): Promise<void> {
    await this.#entryJob('flushEntry', this.#node)
  }

  async stat(): Promise<FileStat> {
    return await this.#use(async () => this.#decode(await this.#record()))
  }

  async overwrite(dosAttributes: number): Promise<FileStat> {
    return await this.#use(async () => {
      this.#assertData(this.#open.writable)
      const job = { node: this.#node, dosAttributes }
      return this.#decode(await this.#context.workers.run(this.#open.nodeKey, 'overwrite', job))
    })
  }

  async change(changes: AttributeChanges): Promise<FileStat> {
    return await this.#use(async () => {
      const job = { node: this.#node, changes }
      return this.#decode(await this.#context.workers.run(this.#open.nodeKey, 'change', job))
    })
  }

  async setSize(size: number): Promise<void> {
    await this.#use(async () => {
      this.#assertData(this.#open.writable)
      await this.#setSize(size)
    })
  }

  async setAllocation(bytes: number): Promise<void> {
    await this.#use(async () => {
      this.#assertData(this.#open.writable)
      if (this.#node.stream === undefined) {
        await this.#context.workers.run(this.#open.nodeKey, 'setAllocation', { node: this.#node, bytes })
      } else if (bytes < (await this.#size())) {
        await this.#setSize(bytes)
      }
    })
  }

  async zeroRange(range: ByteRange): Promise<void> {
    await this.#use(async () => {
      this.#assertData(this.#open.writable)
      if (range.length === 0) return
      const isFile = this.#node.stream === undefined
      const job = { node: this.#node, range }
      if (isFile && (await this.#context.workers.run(this.#open.nodeKey, 'punchHole', job))) return
      const end = Math.min(range.offset + range.length, await this.#size())
      for (let at = range.offset; at < end; at += ZEROS.length) {
        await this.write(ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at)
      }
    })
  }

  async allocatedRanges(range: ByteRange, limit: number): Promise<readonly ByteRange[]> {
    return await this.#use(async () => {
      this.#assertData(true)
      if (this.#node.stream === undefined) {
        const job = { node: this.#node, range, limit }
        return await this.#context.workers.run(this.#open.nodeKey, 'allocatedRanges', job)
      }
      const end = Math.min(range.offset + range.length, await this.#size())
      return range.offset < end && limit > 0 ? [{ offset: range.offset, length: end - range.offset }] : []
    })
  }

  async copyFrom(source: FileHandle, from: ByteRange, to: number): Promise<number> {
    return await this.#use(async () => {
      this.#assertData(this.#open.writable)
      if (!(source instanceof PosixHandle)) return await copyPlain(source, this, from, to)
      return await source.#use(async () => {
        source.#assertData(source.#open.readable)
        const isOtherDisks = source.#context.workers !== this.#context.workers
        if (isOtherDisks || source.#node.stream !== undefined || this.#node.stream !== undefined) {
          return await copyPlain(source, this, from, to)
        }
        const job = { from: source.#node, to: this.#node, at: from.offset, toAt: to, length: from.length }
        const copied = await copyKernel(this.#context.workers, this.#open.nodeKey, job)
        const rest = { offset: from.offset + copied.bytes, length: from.length - copied.bytes }
        if (!copied.needsPlain) return copied.bytes
        return copied.bytes + (await copyPlain(source, this, rest, to + copied.bytes))
      })
    })
  }

  async cloneFrom(source: FileHandle, from: ByteRange, to: number): Promise<void> {
    await this.#use(async () => {
      this.#assertData(this.#open.writable)
      if (!this.#context.features.clone) throw new StorageError('not-supported')
      if (!(source instanceof PosixHandle)) throw new StorageError('cross-device')
      await source.#use(async () => {
        source.#assertData(source.#open.readable)
        if (source.#node.stream !== undefined || this.#node.stream !== undefined) {
          throw new StorageError('not-supported', 'streams share no blocks')
        }
        // FICLONERANGE would take 0 as "up to the end".
        if (from.length === 0) return
        const job = { from: source.#node, to: this.#node, at: from.offset, toAt: to, length: from.length }
        await this.#context.workers.run(this.#open.nodeKey, 'clone', job)
      })
    })
  }

  async streams(): Promise<readonly StreamEntry[]> {
    return await this.#job('listStreams', this.#node)
  }

  async extendedAttributes(): Promise<readonly ExtendedAttribute[]> {
    this.#assertAttributes()
    const attributes = await this.#job('listEas', this.#node)
    return attributes.map(({ name, value }) => ({ name, value: Buffer.from(value) }))
  }

  async setExtendedAttributes(attributes: readonly ExtendedAttribute[]): Promise<void> {
    this.#assertAttributes()
    const copies = attributes.map(({ name, value }) => ({ name, value: new Uint8Array(value) }))
    await this.#job('setEas', { node: this.#node, attributes: copies })
  }

  async securityDescriptor(): Promise<Buffer | undefined> {
    const stored = await this.#job('readSecurityDescriptor', this.#node)
    return stored === undefined ? undefined : Buffer.from(stored)
  }

  async setSecurityDescriptor(descriptor: Buffer): Promise<void> {
    this.#assertAttributes()
    await this.#job('writeSecurityDescriptor', { node: this.#node, descriptor: new Uint8Array(descriptor) })
  }

  async compressed(): Promise<boolean> {
    return await this.#job('isCompressed', this.#node)
  }

  async setCompressed(enabled: boolean): Promise<void> {
    await this.#job('setCompressed', { node: this.#node, enabled })
  }

  async readLink(): Promise<string> {
    return await this.#job('readLink', this.#node)
  }

  async makeLink(target: string): Promise<void> {
    await this.#use(async () => {
      const job = { node: this.#node, target }
      const fd = await this.#context.workers.run(this.#open.entryKey, 'makeLink', job)
      this.#retired.push(this.#node.fd)
      this.#node = { ...this.#node, fd, pathOnly: true }
      this.#type = 'symlink'
    })
  }

  async list(request: ListRequest): Promise<DirectoryCursor> {
    return await this.#use(async () => {
      if (this.#type !== 'directory' || this.#node.stream !== undefined) {
        throw new StorageError('not-directory')
      }
      const { workers, volume } = this.#context
      const home = workers.homeOf(this.#open.entryKey)
      const id = await workers.run(home, 'beginListing', { node: this.#node, ...request })
      const cursor = new PosixCursor(workers, home, id, volume, () => this.#cursors.delete(cursor))
      this.#cursors.add(cursor)
      return cursor
    })
  }

  async watch(
    listener: (change: LocalChange) => void,
    recursive: boolean,
  ): Promise<(() => Promise<void>) | undefined> {
    const { clientName, localChanges } = this.#context
    const named = (path: string): string => path.split('/').map(clientName).join('/')
    const tell = (change: LocalChange): void => {
      if (change.kind === 'lost' || change.kind === 'incomplete') listener(change)
      else if (change.kind !== 'renamed') listener({ ...change, name: named(change.name) })
      else listener({ ...change, name: named(change.name), to: named(change.to) })
    }
    return await this.#use(() => localChanges.watch(this.#node, { tell, recursive }))
  }

  async rename(request: RenameRequest): Promise<string> {
    return await this.#use(async () => {
      const { workers } = this.#context
      const { entryKey, nodeKey } = this.#open
      const job = { node: this.#node, ...request }
      if (this.#node.stream === undefined) return await workers.run(entryKey, 'rename', job)
      this.#followStream(await workers.run(nodeKey, 'renameStream', job))
      return await workers.run(entryKey, 'currentPath', this.#node)
    })
  }

  /** The stream has another name for all who have it open. */
  #followStream(renamed: StreamReference): void {
    const { stream } = this.#node
    for (const handle of this.#context.handles) {
      if (handle.#open.fileId !== this.#open.fileId || !isSameStream(handle.#node.stream, stream)) continue
      handle.#node = { ...handle.#node, stream: renamed }
    }
  }

  async link(request: RenameRequest): Promise<void> {
    await this.#entryJob('link', { node: this.#node, ...request })
  }

  async remove(): Promise<void> {
    if (this.#node.stream === undefined) await this.#entryJob('remove', this.#node)
    else await this.#job('removeStream', this.#node)
  }

  async path(): Promise<string> {
    return await this.#entryJob('currentPath', this.#node)
  }

  async shortName(): Promise<string> {
    const name = await this.#entryJob('currentName', this.#node)
    return name === '' ? '' : shortNameOf(toNative(name))
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close()
    await this.#lane.unlessStopped(this.#closed)
  }

  /** A descriptor's number is given to the next open: it must not be closed under a call that still uses it. */
  async #close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#drained = resolve))
    this.#context.forget(this)
    if (this.#cursors.size > 0) await Promise.all([...this.#cursors].map((cursor) => cursor.close()))
    const { fd, link } = this.#node
    const descriptors = [fd, ...(link === undefined ? [] : [link]), ...this.#retired]
    const close = this.#context.answersFromMemory
      ? (descriptor: number) => closeQuickly(descriptor, this.#open.writable)
      : closeDescriptor
    await Promise.all(descriptors.map((descriptor) => this.#lane.release(() => close(descriptor))))
  }

  get #lane(): Lane {
    return this.#context.workers.lane
  }

  async #use<T>(work: () => Promise<T>): Promise<T> {
    // What is under way may still take further steps while the handle closes.
    if (this.#closed !== undefined && this.#underWay === 0)
      throw new StorageError('stale', 'the handle is closed')
    this.#underWay++
    try {
      return await work()
    } finally {
      this.#underWay--
      if (this.#underWay === 0) this.#drained?.()
    }
  }

  /** A job on the file itself. */
  async #job<K extends Operation>(operation: K, argument: Argument<K>): Promise<Result<K>> {
    return await this.#use(() => this.#run(this.#open.nodeKey, operation, argument))
  }

  /** A job on the name by which it was opened. */
  async #entryJob<K extends Operation>(operation: K, argument: Argument<K>): Promise<Result<K>> {
    return await this.#use(() => this.#run(this.#open.entryKey, operation, argument))
  }

  /** Here, when that is quicker than the way to a worker and back. */
  async #run<K extends Operation>(key: number, operation: K, argument: Argument<K>): Promise<Result<K>> {
    const { answersFromMemory, workers } = this.#context
    const here = answersFromMemory && workers.isIdle ? atOnce(operation, argument) : WOULD_WAIT
    return here === WOULD_WAIT ? await workers.run(key, operation, argument) : here
  }

  async #size(): Promise<number> {
    return this.#decode(await this.#record()).size
  }

  async #record(): Promise<Uint8Array> {
    return await this.#run(this.#open.nodeKey, 'stat', this.#node)
  }

  async #setSize(size: number): Promise<void> {
    const { workers } = this.#context
    if (this.#node.stream === undefined) {
      await workers.run(this.#open.nodeKey, 'setSize', { node: this.#node, size })
      return
    }
    this.#limitStream(size)
    await workers.run(this.#open.nodeKey, 'setSizeOfStream', { node: this.#node, size })
  }

  #assertData(allowed: boolean): void {
    if (this.#node.stream === undefined) {
      if (this.#type === 'directory') throw new StorageError('is-directory')
      if (this.#type === 'symlink') throw new StorageError('symlink')
      if (isSpecial(this.#type)) throw new StorageError('access-denied', 'neither file nor directory')
    }
    if (!allowed) throw new StorageError('access-denied', 'the handle was opened without this access')
  }

  #assertAttributes(): void {
    if (!this.#context.features.extendedAttributes) throw new StorageError('not-supported')
  }

  /** Checked before anything of that size is copied. */
  #limitStream(end: number): void {
    if (this.#node.stream?.kind === 'resource-fork' && end <= MAXIMUM_FORK_BYTES) return
    if (end > this.#context.features.maximumStreamBytes) throw new StorageError('stream-too-large')
  }

  #decode(record: Uint8Array): FileStat {
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    return decodeStat(bytes, 0, this.#context.volume)
  }
}
