/** MS-SMB2 3.3.1.11 Lease Table and 3.3.1.12 Lease: what clients cache under keys of their own choice. */

import type { Oplock, OplockKey } from '../../../storage/sharing/oplocks.ts'
import { type LeaseContext, LeaseFlag } from '../messages/create-context-lease.ts'
import { GuidMap } from './guid-map.ts'
import type { Open, SharedFile } from './open.ts'

/** MS-FSA's TargetOplockKey of a lease. */
export function oplockKeyOf(clientGuid: Buffer, leaseKey: Buffer): OplockKey {
  return { client: clientGuid.toString('hex'), key: leaseKey.toString('hex') }
}

export class Lease {
  /** Lease.LeaseKey, 16 bytes. */
  readonly leaseKey: Buffer
  /** LeaseTable.ClientGuid, 16 bytes. */
  readonly clientGuid: Buffer
  /** Lease.Version: that of the context which made it. */
  readonly version: 1 | 2
  /** Lease.ParentLeaseKey; undefined: PARENT_LEASE_KEY_SET was not asked for. */
  readonly parentLeaseKey: Buffer | undefined
  /** Lease.Epoch, 16 bits. */
  epoch: number
  /** Lease.LeaseOpens */
  readonly leaseOpens = new Set<Open>()
  /** Where the rest of its state is. */
  readonly oplock: Oplock<SharedFile>

  constructor(clientGuid: Buffer, context: LeaseContext, oplock: Oplock<SharedFile>) {
    this.clientGuid = clientGuid
    // Views of a received message.
    this.leaseKey = Buffer.from(context.leaseKey)
    this.parentLeaseKey = parentLeaseKeyOf(context)
    this.version = context.version
    this.epoch = context.epoch
    this.oplock = oplock
  }

  /** Lease.LeaseState, bits of LeaseState; amid a break, that before it. */
  get leaseState(): number {
    return this.oplock.state.held
  }

  /** Lease.BreakToLeaseState; without a break, Lease.LeaseState. */
  get breakToLeaseState(): number {
    return this.oplock.state.breaking?.to ?? this.leaseState
  }

  /** Lease.Breaking */
  get breaking(): boolean {
    return this.oplock.state.breaking !== undefined
  }

  /** Lease.Held */
  get held(): boolean {
    return this.leaseState !== 0
  }

  /** Lease.FileName, with its stream, and the share's tree; undefined when all its opens are being closed. */
  get place(): { readonly root: object; readonly path: string; readonly stream: string } | undefined {
    for (const { root, path } of this.oplock.opens) return { root, path, stream: this.oplock.stream.name }
    return undefined
  }

  /** Lease.Epoch counts the changes of the state. */
  countChange(): void {
    this.epoch = (this.epoch + 1) & MAXIMUM_EPOCH
  }
}

const MAXIMUM_EPOCH = 0xffff

/** The parent's key that a context gives, copied out of the message. */
export function parentLeaseKeyOf({ parentLeaseKey, leaseFlags, version }: LeaseContext): Buffer | undefined {
  const isSet = version === 2 && (leaseFlags & LeaseFlag.PARENT_LEASE_KEY_SET) !== 0
  return isSet ? Buffer.from(parentLeaseKey) : undefined
}

/** Bounds on the leases kept (ours). */
export interface LeaseLimits {
  readonly leasesPerClient: number
  readonly leases: number
}

/** Server.GlobalLeaseTableList: the leases of all clients. */
export class LeaseTables {
  /** LeaseTable.LeaseList by LeaseTable.ClientGuid, then by LeaseKey. */
  readonly #tables: GuidMap<GuidMap<Lease>>
  readonly #limits: LeaseLimits
  readonly #seed: number
  #size = 0

  /** @param seed 32 random bits, see GuidMap */
  constructor(limits: LeaseLimits, seed: number) {
    this.#limits = limits
    this.#seed = seed
    this.#tables = new GuidMap(seed)
  }

  /** Leases of all clients. */
  get size(): number {
    return this.#size
  }

  find(clientGuid: Buffer, leaseKey: Buffer): Lease | undefined {
    return this.#tables.get(clientGuid)?.get(leaseKey)
  }

  /** Whether a client, or all together, have as many leases as they may: no more is granted then. */
  isFullFor(clientGuid: Buffer): boolean {
    const own = this.#tables.get(clientGuid)?.size ?? 0
    return own >= this.#limits.leasesPerClient || this.#size >= this.#limits.leases
  }

  /** Adds a lease, in the place of one with its key that is going. */
  add(lease: Lease): void {
    let table = this.#tables.get(lease.clientGuid)
    if (table === undefined) {
      table = new GuidMap(this.#seed)
      this.#tables.set(lease.clientGuid, table)
    }
    const before = table.size
    table.set(lease.leaseKey, lease)
    this.#size += table.size - before
  }

  delete(lease: Lease): void {
    const table = this.#tables.get(lease.clientGuid)
    if (table?.get(lease.leaseKey) !== lease) return
    table.delete(lease.leaseKey)
    this.#size--
    if (table.size === 0) this.#tables.delete(lease.clientGuid)
  }
}
