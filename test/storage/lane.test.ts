/** Disks that stop: what is begun, what is refused, and what is done when they answer again. */

import { existsSync } from 'node:fs'
import t from 'tap'
import { Lane } from '../../storage/lane.ts'
import { createWorkerPool } from '../../storage/posix/worker-pool.ts'
import { withLab } from './posix/lab.ts'

const NOT_READY = { code: 'not-ready', message: 'the pool is suspended' }
const WHY = 'the pool is suspended'
const CREATIONS = 200

/** A call that ends when it is told to. */
function call() {
  const state = { isBegun: false, end: (): void => undefined }
  const run = (): Promise<string> => {
    state.isBegun = true
    return new Promise((resolve) => {
      state.end = () => resolve('done')
    })
  }
  return { state, run }
}

t.test('a bounded number of calls is under way', async (t) => {
  const lane = new Lane(2)
  const calls = [call(), call(), call(), call()]
  const begun = () => calls.map(({ state }) => state.isBegun)
  const results = calls.map(({ run }) => lane.run(run))
  t.same(begun(), [true, true, false, false])
  calls[1]?.state.end()
  t.equal(await results[1], 'done')
  t.same(begun(), [true, true, true, false], 'in their order')
  lane.limit = 3
  t.same(begun(), [true, true, true, true], 'more may be')
  for (const { state } of calls) state.end()
  t.same(
    await Promise.all(results),
    Array.from(calls, () => 'done'),
  )
  await t.rejects(
    lane.run(() => Promise.reject(new Error('of the call'))),
    { message: 'of the call' },
  )
})

t.test('when the disks have stopped', async (t) => {
  const lane = new Lane(1)
  const [hanging, waiting, closing, later] = [call(), call(), call(), call()]
  const under = lane.run(hanging.run)
  const refused = lane.run(waiting.run)
  const released = lane.release(closing.run)
  const given = lane.unlessStopped(under)
  lane.stop(WHY)
  await t.rejects(refused, NOT_READY, 'what waited is refused')
  await t.rejects(lane.run(later.run), NOT_READY, 'and what comes')
  t.notOk(waiting.state.isBegun || later.state.isBegun, 'neither was begun')
  await given
  await lane.unlessStopped(under)
  t.pass('nobody waits for what need not be waited for')
  lane.resume()
  hanging.state.end()
  t.equal(await under, 'done', 'what was under way ends')
  t.ok(closing.state.isBegun, 'what gives something back has waited for its turn')
  closing.state.end()
  t.equal(await released, 'done')
  const again = lane.run(later.run)
  later.state.end()
  t.equal(await again, 'done')
})

t.test('jobs in line are done or refused, not both', async (t) => {
  const lane = new Lane(2)
  const workers = createWorkerPool({ size: 2, lane })
  t.teardown(() => workers.close())
  await withLab(t, workers, {}, async (lab) => {
    const kept = await lab.handle('', { read: true })
    const names = Array.from({ length: CREATIONS }, (_, index) => `file ${index}`)
    const results = Promise.allSettled(
      names.map((name) => lab.open(name, { disposition: 'create', write: true })),
    )
    lane.stop(WHY)
    const outcomes = await results
    for (const [index, name] of names.entries()) {
      const isMade = existsSync(lab.disk(name))
      if (isMade !== (outcomes[index]?.status === 'fulfilled')) t.fail(`${name}: ${outcomes[index]?.status}`)
    }
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    t.ok(refused.length > 0, `${refused.length} of ${CREATIONS} were refused`)
    t.match(refused[0], { reason: { code: 'not-ready' } })
    await t.rejects(kept.stat(), NOT_READY)
    await kept.close()
    t.pass('a handle can be closed all the same')
    lane.resume()
    t.ok(await lab.open('later', { disposition: 'create', write: true }), 'it goes on afterwards')
    t.ok(existsSync(lab.disk('later')))
  })
})

t.test('data of a file', async (t) => {
  const lane = new Lane(1)
  const workers = createWorkerPool({ size: 1, lane })
  t.teardown(() => workers.close())
  await withLab(t, workers, {}, async (lab) => {
    await lab.open('file', { disposition: 'create', write: true })
    const handle = await lab.handle('file', { read: true, write: true })
    await handle.write(Buffer.from('before'), 0)
    lane.stop(WHY)
    await t.rejects(handle.write(Buffer.from('after!'), 0), NOT_READY)
    await t.rejects(handle.read(Buffer.alloc(6), 0), NOT_READY)
    await t.rejects(handle.flush(), NOT_READY, 'no sync is acknowledged')
    lane.resume()
    const back = Buffer.alloc(6)
    t.equal(await handle.read(back, 0), 6)
    t.equal(back.toString(), 'before')
  })
})
