/** An open file of a previous version: read like any other, never written, with an id of its own. */

import { StorageError } from '../errors.ts'
import type {
  AttributeChanges,
  ByteRange,
  DirectoryCursor,
  DirectoryEntry,
  ExtendedAttribute,
  FileHandle,
  FileStat,
  ListRequest,
  RenameRequest,
  StreamEntry,
} from '../file-system.ts'

export interface PreviousHandleContext {
  /** As clients are shown it. */
  shown(stat: FileStat): FileStat
  /** The handle was closed. */
  closed(): void
}

export class PreviousHandle implements FileHandle {
  readonly #inner: FileHandle
  readonly #context: PreviousHandleContext
  #closing: Promise<void> | undefined

  constructor(inner: FileHandle, context: PreviousHandleContext) {
    this.#inner = inner
    this.#context = context
  }

  read(target: Buffer, position: number): Promise<number> {
    return this.#inner.read(target, position)
  }

  write(_source: Buffer, _position: number): Promise<void> {
    return refuse()
  }

  /** Nothing was written. */
  async flush(): Promise<void> {}

  async flushEntry(): Promise<void> {}

  async stat(): Promise<FileStat> {
    return this.#context.shown(await this.#inner.stat())
  }

  overwrite(_dosAttributes: number): Promise<FileStat> {
    return refuse()
  }

  change(_changes: AttributeChanges): Promise<FileStat> {
    return refuse()
  }

  setSize(_size: number): Promise<void> {
    return refuse()
  }

  setAllocation(_bytes: number): Promise<void> {
    return refuse()
  }

  zeroRange(_range: ByteRange): Promise<void> {
    return refuse()
  }

  allocatedRanges(range: ByteRange, limit: number): Promise<readonly ByteRange[]> {
    return this.#inner.allocatedRanges(range, limit)
  }

  copyFrom(_source: FileHandle, _from: ByteRange, _to: number): Promise<number> {
    return refuse()
  }

  cloneFrom(_source: FileHandle, _from: ByteRange, _to: number): Promise<void> {
    return refuse()
  }

  streams(): Promise<readonly StreamEntry[]> {
    return this.#inner.streams()
  }

  extendedAttributes(): Promise<readonly ExtendedAttribute[]> {
    return this.#inner.extendedAttributes()
  }

  setExtendedAttributes(_attributes: readonly ExtendedAttribute[]): Promise<void> {
    return refuse()
  }

  securityDescriptor(): Promise<Buffer | undefined> {
    return this.#inner.securityDescriptor()
  }

  setSecurityDescriptor(_descriptor: Buffer): Promise<void> {
    return refuse()
  }

  compressed(): Promise<boolean> {
    return this.#inner.compressed()
  }

  setCompressed(_enabled: boolean): Promise<void> {
    return refuse()
  }

  readLink(): Promise<string> {
    return this.#inner.readLink()
  }

  makeLink(_target: string): Promise<void> {
    return refuse()
  }

  async list(request: ListRequest): Promise<DirectoryCursor> {
    const cursor = await this.#inner.list(request)
    const shown = (entry: DirectoryEntry) => ({ ...entry, stat: this.#context.shown(entry.stat) })
    return {
      next: async (count) => (await cursor.next(count)).map(shown),
      close: () => cursor.close(),
    }
  }

  /** What was does not change. */
  async watch(): Promise<undefined> {}

  rename(_request: RenameRequest): Promise<string> {
    return refuse()
  }

  link(_request: RenameRequest): Promise<void> {
    return refuse()
  }

  remove(): Promise<void> {
    return refuse()
  }

  path(): Promise<string> {
    return this.#inner.path()
  }

  shortName(): Promise<string> {
    return this.#inner.shortName()
  }

  close(): Promise<void> {
    this.#closing ??= this.#inner.close().finally(() => this.#context.closed())
    return this.#closing
  }
}

async function refuse(): Promise<never> {
  throw new StorageError('read-only', 'a previous version is never written')
}
