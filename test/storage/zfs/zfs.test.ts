/** zfs(8): recorded output of OpenZFS 2.1 as it is read, the commands that are given, and which snapshots are kept. */

import fc from 'fast-check'
import t from 'tap'
import { type CommandResult, type CommandRunner, runZfs, ZfsError } from '../../../storage/zfs/command.ts'
import {
  createDataset,
  type Dataset,
  readDataset,
  setRefquota,
  whyNotServable,
} from '../../../storage/zfs/dataset.ts'
import {
  createSnapshot,
  diffSnapshot,
  holdSnapshot,
  listSnapshots,
  snapshotName,
} from '../../../storage/zfs/snapshot.ts'
import { type Thinnable, type ThinningPolicy, thin } from '../../../storage/zfs/thinning.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Answers each command with what was recorded of it, by a piece of the command. */
function recorded(answers: Readonly<Record<string, Partial<CommandResult>>>) {
  const commands: string[] = []
  const run: CommandRunner = (program, args) => {
    const command = [program, ...args].join(' ')
    commands.push(command)
    const [, answer] = Object.entries(answers).find(([piece]) => command.includes(piece)) ?? []
    if (answer === undefined) throw new Error(`no answer to: ${command}`)
    return Promise.resolve({ code: 0, stdout: '', stderr: '', ...answer })
  }
  return { run, commands }
}

t.test('datasets', async (t) => {
  const { run } = recorded({
    'tank/backups/mac': {
      stdout: 'tank/backups/mac\t/tank/backups/mac\tyes\t-\t536870912\t24576\t536846336\n',
    },
    'tank/enc': { stdout: 'tank/enc\t/tank/enc\tno\tunavailable\t0\t100352\t15602391040\n' },
    'tank/leg': { stdout: 'tank/leg\tlegacy\tno\t-\t0\t24576\t15602352640\n' },
    'tank/none': { code: 1, stderr: "cannot open 'tank/none': dataset does not exist\n" },
    'tank/hangs': { code: undefined as never },
  })
  const mac = (await readDataset(run, 'tank/backups/mac')) as Dataset
  t.same(mac, {
    name: 'tank/backups/mac',
    mountpoint: '/tank/backups/mac',
    isMounted: true,
    isLocked: false,
    refquota: 536_870_912,
    referenced: 24_576,
    available: 536_846_336,
  })
  t.equal(whyNotServable(mac), undefined)
  t.match(whyNotServable({ ...mac, isMounted: false }), /not mounted; mount it: zfs mount tank\/backups\/mac/)
  const locked = (await readDataset(run, 'tank/enc')) as Dataset
  t.equal(locked.refquota, undefined, 'a limit of 0 is none')
  t.match(whyNotServable(locked), /locked.*zfs load-key tank\/enc/)
  t.match(whyNotServable((await readDataset(run, 'tank/leg')) as Dataset), /set mountpoint=/)
  t.equal(await readDataset(run, 'tank/none'), undefined)
  await t.rejects(readDataset(run, 'tank/hangs'), { code: 'timed-out', message: /suspended/ })
})

t.test('commands', async (t) => {
  const { run, commands } = recorded({
    create: {},
    set: {},
    snapshot: { code: 1, stderr: "cannot create snapshot 'a@b': dataset already exists\n" },
    hold: { code: 1, stderr: "cannot hold snapshot 'a@b': tag already exists on this dataset\n" },
    destroy: { code: 1, stderr: 'cannot destroy snapshot a@b: dataset is busy\n' },
    pool: { code: 1, stderr: 'cannot create snapshots : permission denied\n' },
  })
  await createDataset(run, { name: 'tank/mac', isTimeMachine: true })
  t.match(commands.at(-1), /^zfs create -p .*-o xattr=sa .*-o recordsize=1M tank\/mac$/)
  await createDataset(run, { name: 'tank/files', isTimeMachine: false })
  t.notMatch(commands.at(-1), /recordsize/)
  await setRefquota(run, 'tank/mac', 1024)
  t.equal(commands.at(-1), 'zfs set refquota=1024 tank/mac')
  await setRefquota(run, 'tank/mac', undefined)
  t.equal(commands.at(-1), 'zfs set refquota=none tank/mac')
  await t.rejects(createSnapshot(run, 'a', { name: 'b', reason: 'manual' }), { code: 'exists' })
  t.equal(commands.at(-1), 'zfs snapshot -o poolhouse:reason=manual a@b')
  await t.rejects(holdSnapshot(run, 'a@b', 'tag'), { code: 'exists' })
  await t.rejects(runZfs(run, 'zfs', ['destroy', 'a@b']), { code: 'busy', name: 'ZfsError' })
  await t.rejects(runZfs(run, 'zpool', ['pool']), ZfsError)
})

t.test('snapshots', async (t) => {
  const { run } = recorded({
    list: {
      stdout:
        'tank/m@2026-11-23_101500Z_annas-mac\t1795434063\t0\t24576\t0\tbackup\n' +
        'tank/m@other\t1795434064\t512\t24576\t1\t-\n',
    },
    diff: {
      stdout:
        '+\t/tank/m/a\\0040b\n+\t/tank/m/r\\0303\\0251s\\013401\nM\t/tank/m/\nR\t/tank/m/x\t/tank/m/\\0040y\n',
    },
  })
  t.same(await listSnapshots(run, 'tank/m'), [
    {
      name: '2026-11-23_101500Z_annas-mac',
      created: 1_795_434_063_000,
      used: 0,
      referenced: 24_576,
      isHeld: false,
      reason: 'backup',
    },
    {
      name: 'other',
      created: 1_795_434_064_000,
      used: 512,
      referenced: 24_576,
      isHeld: true,
      reason: undefined,
    },
  ])
  t.same(await diffSnapshot(run, 'tank/m', 'other'), [
    { kind: 'added', path: '/tank/m/a b' },
    { kind: 'added', path: '/tank/m/rés\\01' },
    { kind: 'modified', path: '/tank/m/' },
    { kind: 'renamed', path: '/tank/m/x', to: '/tank/m/ y' },
  ])
  const moment = Date.UTC(2026, 10, 23, 10, 15, 7)
  t.equal(snapshotName(moment, 'Änna’s MacBook'), '2026-11-23_101507Z_a-nna-s-macbook')
  t.equal(snapshotName(moment, '  '), '2026-11-23_101507Z')
})

const POLICY: ThinningPolicy = {
  keepAllFor: DAY,
  hourly: 48,
  daily: 14,
  weekly: 8,
  monthly: 6,
  yearly: 2,
  maximum: undefined,
}

function every(step: number, from: number, to: number): Thinnable[] {
  const snapshots: Thinnable[] = []
  for (let created = from; created <= to; created += step) {
    snapshots.push({ name: new Date(created).toISOString(), created, isHeld: false, reason: 'backup' })
  }
  return snapshots
}

t.test('thinning keeps the last of each period', async (t) => {
  const now = Date.UTC(2026, 10, 23, 12, 0)
  const all = every(HOUR / 2, now - 800 * DAY, now)
  const gone = new Set(thin(all, POLICY, now))
  const kept = all.filter((snapshot) => !gone.has(snapshot)).map(({ name }) => name.slice(0, 16))
  t.equal(kept.filter((name) => name > '2026-11-22T12:00').length, 48, 'all of the last day')
  // 11-21 13:00 is in the 48th hour from now.
  t.same(kept.filter((name) => name > '2026-11-21' && name <= '2026-11-22T12').slice(0, 2), [
    '2026-11-21T13:30',
    '2026-11-21T14:30',
  ])
  t.ok(kept.includes('2026-11-10T23:30'), 'the 14th day')
  t.notOk(kept.includes('2026-11-09T23:30'))
  t.ok(kept.includes('2026-10-11T23:30'), 'the end of the 7th week before this one')
  t.ok(kept.includes('2026-06-30T23:30'), 'the 6th month')
  t.notOk(kept.includes('2026-05-31T23:30'))
  t.ok(kept.includes('2025-12-31T23:30'), 'the 2nd year')
  t.notOk(kept.includes('2024-12-31T23:30'))
  t.same(
    thin(
      all.filter((snapshot) => !gone.has(snapshot)),
      POLICY,
      now,
    ),
    [],
    'a second time nothing goes',
  )
})

t.test('thinning leaves alone what is not its own', async (t) => {
  const now = Date.UTC(2026, 10, 23)
  const old = { name: 'old', created: 0, isHeld: false, reason: 'schedule' as const }
  t.same(thin([old], POLICY, now), [old])
  t.same(thin([{ ...old, isHeld: true }], POLICY, now), [])
  t.same(thin([{ ...old, reason: undefined }], POLICY, now), [])
  t.same(
    thin([old], POLICY, now, () => true),
    [],
  )
  const young = every(HOUR, now - 10 * HOUR, now)
  const surplus = thin(young, { ...POLICY, maximum: 3 }, now)
  t.same(surplus, young.slice(0, -3), 'of too many the oldest go')
})

t.test('thinning as time goes by never loses what a later look would keep', async (t) => {
  const property = () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 * 24 }), { minLength: 1, maxLength: 150 }), (gaps) => {
        let now = Date.UTC(2026, 0, 1)
        let live: Thinnable[] = []
        const all: Thinnable[] = []
        for (const hours of gaps) {
          now += hours * HOUR
          const [snapshot] = every(HOUR, now, now) as [Thinnable]
          all.push(snapshot)
          live.push(snapshot)
          const gone = new Set(thin(live, POLICY, now))
          live = live.filter((each) => !gone.has(each))
        }
        const wanted = new Set(all)
        for (const each of thin(all, POLICY, now)) wanted.delete(each)
        return [...wanted].every((each) => live.includes(each))
      }),
      { numRuns: 200 },
    )
  t.doesNotThrow(property)
})
