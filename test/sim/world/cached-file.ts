/** MS-SMB2 3.2.1.6: what a simulated client keeps of one file: its lease, its handles, and under the lease's rights copies of data. */

import { LeaseState } from '../../../protocols/smb2/messages/create-context-lease.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import type { Value } from './ledger.ts'

export interface Handle {
  fileId: FileId
  readonly createGuid: Buffer
  readonly durable: boolean
  /** Cells that this handle has locked, exclusively. */
  readonly locked: Set<number>
}

/** A break that the client has heard of and not answered. */
export interface HeardBreak {
  readonly to: number
  /** Milliseconds since 1970. */
  readonly heardAt: number
}

export class CachedFile {
  readonly name: string
  readonly leaseKey: Buffer
  readonly handles = new Set<Handle>()
  /** Rights that the client believes to have. */
  leaseState: number = LeaseState.NONE
  /** Newest epoch heard of; what is older is passed over (3.2.5.7.5, 3.2.5.19.2). */
  epoch = 0
  /** Breaks in the order they came. */
  readonly breaks: HeardBreak[] = []
  /** What was read and may be read again, by cell. */
  readonly clean = new Map<number, Value>()
  /** What was written and not sent yet, by cell. */
  readonly dirty = new Map<number, Value>()
  #tail: Promise<unknown> = Promise.resolve()

  constructor(name: string, leaseKey: Buffer) {
    this.name = name
    this.leaseKey = leaseKey
  }

  /** What is done to a file's data is done one after the other. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => undefined)
    return turn
  }

  has(right: number): boolean {
    return (this.leaseState & right) !== 0
  }

  /** May answer a read by itself. */
  get mayRead(): boolean {
    return this.has(LeaseState.READ_CACHING) && this.breaks.length === 0
  }

  /** May keep a write for itself. */
  get mayWrite(): boolean {
    return this.has(LeaseState.WRITE_CACHING) && this.breaks.length === 0
  }

  /** The rights are what the server says now. */
  take(leaseState: number, epoch: number): void {
    if (isNewer(epoch, this.epoch)) this.epoch = epoch
    this.leaseState = leaseState
    if (!this.has(LeaseState.READ_CACHING)) this.clean.clear()
  }

  /** Nothing is left: no handle, no right. */
  forget(): void {
    this.handles.clear()
    this.breaks.length = 0
    this.dirty.clear()
    this.take(LeaseState.NONE, this.epoch)
  }
}

const EPOCHS = 0x1_0000

/** Epochs count up and wrap around. */
export function isNewer(epoch: number, than: number): boolean {
  const ahead = (epoch - than + EPOCHS) % EPOCHS
  return ahead > 0 && ahead < EPOCHS / 2
}
