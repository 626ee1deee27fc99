/** MS-SMB2 3.3.1.10, ours: follows the durable opens and tells the store what has changed, in batches, so that no request waits for it. */

import type { Cancel, Environment } from '../../transport/engine.ts'
import { mayOutliveConnection } from './durable-handle.ts'
import type { DurableRecord, DurableStore, LeaseRecord } from './durable-store.ts'
import type { Lease } from './lease.ts'
import type { Open } from './open.ts'
import type { Server } from './server.ts'

/** After so long the store knows of a change: a handle that lives shorter costs nothing. */
const DELAY_MILLISECONDS = 50
const HEXADECIMAL = 16

export class DurableJournal {
  readonly #store: DurableStore | undefined
  readonly #environment: Environment
  readonly #changed = new Set<Open>()
  /** Ids that the store has. */
  readonly #known = new Set<string>()
  readonly #forgotten = new Set<string>()
  #stopTimer: Cancel | undefined
  #isOver = false

  /** @param store undefined: durable opens end with the process */
  constructor(store: DurableStore | undefined, environment: Environment) {
    this.#store = store
    this.#environment = environment
  }

  /** The store has these from an earlier run. */
  begin(records: readonly DurableRecord[]): void {
    for (const { id } of records) this.#known.add(id)
  }

  /** An open has become durable, or something of it that counts after a restart is different. */
  changed(server: Server, open: Open): void {
    if (this.#store === undefined || this.#isOver || open.durable === undefined) return
    this.#changed.add(open)
    this.#stopTimer ??= this.#environment.after(DELAY_MILLISECONDS, () => this.flush(server))
  }

  /** An open could not be restored. */
  forget(server: Server, id: string): void {
    if (!this.#known.delete(id)) return
    this.#forgotten.add(id)
    this.#stopTimer ??= this.#environment.after(DELAY_MILLISECONDS, () => this.flush(server))
  }

  /** Tells the store now. */
  flush(server: Server): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    const kept: DurableRecord[] = []
    for (const open of this.#changed) {
      const record = recordOf(server, open)
      const id = idOf(open)
      if (record !== undefined) kept.push(record)
      else if (this.#known.delete(id)) this.#forgotten.add(id)
    }
    const forgotten = [...this.#forgotten]
    this.#changed.clear()
    this.#forgotten.clear()
    for (const { id } of kept) this.#known.add(id)
    if (kept.length + forgotten.length > 0) this.#store?.write(kept, forgotten)
  }

  /** Tells the store for the last time: opens that close from now on do so only because the server stops. */
  end(server: Server): void {
    this.flush(server)
    this.#isOver = true
  }
}

function idOf({ fileId }: Open): string {
  return fileId.persistent.toString(HEXADECIMAL)
}

/** @returns undefined for an open that would not survive its connection, and so no restart */
function recordOf(server: Server, open: Open): DurableRecord | undefined {
  const { durable, lease } = open
  if (durable === undefined || open.closing || !mayOutliveConnection(server, open)) return undefined
  const { shared, node, stream } = open.file
  const locks = node.locks.heldBy(shared)
  return {
    id: idOf(open),
    durable,
    createGuid: open.createGuid?.toString('hex'),
    share: open.share.name,
    path: shared.path,
    stream,
    volumeId: String(node.node.volumeId),
    fileId: String(node.node.fileId),
    grantedAccess: open.grantedAccess,
    maximalAccess: open.maximalAccess,
    shareAccess: open.shareAccess,
    createOptions: open.createOptions,
    posix: open.posix,
    sharesAsPosix: shared.posix === true,
    createAction: open.createAction,
    mode: open.mode,
    currentByteOffset: String(open.currentByteOffset),
    deleteOnClose: open.deleteOnClose,
    deletePending: (stream === '' ? node.node : node).deletePending !== undefined,
    lease: lease && leaseRecordOf(lease),
    locks: locks.map(({ offset, length, exclusive }) => ({
      offset: String(offset),
      length: String(length),
      exclusive,
    })),
    lockSequences: [...(open.lockSequenceArray ?? [])],
    creationTime: open.creationTime,
    absentSince: open.absence?.since,
  }
}

function leaseRecordOf(lease: Lease): LeaseRecord {
  const { version, leaseState, epoch } = lease
  return {
    clientGuid: lease.clientGuid.toString('hex'),
    leaseKey: lease.leaseKey.toString('hex'),
    parentLeaseKey: lease.parentLeaseKey?.toString('hex'),
    ...{ version, leaseState, epoch },
  }
}
