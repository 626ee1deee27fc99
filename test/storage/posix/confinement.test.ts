/** Nothing outside of a share is reached: not by '..', not by links, not while another process swaps a directory for a link. */

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { StorageError } from '../../../storage/errors.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { type PosixLab, temporaryDirectory, withLab } from './lab.ts'

const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())

t.test('names that could lead elsewhere', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('dir'))
    const names = ['..', '../x', 'dir/..', 'dir/../dir', '.', 'dir/.', './dir', '/', '/dir', 'dir/', 'dir//x']
    for (const name of [...names, 'a\0b', '\uf029\uf029', 'dir/\uf029', '\uf029\uf029/x', '\\..\\x']) {
      await lab.refuses(name, {}, 'name-invalid', `open of ${JSON.stringify(name)}`)
      const create = { disposition: 'create', kind: 'directory' } as const
      await lab.refuses(name, create, 'name-invalid', `creation of ${JSON.stringify(name)}`)
    }
    const file = await lab.file('file')
    for (const to of ['../file', 'dir/../../file', '/tmp/file', 'a\0b', '\uf029\uf029']) {
      await lab.rejects(file.rename({ to, replace: true }), 'name-invalid', `rename to ${JSON.stringify(to)}`)
      await lab.rejects(file.link({ to, replace: true }), 'name-invalid', `link at ${JSON.stringify(to)}`)
    }
    t.equal(await file.path(), 'file')
  })
})

t.test('links', async (t) => {
  const outside = await temporaryDirectory(t)
  writeFileSync(`${outside}/secret`, 'secret')
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('dir/below'), { recursive: true })
    writeFileSync(lab.disk('dir/file'), 'inside')
    symlinkSync('dir/file', lab.disk('relative'))
    symlinkSync('../file', lab.disk('dir/below/up'))
    symlinkSync('../../../x', lab.disk('dir/below/out'))
    symlinkSync(`${outside}/secret`, lab.disk('absolute'))
    symlinkSync(outside, lab.disk('door'))
    symlinkSync(`${lab.root}/dir`, lab.disk('absolute-inside'))
    symlinkSync('nowhere', lab.disk('dangling'))
    symlinkSync('loop', lab.disk('loop'))
    symlinkSync('/proc/self/fd', lab.disk('magic'))

    t.equal(await lab.text(await lab.handle('relative')), 'inside')
    t.equal(await lab.text(await lab.handle('dir/below/up')), 'inside', 'a link may go up within the share')
    t.equal(await lab.text(await lab.handle('RELATIVE')), 'inside', 'and be found in another case')
    for (const path of [
      'absolute',
      'dir/below/out',
      'door',
      'door/secret',
      'DOOR/secret',
      'absolute-inside',
    ]) {
      await lab.refuses(path, {}, 'outside')
    }
    await lab.refuses('door/new', { disposition: 'create', write: true }, 'outside')
    await lab.refuses('door/new', { disposition: 'create', kind: 'directory' }, 'outside')
    await lab.refuses('door/new', { disposition: 'open-if', write: true }, 'outside')
    await lab.refuses('magic/0', {}, 'outside')
    await lab.refuses('dangling', {}, 'not-found')
    await lab.refuses('dangling', { disposition: 'create', write: true }, 'exists')
    await lab.refuses('loop', {}, 'symlink')
    await lab.refuses('dir/file/x', {}, 'path-not-found')

    const door = await lab.open('door', { followLinks: false, read: false })
    t.equal(door.stat.type, 'symlink')
    t.equal(await door.handle.readLink(), outside)
    await lab.rejects(door.handle.list({ pattern: '*', hideUnreadable: false }), 'not-directory')
    await lab.rejects(door.handle.read(Buffer.alloc(1), 0), 'symlink')
    const file = await lab.file('mine')
    await lab.rejects(file.rename({ to: 'door/mine', replace: true }), 'outside')
    await lab.rejects(file.link({ to: 'door/mine', replace: true }), 'outside')

    const root = await lab.handle('')
    const cursor = await root.list({ pattern: '*', hideUnreadable: false })
    const entries = new Map((await cursor.next(100)).map((entry) => [entry.name, entry]))
    t.equal(entries.get('relative')?.stat.type, 'file', 'a link is shown as what it leads to')
    t.equal(entries.get('relative')?.stat.size, 6)
    t.equal(entries.get('door')?.stat.type, 'symlink', 'or as itself, when that lies outside')
    t.equal(entries.get('door')?.linkTarget, outside)
    t.equal(
      entries.get('..')?.stat.fileId,
      entries.get('.')?.stat.fileId,
      "nothing is above the share's root",
    )
    await root.close()

    t.same(readdirSync(outside), ['secret'])
  })
})

t.test('a handle that came through a link acts on the link', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    writeFileSync(lab.disk('target'), 'text')
    symlinkSync('target', lab.disk('link'))
    const handle = await lab.handle('link')
    t.equal(await handle.path(), 'link')
    t.equal(await handle.rename({ to: 'renamed', replace: false }), 'renamed')
    t.equal(readlinkSync(lab.disk('renamed')), 'target')
    t.equal(await handle.path(), 'renamed')
    await handle.remove()
    t.same(readdirSync(lab.root), ['target'])
    t.equal(await lab.text(handle), 'text', 'the file is still open')
  })
})

t.test('what others do to an open file', async (t) => {
  const outside = await temporaryDirectory(t)
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('a/b'), { recursive: true })
    const file = await lab.file('a/b/file')
    renameSync(lab.disk('a'), lab.disk('z'))
    t.equal(await file.path(), 'z/b/file', 'a directory above was renamed')
    renameSync(lab.disk('z/b/file'), lab.disk('z/b/other'))
    t.equal(await file.path(), 'z/b/other')
    t.equal(await file.rename({ to: 'z/back', replace: false }), 'z/back')

    renameSync(lab.disk('z/back'), `${outside}/back`)
    await lab.rejects(file.path(), 'outside', 'moved out of the share')
    await lab.rejects(file.remove(), 'outside')
    await lab.rejects(file.rename({ to: 'again', replace: false }), 'outside')
    t.ok(existsSync(`${outside}/back`), 'and left alone there')

    const doomed = await lab.file('doomed')
    renameSync(lab.disk('doomed'), lab.disk('elsewhere'))
    writeFileSync(lab.disk('doomed'), 'another')
    await doomed.remove()
    t.equal(readFileSync(lab.disk('doomed'), 'utf8'), 'another', 'a new file of that name is not removed')
    t.notOk(existsSync(lab.disk('elsewhere')))
    await lab.rejects(doomed.path(), 'not-found')
    await lab.rejects(doomed.remove(), 'not-found')

    const named = await lab.file('odd (deleted)')
    t.equal(await named.path(), 'odd (deleted)', 'a name like the mark of the kernel')
    await named.remove()
    await lab.rejects(named.path(), 'not-found')
  })
})

t.test('pipes and devices are never opened for data', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    execFileSync('mkfifo', [lab.disk('pipe')])
    const pipe = await lab.open('pipe', { read: false })
    t.equal(pipe.stat.type, 'fifo')
    await lab.refuses('pipe', { read: true }, 'access-denied')
    await lab.refuses('pipe', { write: true }, 'access-denied')
    await lab.rejects(pipe.handle.flush(), 'not-supported')
    await lab.rejects(pipe.handle.read(Buffer.alloc(1), 0), 'access-denied')
    t.equal((await pipe.handle.change({ mode: 0o600 })).mode, 0o600)
    await pipe.handle.remove()
    t.notOk(existsSync(lab.disk('pipe')))
  })
})

/** Exchanges a directory and a link to another place as fast as it can, until told to end. */
const SWAPPER = `
  const { workerData } = require('node:worker_threads')
  const koffi = require(workerData.koffi)
  const exchange = koffi.load(null).func('int renameat2(int a, const char* from, int b, const char* to, unsigned int flags)')
  const flag = new Int32Array(workerData.flag)
  while (Atomics.load(flag, 0) === 0) {
    exchange(-100, workerData.directory, -100, workerData.link, 2)
    Atomics.add(flag, 1, 1)
  }
`
const RACE_MILLISECONDS = 1500

t.test('a directory is swapped for a link during the call', async (t) => {
  const outside = await temporaryDirectory(t)
  writeFileSync(`${outside}/file`, 'secret')
  mkdirSync(`${outside}/sub`)
  const before = statSync(outside, { bigint: true })
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('swap/sub'), { recursive: true })
    writeFileSync(lab.disk('swap/file'), 'inside')
    symlinkSync(outside, lab.disk('decoy'))
    const flag = new SharedArrayBuffer(8)
    const swapper = new Worker(SWAPPER, {
      eval: true,
      workerData: {
        koffi: createRequire(import.meta.url).resolve('koffi'),
        directory: lab.disk('swap'),
        link: lab.disk('decoy'),
        flag,
      },
    })
    const ended = new Promise((resolve) => swapper.once('exit', resolve))
    const outcomes = await race(lab, Date.now() + RACE_MILLISECONDS)
    Atomics.store(new Int32Array(flag), 0, 1)
    await ended
    t.ok((new Int32Array(flag)[1] ?? 0) > 100, 'it was swapped many times')
    t.ok((outcomes.get('done') ?? 0) > 10, `calls went through: ${JSON.stringify([...outcomes])}`)
    t.ok((outcomes.get('outside') ?? 0) > 10, 'and others met the link')
    t.notOk(outcomes.has('secret'), 'nothing outside was read')
  })
  const after = statSync(outside, { bigint: true })
  t.same(readdirSync(outside).sort(), ['file', 'sub'], 'nothing outside was made or removed')
  t.equal(after.mtimeNs, before.mtimeNs)
  t.equal(after.ctimeNs, before.ctimeNs)
  t.equal(readFileSync(`${outside}/file`, 'utf8'), 'secret')
  t.same(readdirSync(`${outside}/sub`), [])
})

/** Does all kinds of things below the swapped directory; counts how they end. */
async function race(lab: PosixLab, end: number): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>()
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const create = { disposition: 'create', write: true, read: false } as const
  const steps: ((n: number) => Promise<void>)[] = [
    async () => {
      const handle = await lab.handle('swap/file')
      if ((await lab.text(handle)) === 'secret') count('secret')
      await handle.close()
    },
    async (n) => {
      const handle = await lab.handle(`swap/new${n}`, create)
      await handle.write(Buffer.from('x'), 0)
      await handle.rename({ to: `swap/sub/moved${n}`, replace: true }).finally(() => handle.close())
    },
    async (n) => {
      const handle = await lab.handle(`SWAP/Sub/Dir${n}`, { ...create, kind: 'directory', write: false })
      await handle
        .change({ mode: 0o700 })
        .then(() => handle.remove())
        .finally(() => handle.close())
    },
    async (n) => {
      const handle = await lab.handle(`swap/link${n}`, create)
      await handle.link({ to: `swap/sub/second${n}`, replace: false })
      await handle.remove().finally(() => handle.close())
    },
    async () => {
      const names = await lab.names('swap/sub')
      if (names.includes('secret')) count('secret')
    },
  ]
  for (let n = 0; Date.now() < end; n++) {
    const step = steps[n % steps.length]
    try {
      await step?.(n)
      count('done')
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      count(error.code)
    }
    if (n % 50 === 0) await setTimeout(1)
  }
  return outcomes
}
