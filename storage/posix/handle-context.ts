/** What an open file of a share's tree knows of the tree and of itself. */

import type { Features, FileType } from '../file-system.ts'
import type { NodeReference } from './jobs.ts'
import type { LocalChanges } from './local-changes.ts'
import type { Volume } from './stat-record.ts'
import type { WorkerPool } from './worker-pool.ts'

/** What handles need of their file system. */
export interface HandleContext<Handle> {
  readonly workers: WorkerPool
  readonly volume: Volume
  readonly features: Features
  readonly localChanges: LocalChanges
  /** What the kernel has in memory need not be asked of a worker: see statfs.ts. */
  readonly answersFromMemory: boolean
  /** A name on disk as clients see it. */
  readonly clientName: (name: string) => string
  readonly forget: (handle: Handle) => void
  /** All that are open. */
  readonly handles: ReadonlySet<Handle>
}

export interface OpenState {
  readonly node: NodeReference
  readonly fileId: bigint
  readonly type: FileType
  readonly readable: boolean
  readonly writable: boolean
  /** Chooses the worker that knows the entry's directory. */
  readonly entryKey: number
  /** Chooses the worker that alone changes the file's attributes and streams. */
  readonly nodeKey: number
}
