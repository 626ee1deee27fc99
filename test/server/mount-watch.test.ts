/** proc_pid_mountinfo(5): datasets that come and go under a running server. */

import t from 'tap'
import { MountWatch } from '../../server/zfs/mount-watch.ts'
import { datasetMounts } from '../../storage/zfs/mounts.ts'

const line = (mountPoint: string, type: string, source: string): string =>
  `36 25 0:40 / ${mountPoint} rw,relatime shared:1 master:2 - ${type} ${source} rw,xattr,posixacl`

const FILES = line('/tank/files', 'zfs', 'tank/files')
const OTHER = line('/srv/other', 'zfs', 'tank/other')

t.test('datasets and where they are mounted', async (t) => {
  const mountinfo = [
    line('/', 'ext4', '/dev/vda'),
    FILES,
    line('/tank/files/.zfs/snapshot/s1', 'zfs', 'tank/files@s1'),
    line('/tank/with\\040space', 'zfs', 'tank/f\\303\\274r\\040Anna'),
    '36 25 0:41 / /tank/plain rw - zfs tank/plain rw',
    line('/elsewhere', 'zfs', 'tank/files'),
    'nonsense',
    '',
  ].join('\n')
  t.same(
    [...datasetMounts(mountinfo)],
    [
      ['tank/files', '/elsewhere'],
      ['tank/für Anna', '/tank/with space'],
      ['tank/plain', '/tank/plain'],
    ],
  )
})

/** A watch whose looks the test brings about. */
function watched(changed: () => Promise<void>) {
  const state = {
    mounts: FILES,
    wanted: ['tank/files', 'tank/later'],
    paths: [] as string[],
    suspended: new Set<string>(),
    failures: [] as unknown[],
  }
  const waiting: (() => void)[] = []
  const watch = new MountWatch({
    wanted: () => ({ datasets: state.wanted, paths: state.paths }),
    changed,
    failed: (error) => state.failures.push(error),
    async read() {
      if (state.mounts === '') throw new Error('no list')
      return state.mounts
    },
    suspended: async (pool) => state.suspended.has(pool),
    after(_milliseconds, work) {
      waiting.push(work)
      return () => waiting.splice(waiting.indexOf(work), 1)
    },
  })
  const look = async (): Promise<void> => {
    waiting.shift()?.()
    while (waiting.length === 0) await new Promise(setImmediate)
  }
  return { state, watch, look, waiting }
}

t.test('what matters is told, once', async (t) => {
  let changes = 0
  const { state, watch, look, waiting } = watched(async () => void changes++)
  await look()
  t.equal(changes, 0, 'the first look finds what the start has found')
  state.mounts = `${FILES}\n${OTHER}`
  await look()
  t.equal(changes, 0, "another's dataset")
  state.mounts = `${FILES}\n${OTHER}\n${line('/tank/later', 'zfs', 'tank/later')}`
  await look()
  await look()
  t.equal(changes, 1, 'one has come')
  state.mounts = FILES
  await look()
  t.equal(changes, 2, 'it has gone')
  state.mounts = line('/moved', 'zfs', 'tank/files')
  await look()
  t.equal(changes, 3, 'one is somewhere else')
  state.mounts = ''
  await look()
  t.equal(state.failures.length, 1)
  state.mounts = line('/moved', 'zfs', 'tank/files')
  await look()
  t.equal(changes, 3, 'a look that failed has said nothing')
  state.paths = ['/tank/disks/a.img']
  await look()
  t.equal(changes, 4, 'a file of a disk is wanted, too')
  state.mounts += `\n${line('/tank/disks', 'zfs', 'tank/disks')}`
  await look()
  t.equal(changes, 5, 'its dataset has come')
  state.suspended.add('tank')
  await look()
  t.equal(changes, 5, 'while its pool is suspended there is nothing to be done')
  state.suspended.clear()
  await look()
  t.equal(changes, 6, 'its pool answers again')
  await watch.close()
  t.equal(waiting.length, 0)
})

t.test('a failure of what follows does not end it', async (t) => {
  let isBroken = true
  const { state, watch, look } = watched(async () => {
    if (isBroken) throw new Error('broken')
  })
  await look()
  state.mounts = OTHER
  await look()
  t.match(state.failures, [{ message: 'broken' }])
  isBroken = false
  state.mounts = FILES
  await look()
  t.equal(state.failures.length, 1)
  await watch.close()
})
