/** zfs-create(8): datasets of accounts below a `per_user` share, and the snapshots of all that is served. */

import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import { datasetOf, findShare } from '../../server/cli/snapshot.ts'
import { Events } from '../../server/events.ts'
import { type UserFolderOptions, withUserFolders } from '../../server/serve/user-folders.ts'
import { prepareDatasets } from '../../server/zfs/dataset-shares.ts'
import { ShareSnapshots, thinDataset } from '../../server/zfs/share-snapshots.ts'
import { findUserDataset, makeUserDataset, userDataset } from '../../server/zfs/user-datasets.ts'
import { Lane } from '../../storage/lane.ts'
import { createMemoryFileSystem } from '../../storage/memory/file-system.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { parsed } from './parsed.ts'

const PARENT = 'tank/mac'
const HOUR = 3_600_000

interface Fake {
  mountpoint: string
  mounted: boolean
  refquota: number
}

/** Datasets in memory that are folders on the disk. */
function fakeZfs(root: string) {
  const datasets = new Map<string, Fake>([[PARENT, { mountpoint: root, mounted: true, refquota: 0 }]])
  const commands: string[] = []
  const snapshots = new Map<string, string[]>()
  const answer = (stdout: string) => ({ code: 0, stdout, stderr: '' })
  const row = (name: string, { mountpoint, mounted, refquota }: Fake): string =>
    `${[name, mountpoint, mounted ? 'yes' : 'no', '-', refquota, 24576, 1 << 30].join('\t')}\n`
  const run: CommandRunner = async (_program, args) => {
    const [verb, ...rest] = args
    const last = rest.at(-1) ?? ''
    if (verb !== 'list') commands.push(args.join(' '))
    if (verb === 'create') {
      const own = rest.find((each) => each.startsWith('mountpoint='))?.slice('mountpoint='.length)
      const mountpoint = own ?? join(root, last.slice(PARENT.length + 1))
      mkdirSync(mountpoint, { mode: 0o755 })
      datasets.set(last, { mountpoint, mounted: true, refquota: 0 })
    } else if (verb === 'set') {
      const dataset = datasets.get(last)
      if (dataset !== undefined) dataset.refquota = Number(rest[0]?.split('=')[1])
    } else if (verb === 'snapshot') {
      const [name = '', point = ''] = last.split('@')
      snapshots.set(name, [...(snapshots.get(name) ?? []), point])
    } else if (rest.includes('snapshot')) {
      return answer('')
    } else if (rest.includes('-d')) {
      return answer([...datasets.keys()].filter((each) => each.startsWith(last)).join('\n'))
    } else {
      const dataset = datasets.get(last)
      if (dataset === undefined) return { code: 1, stdout: '', stderr: 'dataset does not exist' }
      return answer(row(last, dataset))
    }
    return answer('')
  }
  return { run, datasets, commands, snapshots }
}

const SHARE = `[[share]]\nname = "mac"\ndataset = "${PARENT}"\nper_user = true\nmax_size = "1MiB"\n`

/** A share whose accounts are whoever asks. */
function served(t: Test) {
  const path = t.testdir({})
  const zfs = fakeZfs(path)
  const [share] = parsed(SHARE).shares
  if (share === undefined) throw new Error('no share')
  const shared = { dataset: PARENT, timeMachine: false, maxSize: share.maxSize }
  const volumes: [string, string | undefined][] = []
  const base = { name: 'mac', admit: () => ({ identity: undefined }), forcedOwner: undefined }
  const options = {
    share: { ...share, path },
    sources: { accounts: { find: (name: string) => ({ name }) } },
    lane: new Lane(),
    datasets: {
      find: (user: string, at: string) => findUserDataset(zfs.run, shared, user, at),
      make: (user: string, at: string) => makeUserDataset(zfs.run, shared, user, at),
    },
    volume: async (user: string, dataset: string | undefined) => {
      volumes.push([user, dataset])
      return { fileSystem: createMemoryFileSystem() }
    },
  }
  const users = withUserFolders(base as never, options as unknown as UserFolderOptions)
  const connect = async (user: string) => await users.own?.({ kind: 'user', user } as never)
  return { ...zfs, path, volumes, connect }
}

t.test('names of datasets', async (t) => {
  t.equal(userDataset(PARENT, 'anna'), 'tank/mac/anna')
  t.equal(userDataset(PARENT, 'Anna B. M-1_x'), 'tank/mac/Anna:20B.:20M-1_x')
  t.equal(userDataset(PARENT, 'jürgen'), 'tank/mac/j:c3:bcrgen')
  t.equal(userDataset(PARENT, "o'neil%"), 'tank/mac/o:27neil:25')
})

t.test('an account gets a dataset at its first login', async (t) => {
  const { datasets, commands, path, volumes, connect } = served(t)
  const [share, again] = await Promise.all([connect('anna'), connect('ANNA'.toLowerCase())])
  t.equal(share?.path, join(path, 'anna'))
  t.equal(share?.fileSystem, again?.fileSystem)
  t.match(commands, [/^create -p .*compression=lz4.* tank\/mac\/anna$/, 'set refquota=1048576 tank/mac/anna'])
  t.notMatch(commands[0], 'mountpoint=')
  t.equal(datasets.get('tank/mac/anna')?.refquota, 1 << 20)
  t.equal(statSync(join(path, 'anna')).mode & 0o777, 0o700, 'nobody else looks into it')
  t.same(volumes, [['anna', 'tank/mac/anna']])
  await connect('jürgen')
  t.match(commands[2], `-o mountpoint=${join(path, 'jürgen')} tank/mac/j:c3:bcrgen`)
  t.equal(volumes[1]?.[1], 'tank/mac/j:c3:bcrgen')
})

t.test('what is there stays as it is', async (t) => {
  const { datasets, commands, path, volumes, connect } = served(t)
  mkdirSync(join(path, 'bob'), { mode: 0o750 })
  await connect('bob')
  t.same(volumes, [['bob', undefined]], 'a folder of an earlier version is not mounted over')
  t.same(commands, [])
  t.equal(statSync(join(path, 'bob')).mode & 0o777, 0o750)
  mkdirSync(join(path, 'carl'))
  datasets.set('tank/mac/carl', { mountpoint: join(path, 'carl'), mounted: true, refquota: 5 })
  await connect('carl')
  t.same(commands, ['set refquota=1048576 tank/mac/carl'], 'one that is there gets the limit')
  for (const [name, fake] of [
    ['dora', { mountpoint: join(path, 'dora'), mounted: false, refquota: 0 }],
    ['emil', { mountpoint: '/elsewhere', mounted: true, refquota: 0 }],
  ] as const) {
    mkdirSync(join(path, name))
    datasets.set(`tank/mac/${name}`, fake)
    await t.rejects(
      connect(name),
      { message: /not mounted; mount it|is mounted at \/elsewhere, and not at/ },
      name,
    )
  }
  t.equal(volumes.length, 2, 'nothing is written below an empty mount point')
})

t.test('the share itself has no limit then', async (t) => {
  const { run, commands } = fakeZfs('/tank/mac')
  const { configuration } = await prepareDatasets(parsed(SHARE), run, 'all', [])
  t.equal(configuration.shares[0]?.path, '/tank/mac')
  t.same(commands, [])
})

t.test('commands find the dataset of an account', async (t) => {
  const configuration = parsed(`${SHARE}[[share]]\nname = "plain"\npath = "/srv"\n`)
  t.match(datasetOf(configuration, 'mac', { user: 'anna' }), { value: 'tank/mac/anna' })
  t.match(datasetOf(configuration, 'mac'), { value: PARENT })
  t.match(datasetOf(configuration, 'plain', { user: 'anna' }), { message: /has no datasets of users/ })
  t.match(findShare(configuration, 'mac', 'anna'), { value: { dataset: 'tank/mac/anna', perUser: false } })
})

t.test('snapshots', async (t) => {
  const disk = 'iqn.2026-11.lan:disk'
  const configuration = parsed(
    `${SHARE}snapshot_every = 2\n[[target]]\nname = "${disk}"\n` +
      '[[target.lun]]\nid = 0\nzvol = "tank/vol"\nsnapshot_every = 3\n' +
      '[[target.lun]]\nid = 1\npath = "/tank/images/a.img"\nsnapshot_every = 1\n' +
      '[[target.lun]]\nid = 2\nzvol = "tank/never"\n',
  )
  const ready = {
    ...configuration,
    shares: configuration.shares.map((share) => ({ ...share, path: '/tank/mac' })),
  }
  const zfs = fakeZfs('/tank/mac')
  const plain = { mountpoint: '/tank/mac/x', mounted: true, refquota: 0 }
  for (const name of ['tank/mac/anna', 'tank/mac/bob', 'tank/images']) zfs.datasets.set(name, plain)
  const waiting: (() => void)[] = []
  const synced: string[] = []
  const events = new Events((error) => t.error(error))
  const start = () =>
    new ShareSnapshots(ready, events, {
      ...{ run: zfs.run, log: pino({ enabled: false }), now: () => 5 * HOUR },
      sync: async (path) => void synced.push(path),
      mounts: async () => '36 25 0:40 / /tank/images rw - zfs tank/images rw',
      after(_milliseconds, work) {
        waiting.push(work)
        return () => waiting.splice(waiting.indexOf(work), 1)
      },
    })
  const snapshots = start()
  const taken = () => Object.fromEntries(zfs.snapshots)
  events.emit('backup completed', { share: 'mac', user: 'anna', mac: 'annas-mac' } as never)
  events.emit('backup completed', { share: 'mac', user: 'jürgen', mac: 'jürgens' } as never)
  await snapshots.close()
  const moment = '1970-01-01_050000Z'
  t.same(
    taken(),
    { 'tank/mac/anna': [`${moment}_annas-mac`], [PARENT]: [moment, `${moment}_ju-rgens`] },
    'of the account whose backup it was, and once of what a copy of it is below; of a folder, the share',
  )
  zfs.snapshots.clear()
  const scheduled = start()
  waiting.shift()?.()
  while (waiting.length === 0) await new Promise(setImmediate)
  await scheduled.close()
  t.same(
    taken(),
    {
      [PARENT]: [moment],
      'tank/mac/anna': [moment],
      'tank/mac/bob': [moment],
      'tank/vol': [moment],
      'tank/images': [moment],
    },
    'by the clock: the share, its accounts, volumes, and datasets with files of disks',
  )
  t.ok(synced.includes('/dev/zvol/tank/vol'), 'what initiators have written is synced first')
})

t.test('room in the pool', async (t) => {
  const { snapshots: settings } = parsed('[snapshots]\nkeep_free = "10MiB"\n')
  const names = ['a', 'b', 'held', 'theirs', 'c', 'd']
  const list = (name: string, index: number): string => {
    const [holds, reason] = [name === 'held' ? 1 : 0, name === 'theirs' ? '-' : 'schedule']
    return `tank/mac@${name}\t${index}\t0\t0\t${holds}\t${reason}\t\n`
  }
  const thinned = async (free: number, each: number, freeing = 0) => {
    const gone: string[] = []
    const run: CommandRunner = async (program, [verb, ...rest]) => {
      if (verb === 'destroy') gone.push(rest[0] ?? '')
      const space = `${free + each * gone.length}\t${freeing}\n`
      return { code: 0, stdout: program === 'zpool' ? space : names.map(list).join(''), stderr: '' }
    }
    const result = await thinDataset(run, 'tank/mac', settings, HOUR)
    t.same(
      gone,
      result.map(({ name }) => `tank/mac@${name}`),
    )
    return result.map(({ name }) => name).join(' ')
  }
  const mib = 1 << 20
  t.equal(await thinned(10 * mib, 0), '', 'there is enough')
  t.equal(await thinned(4 * mib, 3 * mib), 'a b', 'the oldest go until there is')
  t.equal(await thinned(4 * mib, 3 * mib, 3 * mib), 'a', 'what is being freed counts')
  t.equal(await thinned(0, 0), 'a b c', 'not what is held, or of others, or the newest')
})
