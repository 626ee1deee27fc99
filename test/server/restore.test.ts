/** Getting back: plans, refusals, the order of commands and what is taken back when one fails, clones. */

import { text } from 'node:stream/consumers'
import t from 'tap'
import { cloneOne } from '../../server/cli/clone.ts'
import type { RestoreOptions } from '../../server/cli/restore.ts'
import type { Configuration } from '../../server/config/types.ts'
import { done, failed } from '../../server/outcome.ts'
import { findSnapshot } from '../../server/restore/find-snapshot.ts'
import { findServer } from '../../server/restore/served-share.ts'
import type { RunningServer } from '../../server/serve/running-server.ts'
import { SharePauses } from '../../server/serve/share-pauses.ts'
import { prepareDatasets } from '../../server/zfs/dataset-shares.ts'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import { FAKE_STATUS } from './fake-status.ts'
import {
  BACK,
  CLONE,
  configured,
  contextIn,
  DATASET,
  KEPT,
  NOW,
  run,
  type Session,
  STAMP,
  zfs,
} from './restore-frame.ts'

t.test('the snapshot that is meant', async (t) => {
  const moments = [
    { name: 'before-the-move', created: NOW },
    { name: 'b', created: NOW + 1000 },
    { name: 'c', created: NOW + 1000 },
  ]
  const found = (wanted: string) => {
    const outcome = findSnapshot(moments, wanted, 'tank/mac')
    return outcome.ok ? outcome.value.name : outcome.message
  }
  t.equal(found('before-the-move'), 'before-the-move')
  t.equal(found('tank/mac@b'), 'b')
  t.equal(found('latest'), 'c', 'of one second the last')
  t.equal(found('2026-11-23T10:15:07.000Z'), 'before-the-move')
  t.match(found('2026-11-23T10:15:08Z'), /several snapshots of .*: b, c/)
  t.match(found('before-the-mov'), /no snapshot "before-the-mov"; the nearest names are: before-the-move/)
  t.match(findSnapshot([], 'latest', 'tank/mac'), { message: 'tank/mac has no snapshots' })
})

t.test('in place: the plan, then the commands in their order', async (t) => {
  const directory = await configured(t)
  const { run: runner, changes } = zfs()
  const dry = await run(
    'mac',
    { ...BACK, dryRun: true },
    { directory, opens: ['a/b'], tools: { run: runner } },
  )
  t.equal(dry.code, 0, dry.stderr)
  t.same(dry.stdout.split('\n').slice(0, 4), [
    'tank/mac goes back to tank/mac@second of 2026-11-23T09:01:04.000Z; nothing is destroyed:'.replace(
      /of \S+;/,
      `of ${new Date(1_795_434_064_000).toISOString()};`,
    ),
    `  the present state becomes the snapshot @before-restore-${STAMP}`,
    `  the present dataset is kept as ${KEPT}, read-only and not mounted`,
    '  and keeps the newer snapshots: third',
  ])
  t.match(dry.stdout, /lose them with --force:\n {2}a\/b\n/)
  t.same([changes, dry.calls], [[], ['release']], 'nothing was done')

  const back = await run('mac', BACK, { directory, tools: { run: runner } })
  t.equal(back.code, 0, back.stderr)
  t.same(back.calls, ['pause mac false', 'resume mac', 'release'])
  const carried = '-o canmount=noauto -o refquota=536870912 -o recordsize=1048576'
  t.same(changes, [
    `zfs snapshot -o poolhouse:reason=restore tank/mac@before-restore-${STAMP}`,
    `zfs clone ${carried} tank/mac@second ${CLONE}`,
    'zfs unmount tank/mac',
    `zfs promote ${CLONE}`,
    'zfs set canmount=noauto readonly=on tank/mac',
    `zfs rename tank/mac ${KEPT}`,
    `zfs rename ${CLONE} tank/mac`,
    'zfs mount tank/mac',
    'zfs set canmount=on tank/mac',
    `zfs set quota=none ${KEPT}`,
    'zfs set quota=1073741824 tank/mac',
  ])
  const json = await run('mac', { ...BACK, json: true }, { directory })
  t.match(JSON.parse(json.stdout), { done: true, plan: { kind: 'rollback', kept: KEPT, snapshot: 'second' } })
  const own = zfs({ 'local,received': { stdout: 'mountpoint\t/srv/mac\nreadonly\toff\n' } })
  await run('mac', BACK, { directory, tools: { run: own.run } })
  t.ok(
    own.changes.includes(`zfs set mountpoint=/tank/mac-before-restore-${STAMP} tank/mac`),
    'never two at one place',
  )
  t.match(own.changes[1], /-o mountpoint=\/srv\/mac/)
})

t.test('in place: refusals change nothing', async (t) => {
  const directory = await configured(t)
  const refused = async (options: Partial<RestoreOptions>, answers = {}, session: Partial<Session> = {}) => {
    const { run: runner, changes } = zfs(answers)
    const tools = { run: runner, ...session.tools }
    const result = await run('mac', { ...BACK, ...options }, { directory, ...session, tools })
    t.same(changes, [])
    t.notOk(
      result.calls.some((call) => call.startsWith('pause')),
      'and the share stays',
    )
    return `${result.code} ${result.stderr}`
  }
  t.match(await refused({ rollback: false }), /^2 .*--to PATH copies.*--rollback/)
  t.match(await refused({ path: 'x' }), /^2 .*--path is for --to/)
  t.match(await refused({ rollback: false, to: 'x', force: true }), /^2 .*--force is for --rollback/)
  t.match(await refused({ yes: false }), /^1 .*nobody to ask.*--yes/)
  t.match(await refused({ snapshot: 'secnd' }), /nearest names are: second/)
  t.match(await refused({}, {}, { opens: ['a', 'b'] }), /clients have 2 files .*"mac" open.*--force/)
  const below = { 'filesystem,volume': { stdout: 'tank/mac\ntank/mac/anna\n' } }
  t.match(await refused({}, below), /datasets below it.*tank\/mac\/anna; copy with --to/)
  const unmounted = { 'list -Hp -t filesystem': { stdout: DATASET.replace('yes', 'no') } }
  t.match(await refused({}, unmounted), /not mounted; mount it: zfs mount tank\/mac/)
  const hidden = async () => failed('a server runs that cannot be asked')
  t.match(await refused({}, {}, { tools: { server: hidden } }), /cannot be asked/)
  t.match(
    (await run('plain', BACK, { directory })).stderr,
    /"plain" is a folder; only one with "dataset" can go back/,
  )
  t.match(
    (await run('nothing', BACK, { directory })).stderr,
    /there is no share "nothing"; there are: mac, plain/,
  )
  const newest = zfs({ 'value written': { stdout: '0\n' } })
  const same = await run('mac', { ...BACK, snapshot: 'latest' }, { directory, tools: { run: newest.run } })
  t.match(same.stdout, /holds just what tank\/mac@third .*nothing is to be done/)
  t.same([same.code, newest.changes], [0, []])
})

t.test('in place: when a command fails, what was done is taken back', async (t) => {
  const directory = await configured(t)
  const undone: Readonly<Record<string, readonly string[]>> = {
    'zfs snapshot': [],
    'zfs clone': ['zfs destroy tank/mac@before'],
    'zfs unmount tank/mac': [`zfs destroy ${CLONE}`, 'zfs destroy tank/mac@before'],
    'zfs promote tank/mac-restored': [
      'zfs mount tank/mac',
      `zfs destroy ${CLONE}`,
      'zfs destroy tank/mac@before',
    ],
    'zfs set canmount=noauto': ['zfs promote tank/mac', 'zfs mount tank/mac', 'zfs destroy', 'zfs destroy'],
    'zfs rename tank/mac ': [
      'zfs set canmount=on tank/mac',
      'zfs inherit readonly tank/mac',
      'zfs promote tank/mac',
    ],
    'zfs rename tank/mac-restored': [
      `zfs rename ${KEPT} tank/mac`,
      'zfs set canmount=on',
      'zfs inherit readonly',
    ],
    'zfs mount tank/mac': [
      `zfs rename tank/mac ${CLONE}`,
      `zfs rename ${KEPT} tank/mac`,
      'zfs set canmount=on',
    ],
  }
  for (const [piece, expected] of Object.entries(undone)) {
    let failures = 1
    const { run: runner, changes } = zfs()
    const once: CommandRunner = async (program, args) => {
      const result = await runner(program, args)
      if (!`zfs ${args.join(' ')}`.startsWith(piece) || failures-- <= 0) return result
      return { code: 1, stdout: '', stderr: 'cannot do it: dataset is busy' }
    }
    const { code, stderr, calls } = await run('mac', BACK, { directory, tools: { run: once } })
    t.equal(code, 1)
    t.match(stderr, /tank\/mac has not gone back: zfs .*busy\nall is as it was, and the share is served/)
    t.same(calls, ['pause mac false', 'resume mac', 'release'], 'the share is served')
    const at = changes.findIndex((change) => change.startsWith(piece))
    const taken = changes.slice(at + 1, at + 1 + expected.length)
    t.ok(
      expected.every((command, index) => taken[index]?.startsWith(command)),
      `${piece}: ${taken.join('; ')}`,
    )
    t.notOk(changes.some((change) => change.includes('destroy -r')))
  }
  const broken = zfs({
    'rename tank/mac-restored': { code: 1, stderr: 'out of space' },
    'rename tank/mac-before': { code: 1, stderr: 'pool is suspended' },
  })
  const stuck = await run('mac', BACK, { directory, tools: { run: broken.run } })
  t.match(
    stuck.stderr,
    /remains to be done by hand, in this order:\n {2}zfs rename tank\/mac-before-\S+ tank\/mac\n {2}zfs set/,
  )
  const late = zfs({ 'set quota=1073741824': { code: 1, stderr: 'no' } })
  const almost = await run('mac', BACK, { directory, tools: { run: late.run } })
  t.match(almost.stderr, /has gone back, but: .*no\n.*\n {2}zfs set quota=1073741824 tank\/mac\n/)
})

t.test('an interrupted restore is not taken for a missing dataset', async (t) => {
  const { run: runner, changes } = zfs({
    'refquota,referenced,available tank/mac': { code: 1, stderr: 'dataset does not exist' },
    '-d 1 -t filesystem': { stdout: `tank\n${KEPT}\n${CLONE}\n` },
  })
  const shares = [{ name: 'mac', dataset: 'tank/mac', timeMachine: true }]
  const { failures } = await prepareDatasets({ shares } as unknown as Configuration, runner, 'all')
  t.match(
    failures[0]?.message,
    `zfs rename ${CLONE} tank/mac && zfs set canmount=on tank/mac && zfs mount tank/mac`,
  )
  t.same(changes, [], 'nothing was made')
})

t.test('clones say the lines that serve them', async (t) => {
  const directory = await configured(t)
  const clone = async (subject: string, options: { as: string; lun?: number }, answers = {}) => {
    const { run: runner, changes } = zfs(answers)
    const context = contextIn(directory)
    await cloneOne(context, subject, 'first', options, runner)
    context.stdout.end()
    context.stderr.end()
    return `${changes.join('\n')}\n${await text(context.stdout)}${await text(context.stderr)}`
  }
  const share = await clone('mac', { as: 'old' })
  t.match(share, 'zfs clone -o readonly=on -o canmount=on tank/mac@first tank/old\n')
  t.match(share, '\n[[share]]\nname = "old"\ndataset = "tank/old"\nread_only = true\n')
  const lun = await clone('iqn.2026-11.test:disk', { as: 'disk-old', lun: 0 })
  t.match(lun, 'zfs clone -o readonly=on tank/disk@first tank/disk-old\n')
  t.match(lun, '\n[[target.lun]]\nid = 2\nzvol = "tank/disk-old"\nread_only = true\n')
  t.match(await clone('mac', { as: 'plain' }), /there is a share "plain" already/)
  t.match(await clone('mac', { as: 'a/b' }), /cannot be a dataset's name/)
  t.match(await clone('iqn.2026-11.test:disk', { as: 'x', lun: 1 }), /is no zvol/)
  t.match(await clone('iqn.2026-11.test:disk', { as: 'x', lun: 7 }), /has no LUN 7/)
  const taken = { clone: { code: 1, stderr: "cannot create 'tank/old': dataset already exists" } }
  t.match(await clone('mac', { as: 'old' }, taken), /dataset already exists/)
})

t.test('a server lets go of a share, and of all at the same place', async (t) => {
  const shares = ['work', 'part', 'other'].map((name) => ({
    name,
    path: { work: '/w', part: '/w/p' }[name] ?? '/wx',
  }))
  const released: string[] = []
  const running = {
    shares: () => shares,
    status: () => FAKE_STATUS,
    releaseShares: async (gone: readonly { name: string }[]) =>
      void released.push(...gone.map(({ name }) => name)),
  } as unknown as RunningServer
  const pauses = new SharePauses()
  const configuration = { shares } as unknown as Configuration
  const served = () => pauses.without(configuration).shares.map(({ name }) => name)
  const reload = async () => undefined
  t.match(await pauses.pause(running, reload, 'work', false), {
    message: /1 files or folders open: work\/a\/b.txt/,
  })
  t.match(await pauses.pause(running, reload, 'gone', true), { message: /not served/ })
  t.match(await pauses.pause(running, async () => 'no', 'work', true), { message: 'no' })
  t.same([served(), released], [['work', 'part', 'other'], []])
  t.same(await pauses.pause(running, reload, 'WORK', true), done(['work', 'part']))
  t.same([served(), released], [['other'], ['work', 'part']])
  t.same(await pauses.pause(running, reload, 'part', false), done(['work', 'part']), 'once more is the same')
  t.same(await pauses.resume(reload, 'work'), done(['work', 'part']))
  t.same(served(), ['work', 'part', 'other'])
  t.match(await pauses.resume(reload, 'work'), { message: /not paused/ })
})

t.test('without a server none may start meanwhile', async (t) => {
  const configuration = { server: { stateDir: t.testdir({}) } } as unknown as Configuration
  const server = await findServer(configuration)
  t.ok(server.ok && server.value.opensOf('mac').length === 0)
  const other = await findServer(configuration)
  t.match(other, { ok: false, message: /a server runs that cannot be asked/ })
  if (server.ok) server.value.release()
  const again = await findServer(configuration)
  t.ok(again.ok)
  if (again.ok) again.value.release()
})
