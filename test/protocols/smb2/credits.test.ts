/** MS-SMB2 3.3.1.1, 3.3.1.2, 3.3.5.2.3: the command sequence window against a set of ids, and the price of payloads. */

import fc from 'fast-check'
import t from 'tap'
import { BYTES_PER_CREDIT, CommandSequenceWindow, requiredCharge } from '../../../protocols/smb2/credits.ts'

t.test('a new window has the id 0 and one credit', async (t) => {
  const window = new CommandSequenceWindow()
  t.equal(window.available, 1)
  t.notOk(window.consume(1n, 1), 'not granted yet')
  t.notOk(window.consume(0n, 2), 'in part not granted yet')
  t.equal(window.available, 1, 'a refusal takes nothing')
  t.ok(window.consume(0n, 1))
  t.notOk(window.consume(0n, 1), 'used')
  t.equal(window.available, 0)
  t.equal(window.grant(0), 1, 'a client is never left without any')
  t.ok(window.consume(1n, 1))
})

t.test('ids in any order; the window moves with its lowest', async (t) => {
  const window = new CommandSequenceWindow(8)
  t.equal(window.grant(100), 7, 'within the limit')
  t.equal(window.grant(1), 0)
  for (const id of [7n, 3n, 5n]) t.ok(window.consume(id, 1), `${id}`)
  t.equal(window.grant(10), 0, 'full, as its lowest id is not used yet')
  t.notOk(window.consume(2n, 2), 'a charge over a used id')
  t.ok(window.consume(0n, 3), 'several at once')
  t.equal(window.grant(10), 4, 'four ids were left behind')
  t.ok(window.consume(8n, 4))
  t.ok(window.consume(4n, 1))
  t.ok(window.consume(6n, 1))
  t.equal(window.available, 0)
  t.equal(window.grant(0), 1)
  t.notOk(window.consume(0xffff_ffff_ffff_ffffn, 1))
  t.notOk(window.consume(0xffff_ffff_ffff_fffen, 65535))
})

t.test('behaves as a set of ids', async () => {
  const limits = fc.integer({ min: 1, max: 40 })
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('consume' as const),
      at: fc.integer({ min: -3, max: 45 }),
      charge: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({ kind: fc.constant('grant' as const), requested: fc.integer({ min: 0, max: 60 }) }),
  )
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 200 }), (limit, steps) => {
      const window = new CommandSequenceWindow(limit)
      const granted = new Set([0])
      const used = new Set<number>()
      let next = 1
      for (const each of steps) {
        const lowest = granted.size === 0 ? next : Math.min(...granted)
        if (each.kind === 'consume') {
          const first = Math.max(0, lowest + each.at)
          const ids = Array.from({ length: each.charge }, (_, index) => first + index)
          const expected = ids.every((id) => granted.has(id))
          if (window.consume(BigInt(first), each.charge) !== expected)
            throw new Error(`${ids}: not ${expected}`)
          if (!expected) continue
          for (const id of ids) {
            granted.delete(id)
            if (used.has(id)) throw new Error(`${id} was accepted twice`)
            used.add(id)
          }
        } else {
          const room = limit - (next - lowest)
          const expected = Math.min(Math.max(each.requested, granted.size === 0 ? 1 : 0), room)
          const count = window.grant(each.requested)
          if (count !== expected) throw new Error(`granted ${count}, not ${expected}`)
          for (let index = 0; index < count; index++) granted.add(next++)
        }
        if (window.available !== granted.size) throw new Error(`${window.available} are not ${granted.size}`)
        if (granted.size > limit) throw new Error('more than the limit')
      }
    }),
    { numRuns: 300 },
  )
})

t.test('one credit pays for 64 KiB', async (t) => {
  const prices: [bytes: number, charge: number][] = [
    [0, 1],
    [1, 1],
    [BYTES_PER_CREDIT, 1],
    [BYTES_PER_CREDIT + 1, 2],
    [1 << 20, 16],
    [(8 << 20) + 1, 129],
  ]
  for (const [bytes, charge] of prices) t.equal(requiredCharge(bytes), charge, `${bytes} bytes`)
})
