/** Handles, file systems and workers come to their end: nothing is used after it was closed, nothing stays open. */

import { chmodSync, mkdirSync, readdirSync, renameSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { LocalChange } from '../../../storage/file-system.ts'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { request, temporaryDirectory, withLab } from './lab.ts'

const MIB = 1024 * 1024

async function until(condition: () => boolean): Promise<void> {
  for (let waits = 0; waits < 200 && !condition(); waits++) await sleep(25)
}

t.test('handles and pools that are closed', async (t) => {
  const pool = createWorkerPool({ size: 1 })
  const root = await temporaryDirectory(t)
  const fs = await createPosixFileSystem({ root, workers: pool })
  const outcome = await fs.open({ ...request('file'), disposition: 'create', read: true, write: true })
  t.ok(outcome.ok)
  if (!outcome.ok) return
  const { handle } = outcome
  // Closed while calls are under way: they finish first, on the file they were meant for.
  const bytes = Buffer.alloc(4 * MIB, 'x')
  const writing = [handle.write(bytes, 0), handle.stat(), handle.change({ dosAttributes: 2 })]
  await Promise.all([handle.close(), handle.close()])
  await Promise.all(writing)
  t.equal(statSync(`${root}/file`).size, bytes.length)
  await t.rejects(handle.stat(), { code: 'stale' })
  await t.rejects(handle.read(bytes, 0), { code: 'stale' })
  const left = await fs.open({ ...request('file'), read: true })
  const before = readdirSync('/proc/self/fd').length
  await fs.close()
  t.ok(left.ok && readdirSync('/proc/self/fd').length <= before - 2, 'what was left open is closed with it')
  t.same(await fs.open(request('file')), { ok: false, error: 'stale' })
  await t.rejects(createPosixFileSystem({ root: `${root}/none`, workers: pool }), { code: 'not-found' })
  await t.rejects(createPosixFileSystem({ root: `${root}/file`, workers: pool }), { name: 'StorageError' })
  await pool.close()
  await t.rejects(createPosixFileSystem({ root, workers: pool }), { code: 'stale' })
  t.throws(() => createWorkerPool({ size: 0 }), RangeError)
})

t.test('a worker that fails is replaced', async (t) => {
  const pool = createWorkerPool({ size: 1 })
  const root = await temporaryDirectory(t)
  const threads = new Set<Worker>()
  const { postMessage } = Worker.prototype
  Worker.prototype.postMessage = function (this: Worker, ...args) {
    threads.add(this)
    postMessage.apply(this, args)
  }
  t.teardown(() => {
    Worker.prototype.postMessage = postMessage
  })
  const fs = await createPosixFileSystem({ root, workers: pool })
  const outcome = await fs.open({ ...request('file'), disposition: 'create', read: true, write: true })
  if (!outcome.ok) throw new Error(outcome.error)
  const [thread] = threads
  const lost = outcome.handle.stat()
  const ended = thread?.terminate()
  await t.rejects(lost, { code: 'io' }, 'what it was doing is lost')
  await ended
  t.equal((await outcome.handle.stat()).type, 'file', 'handles live on')
  t.ok((await fs.open({ ...request('FILE'), read: true })).ok)
  t.ok(threads.size > 1, 'by another')
  await fs.close()
  await pool.close()
})

t.test('a watched directory', async (t) => {
  const workers = createWorkerPool({ size: 2 })
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('watched'))
    mkdirSync(lab.disk('other'))
    const { handle } = await lab.open('watched')
    const changes: LocalChange[] = []
    const stop = await handle.watch((change) => changes.push(change))
    const second: LocalChange[] = []
    const stopSecond = await (await lab.open('watched')).handle.watch((change) => second.push(change))
    writeFileSync(lab.disk('watched/a'), 'text')
    chmodSync(lab.disk('watched/a'), 0o600)
    renameSync(lab.disk('watched/a'), lab.disk('watched/b'))
    renameSync(lab.disk('watched/b'), lab.disk('other/b'))
    renameSync(lab.disk('other/b'), lab.disk('watched/c'))
    mkdirSync(lab.disk('watched/d'))
    rmdirSync(lab.disk('watched/d'))
    writeFileSync(lab.disk('watched/what\u003f'), '')
    writeFileSync(lab.disk('other/not seen'), '')
    await until(() => second.length >= 10)
    t.same(changes, second)
    t.same(
      changes.map((change) => (change.kind === 'lost' ? 'lost' : `${change.kind} ${change.name}`)),
      [
        ...[
          'added a',
          'written a',
          'attributes a',
          'renamed a',
          'removed b',
          'added c',
          'added d',
          'removed d',
        ],
        ...['added what\uf025', 'written what\uf025'],
      ],
    )
    await stop?.()
    await stop?.()
    const told = changes.length
    writeFileSync(lab.disk('watched/late'), '')
    await until(() => second.length > told)
    t.equal(changes.length, told, 'no more after the end')
    await stopSecond?.()
    const watches = await Promise.all([handle, handle].map((each) => each.watch(() => undefined)))
    t.equal(watches.filter((each) => each !== undefined).length, 2, 'and begins again')
  })
  await workers.close()
})
