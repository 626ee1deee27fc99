/** What the server keeps many of: message ids, locks, leases. A call must cost the same however many there are. */

import { CommandSequenceWindow } from '../../protocols/smb2/credits.ts'
import {
  decodeLeaseContext,
  encodeLeaseContext,
  type LeaseContext,
} from '../../protocols/smb2/messages/create-context-lease.ts'
import { Lease, LeaseTables } from '../../protocols/smb2/state/lease.ts'
import type { SharedFile } from '../../protocols/smb2/state/open.ts'
import { ByteRangeLocks } from '../../storage/sharing/byte-range-locks.ts'
import type { Oplock } from '../../storage/sharing/oplocks.ts'
import { countLabel, type Micro, type MicroSubject, must, TABLE_SIZES } from './micro.ts'

/** MessageIds that a client may have outstanding: 16 bits are what credits are counted in. */
const WINDOW_SIZES = [600, 6_000, 60_000] as const
const OWNERS = 100
const KEY_BYTES = 16
const SEED = 0x0123_4567
/** Coprime to the sizes: successive calls come to distant entries. */
const STRIDE = 7919

export const tableMicros: readonly Micro[] = [
  flat('credit window', WINDOW_SIZES, creditWindow),
  flat('lock and unlock', TABLE_SIZES, lockAndUnlock),
  flat('lock check of a WRITE', TABLE_SIZES, checkLocks),
  flat('lease lookup', TABLE_SIZES, findLease),
  flat('lease add and delete', TABLE_SIZES, addLease),
]

function flat(name: string, sizes: readonly number[], prepare: (size: number) => MicroSubject): Micro {
  return {
    ...{ name, isFlat: true },
    sizes: sizes.map((size) => ({ label: countLabel(size), prepare: () => prepare(size) })),
  }
}

/** A request takes an id and its response grants another, while so many are outstanding. */
function creditWindow(outstanding: number): MicroSubject {
  const window = new CommandSequenceWindow(outstanding)
  let messageId = 0n
  const call = () => {
    must(window.consume(messageId++, 1), 'a granted MessageId was refused')
    window.grant(1)
  }
  window.grant(outstanding - 1)
  return { call, check: () => must(!window.consume(BigInt(outstanding), 1), 'an id was not refused') }
}

/** Exclusive locks of one byte, every second byte, of many owners. */
function manyLocks(count: number): { locks: ByteRangeLocks; owners: object[] } {
  const locks = new ByteRangeLocks()
  const owners = Array.from({ length: OWNERS }, () => ({}))
  for (let index = 0; index < count; index++) {
    const owner = owners[index % OWNERS] ?? {}
    locks.lock({ owner, key: 0, offset: BigInt(index * 2), length: 1n, exclusive: true })
  }
  return { locks, owners }
}

function lockAndUnlock(count: number): MicroSubject {
  const { locks, owners } = manyLocks(count)
  let index = 0
  return {
    check: () => must(locks.size === count, `${locks.size} locks are held of ${count}`),
    call: () => {
      index = (index + STRIDE) % count
      const owner = owners[0] ?? {}
      const range = { offset: BigInt(index * 2 + 1), length: 1n }
      must(
        typeof locks.lock({ owner, key: 0, ...range, exclusive: true }) === 'object',
        'a free range is locked',
      )
      locks.unlock(owner, 0, range)
    },
  }
}

function checkLocks(count: number): MicroSubject {
  const { locks, owners } = manyLocks(count)
  let index = 0
  const asks = (offset: number) =>
    locks.conflictsWithWrite(owners[0] ?? {}, 0, { offset: BigInt(offset), length: 1n })
  return {
    check: () => must(asks(2) && !asks(3), 'the locks are not where they should be'),
    call: () => {
      index = (index + STRIDE) % count
      asks(index * 2 + 1)
    },
  }
}

/** A lease with a key of its own; the table does not look at what it caches. */
function leaseOf(clientGuid: Buffer, number: number): Lease {
  return new Lease(clientGuid, contextOf(number), NO_OPLOCK)
}

function contextOf(number: number): LeaseContext {
  const leaseKey = Buffer.alloc(KEY_BYTES)
  leaseKey.writeUInt32LE(number)
  return {
    ...{ version: 2, leaseKey, leaseState: 0, leaseFlags: 0 },
    ...{ parentLeaseKey: Buffer.alloc(KEY_BYTES), epoch: 0 },
  }
}

const NO_OPLOCK = Object.freeze({}) as Oplock<SharedFile>

function manyLeases(count: number): { tables: LeaseTables; clientGuid: Buffer } {
  const tables = new LeaseTables({ leasesPerClient: count + 1, leases: count + 1 }, SEED)
  const clientGuid = Buffer.alloc(KEY_BYTES, 'client')
  for (let number = 0; number < count; number++) tables.add(leaseOf(clientGuid, number))
  return { tables, clientGuid }
}

/** From the context in the CREATE that was received to the lease that it means. */
function findLease(count: number): MicroSubject {
  const { tables, clientGuid } = manyLeases(count)
  const data = encodeLeaseContext(contextOf(0))
  const find = (number: number) => {
    data.writeUInt32LE(number)
    return tables.find(clientGuid, decodeLeaseContext(data).leaseKey)
  }
  let index = 0
  return {
    check: () =>
      must(
        find(1)?.leaseKey.equals(contextOf(1).leaseKey) === true && find(count) === undefined,
        'another lease is found',
      ),
    call: () => {
      index = (index + STRIDE) % count
      must(find(index) !== undefined, 'a lease is not found')
    },
  }
}

function addLease(count: number): MicroSubject {
  const { tables, clientGuid } = manyLeases(count)
  const another = leaseOf(clientGuid, count)
  return {
    check: () => must(tables.size === count, `${tables.size} leases are held of ${count}`),
    call: () => {
      tables.add(another)
      tables.delete(another)
    },
  }
}
