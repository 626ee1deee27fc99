/** What the handles of one file system in RAM share: its root, clock, space and faults. */

import { StorageError, type StorageErrorCode } from '../errors.ts'
import type { Features, FileType, Identity, LocalChange, Nanoseconds } from '../file-system.ts'
import { Directory } from './directory.ts'
import type { Faults, Operation } from './faults.ts'
import type { Entry, MemoryNode } from './node.ts'
import { type PageBudget, SparseBytes } from './sparse-bytes.ts'

/** What a new node begins with. */
export interface NodeTemplate {
  readonly type: FileType
  readonly mode: number
  readonly dosAttributes: number
  readonly owner: { readonly uid: number; readonly gid: number }
}

export interface VolumeSettings {
  readonly features: Features
  readonly volumeId: bigint
  readonly now: () => Nanoseconds
  readonly budget: PageBudget
  readonly faults: Faults
}

export interface DirectoryWatch {
  readonly directory: MemoryNode
  readonly listener: (change: LocalChange) => void
  /** Told of what is below, too. */
  readonly recursive: boolean
}

const ROOT_MODE = 0o755
const FIRST_FILE_ID = 2n
/** The server's own user. */
const OWN_USER = { uid: 0, gid: 0 } as const

export class Volume implements VolumeSettings {
  readonly features: Features
  readonly volumeId: bigint
  readonly now: () => Nanoseconds
  readonly budget: PageBudget
  readonly faults: Faults
  readonly root: Entry
  readonly watches = new Set<DirectoryWatch>()
  #nextFileId = FIRST_FILE_ID
  #closed = false
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(settings: VolumeSettings) {
    this.features = settings.features
    this.volumeId = settings.volumeId
    this.now = settings.now
    this.budget = settings.budget
    this.faults = settings.faults
    const node = this.newNode({ type: 'directory', mode: ROOT_MODE, dosAttributes: 0, owner: OWN_USER })
    this.root = { parent: undefined, name: '', node }
    node.entry = this.root
    node.links = 1
  }

  /** Listens to what a test says that others did in a directory. */
  watch(watch: DirectoryWatch): () => Promise<void> {
    this.watches.add(watch)
    return async () => {
      this.watches.delete(watch)
    }
  }

  /** Does an operation's work in one piece, after the waits and failures that a test asked for. */
  async run<T>(operation: Operation, work: () => T): Promise<T> {
    if (this.#closed) throw new StorageError('stale', 'the file system is closed')
    const promise = this.faults.enter(operation).then(work)
    this.#underWay.add(promise)
    try {
      return await promise
    } finally {
      this.#underWay.delete(promise)
    }
  }

  /** Refuses new operations and waits for those under way. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled([...this.#underWay])
  }

  newNode(template: NodeTemplate): MemoryNode {
    const now = this.now()
    const isDirectory = template.type === 'directory'
    return {
      fileId: this.#nextFileId++,
      type: template.type,
      mode: template.mode,
      uid: template.owner.uid,
      gid: template.owner.gid,
      links: 0,
      birthTime: now,
      accessTime: now,
      writeTime: now,
      changeTime: now,
      dosAttributes: this.features.extendedAttributes ? template.dosAttributes : 0,
      compressed: false,
      content: this.newContent(),
      streams: new Map(),
      extendedAttributes: new Map(),
      securityDescriptor: undefined,
      linkTarget: '',
      directory: isDirectory ? new Directory(this.features.caseSensitive) : undefined,
      entry: undefined,
      handles: 0,
    }
  }

  newContent(): SparseBytes {
    return new SparseBytes(this.budget)
  }

  /** Data changed: MS-FSA sets both times. */
  touchData(node: MemoryNode): void {
    node.writeTime = this.now()
    node.changeTime = node.writeTime
  }

  touchMetadata(node: MemoryNode): void {
    node.changeTime = this.now()
  }
}

/** Who owns what an identity makes. */
export function ownerOf(identity: Identity | undefined): { uid: number; gid: number } {
  return identity === undefined ? OWN_USER : { uid: identity.uid, gid: identity.gid }
}

/** @throws StorageError with a code, unless a condition holds */
export function demand(condition: boolean, code: StorageErrorCode): asserts condition {
  if (!condition) throw new StorageError(code)
}
