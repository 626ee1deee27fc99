/** MS-SMB2 3.3.1.11: leases by client and key, against a plain Map, as they come and go. */

import fc from 'fast-check'
import t from 'tap'
import { GuidMap } from '../../../protocols/smb2/state/guid-map.ts'
import { Lease, LeaseTables } from '../../../protocols/smb2/state/lease.ts'
import type { SharedFile } from '../../../protocols/smb2/state/open.ts'
import type { Oplock } from '../../../storage/sharing/oplocks.ts'

const GUID_BYTES = 16
const NO_OPLOCK = Object.freeze({}) as Oplock<SharedFile>

/** Keys that differ in one byte, anywhere: each byte must count. */
function guid(number: number): Buffer {
  const bytes = Buffer.alloc(GUID_BYTES, 'common')
  bytes[number % GUID_BYTES] = 255 - Math.floor(number / GUID_BYTES)
  return bytes
}

function leaseOf(client: Buffer, leaseKey: Buffer): Lease {
  const context = { leaseState: 0, leaseFlags: 0, parentLeaseKey: Buffer.alloc(0), epoch: 0 }
  return new Lease(client, { version: 1, leaseKey, ...context }, NO_OPLOCK)
}

t.test('a table by GUIDs is a Map, whatever comes and goes', async () => {
  const step = fc.record({ op: fc.constantFrom('set', 'set', 'get', 'delete'), number: fc.nat({ max: 300 }) })
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { minLength: 300, maxLength: 1000 }), (seed, steps) => {
      const table = new GuidMap<object>(seed)
      const model = new Map<string, object>()
      for (const { op, number } of steps) {
        const key = guid(number)
        const name = key.toString('hex')
        if (op === 'set') {
          const value = {}
          table.set(key, value)
          model.set(name, value)
          key.fill(0) // A view of a message, which is used again.
        } else if (op === 'get') {
          if (table.get(key) !== model.get(name)) return false
        } else if (table.delete(key) !== model.delete(name)) return false
        if (table.size !== model.size) return false
      }
      return [...model].every(([name, value]) => table.get(Buffer.from(name, 'hex')) === value)
    }),
    { numRuns: 100 },
  )
})

t.test('leases of several clients', async (t) => {
  const limits = { leasesPerClient: 2, leases: 3 }
  const tables = new LeaseTables(limits, 1)
  const [anna, ben] = [guid(1), guid(2)]
  const lease = leaseOf(anna, guid(3))
  tables.add(lease)
  t.equal(tables.find(anna, guid(3)), lease)
  t.equal(tables.find(ben, guid(3)), undefined, "another client's keys are its own")
  const successor = leaseOf(anna, guid(3))
  tables.add(successor)
  t.equal(tables.size, 1, 'one with the same key takes its place')
  tables.delete(lease)
  t.equal(tables.find(anna, guid(3)), successor, 'and stays when that goes')
  t.notOk(tables.isFullFor(anna))
  tables.add(leaseOf(anna, guid(4)))
  t.ok(tables.isFullFor(anna))
  t.notOk(tables.isFullFor(ben))
  const other = leaseOf(ben, guid(3))
  tables.add(other)
  t.ok(tables.isFullFor(ben), 'there are as many as there may be')
  tables.delete(other)
  tables.delete(other)
  t.equal(tables.size, 2)
  t.equal(tables.find(ben, guid(3)), undefined)
})
