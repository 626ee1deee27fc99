/** MS-FSA 2.1.4.10: which ranges overlap, among many, also where doubles are too coarse to tell them apart. */

import fc from 'fast-check'
import t from 'tap'
import { type Interval, IntervalList } from '../../../storage/sharing/interval-list.ts'

const LAST = 0xffff_ffff_ffff_ffffn

t.test('intervals: as a list would find them', async (t) => {
  // Around each of them neighbours differ by less than a double can tell, or just by as much.
  const offset = fc
    .tuple(fc.constantFrom(0n, 1n << 20n, 1n << 53n, 1n << 63n, LAST - 40n), fc.bigInt({ min: 0n, max: 40n }))
    .map(([base, more]) => base + more)
  const length = fc.oneof(fc.bigInt({ min: 0n, max: 5n }), fc.constantFrom(1n << 40n, 1n << 62n, LAST))
  const range = fc
    .tuple(offset, length)
    .map(([offset, length]) => ({ offset, last: offset + length > LAST ? LAST : offset + length - 1n }))
  const step = fc.record({ range, removed: fc.option(fc.nat(), { freq: 3 }) })
  fc.assert(
    fc.property(fc.array(step, { minLength: 200, maxLength: 400 }), (steps) => {
      const list = new IntervalList<Interval>()
      const model: Interval[] = []
      for (const [sequence, { range, removed }] of steps.entries()) {
        const item = { ...range, sequence }
        const met: Interval[] = []
        list.someOverlap(range.offset, range.last, (other) => met.push(other) < 0)
        const expected = model.filter(({ offset, last }) => offset <= range.last && range.offset <= last)
        const bySequence = (one: Interval, other: Interval) => one.sequence - other.sequence
        if (met.length !== expected.length) return false
        if (met.sort(bySequence).some((other, index) => other !== expected[index])) return false
        const gone = removed === null ? undefined : model.splice(removed % (model.length + 1), 1)[0]
        if (gone !== undefined) list.remove(gone)
        list.insert(item)
        model.push(item)
        if (list.size !== model.length) return false
      }
      for (const item of model) list.remove(item)
      return list.size === 0 && !list.someOverlap(0n, LAST, () => true)
    }),
    { numRuns: 100 },
  )
  const list = new IntervalList<Interval>()
  const item = { offset: 1n, last: 2n, sequence: 0 }
  t.throws(() => list.remove(item), /not in the list/)
  list.insert(item)
  t.throws(() => list.remove({ ...item }), /not in the list/)
})
