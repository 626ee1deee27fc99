/** Handles, file systems and workers come to their end: nothing is used after it was closed, nothing stays open. */

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { LocalChange } from '../../../storage/file-system.ts'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { type PosixLab, request, temporaryDirectory, withLab } from './lab.ts'

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
  const lost = outcome.handle.setSize(1)
  const ended = thread?.terminate()
  await t.rejects(lost, { code: 'io' }, 'what it was doing is lost')
  await ended
  t.equal((await outcome.handle.stat()).type, 'file', 'handles live on')
  t.ok((await fs.open({ ...request('FILE'), read: true })).ok)
  t.ok(threads.size > 1, 'by another')
  await fs.close()
  await pool.close()
})

function described(change: LocalChange): string {
  return 'name' in change ? `${change.kind} ${change.name}` : change.kind
}

t.test('a watched directory', async (t) => {
  const workers = createWorkerPool({ size: 2 })
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('watched'))
    mkdirSync(lab.disk('other'))
    const { handle } = await lab.open('watched')
    const changes: LocalChange[] = []
    const stop = await handle.watch((change) => changes.push(change), false)
    const second: LocalChange[] = []
    const stopSecond = await (await lab.open('watched')).handle.watch((change) => second.push(change), false)
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
    t.same(changes.map(described), [
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
    ])
    await stop?.()
    await stop?.()
    const told = changes.length
    writeFileSync(lab.disk('watched/late'), '')
    await until(() => second.length > told)
    t.equal(changes.length, told, 'no more after the end')
    await stopSecond?.()
    const watches = await Promise.all([handle, handle].map((each) => each.watch(() => undefined, false)))
    t.equal(watches.filter((each) => each !== undefined).length, 2, 'and begins again')
  })
  await workers.close()
})

/** Watches a directory with all below; returns what it was told, and a way to await one more of it. */
async function watchTree(lab: PosixLab, path: string) {
  const told: string[] = []
  const handle = await lab.handle(path)
  const stop = await handle.watch((change) => told.push(described(change)), true)
  const hears = async (change: string) => {
    await until(() => told.includes(change))
    lab.t.ok(told.includes(change), `${path} hears: ${change}`)
  }
  return { told, stop: async () => await stop?.(), hears }
}

/** A change made again and again until the folder that it is in is watched. */
async function awaitWatched(
  lab: PosixLab,
  path: string,
  told: readonly string[],
  name: string,
): Promise<void> {
  await until(() => {
    writeFileSync(lab.disk(path), '')
    return told.includes(`written ${name}`)
  })
}

t.test('a watched tree', async (t) => {
  const workers = createWorkerPool({ size: 2 })
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('tree/a/b/c'), { recursive: true })
    mkdirSync(lab.disk('outside/x/y'), { recursive: true })
    const outer = await watchTree(lab, 'tree')
    const inner = await watchTree(lab, 'tree/a/b')
    await awaitWatched(lab, 'tree/a/b/c/begin', outer.told, 'a/b/c/begin')
    await awaitWatched(lab, 'tree/a/b/c/begin', inner.told, 'c/begin')
    writeFileSync(lab.disk('tree/a/b/c/file'), 'text')
    renameSync(lab.disk('tree/a/b/c/file'), lab.disk('tree/a/b/c/moved\u003f'))
    rmSync(lab.disk('tree/a/b/c/moved\u003f'))
    await outer.hears('removed a/b/c/moved\uf025')
    const file = (path: string) =>
      outer.told.filter((change) => change.includes('file') || change.includes(path))
    t.same(file('moved'), [
      'added a/b/c/file',
      'written a/b/c/file',
      'renamed a/b/c/file',
      'removed a/b/c/moved\uf025',
    ])
    await inner.hears('removed c/moved\uf025')

    // Made faster than it can be watched: each entry once, all the same.
    mkdirSync(lab.disk('tree/new/one/two'), { recursive: true })
    writeFileSync(lab.disk('tree/new/one/two/deep'), '')
    await outer.hears('added new/one/two/deep')
    await awaitWatched(lab, 'tree/new/one/two/deep', outer.told, 'new/one/two/deep')
    for (const path of ['new', 'new/one', 'new/one/two', 'new/one/two/deep']) {
      t.equal(outer.told.filter((change) => change === `added ${path}`).length, 1, path)
    }

    // Within the tree what is watched moves along; what comes is watched, what goes is not.
    renameSync(lab.disk('tree/new/one'), lab.disk('tree/a/uno'))
    writeFileSync(lab.disk('tree/a/uno/two/again'), '')
    await outer.hears('added a/uno/two/again')
    t.ok(outer.told.includes('removed new/one') && outer.told.includes('added a/uno'))
    renameSync(lab.disk('outside/x'), lab.disk('tree/x'))
    await outer.hears('added x')
    await awaitWatched(lab, 'tree/x/y/late', outer.told, 'x/y/late')
    t.notOk(outer.told.includes('added x/y'), 'what moves in is told as one')
    renameSync(lab.disk('tree/x'), lab.disk('outside/x'))
    await outer.hears('removed x')
    rmSync(lab.disk('tree/a/uno'), { recursive: true })
    await outer.hears('removed a/uno')

    await outer.stop()
    const before = outer.told.length
    writeFileSync(lab.disk('tree/a/after'), '')
    writeFileSync(lab.disk('outside/x/y/after'), '')
    writeFileSync(lab.disk('tree/a/b/c/after'), '')
    await inner.hears('added c/after')
    t.equal(outer.told.length, before, 'the tree within it is watched on')
    await inner.stop()
    t.equal(watchesOfThisProcess(), 0, 'nothing stays watched')
  })
  await workers.close()
})

/** inotify watches of all instances: fdinfo has a line for each. */
function watchesOfThisProcess(): number {
  let watches = 0
  for (const fd of readdirSync('/proc/self/fdinfo')) {
    try {
      watches += readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').split('inotify wd:').length - 1
    } catch {
      // Closed meanwhile.
    }
  }
  return watches
}

t.test('a watched tree of too many folders', async (t) => {
  const workers = createWorkerPool({ size: 1, treeFolders: 40 })
  await withLab(t, workers, {}, async (lab) => {
    for (let n = 0; n < 100; n++) mkdirSync(lab.disk(`wide/${n}`), { recursive: true })
    const { told, hears, stop } = await watchTree(lab, 'wide')
    await hears('incomplete')
    t.equal(watchesOfThisProcess(), 41)
    for (let n = 0; n < 100; n++) writeFileSync(lab.disk(`wide/${n}/file`), '')
    writeFileSync(lab.disk('wide/end'), '')
    await hears('added end')
    t.equal(told.filter((change) => /^added \d+\/file$/.test(change)).length, 40, 'what is watched is told')
    await stop()
    t.equal(watchesOfThisProcess(), 0)
  })
  await workers.close()
})
