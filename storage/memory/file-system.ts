/** The file store interface in RAM: for tests, and to show what a backend must do; nothing outlives the process. */

import { StorageError, UnheededError } from '../errors.ts'
import type { Features, FileSystem, LocalChange, Nanoseconds } from '../file-system.ts'
import { withPrefix } from '../local-change.ts'
import { MAXIMUM_NAME_UNITS } from '../names/valid.ts'
import { Faults } from './faults.ts'
import { bandsBelow, occupiedBelow } from './node.ts'
import { openOn } from './open.ts'
import { PAGE_BYTES } from './sparse-bytes.ts'
import { pathOf } from './tree.ts'
import { Volume } from './volume.ts'

export interface MemoryFileSystemOptions {
  /** Default: a clock of its own that begins in 2025 and moves a millisecond with every look at it. */
  readonly now?: () => Nanoseconds
  /** Bytes for all files together; past them writes fail with 'disk-full'. */
  readonly capacityBytes?: number
  readonly volumeId?: bigint
  /** What it shall not be able to do, or do differently. */
  readonly features?: Partial<Features>
}

export interface MemoryFileSystem extends FileSystem {
  readonly faults: Faults
  /** As if a local process had made a change in the directory at `path`: those who watch it are told; nothing is changed. */
  reportLocal(path: string, change: LocalChange): void
}

const DEFAULT_CAPACITY_BYTES = 2 ** 40
const DEFAULT_VOLUME_ID = 0x6d65_6d6fn
const DEFAULT_FEATURES: Features = {
  extendedAttributes: true,
  caseSensitive: false,
  sparse: true,
  clone: true,
  compression: true,
  symbolicLinks: true,
  maximumStreamBytes: 1024 * 1024,
  maximumNameUnits: MAXIMUM_NAME_UNITS,
}

const YEAR_2025: Nanoseconds = 1_735_689_600_000_000_000n
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** An empty file system in RAM. */
export function createMemoryFileSystem(options: MemoryFileSystemOptions = {}): MemoryFileSystem {
  const budget = { capacityBytes: options.capacityBytes ?? DEFAULT_CAPACITY_BYTES, usedBytes: 0 }
  const volume = new Volume({
    features: { ...DEFAULT_FEATURES, ...options.features },
    volumeId: options.volumeId ?? DEFAULT_VOLUME_ID,
    now: options.now ?? logicalClock(),
    budget,
    faults: new Faults(),
  })
  return {
    features: volume.features,
    volumeId: volume.volumeId,
    faults: volume.faults,
    reportLocal(path, change) {
      for (const { directory, listener, recursive } of volume.watches) {
        if (directory.entry === undefined) continue
        const watched = pathOf(directory.entry)
        if (watched === path) listener(change)
        else if (recursive && watched === '') listener(withPrefix(change, `${path}/`))
        else if (recursive && path.startsWith(`${watched}/`)) {
          listener(withPrefix(change, `${path.slice(watched.length + 1)}/`))
        }
      }
    },
    async open(request) {
      try {
        return await volume.run('open', () => openOn(volume, request))
      } catch (error) {
        if (error instanceof UnheededError) {
          return { ok: false, error: error.code, parentDescriptor: Buffer.from(error.parentDescriptor) }
        }
        if (error instanceof StorageError) return { ok: false, error: error.code }
        throw error
      }
    },
    async space() {
      return await volume.run('space', () => {
        const free = Math.max(0, budget.capacityBytes - budget.usedBytes)
        return { blockSize: PAGE_BYTES, total: budget.capacityBytes, free, available: free }
      })
    },
    async occupied(goesOn, metBands) {
      return await volume.run('space', () => {
        for (const [bundle, bands] of bandsBelow(volume.root.node)) metBands?.(bundle, bands)
        const bytes = occupiedBelow(volume.root.node)
        return goesOn(bytes) ? bytes : undefined
      })
    },
    async close() {
      await volume.faults.enter('close')
      await volume.close()
    },
  }
}

function logicalClock(): () => Nanoseconds {
  let now = YEAR_2025
  return () => {
    now += NANOSECONDS_PER_MILLISECOND
    return now
  }
}
