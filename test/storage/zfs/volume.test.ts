/** Volumes: recorded output of OpenZFS 2.1 as it is read, the commands that are given, what a failure costs, what comes before a snapshot. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import type { Configuration } from '../../../server/config/types.ts'
import { Events } from '../../../server/events.ts'
import { ShareSnapshots, takeSnapshot } from '../../../server/zfs/share-snapshots.ts'
import { prepareVolumes } from '../../../server/zfs/volume-targets.ts'
import type { CommandResult, CommandRunner } from '../../../storage/zfs/command.ts'
import { parsed } from '../../server/parsed.ts'

function recorded(answers: Readonly<Record<string, Partial<CommandResult>>>) {
  const commands: string[] = []
  const run: CommandRunner = (program, args) => {
    const command = [program, ...args].join(' ')
    const [, answer] = Object.entries(answers).find(([piece]) => command.includes(piece)) ?? []
    if (answer === undefined) throw new Error(`no answer to: ${command}`)
    if (args[0] !== 'list') commands.push(command)
    return Promise.resolve({ code: 0, stdout: '', stderr: '', ...answer })
  }
  return { run, commands }
}

function configured(...luns: string[]): Configuration {
  const text = luns.map(
    (lun, index) => `[[target]]\nname = "iqn.2026-11.lan:${index}"\n[[target.lun]]\nid = 0\n${lun}\n`,
  )
  return parsed(text.join(''))
}

const missing = (name: string) => ({ code: 1, stderr: `cannot open '${name}': dataset does not exist\n` })

t.test('a missing volume is made sparse, of whole blocks', async (t) => {
  const { run, commands } = recorded({ '-t volume': missing('tank/mac0'), create: {} })
  const waited: string[] = []
  const { configuration, failures } = await prepareVolumes(
    configured(
      'zvol = "tank/mac0"\nsize = "1000001"\nvolblocksize = "64KiB"',
      'zvol = "tank/mac1"\nsize = "1MiB"',
    ),
    run,
    [],
    (path) => Promise.resolve(waited.push(path) > 0),
  )
  t.same(failures, [])
  t.equal(configuration.targets.length, 2)
  t.same(commands, [
    'zfs create -s -p -o compression=lz4 -o volblocksize=65536 -V 1048576 tank/mac0',
    'zfs create -s -p -o compression=lz4 -V 1048576 tank/mac1',
  ])
  t.same(waited, ['/dev/zvol/tank/mac0', '/dev/zvol/tank/mac1'])
})

t.test('a volume grows, and is never cut', async (t) => {
  const { run, commands } = recorded({
    '-t volume': { stdout: 'tank/mac0\t1048576\t16384\t-\t0\n' },
    set: {},
  })
  const there = () => Promise.resolve(true)
  const prepare = (keys: string) => prepareVolumes(configured(`zvol = "tank/mac0"\n${keys}`), run, [], there)
  for (const keys of ['', 'size = "512KiB"', 'size = "1MiB"', 'size = "2MiB"\nread_only = true']) {
    t.same((await prepare(keys)).failures, [])
  }
  t.same(commands, [])
  await prepare('size = 1048577')
  t.same(commands, ['zfs set volsize=1064960 tank/mac0'])
  const { failures, notes } = await prepare('volblocksize = "64KiB"')
  t.same(failures, [])
  t.match(notes, [{ message: /made with a volblocksize of 16384, which cannot be changed to 65536/ }])
})

t.test('a volume that cannot be had costs its own target alone', async (t) => {
  const { run, commands } = recorded({
    'tank/none': missing('tank/none'),
    'tank/locked': { stdout: 'tank/locked\t1048576\t16384\tunavailable\t0\n' },
    'tank/hangs': { code: undefined as never },
    'tank/hidden': { stdout: 'tank/hidden\t1048576\t16384\t-\t0\n' },
    'tank/good': { stdout: 'tank/good\t1048576\t16384\t-\t0\n' },
  })
  const zvols = ['tank/none', 'tank/locked', 'tank/hangs', 'tank/hidden', 'tank/good']
  const { configuration, failures } = await prepareVolumes(
    configured(...zvols.map((name) => `zvol = "${name}"`)),
    run,
    [],
    (path) => Promise.resolve(!path.endsWith('hidden')),
  )
  t.same(
    configuration.targets.map(({ name }) => name),
    ['iqn.2026-11.lan:4'],
  )
  t.match(
    failures.map(({ message }) => message),
    [
      /no volume "tank\/none"; set size/,
      /locked; load its key/,
      /no answer; is the pool suspended/,
      /no disk at \/dev\/zvol\/tank\/hidden/,
    ],
  )
  t.same(commands, [])
  const before = configured('zvol = "tank/hangs"\nsize = "1MiB"')
  const reloaded = await prepareVolumes(
    configured('zvol = "tank/hangs"\nsize = "2MiB"'),
    run,
    before.targets,
    () => Promise.resolve(true),
  )
  t.same(reloaded.configuration.targets, before.targets, 'one that is served stays as it is')
  t.match(reloaded.failures, [{ isServed: true, message: /no answer/ }])
  const off = { ...before, iscsi: { ...before.iscsi, enabled: false } }
  t.same((await prepareVolumes(off, run, [])).failures, [], 'without iSCSI nothing is made')
})

t.test('a missing file is not made below the mount point of a dataset that is not mounted', async (t) => {
  const list = [
    'rpool/ROOT/one\t/\tyes\ton',
    'rpool/ROOT/other\t/\tno\tnoauto',
    'tank\t/tank\tyes\ton',
    'tank/iscsi\t/tank/iscsi\tno\ton',
    'tank/none\tnone\tno\ton',
    'tank/box\t/tank/box\tno\toff',
  ]
  const { run } = recorded({
    'list -H -t filesystem': { stdout: `${list.join('\n')}\n` },
    'available tank/iscsi': { stdout: 'tank/iscsi\t/tank/iscsi\tno\tunavailable\t0\t24576\t1048576\n' },
  })
  const messages = async (...luns: string[]) =>
    (await prepareVolumes(configured(...luns), run, [])).failures.map(({ message }) => message)
  t.match(await messages('path = "/tank/iscsi/deep/a.img"\nsize = "1MiB"'), [
    /^\/tank\/iscsi\/deep\/a.img is missing, and the dataset "tank\/iscsi" is locked; load its key/,
  ])
  const fine = ['/tank/iscsi2/a.img', '/tank/box/a.img', '/srv/a.img'].map(
    (path) => `path = "${path}"\nsize = 1`,
  )
  t.same(
    await messages(...fine, 'path = "/tank/iscsi/b.img"', `path = "${import.meta.filename}"\nsize = 1`),
    [],
  )
  const failuresWith = async (answer: () => ReturnType<CommandRunner>) =>
    (await prepareVolumes(configured('path = "/tank/iscsi/a.img"\nsize = 1'), answer, [])).failures
  const none = () => Promise.reject(new Error('spawn zfs ENOENT'))
  const unloaded = { code: 1, stdout: '', stderr: 'The ZFS modules cannot be auto-loaded.\n' }
  const hangs = { code: undefined, stdout: '', stderr: '' }
  t.same(await failuresWith(none), [], 'a machine without zfs')
  t.same(await failuresWith(() => Promise.resolve(unloaded)), [], 'or without its module')
  t.match(await failuresWith(() => Promise.resolve(hangs)), [{ message: /is the pool suspended/ }])
})

t.test('volblocksize is for zvols, and a power of two', (t) => {
  t.throws(() => configured('zvol = "tank/a"\nvolblocksize = "12KiB"'), /12288 is not allowed/)
  t.throws(() => configured('zvol = "tank/a"\nvolblocksize = "256KiB"'), /262144 is not allowed/)
  t.throws(() => configured('path = "/a"\nvolblocksize = "16KiB"'), /is for a zvol/)
  t.end()
})

t.test('LUNs are synced before a snapshot is taken of what they are on', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-volume-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const inside = join(folder, 'disk.img')
  await writeFile(inside, 'disk')
  const share = (name: string) =>
    `[[share]]\nname = "${name}"\ndataset = "tank/${name}"\ntime_machine = true\n`
  const lun = (id: number, keys: string) => `[[target.lun]]\nid = ${id}\n${keys}\n`
  const text = [
    share('mac'),
    share('other'),
    '[[target]]\nname = "iqn.2026-11.lan:a"\n',
    lun(0, 'zvol = "tank/vol"'),
    lun(1, `path = "${inside}"`),
    lun(2, `path = "${folder}/missing.img"`),
    lun(3, 'path = "/proc/self/status"'),
    lun(4, 'zvol = "tank/old"\nread_only = true'),
  ]
  const configuration = parsed(text.join(''))
  const dataset = (name: string, mountpoint: string) => ({
    stdout: `tank/${name}\t${mountpoint}\tyes\t-\t0\t24576\t536846336\n`,
  })
  const { run, commands } = recorded({
    snapshot: {},
    'list -Hp -t filesystem -o name,mountpoint,mounted,keystatus,refquota,referenced,available tank/mac':
      dataset('mac', folder),
    'available tank/other': dataset('other', '/sys'),
    'available tank/old': missing('tank/old'),
  })
  const sync = (path: string) => {
    commands.push(`sync ${path}`)
    return Promise.resolve()
  }
  const take = (name: string) =>
    takeSnapshot({ run, configuration, dataset: name, sync }, { reason: 'manual', about: '', now: 0 })
  const taken = async (name: string) => {
    commands.length = 0
    await take(name)
    return commands.map((command) => command.replace(/-o \S+ /, ''))
  }
  const snapshot = (name: string) => `zfs snapshot ${name}@1970-01-01_000000Z`
  t.same(await taken('tank/vol'), ['sync /dev/zvol/tank/vol', snapshot('tank/vol')])
  t.same(await taken('tank/mac'), [`sync ${inside}`, snapshot('tank/mac')])
  t.same(await taken('tank/other'), [snapshot('tank/other')])
  t.same(await taken('tank/old'), [snapshot('tank/old')], 'nobody writes to what is read-only')

  commands.length = 0
  const events = new Events((error) => t.error(error))
  const snapshots = new ShareSnapshots(configuration, events, {
    ...{ run, sync, now: () => 0 },
    log: pino({ enabled: false }),
  })
  events.emit('backup completed', { share: 'mac', mac: 'annas-mac' } as never)
  await snapshots.close()
  t.match(commands, [`sync ${inside}`, /^zfs snapshot .*tank\/mac@1970-01-01_000000Z_annas-mac$/])

  commands.length = 0
  const subject = { run, configuration, dataset: 'tank/mac' }
  await takeSnapshot(subject, { reason: 'manual', about: '', now: 0 })
  t.equal(commands.length, 1, 'a real file is really synced')
  const fails = () => Promise.reject(new Error('EIO: i/o error, fsync'))
  const refused = takeSnapshot({ ...subject, sync: fails }, { reason: 'manual', about: '', now: 0 })
  await t.rejects(refused, { message: /LUN at .*disk\.img cannot be synced first: EIO/ })
  t.equal(commands.length, 1, 'no snapshot is taken then')
})
