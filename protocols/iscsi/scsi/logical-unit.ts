/** SAM-5 4.6: a logical unit: a disk with what its initiators have agreed on it. */

import type { BlockDevice } from '../../../storage/block-device.ts'
import type { UndoLog } from './atomic-write.ts'
import { lengthOf } from './bytes.ts'
import type { UnitIdentity } from './identity.ts'
import { defaultModeParameters, type ModeParameters } from './mode-parameters.ts'
import { keyOfNexus, NexusState } from './nexus-state.ts'
import { PersistentReservations } from './persistent-reservations.ts'
import { RangeLock } from './range-lock.ts'
import type { SanitizeState } from './sanitize-state.ts'
import { type Sense, senses } from './sense.ts'
import type { Nexus } from './task.ts'
import { TaskSet } from './task-set.ts'
import { makeHole } from './zeros.ts'

export interface LogicalUnitOptions {
  /** 0 to 16383. */
  readonly id: number
  readonly device: BlockDevice
  readonly identity: UnitIdentity
  /** Bytes. */
  readonly blockSize: 512 | 4096
  /** Bytes; a power of two, not below `blockSize`. */
  readonly physicalBlockSize: number
  readonly readOnly: boolean
  readonly removable: boolean
  /** Space can be given back with UNMAP. */
  readonly thin: boolean
  /** For WRITE ATOMIC, which is there only with it. */
  readonly undoLog?: UndoLog
}

export type MediumState = 'ready' | 'ejected'

export class LogicalUnit {
  readonly id: number
  readonly device: BlockDevice
  readonly options: LogicalUnitOptions
  readonly blockSize: number
  readonly isThin: boolean
  readonly ranges = new RangeLock()
  /** One atomic write at a time: its log keeps one record. */
  readonly undoTurn = new RangeLock()
  readonly undoLog: UndoLog | undefined
  readonly tasks = new TaskSet()
  readonly mode: ModeParameters = defaultModeParameters()
  readonly persistent = new PersistentReservations()
  medium: MediumState = 'ready'
  /** Key of the nexus with RESERVE (SPC-2 7.21). */
  reservedBy: string | undefined
  sanitize: SanitizeState | undefined
  /** Something was written that is perhaps not on the disk. */
  isDirty = false
  readonly #nexuses = new Map<string, NexusState>()
  #blocks: number

  constructor(options: LogicalUnitOptions) {
    this.options = options
    this.id = options.id
    this.device = options.device
    this.blockSize = options.blockSize
    this.undoLog = options.undoLog
    // What is read-only may have holes, though nobody can make any: UNMAP is there, and write-protected.
    this.isThin = options.thin && (options.device.canDiscard || options.device.isReadOnly)
    this.#blocks = Math.floor(options.device.size / options.blockSize)
  }

  /** Capacity in logical blocks. */
  get blocks(): number {
    return this.#blocks
  }

  /** ATOMIC ALIGNMENT and ATOMIC TRANSFER LENGTH GRANULARITY: whole physical blocks. */
  get atomicBlocks(): number {
    return this.options.physicalBlockSize / this.blockSize
  }

  get isWriteProtected(): boolean {
    return this.options.readOnly || this.device.isReadOnly || this.mode.softwareWriteProtect
  }

  get nexuses(): IterableIterator<NexusState> {
    return this.#nexuses.values()
  }

  /** A nexus appears, or begins anew. */
  attach(nexus: Nexus): NexusState {
    this.detach(nexus)
    const state = new NexusState(nexus)
    state.establish(senses.powerOn)
    this.#nexuses.set(state.key, state)
    return state
  }

  /** I_T nexus loss (SAM-5 6.3.4): what lives as long as the session is undone. */
  detach(nexus: Nexus): void {
    const key = keyOfNexus(nexus)
    this.#nexuses.delete(key)
    if (this.reservedBy === key) this.reservedBy = undefined
  }

  /** The state of a nexus that commands come from. */
  stateOf(nexus: Nexus): NexusState {
    return this.#nexuses.get(keyOfNexus(nexus)) ?? this.attach(nexus)
  }

  /** A unit attention for every nexus but one. */
  establish(sense: Sense, except?: NexusState): void {
    for (const state of this.#nexuses.values()) if (state !== except) state.establish(sense)
  }

  /** A unit attention for one nexus, if it is here. */
  establishFor(key: string, sense: Sense): void {
    this.#nexuses.get(key)?.establish(sense)
  }

  /** LOGICAL UNIT RESET (SAM-5 6.3.3): persistent reservations, the medium and a sanitize operation stay. */
  reset(): void {
    this.reservedBy = undefined
    Object.assign(this.mode, defaultModeParameters())
    for (const state of this.#nexuses.values()) {
      state.preventsRemoval = false
      state.establish(senses.deviceReset)
    }
  }

  get isRemovalPrevented(): boolean {
    for (const state of this.#nexuses.values()) if (state.preventsRemoval) return true
    return false
  }

  /** Zeros become holes: elsewhere than in files a device or volume decides that by itself. */
  get keepsHoles(): boolean {
    return this.isThin && this.device.knowsHoles
  }

  /** Writes at a byte offset; the caller holds the range. Many zeros are kept as a hole, and what was there is given back. */
  async write(chunks: readonly Buffer[], offset: number): Promise<void> {
    if (this.keepsHoles && makeHole(chunks)) await this.discard(offset, lengthOf(chunks))
    else await this.overwrite(chunks, offset)
  }

  /** Writes zeros too as they are. */
  async overwrite(chunks: readonly Buffer[], offset: number): Promise<void> {
    try {
      await this.device.write(chunks, offset)
    } finally {
      this.isDirty = true
    }
  }

  /** Reads as zeros afterwards; the caller holds the range. */
  async discard(offset: number, length: number): Promise<void> {
    try {
      await this.device.discard(offset, length)
    } finally {
      this.isDirty = true
    }
  }

  /** Written data reaches the disk. */
  async sync(): Promise<void> {
    this.isDirty = false
    try {
      await this.device.sync()
    } catch (error) {
      this.isDirty = true
      throw error
    }
  }

  /** Looks whether the disk has grown, or enlarges its file. @param asking learns of it by the answer */
  async refresh(asking?: NexusState, size?: number): Promise<void> {
    await this.device.refresh(size)
    const blocks = Math.floor(this.device.size / this.blockSize)
    if (blocks === this.#blocks) return
    this.#blocks = blocks
    this.establish(senses.capacityChanged, asking)
  }

  /** No task is under way. A sanitize operation is stopped; all is synced and given up. */
  async close(): Promise<void> {
    if (this.sanitize !== undefined) this.sanitize.isStopped = true
    await this.sanitize?.settled
    // A copy by another unit's task may be amid it.
    const release = await this.ranges.acquire(0, Number.POSITIVE_INFINITY, true)
    try {
      await this.sync()
    } finally {
      await this.device.close()
      await this.undoLog?.close()
      release()
    }
  }
}
