/** Previous versions of shares: what their folders are called, the list and its freshness, what is read from disk and what is not. */

import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import { parseConfiguration } from '../../server/config/parse.ts'
import { NAME_FORMAT, nameParser } from '../../server/previous/name-format.ts'
import { ServedPreviousVersions } from '../../server/previous/previous-versions.ts'
import { SnapshotList, snapshotsOf } from '../../server/previous/snapshot-list.ts'
import type { FileHandle, FileSystem, OpenRequest } from '../../storage/file-system.ts'
import { createPosixFileSystem } from '../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../storage/posix/worker-pool.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'

const SECOND = 1000
const log = pino({ level: 'silent' })
const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())

/** Timers that run when the test says so. */
class Clock {
  #now = 0
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get timers(): number {
    return this.#timers.size
  }

  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.#now += SECOND
      for (const timer of [...this.#timers]) {
        if (timer.at > this.#now || !this.#timers.delete(timer)) continue
        timer.run()
        await new Promise(setImmediate)
      }
    }
  }
}

function parseShares(toml: string) {
  const text = `[server]\nname = "t"\nstate_dir = "/state"\n[[share]]\nname = "s"\n${toml}\n`
  return parseConfiguration({ text, file: 'test.toml', baseDirectory: '/', source: undefined })
}

function shareOf(toml: string) {
  const outcome = parseShares(toml)
  const share = outcome.ok ? outcome.configuration.shares[0] : undefined
  if (share === undefined) throw new Error(JSON.stringify(outcome))
  return share
}

t.test('names that tell the time', async (t) => {
  const moment = Date.UTC(2024, 1, 3, 4, 5, 6)
  const names: readonly (readonly [string, string, number | undefined])[] = [
    ['@GMT-%Y.%m.%d-%H.%M.%S', '@GMT-2024.02.03-04.05.06', moment],
    ['@GMT-%Y.%m.%d-%H.%M.%S', '@GMT-2024x02x03-04x05x06', undefined],
    ['@GMT-%Y.%m.%d-%H.%M.%S', '@GMT-2024.13.03-04.05.06', undefined],
    ['autosnap_%Y-%m-%d_%H:%M:%S_*', 'autosnap_2024-02-03_04:05:06_daily', moment],
    ['daily (%Y%m%d)', 'daily (20240203)', Date.UTC(2024, 1, 3)],
    ['100%% %s', '100% 1706933106', moment],
    ['%s', '1706933106x', undefined],
  ]
  for (const [format, name, expected] of names) {
    t.match(format, NAME_FORMAT)
    t.equal(nameParser(format)(name), expected, name)
  }
  for (const format of ['', 'daily', '%Y-%m', '%Y%m%d%Y', '%Y%m%d/%H', '%Y%m%d%p']) {
    t.notMatch(format, NAME_FORMAT, `"${format}"`)
  }
  const faults = [
    ['path = "/data"\nsnapshot_format = "%Y"', /with %Y, %m and %d/],
    ['path = "/data"\nsnapshot_folder = "../out"', /absolute path, or one below the share/],
    ['dataset = "tank/a"\nsnapshot_folder = ".snapshots"', /snapshots are shown by themselves; remove it/],
  ] as const
  for (const [toml, fault] of faults) {
    const outcome = parseShares(toml)
    t.match(outcome.ok ? '' : outcome.problems[0]?.message, fault)
  }
})

t.test('no two have the same time', async (t) => {
  const moments = [
    { name: 'd', created: 12 * SECOND },
    { name: 'a', created: 10 * SECOND },
    { name: 'b', created: 10 * SECOND + 5 },
    { name: 'c', created: 10 * SECOND + 5 },
  ]
  const { times, names } = snapshotsOf(moments)
  t.same(
    times,
    [13, 12, 11, 10].map((second) => second * SECOND),
  )
  t.same([...names.values()], ['a', 'b', 'c', 'd'])
})

t.test('the list is read again while someone asks', async (t) => {
  const clock = new Clock()
  let reads = 0
  let fails = false
  const read = async () => {
    reads++
    if (fails) throw new Error('the pool is suspended')
    return Array.from({ length: reads }, (_, index) => ({ name: `s${index}`, created: index * SECOND }))
  }
  const list = new SnapshotList(read, clock, log)
  t.equal(clock.timers, 0, 'nobody asks')
  const [first, same] = await Promise.all([list.current(), list.current()])
  t.equal(first, same)
  t.same([first.times.length, reads], [1, 1])
  await clock.pass(9)
  t.equal(await list.current(), first)
  await clock.pass(1)
  t.same([(await list.current()).times.length, reads], [2, 2])
  await clock.pass(300)
  const [polled, timers] = [reads, clock.timers]
  t.equal(timers, 0, 'nobody asks any longer')
  t.equal((await list.current()).times.length, polled + 1, 'whoever comes then has a new list')
  fails = true
  await clock.pass(10)
  await t.rejects(list.current(), { code: 'io', message: 'the pool is suspended' })
  fails = false
  t.equal((await list.current()).times.length, reads)
  list.close()
  t.equal(clock.timers, 0)
})

const OPENING: Omit<OpenRequest, 'path'> = {
  ...{ identity: undefined, disposition: 'open', kind: 'any', followLinks: true, read: true, write: false },
  ...{ create: { mode: 0o644, dosAttributes: 0 }, wantPermissions: true },
}

async function opened(
  tree: FileSystem,
  path: string,
  fields: Partial<OpenRequest> = {},
): Promise<FileHandle> {
  const outcome = await tree.open({ ...OPENING, path, ...fields })
  if (!outcome.ok) throw new Error(outcome.error)
  return outcome.handle
}

async function content(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(100)
  return buffer.toString('utf8', 0, await handle.read(buffer, 0))
}

const none: CommandRunner = () => Promise.reject(new Error('no command is given'))

async function served(t: Test, run: CommandRunner = none) {
  const clock = new Clock()
  const previous = new ServedPreviousVersions({ workersFor: async () => workers, clock, run, log })
  const root = t.testdir({ share: { file: 'now', anna: { file: "anna's" } }, out: { file: 'secret' } })
  const path = join(root, 'share')
  const live = await createPosixFileSystem({ root: path, workers })
  t.teardown(async () => {
    await previous.close()
    await live.close()
  })
  const versions = (toml: string, user?: string) => {
    const found = previous.of({ ...shareOf(toml), path }, live, user)
    if (found === undefined) throw new Error('there are none')
    return found
  }
  return { clock, previous, root, path, live, versions }
}

t.test('a folder of snapshots', async (t) => {
  const { clock, previous, root, path, live, versions } = await served(t)
  t.equal(previous.of({ ...shareOf('path = "/x"'), path }, live), undefined)
  const relative = versions('path = "/x"\nsnapshot_folder = ".snapshots"\nsnapshot_format = "%Y%m%d"')
  t.same(await relative.list(), [], 'no folder yet')
  const moment = Date.UTC(2024, 1, 3)
  const folder = join(path, '.snapshots')
  await mkdir(join(folder, '20240203/anna'), { recursive: true })
  await mkdir(join(folder, 'other'))
  await writeFile(join(folder, '20240204'), 'no folder')
  await symlink(join(root, 'out'), join(folder, '20240205'))
  await writeFile(join(folder, '20240203/file'), 'then')
  await writeFile(join(folder, '20240203/anna/file'), "anna's then")
  await clock.pass(10)
  while ((await relative.list()).length === 0) await new Promise(setImmediate)
  t.same(await relative.list(), [moment])
  t.equal(await relative.at(moment + SECOND), undefined)
  const tree = await relative.at(moment)
  if (tree === undefined) throw new Error('it is listed')
  t.equal(tree, await relative.at(moment), 'one and the same')
  const then = await opened(tree, 'FILE', { write: true })
  const now = await opened(live, 'file', { write: true })
  t.equal(await content(then), 'then')
  await t.rejects(then.write(Buffer.from('x'), 0), { code: 'read-only' })
  t.equal(await now.copyFrom(then, { offset: 0, length: 4 }, 0), 4, 'restored by a copy')
  t.equal(await content(now), 'then')
  await Promise.all([then.close(), now.close()])
  const own = await versions(
    'path = "/x"\nsnapshot_folder = ".snapshots"\nsnapshot_format = "%Y%m%d"',
    'anna',
  ).at(moment)
  const annas = await opened(own as FileSystem, 'file')
  t.equal(await content(annas), "anna's then")
  await annas.close()

  await clock.pass(40)
  await rename(join(folder, '20240203'), join(root, 'moved'))
  await symlink(join(root, 'out'), join(folder, '20240203'))
  await t.rejects(
    tree.open({ ...OPENING, path: 'file' }),
    { code: 'outside' },
    'no link leads out of the share',
  )
  await t.rejects(tree.space(), { code: 'outside' })

  await rename(join(root, 'moved'), join(root, 'out/20240203'))
  const absolute = versions(
    `path = "/x"\nsnapshot_folder = "${join(root, 'out')}"\nsnapshot_format = "%Y%m%d"`,
  )
  t.same(await absolute.list(), [moment])
  const elsewhere = await opened((await absolute.at(moment)) as FileSystem, 'file')
  t.equal(await content(elsewhere), 'then')
  await elsewhere.close()
})

t.test("a dataset's snapshots, by the time of their creation", async (t) => {
  const commands: string[] = []
  const { path, versions } = await served(t, async (program, args) => {
    commands.push([program, ...args].join(' '))
    return { code: 0, stdout: 'tank/a@any name\t1706933106\ntank/a@second\t1706933106\n', stderr: '' }
  })
  await mkdir(join(path, '.zfs/snapshot/any name'), { recursive: true })
  await writeFile(join(path, '.zfs/snapshot/any name/file'), 'then')
  const dataset = versions('dataset = "tank/a"')
  const moment = 1_706_933_106 * SECOND
  t.same(await dataset.list(), [moment + SECOND, moment])
  t.same(await dataset.list(), [moment + SECOND, moment])
  t.same(commands, ['zfs list -Hp -t snapshot -d 1 -s creation -s createtxg -o name,creation tank/a'])
  const file = await opened((await dataset.at(moment)) as FileSystem, 'file')
  t.equal(await content(file), 'then')
  await file.close()
  const gone = await dataset.at(moment + SECOND)
  await t.rejects((gone as FileSystem).open({ ...OPENING, path: 'file' }), { code: 'not-found' })
})
