/** Buffers that are used again: kept while they are needed, and given back by a server that has nothing to do. */

import t from 'tap'
import { BufferPool } from '../../../protocols/transport/buffer-pool.ts'

const MIB = 1 << 20

t.test('what is not needed between two looks is given back', async (t) => {
  const looks: (() => void)[] = []
  const pool = new BufferPool(4 * MIB, (_milliseconds, work) => void looks.push(work))
  const look = () => looks.splice(0).forEach((work) => void work())
  const [first, second] = [pool.acquire(MIB), pool.acquire(MIB)]
  t.equal(looks.length, 0, 'nobody looks at a pool that has nothing')
  first.release()
  second.release()
  t.equal(looks.length, 1)
  const kept = pool.keptBytes
  t.ok(kept >= 2 * MIB)
  look()
  t.equal(pool.keptBytes, kept, 'they have just been used')
  const again = pool.acquire(MIB)
  t.equal(again.buffer.buffer, second.buffer.buffer, 'the one that was used last is used again')
  again.release()
  look()
  t.equal(pool.keptBytes, kept / 2, 'one was needed, the other was not')
  t.equal(first.buffer.buffer.byteLength, 0, 'its memory is gone, without waiting for the collector')
  t.equal(again.buffer.length, MIB, 'the other is as it was')
  look()
  t.equal(pool.keptBytes, 0)
  t.equal(looks.length, 0, 'nobody looks any longer')
  const last = pool.acquire(MIB)
  last.buffer.fill(7)
  t.ok(
    last.buffer.every((byte) => byte === 7),
    'it begins anew',
  )
  last.release()
  t.throws(() => last.release(), { message: 'a buffer was given back twice' })
})

t.test('what is on loan is left alone', async (t) => {
  const looks: (() => void)[] = []
  const pool = new BufferPool(4 * MIB, (_milliseconds, work) => void looks.push(work))
  const [loan, other] = [pool.acquire(MIB), pool.acquire(MIB)]
  other.release()
  for (let round = 0; round < 3; round++) looks.splice(0).forEach((work) => void work())
  t.equal(pool.keptBytes, 0)
  t.equal(loan.buffer.fill(1).length, MIB)
  loan.release()
  t.equal(pool.acquire(MIB).buffer[0], 1, 'and used again')
})
