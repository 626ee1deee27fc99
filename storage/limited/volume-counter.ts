/** How much a limited volume takes: counted by what each open file adds, with a claim before each write, right after it is settled. */

import { StorageError } from '../errors.ts'
import type { FileStat } from '../file-system.ts'
import { WalkLog } from './walk-log.ts'

/** Claims of one file, past which it is looked at what the writes really took. */
const SETTLE_BYTES = 64 * 1024 * 1024

/** Something open that tells what its file occupies. */
export interface Measurable {
  stat(): Promise<Pick<FileStat, 'occupied' | 'links'>>
}

/** A file (or stream) that is open. */
export interface CountedNode {
  readonly key: bigint | string
  readonly isStream: boolean
  /** One for each open handle. */
  readonly openings: Set<Measurable>
  /** What it occupied at the last look; part of the volume's sum. */
  settled: number
  /** What writes that are done may have added since; part of the sum too. */
  claimed: number
  /** What operations done since may have given back, or taken. */
  changed: boolean
  /** A name of it was removed. */
  removed: boolean
  /** Reserved on the disk from the beginning on: a write in it takes nothing. */
  reserved: number
  settling: Promise<void> | undefined
}

export class VolumeCounter {
  readonly #nodes = new Map<bigint | string, CountedNode>()
  /** Nodes with claims or changes. */
  readonly #unsettled = new Set<CountedNode>()
  /** Writes under way. */
  readonly #writing = new Set<Promise<unknown>>()
  #writingBytes = 0
  #used: number
  #isKnown: boolean
  #log: WalkLog | undefined
  /** Bytes the volume may take; undefined: all there are. */
  limit: number | undefined

  /** @param used the count of an earlier run, where there is one */
  constructor(limit: number | undefined, used: number | undefined) {
    this.limit = limit
    this.#used = used ?? 0
    this.#isKnown = used !== undefined
  }

  /** Bytes, with what writes under way may take. */
  get used(): number {
    return Math.max(0, this.#used)
  }

  /** Someone has counted; false: what is used is only what was met so far. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  /** Bytes that may still be taken. */
  get room(): number {
    return this.limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, this.limit - this.used)
  }

  /** A handle was opened. @param created the file was made by that, and what it occupies is new */
  opened(key: bigint | string, handle: Measurable, occupied: number, created: boolean): CountedNode {
    let node = this.#nodes.get(key)
    if (node === undefined) {
      node = {
        ...{ key, isStream: typeof key === 'string', openings: new Set(), settled: occupied, claimed: 0 },
        ...{ changed: false, removed: false, reserved: 0, settling: undefined },
      }
      this.#nodes.set(key, node)
      if (created) this.#add(occupied)
    }
    node.openings.add(handle)
    return node
  }

  /** Something was done that may have changed what the file occupies, but took no more than was claimed. */
  changed(node: CountedNode): void {
    node.changed = true
    this.#unsettled.add(node)
  }

  removed(node: CountedNode): void {
    node.removed = true
    // A walk under way has met it, or never will.
    this.#log?.mayMiss(node.settled + node.claimed)
  }

  /**
   * Runs a write that takes `bytes` at most. Where so much is not left, first what is claimed is settled, then `exact` is asked
   * what it will take.
   * @throws StorageError 'disk-full' before anything is written
   */
  async write<T>(
    node: CountedNode,
    bytes: number,
    work: () => Promise<T>,
    exact?: () => Promise<number>,
  ): Promise<T> {
    const claim = this.#claim(bytes) ? bytes : await this.#claimExactly(bytes, exact)
    const writing = work()
    this.#writing.add(writing)
    try {
      return await writing
    } finally {
      this.#writing.delete(writing)
      this.#writingBytes -= claim
      node.claimed += claim
      node.changed = true
      this.#unsettled.add(node)
      if (node.claimed >= SETTLE_BYTES) this.#settle(node).catch(() => undefined)
    }
  }

  #claim(bytes: number): boolean {
    if (bytes > this.room) return false
    this.#writingBytes += bytes
    this.#add(bytes)
    return true
  }

  async #claimExactly(bytes: number, exact: (() => Promise<number>) | undefined): Promise<number> {
    await this.settle()
    if (this.#claim(bytes)) return bytes
    // What others are writing may turn out to take less.
    await Promise.allSettled(this.#writing)
    await this.settle()
    if (this.#claim(bytes)) return bytes
    const needed = (await exact?.()) ?? bytes
    if (needed < bytes && this.#claim(needed)) return needed
    throw new StorageError('disk-full', `${this.used} of ${this.limit} bytes are used, ${needed} more wanted`)
  }

  /** Makes the sum exact but for writes under way. */
  async settle(): Promise<void> {
    await Promise.all(Array.from(this.#unsettled, (node) => this.#settle(node)))
  }

  async #settle(node: CountedNode): Promise<void> {
    while (node.settling !== undefined) await node.settling
    if (!this.#unsettled.has(node)) return
    node.settling = this.#look(node)
    try {
      await node.settling
    } finally {
      node.settling = undefined
    }
  }

  /** Claims made while it is asked stay claims. */
  async #look(node: CountedNode): Promise<void> {
    const [handle] = node.openings
    const { claimed } = node
    node.changed = false
    const occupied = await handle?.stat().then(
      (stat) => stat.occupied,
      () => undefined,
    )
    // What cannot be asked any more keeps its claims, until the tree is walked.
    if (occupied === undefined) node.settled += claimed
    else {
      this.#add(occupied - node.settled - claimed)
      node.settled = occupied
    }
    node.claimed -= claimed
    if (node.claimed === 0 && !node.changed) this.#unsettled.delete(node)
  }

  /** A handle is about to be closed, by `close`; with the last one of a file without names its space is free. */
  async closed(node: CountedNode, handle: Measurable, close: () => Promise<void>): Promise<void> {
    let freed = 0
    if (node.openings.size === 1) {
      if (node.claimed > 0 || node.changed) await this.#settle(node)
      if (node.removed && (await this.#isGone(node, handle))) freed = node.settled
    }
    node.openings.delete(handle)
    const isLast = node.openings.size === 0 && this.#nodes.get(node.key) === node
    if (isLast) {
      this.#nodes.delete(node.key)
      this.#unsettled.delete(node)
    }
    try {
      await close()
    } finally {
      if (isLast) this.#add(-freed)
    }
  }

  async #isGone(node: CountedNode, handle: Measurable): Promise<boolean> {
    if (node.isStream) return true
    const stat = await handle.stat().catch(() => undefined)
    return stat?.links === 0
  }

  /** Begins a walk of the tree. Until its end is told, each change is remembered. */
  async beginWalk(): Promise<void> {
    await this.settle()
    const log = new WalkLog(this.#writingBytes)
    // Files without a name are not met.
    for (const node of this.#nodes.values()) if (node.removed) log.mayMiss(node.settled + node.claimed)
    this.#log = log
  }

  /** While the first walk is under way, what it has met counts. */
  met(bytes: number): void {
    if (this.#isKnown || this.#log === undefined) return
    this.#used = this.#log.sumOf(bytes)
  }

  /**
   * A walk has ended. What changed meanwhile is in its sum or is not; so the sum that was kept stays if that explains the
   * difference, and otherwise moves as far as needed.
   * @param bytes undefined: it was given up
   * @returns how far the sum was off
   */
  endWalk(bytes: number | undefined): number {
    const log = this.#log
    this.#log = undefined
    if (bytes === undefined || log === undefined) return 0
    const before = this.#used
    this.#used = this.#isKnown ? log.corrected(before, bytes) : log.highest(bytes)
    this.#isKnown = true
    return this.#used - before
  }

  #add(bytes: number): void {
    this.#used += bytes
    this.#log?.changed(bytes)
  }
}
