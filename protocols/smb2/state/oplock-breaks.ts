/** MS-SMB2 3.3.1.10 Open.OplockLevel and Open.Lease: the oplocks and leases of this server's opens, and who is told of their breaks. */

import type { Acknowledgment, OplockLevel } from '../../../storage/sharing/caching.ts'
import type { DirectoryPlace } from '../../../storage/sharing/directory-leases.ts'
import type { StreamNode } from '../../../storage/sharing/node-table.ts'
import type {
  Acknowledged,
  Actor,
  Check,
  Oplock,
  OplockBreak,
  Oplocks,
} from '../../../storage/sharing/oplocks.ts'
import type { Environment } from '../../transport/engine.ts'
import { OplockLevel as WireLevel } from '../messages/create.ts'
import { type LeaseContext, LeaseState } from '../messages/create-context-lease.ts'
import { LEASE_BREAK_ACK_REQUIRED, type LeaseBreakNotification } from '../messages/lease-break.ts'
import { type BreakWait, BreakWaits, OPLOCK_BREAK_TIMEOUT_MILLISECONDS } from './break-waits.ts'
import type { Connection } from './connection.ts'
import { Lease, type LeaseTables } from './lease.ts'
import type { Open, SharedFile } from './open.ts'

/** An open, and the stream that it is of. */
type Place = Pick<Open['file'], 'shared' | 'node'>

/** What a client is told of a break: 3.3.4.6 for an oplock, 3.3.4.7 for a lease. */
export type BreakNotification =
  | { readonly kind: 'oplock'; readonly open: Open; readonly oplockLevel: number }
  | { readonly kind: 'lease'; readonly lease: Lease; readonly notification: LeaseBreakNotification }

/** What this server knows of an oplock or lease. */
interface Holder {
  readonly oplock: Oplock<SharedFile>
  /** Undefined for an oplock. */
  readonly lease: Lease | undefined
  readonly opens: Set<Open>
  /** Opens that the client does not know of yet. */
  readonly unannounced: Set<Open>
  /** A break that the client is told once it knows of all of them. */
  deferred: BreakNotification | undefined
  /** What was told last, and where. */
  sent: { readonly notification: BreakNotification; readonly connection: Connection } | undefined
}

const WIRE_LEVELS: Readonly<Record<OplockLevel, number>> = {
  none: WireLevel.NONE,
  II: WireLevel.II,
  exclusive: WireLevel.EXCLUSIVE,
  batch: WireLevel.BATCH,
}
const LEVELS = new Map<number, OplockLevel>(
  Object.entries(WIRE_LEVELS).map(([level, wire]) => [wire, level as OplockLevel]),
)

/** What this server does with those who hold something. */
export interface Holders {
  /** Sends a notification (3.3.4.6, 3.3.4.7). @returns where, if anyone could be reached */
  notify(notification: BreakNotification): Connection | undefined
  /** Closes an open whose client is away. Never rejects. */
  abandon(open: Open): Promise<void>
}

export class OplockBreaks {
  readonly #rules: Oplocks<SharedFile>
  readonly #leaseTables: LeaseTables
  readonly #actions: Holders
  readonly #holders = new Map<Oplock<SharedFile>, Holder>()
  readonly #holderOf = new Map<SharedFile, Holder>()
  readonly #waits: BreakWaits<Oplock<SharedFile>>
  readonly #environment: Environment
  /** Connections that were ended because nobody is there. */
  readonly #hungUp = new WeakSet<Connection>()

  constructor(
    rules: Oplocks<SharedFile>,
    leaseTables: LeaseTables,
    environment: Environment,
    actions: Holders,
  ) {
    this.#rules = rules
    this.#leaseTables = leaseTables
    this.#actions = actions
    this.#waits = new BreakWaits(environment, (oplock) => this.#expire(oplock))
    this.#environment = environment
  }

  /**
   * 3.3.5.9: grants the oplock that a CREATE asks for, or less. Breaks are held back until
   * `announced`, as the client must not hear of an open that it does not know yet.
   * @returns Open.OplockLevel
   */
  grant(open: Open, requestedOplockLevel: number): number {
    const wanted = LEVELS.get(requestedOplockLevel) ?? 'none'
    const { shared, node, type } = open.file
    // MS-FSA 2.1.5.18: directories have leases alone.
    if (wanted === 'none' || type !== 'file') return WireLevel.NONE
    const oplock = this.#rules.request(node, shared, wanted)
    if (oplock === undefined) return WireLevel.NONE
    this.#join(open, this.#holderFor(oplock, undefined))
    return WIRE_LEVELS[oplock.level]
  }

  /**
   * 3.3.5.9.8, 3.3.5.9.11: gives an open its part in the lease of the key that it has, and makes that
   * lease, or lets it grow, as far as others allow. Breaks are held back as for `grant`.
   * @returns undefined when the key has come to be another file's
   */
  grantLease(open: Open, clientGuid: Buffer, context: LeaseContext): Lease | undefined {
    const { shared, node } = open.file
    const known = this.#leaseTables.find(clientGuid, context.leaseKey)
    if (known?.place !== undefined && known.oplock.stream !== node) return undefined
    const { oplock, upgraded } = this.#rules.requestLease(node, shared, context.leaseState & CACHING_BITS)
    // One with the same key may be about to go with its last open.
    const lease = known?.oplock === oplock ? known : new Lease(clientGuid, context, oplock)
    if (lease !== known) this.#leaseTables.add(lease)
    if (upgraded) lease.countChange()
    lease.leaseOpens.add(open)
    open.lease = lease
    this.#join(open, this.#holderFor(oplock, lease))
    return lease
  }

  #holderFor(oplock: Oplock<SharedFile>, lease: Lease | undefined): Holder {
    let holder = this.#holders.get(oplock)
    if (holder === undefined) {
      holder = {
        oplock,
        lease,
        opens: new Set(),
        unannounced: new Set(),
        deferred: undefined,
        sent: undefined,
      }
      this.#holders.set(oplock, holder)
    }
    return holder
  }

  #join(open: Open, holder: Holder): void {
    holder.opens.add(open)
    holder.unannounced.add(open)
    this.#holderOf.set(open.file.shared, holder)
  }

  /** The response to its CREATE is on its way. */
  announced(open: Open): void {
    const holder = this.#holderOf.get(open.file.shared)
    if (holder !== undefined) this.#announce(holder, open)
  }

  #announce(holder: Holder, open: Open): void {
    holder.unannounced.delete(open)
    this.#tell(holder)
  }

  /** What was held back. */
  #tell(holder: Holder): void {
    const { deferred } = holder
    if (deferred === undefined || holder.unannounced.size > 0) return
    holder.deferred = undefined
    this.#send(holder, deferred)
  }

  /** Open.OplockLevel, without a lease: while a break is under way, that before it. */
  levelOf(open: Open): OplockLevel {
    if (open.isPipe) return 'none'
    const oplock = this.#rules.oplockOf(open.file.shared)
    return oplock?.kind === 'oplock' ? oplock.level : 'none'
  }

  /** Open.OplockLevel as a CREATE is answered. */
  oplockLevelOf(open: Open): number {
    return open.lease === undefined ? WIRE_LEVELS[this.levelOf(open)] : WireLevel.LEASE
  }

  /** Whether a break of the open's oplock or lease is under way. */
  isBreaking(open: Open): boolean {
    return this.oplockOf(open)?.state.breaking !== undefined
  }

  /** Open.Lease.LeaseState, bits of LeaseState: while a break is under way, that before it; 0 without a lease. */
  leaseStateOf(open: Open): number {
    return open.lease?.leaseState ?? LeaseState.NONE
  }

  /** Breaks what one more open of a stream cannot share. @returns undefined when it need not wait */
  breakForOpen(
    stream: StreamNode<SharedFile>,
    overwrites: boolean,
    by: Actor<SharedFile>,
  ): BreakWait | undefined {
    return this.#perform(this.#rules.check(stream, overwrites ? 'overwrite' : 'open', by))
  }

  /** Asks those among these opens who may delay their CLOSE to close what they need no longer. */
  breakConflicting(opens: Iterable<SharedFile>, by: Actor<SharedFile>): BreakWait | undefined {
    return this.#perform(this.#rules.checkOpens(opens, 'conflict', by))
  }

  /** The same of the others who have the open's stream open: it is going to be renamed or deleted. */
  breakHandles({ node, shared }: Place): BreakWait | undefined {
    return this.#perform(this.#rules.check(node, 'conflict', shared))
  }

  /** Breaks what others, and level II what anyone, cache of a stream that an open is about to lock. */
  breakForLock({ file }: Open): BreakWait | undefined {
    return this.#perform(this.#rules.check(file.node, 'change', file.shared))
  }

  /**
   * An entry of a directory comes, goes or changes: whoever caches the directory under a key that is
   * not the parent key of `by` learns of it.
   */
  entryChanged(entry: DirectoryPlace, by?: Actor<SharedFile>): void {
    this.#perform(this.#rules.checkParent(entry, by))
  }

  /** The path of an open has changed. */
  moved(shared: SharedFile, before: string): void {
    this.#rules.moved(shared, before)
  }

  /**
   * Data or size of a stream is about to be changed through an open: no one caches what it was,
   * nor anything until `endChange`, which must follow in any case. Nothing that must be written back
   * is ever broken by this, as an open that may change data did away with that when it was made.
   */
  beginChange({ shared, node }: Place): void {
    this.#perform(this.#rules.beginChange(node, shared))
  }

  endChange({ node }: Place): void {
    this.#rules.endChange(node)
  }

  /** Now, for `changedSince`. */
  mark(): number {
    return this.#rules.mark()
  }

  /** Whether the open's stream may have been changed since: its size must then be asked for again. */
  changedSince({ file }: Open, mark: number): boolean {
    return this.#rules.changedSince(file.node, mark)
  }

  oplockOf(open: Open): Oplock<SharedFile> | undefined {
    return this.#rules.oplockOf(open.file.shared)
  }

  /** 3.3.5.22.1: a client acknowledges the break of an oplock. */
  acknowledge(open: Open, oplockLevel: number): Acknowledgment {
    const { shared } = open.file
    const oplock = this.#rules.oplockOf(shared)
    // A level that there is not is no lower one.
    const acknowledged = this.#rules.acknowledgeLevel(shared, LEVELS.get(oplockLevel) ?? 'batch')
    return oplock === undefined ? 'not-held' : this.#goOn(oplock, acknowledged)
  }

  /** 3.3.5.22.2: a client acknowledges the break of a lease. */
  acknowledgeLease({ oplock }: Lease, leaseState: number): Acknowledgment {
    return this.#goOn(oplock, this.#rules.acknowledge(oplock, leaseState))
  }

  /** The response to an acknowledgment of the open's, or the lease's, is on its way. */
  acknowledged({ oplock }: Pick<Lease, 'oplock'>): void {
    const holder = this.#holders.get(oplock)
    if (holder !== undefined) this.#tell(holder)
  }

  #goOn(oplock: Oplock<SharedFile>, { result, breaks }: Acknowledged<SharedFile>): Acknowledgment {
    for (const next of breaks) this.#begin(next, 'step')
    if (oplock.state.breaking === undefined && this.#endLostOpens(oplock) === 'none') this.#waits.end(oplock)
    return result
  }

  /**
   * 3.3.7.1 the other way round: without HANDLE_CACHING an open does not outlive its connection, so none of a lease that has
   * lost it stays without one. A client may have others under the key, opened since it came back, and answer for those alone:
   * Linux forgets a handle that was closed while it was away. Whoever waits goes on when they are closed.
   */
  #endLostOpens(oplock: Oplock<SharedFile>): 'none' | 'ending' {
    if ((oplock.state.held & LeaseState.HANDLE_CACHING) !== 0) return 'none'
    const lost = [...(this.#holders.get(oplock)?.opens ?? [])].filter(({ absence }) => absence !== undefined)
    if (lost.length === 0) return 'none'
    const closed = lost.map((open) => this.#actions.abandon(open))
    void Promise.all(closed).then(() => this.#waits.end(oplock))
    return 'ending'
  }

  /** The open is gone, with all that its end brought about: those who wait for it look again. */
  closed(open: Open): void {
    if (open.isPipe) return
    const holder = this.#holderOf.get(open.file.shared)
    if (holder === undefined) return
    this.#holderOf.delete(open.file.shared)
    holder.opens.delete(open)
    holder.lease?.leaseOpens.delete(open)
    if (holder.opens.size > 0) {
      this.#announce(holder, open)
      return
    }
    this.#holders.delete(holder.oplock)
    if (holder.lease !== undefined) this.#leaseTables.delete(holder.lease)
    this.#waits.end(holder.oplock)
  }

  /** 3.3.4.6, 3.3.4.7: what was told on a connection that is gone, and not answered, is told on another channel. */
  connectionLost(connection: Connection): void {
    for (const oplock of this.#waits.underWay()) {
      const holder = this.#holders.get(oplock)
      if (holder?.sent?.connection === connection) this.#send(holder, holder.sent.notification)
    }
  }

  #expire(oplock: Oplock<SharedFile>): 'ended' | 'awaited' {
    const holder = this.#holders.get(oplock)
    const connection = holder?.sent?.connection
    if (holder !== undefined && connection !== undefined && this.#isDead(holder, connection)) {
      this.#hungUp.add(connection)
      connection.disconnect('a Mac has neither answered a break nor sent any other request')
      return 'awaited'
    }
    this.#rules.expire(oplock)
    return this.#endLostOpens(oplock) === 'none' ? 'ended' : 'awaited'
  }

  /**
   * A Mac answers breaks at once. One that has sent nothing at all is gone, though TCP has not told; its next mount must
   * not find its own files in use. Its opens are then absent ones, which nobody waits for.
   */
  #isDead({ opens }: Holder, connection: Connection): boolean {
    if (!connection.negotiatedAapl || connection.closed || this.#hungUp.has(connection)) return false
    const since = this.#environment.now() - OPLOCK_BREAK_TIMEOUT_MILLISECONDS
    return [...opens].every(({ session }) => session !== undefined && session.idleTime <= since)
  }

  /** Tells the holders, and waits for those that have to answer. */
  #perform({ breaks, waitFor }: Check<SharedFile>): BreakWait | undefined {
    for (const begun of breaks) this.#begin(begun, 'break')
    return waitFor.length === 0 ? undefined : this.#waits.wait(waitFor)
  }

  /** @param what a further step of a break follows the response to the acknowledgment, and leaves a lease's epoch */
  #begin(begun: OplockBreak<SharedFile>, what: 'break' | 'step'): void {
    if (begun.acknowledges) this.#waits.begin(begun.oplock)
    const holder = this.#holders.get(begun.oplock)
    if (holder === undefined) return
    if (what === 'break') holder.lease?.countChange()
    const notification = notificationOf(holder, begun)
    if (notification === undefined) return
    if (what === 'step' || holder.unannounced.size > 0) holder.deferred = notification
    else this.#send(holder, notification)
  }

  #send(holder: Holder, notification: BreakNotification): void {
    // A client that is closing all of them gives everything up anyway.
    if ([...holder.opens].every(({ closing }) => closing)) return
    const connection = this.#actions.notify(notification)
    holder.sent = connection && { notification, connection }
  }
}

/** Others are passed over. */
const CACHING_BITS = LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING | LeaseState.WRITE_CACHING

function notificationOf(
  { lease, opens }: Holder,
  { from, to, acknowledges }: OplockBreak<SharedFile>,
): BreakNotification | undefined {
  if (lease !== undefined)
    return { kind: 'lease', lease, notification: leaseBreak(lease, from, to, acknowledges) }
  for (const open of opens)
    return {
      kind: 'oplock',
      open,
      oplockLevel: (to & LeaseState.READ_CACHING) !== 0 ? WireLevel.II : WireLevel.NONE,
    }
  return undefined
}

/** 3.3.4.7 */
function leaseBreak(lease: Lease, from: number, to: number, acknowledges: boolean): LeaseBreakNotification {
  return {
    kind: 'lease',
    newEpoch: lease.version === 2 ? lease.epoch : 0,
    flags: acknowledges ? LEASE_BREAK_ACK_REQUIRED : 0,
    leaseKey: lease.leaseKey,
    currentLeaseState: from,
    newLeaseState: to,
  }
}
