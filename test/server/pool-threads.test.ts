/** zpoolprops(7) failmode: pools that are suspended: their threads, their shares, the commands about them. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import type { Configuration } from '../../server/config/types.ts'
import { PoolThreads } from '../../server/serve/pool-threads.ts'
import { prepareDatasets } from '../../server/zfs/dataset-shares.ts'
import { refusingSuspended } from '../../server/zfs/pool-state.ts'
import { prepareVolumes } from '../../server/zfs/volume-targets.ts'
import type { Lane } from '../../storage/lane.ts'
import { createPosixFileSystem } from '../../storage/posix/file-system.ts'
import { runZfs } from '../../storage/zfs/command.ts'
import { datasetAt, poolOf } from '../../storage/zfs/mounts.ts'

const WHY = /the pool "tank" is suspended.*zpool clear tank/
const mountLine = (mountPoint: string, type: string, source: string): string =>
  `36 25 0:40 / ${mountPoint} rw shared:1 - ${type} ${source} rw`

t.test('where a path is', async (t) => {
  const mounts = [
    mountLine('/', 'ext4', '/dev/vda'),
    mountLine('/tank', 'zfs', 'tank'),
    mountLine('/tank/mac', 'zfs', 'tank/backups/mac'),
    mountLine('/tank/mac/usb', 'ext4', '/dev/sdb1'),
    mountLine('/covered', 'zfs', 'tank/below'),
    mountLine('/covered', 'tmpfs', 'tmpfs'),
    mountLine('/tank/mac/.zfs/snapshot/s1', 'zfs', 'tank/backups/mac@s1'),
  ].join('\n')
  const at = (path: string) => datasetAt(mounts, path)
  t.equal(at('/tank/mac/a/b'), 'tank/backups/mac')
  t.equal(at('/tank/mac'), 'tank/backups/mac')
  t.equal(at('/tank/machine'), 'tank', 'names are compared whole')
  t.equal(at('/tank/mac/usb/a'), undefined, 'another file system is mounted there')
  t.equal(at('/covered/a'), undefined, 'the last mount covers the others')
  t.equal(at('/home'), undefined)
  t.equal(at('/dev/zvol/tank/disk'), 'tank/disk', 'a volume')
  t.equal(poolOf(at('/tank/mac/.zfs/snapshot/s1/a') ?? ''), 'tank')
  t.same(['tank', 'tank@a', 'tank/b#c'].map(poolOf), ['tank', 'tank', 'tank'])
})

/** Three folders, two of them on pools, and looks that the test brings about. */
function threadsOf(t: Test, threads: number) {
  const root = t.testdir()
  const [tank, other, disk] = ['tank', 'other', 'disk'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of [tank, other, disk]) mkdirSync(folder)
  const mounts = [
    mountLine('/', 'ext4', '/dev/vda'),
    mountLine(tank, 'zfs', 'tank/files'),
    mountLine(other, 'zfs', 'other'),
  ]
  const suspended = new Set<string>()
  const lines: string[] = []
  const waiting: (() => void)[] = []
  const pools = new PoolThreads({
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    threads,
    mounts: async () => mounts.join('\n'),
    suspended: async (pool) => suspended.has(pool),
    after(_milliseconds, work) {
      waiting.push(work)
      return () => waiting.splice(waiting.indexOf(work), 1)
    },
  })
  t.teardown(() => pools.close())
  const look = async (): Promise<void> => {
    waiting.shift()?.()
    while (waiting.length === 0) await new Promise(setImmediate)
  }
  return { ...{ tank, other, disk, suspended }, ...{ lines, pools, look } }
}

t.test('each pool has threads of its own', async (t) => {
  const { tank, other, disk, suspended, lines, pools, look } = threadsOf(t, 12)
  const [first, second, third] = [
    await pools.workersFor(tank),
    await pools.workersFor(other),
    await pools.workersFor(disk),
  ]
  t.equal(new Set([first, second, third]).size, 3)
  t.equal(await pools.workersFor(join(tank, 'below')), first)
  t.equal(await pools.laneFor('/dev/zvol/tank/disk'), first.lane, 'its volumes go the same way')
  const systems = await Promise.all(
    [
      [tank, first],
      [other, second],
      [disk, third],
    ].map(([root, workers]) =>
      createPosixFileSystem({ root: root as string, workers: workers as typeof first }),
    ),
  )
  t.teardown(() => Promise.all(systems.map((system) => system.close())))
  const spaces = () => Promise.allSettled(systems.map((system) => system.space()))
  const states = async () => (await spaces()).map(({ status }) => status)
  t.same(await states(), ['fulfilled', 'fulfilled', 'fulfilled'])
  suspended.add('tank')
  await look()
  t.same(await states(), ['rejected', 'fulfilled', 'fulfilled'], 'the others go on')
  const [refused] = await spaces()
  t.match(refused, { reason: { code: 'not-ready', message: WHY } })
  t.match(JSON.parse(lines.at(-1) ?? '').msg, WHY, 'the log says what to do')
  t.same(pools.statuses(), [
    { pool: 'tank', suspended: true },
    { pool: 'other', suspended: false },
  ])
  await look()
  t.equal(lines.length, 1, 'once')
  suspended.clear()
  await look()
  t.same(await states(), ['fulfilled', 'fulfilled', 'fulfilled'], 'it is back')
})

t.test('one that is suspended at the start gets no call at all', async (t) => {
  const { tank, suspended, pools } = threadsOf(t, 12)
  suspended.add('tank')
  const workers = await pools.workersFor(tank)
  await t.rejects(createPosixFileSystem({ root: tank, workers }), { code: 'not-ready', message: WHY })
})

/** How many calls may be under way at a time. */
async function roomOf(lane: Lane): Promise<number> {
  let [begun, end] = [0, (): void => undefined]
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const call = async (): Promise<void> => {
    begun += 1
    await ended
  }
  const calls = Array.from({ length: 20 }, () => lane.run(call))
  const room = begun
  end()
  await Promise.all(calls)
  return room
}

t.test('all pools together leave threads to the process', async (t) => {
  const rooms = async (threads: number) => {
    const { tank, other, disk, pools } = threadsOf(t, threads)
    const alone = await roomOf(await pools.laneFor(tank))
    return [alone, await roomOf(await pools.laneFor(other)), await roomOf(await pools.laneFor(disk))]
  }
  t.same(await rooms(12), [4, 4, 20], 'what is on no pool is not bounded')
  t.same(await rooms(4), [3, 1, 20])
  t.same(await rooms(1), [1, 1, 20], 'something must go on')
})

const shares = [
  { name: 'data', dataset: 'tank/data' },
  { name: 'plain', path: '/tank/plain' },
  { name: 'elsewhere', path: '/srv' },
]
const suspendedAt = async (path: string) =>
  path.startsWith('/tank') ? 'the pool "tank" is suspended' : undefined

t.test('shares and disks of a pool that is suspended', async (t) => {
  const asked: string[] = []
  const run = refusingSuspended(
    async (program, args) => {
      asked.push([program, ...args].join(' '))
      return { code: 0, stdout: '', stderr: '' }
    },
    async (pool) => pool === 'tank',
  )
  await t.rejects(runZfs(run, 'zfs', ['list', '-H', 'tank/data']), { code: 'suspended', message: WHY })
  await t.rejects(runZfs(run, 'zfs', ['snapshot', 'tank@now']), { code: 'suspended' })
  await runZfs(run, 'zfs', ['list', 'other/data'])
  t.same(asked, ['zfs list other/data'], 'no command is begun that would hang')

  const configuration = { shares } as unknown as Configuration
  const start = await prepareDatasets(configuration, run, 'all', [], suspendedAt)
  t.same(
    start.configuration.shares.map(({ path }) => path),
    [undefined, undefined, '/srv'],
    'at the start they are left out, and nothing of them is touched',
  )
  t.match(start.failures, [
    { share: 'data', isServed: false, message: WHY },
    { share: 'plain', isServed: false, message: /suspended/ },
  ])
  const served = [
    { name: 'data', path: '/tank/data' },
    { name: 'plain', path: '/tank/plain' },
  ]
  const later = await prepareDatasets(configuration, run, 'limits', served, suspendedAt)
  t.same(
    later.configuration.shares.map(({ path }) => path),
    ['/tank/data', '/tank/plain', '/srv'],
    'what is served stays',
  )
  t.match(later.failures, [{ share: 'data', isServed: true }])

  const targets = [
    { name: 'iqn.a', lun: [{ id: 0, path: '/tank/disk', readOnly: false }] },
    { name: 'iqn.b', lun: [{ id: 0, path: '/srv/disk', readOnly: false }] },
    { name: 'iqn.c', lun: [{ id: 0, extents: [{ path: '/tank/part' }], readOnly: false }] },
  ]
  const disks = { iscsi: { enabled: true }, targets } as unknown as Configuration
  const prepared = await prepareVolumes(disks, run, [], async () => true, suspendedAt)
  t.same(
    prepared.configuration.targets.map(({ name }) => name),
    ['iqn.b'],
  )
  t.equal(prepared.failures.length, 2)
})
