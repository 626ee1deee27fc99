/** An open file, directory or stream in RAM (MS-FSA 2.1.1.6): each operation is checked, done in one piece, and stamped. */

import { StorageError } from '../errors.ts'
import type {
  AttributeChanges,
  ByteRange,
  DirectoryCursor,
  ExtendedAttribute,
  FileHandle,
  FileStat,
  Identity,
  ListRequest,
  LocalChange,
  OpenRequest,
  RenameRequest,
  StreamEntry,
} from '../file-system.ts'
import { shortNameOf } from '../names/short-name.ts'
import { changeAttributes, overwriteNode, setExtendedAttributes, streamsOf } from './attributes.ts'
import { MemoryCursor } from './cursor.ts'
import { type Entry, type MemoryNode, type NamedStream, releaseNode, releaseStream, statOf } from './node.ts'
import { Access, allows } from './permissions.ts'
import { PAGE_BYTES, type SparseBytes } from './sparse-bytes.ts'
import {
  clearNamed,
  readNamed,
  removeStream,
  renameStream,
  resizeNamed,
  writeNamed,
  zeroNamed,
} from './streams.ts'
import { linkEntry, pathOf, removeEntry, renameEntry } from './tree.ts'
import { demand, type Volume } from './volume.ts'

export class MemoryHandle implements FileHandle {
  readonly #volume: Volume
  readonly #entry: Entry
  readonly #node: MemoryNode
  readonly #stream: NamedStream | undefined
  readonly #identity: Identity | undefined
  readonly #readable: boolean
  readonly #writable: boolean
  #closed = false

  constructor(
    volume: Volume,
    entry: Entry,
    stream: NamedStream | undefined,
    request: Pick<OpenRequest, 'identity' | 'read' | 'write'>,
  ) {
    this.#volume = volume
    this.#entry = entry
    this.#node = entry.node
    this.#stream = stream
    this.#identity = request.identity
    this.#readable = request.read
    this.#writable = request.write
    entry.node.handles++
    if (stream !== undefined) stream.handles++
  }

  async read(target: Buffer, position: number): Promise<number> {
    return await this.#run('read', () => {
      const content = this.#forReading()
      if (this.#stream === undefined) return content.read(target, position)
      return readNamed(this.#stream, target, position)
    })
  }

  async write(source: Buffer, position: number): Promise<void> {
    await this.#run('write', () => {
      const content = this.#forWriting()
      this.#limitStream(position + source.length)
      if (this.#stream === undefined) content.write(source, position)
      else writeNamed(this.#stream, source, position)
      this.#volume.touchData(this.#node)
    })
  }

  async flush(): Promise<void> {
    await this.#run('flush', () => undefined)
  }

  async flushEntry(): Promise<void> {
    await this.#run('flush', () => undefined)
  }

  async stat(): Promise<FileStat> {
    return await this.#run('stat', () => this.#stat())
  }

  async overwrite(dosAttributes: number): Promise<FileStat> {
    return await this.#run('overwrite', () => {
      const content = this.#forWriting()
      if (this.#stream === undefined) {
        content.clear()
        overwriteNode(this.#volume, this.#node, dosAttributes)
      } else {
        clearNamed(this.#stream)
      }
      this.#volume.touchData(this.#node)
      return this.#stat()
    })
  }

  async change(changes: AttributeChanges): Promise<FileStat> {
    return await this.#run('change', () => {
      changeAttributes(this.#volume, this.#node, this.#identity, changes)
      return this.#stat()
    })
  }

  async setSize(size: number): Promise<void> {
    await this.#run('setSize', () => {
      const content = this.#forWriting()
      this.#limitStream(size)
      if (this.#stream === undefined) content.setSize(size)
      else resizeNamed(this.#stream, size)
      this.#volume.touchData(this.#node)
    })
  }

  async setAllocation(bytes: number): Promise<void> {
    await this.#run('setAllocation', () => {
      const content = this.#forWriting()
      if (bytes < content.size) {
        if (this.#stream === undefined) content.setSize(bytes)
        else resizeNamed(this.#stream, bytes)
        this.#volume.touchData(this.#node)
      } else {
        content.reserve(bytes)
        this.#volume.touchMetadata(this.#node)
      }
    })
  }

  async zeroRange(range: ByteRange): Promise<void> {
    await this.#run('zeroRange', () => {
      const content = this.#forWriting()
      if (this.#stream === undefined) content.zeroRange(range)
      else zeroNamed(this.#stream, range)
      this.#volume.touchData(this.#node)
    })
  }

  async allocatedRanges(range: ByteRange, limit: number): Promise<readonly ByteRange[]> {
    return await this.#run('allocatedRanges', () => this.#data().allocatedRanges(range, limit))
  }

  async copyFrom(source: FileHandle, from: ByteRange, to: number): Promise<number> {
    return await this.#run('copyFrom', () => {
      const target = this.#forWriting()
      const bytes = Buffer.alloc(this.#sourceLength(source, from))
      this.#peer(source).#forReading().read(bytes, from.offset)
      this.#limitStream(to + bytes.length)
      if (this.#stream === undefined) target.write(bytes, to)
      else writeNamed(this.#stream, bytes, to)
      this.#volume.touchData(this.#node)
      return bytes.length
    })
  }

  async cloneFrom(source: FileHandle, from: ByteRange, to: number): Promise<void> {
    await this.#run('cloneFrom', () => {
      demand(this.#volume.features.clone, 'not-supported')
      const target = this.#forWriting()
      const content = this.#peer(source).#forReading()
      const end = from.offset + from.length
      const aligned = from.offset % PAGE_BYTES === 0 && to % PAGE_BYTES === 0
      demand(aligned && end <= content.size, 'invalid')
      demand(from.length % PAGE_BYTES === 0 || end === content.size, 'invalid')
      target.sharePages(content, from, to)
      this.#volume.touchData(this.#node)
    })
  }

  async streams(): Promise<readonly StreamEntry[]> {
    return await this.#run('streams', () => streamsOf(this.#node))
  }

  async extendedAttributes(): Promise<readonly ExtendedAttribute[]> {
    return await this.#run('extendedAttributes', () => {
      this.#requireAttributes()
      return [...this.#node.extendedAttributes.values()]
    })
  }

  async setExtendedAttributes(attributes: readonly ExtendedAttribute[]): Promise<void> {
    await this.#run('setExtendedAttributes', () => {
      this.#requireAttributes()
      setExtendedAttributes(this.#volume, this.#node, this.#identity, attributes)
    })
  }

  async securityDescriptor(): Promise<Buffer | undefined> {
    return await this.#run('securityDescriptor', () => this.#node.securityDescriptor)
  }

  async setSecurityDescriptor(descriptor: Buffer): Promise<void> {
    await this.#run('setSecurityDescriptor', () => {
      this.#requireAttributes()
      this.#node.securityDescriptor = Buffer.from(descriptor)
      this.#volume.touchMetadata(this.#node)
    })
  }

  async compressed(): Promise<boolean> {
    return await this.#run('compressed', () => {
      demand(this.#volume.features.compression, 'not-supported')
      return this.#node.compressed
    })
  }

  async setCompressed(enabled: boolean): Promise<void> {
    await this.#run('setCompressed', () => {
      demand(this.#volume.features.compression, 'not-supported')
      this.#node.compressed = enabled
      this.#volume.touchMetadata(this.#node)
    })
  }

  async readLink(): Promise<string> {
    return await this.#run('readLink', () => {
      demand(this.#node.type === 'symlink', 'invalid')
      return this.#node.linkTarget
    })
  }

  async makeLink(target: string): Promise<void> {
    await this.#run('makeLink', () => {
      demand(this.#volume.features.symbolicLinks, 'not-supported')
      demand((this.#node.directory?.size ?? 0) === 0, 'not-empty')
      demand(this.#node.content.size === 0 && this.#stream === undefined && target !== '', 'invalid')
      this.#node.type = 'symlink'
      this.#node.directory = undefined
      this.#node.linkTarget = target
      this.#volume.touchData(this.#node)
    })
  }

  async list(request: ListRequest): Promise<DirectoryCursor> {
    return await this.#run('list', () => {
      demand(this.#node.directory !== undefined && this.#stream === undefined, 'not-directory')
      demand(allows(this.#node, this.#identity, Access.read), 'access-denied')
      return new MemoryCursor(this.#volume, this.#node, this.#identity, request)
    })
  }

  async watch(
    listener: (change: LocalChange) => void,
    recursive: boolean,
  ): Promise<(() => Promise<void>) | undefined> {
    return await this.#run('watch', () => {
      demand(this.#node.directory !== undefined && this.#stream === undefined, 'not-directory')
      return this.#volume.watch({ directory: this.#node, listener, recursive })
    })
  }

  async rename(request: RenameRequest): Promise<string> {
    return await this.#run('rename', () => {
      if (this.#stream === undefined) return renameEntry(this.#volume, this.#entry, this.#identity, request)
      renameStream(this.#volume, this.#node, this.#stream, this.#identity, request)
      return pathOf(this.#entry)
    })
  }

  async link(request: RenameRequest): Promise<void> {
    await this.#run('link', () => linkEntry(this.#volume, this.#entry, this.#identity, request))
  }

  async remove(): Promise<void> {
    await this.#run('remove', () => {
      if (this.#stream === undefined) removeEntry(this.#volume, this.#entry, this.#identity)
      else removeStream(this.#volume, this.#node, this.#stream, this.#identity)
    })
  }

  async path(): Promise<string> {
    return await this.#run('path', () => pathOf(this.#entry))
  }

  async shortName(): Promise<string> {
    return await this.#run('shortName', () => shortNameOf(this.#entry.name))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#node.handles--
    if (this.#stream !== undefined) {
      this.#stream.handles--
      releaseStream(this.#stream)
    }
    releaseNode(this.#node)
  }

  async #run<T>(operation: Parameters<Volume['run']>[0], work: () => T): Promise<T> {
    demand(!this.#closed, 'stale')
    return await this.#volume.run(operation, work)
  }

  #stat(): FileStat {
    return statOf(this.#node, this.#volume.volumeId, this.#stream?.content)
  }

  #data(): SparseBytes {
    if (this.#stream !== undefined) return this.#stream.content
    demand(this.#node.type !== 'directory', 'is-directory')
    demand(this.#node.type === 'file', 'symlink')
    return this.#node.content
  }

  #forReading(): SparseBytes {
    const content = this.#data()
    demand(this.#readable, 'access-denied')
    return content
  }

  #forWriting(): SparseBytes {
    const content = this.#data()
    demand(this.#writable, 'access-denied')
    return content
  }

  #limitStream(end: number): void {
    const limit = this.#volume.features.maximumStreamBytes
    demand(this.#stream === undefined || end <= limit, 'stream-too-large')
  }

  #requireAttributes(): void {
    demand(this.#volume.features.extendedAttributes, 'not-supported')
  }

  /** @throws StorageError 'cross-device' for a handle of another file system */
  #peer(source: FileHandle): MemoryHandle {
    if (!(source instanceof MemoryHandle) || source.#volume !== this.#volume) {
      throw new StorageError('cross-device')
    }
    return source
  }

  #sourceLength(source: FileHandle, from: ByteRange): number {
    return Math.max(0, Math.min(from.length, this.#peer(source).#data().size - from.offset))
  }
}
