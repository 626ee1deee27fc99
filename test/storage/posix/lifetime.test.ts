/** Handles, file systems and workers come to their end: nothing is used after it was closed, nothing stays open. */

import { readdirSync, statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { request, temporaryDirectory } from './lab.ts'

const MIB = 1024 * 1024

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
