/** Replication: streams between programs that are cut, stall and refuse; what a key may do; its configuration and commands. */

import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parseConfiguration } from '../../server/config/parse.ts'
import { parsePlace } from '../../server/config/places.ts'
import { formatDuration, ProgressMeter, progressLine } from '../../server/progress.ts'
import {
  parseEstimate,
  type Replication,
  type ReplicationEvent,
  ReplicationRefused,
  replicate,
} from '../../server/zfs/replicate.ts'
import { datasetOfToken, permitCommand } from '../../server/zfs/replication-guard.ts'
import { authorizedKeysLine } from '../../server/zfs/replication-serve.ts'
import { createSide } from '../../server/zfs/replication-side.ts'
import { localSide } from '../../server/zfs/share-replication.ts'
import { bookmarkPrefix } from '../../storage/zfs/replication.ts'
import { runInProcess } from './command.ts'
import { FakeMachines, fakeDataset, STREAM_BYTES } from './fake-zfs.ts'

/** Each command of zfs is a program; a busy machine starts two in a second. */
const LIMIT_MILLISECONDS = 600_000
t.setTimeout(LIMIT_MILLISECONDS)

const ID = 'backup@box:dst/a'
const TAG = `poolhouse:${ID}`
const machines = await FakeMachines.create()
t.teardown(() => rm(machines.folder, { recursive: true }))

const events: ReplicationEvent[] = []

function work(more: Partial<Replication> = {}): Replication {
  const place = parsePlace(ID)
  if (place === undefined) throw new Error(ID)
  return {
    source: localSide('src/a'),
    target: createSide(place, { command: join(machines.folder, 'ssh'), key: '/key', port: 2222 }),
    id: ID,
    isReadOnly: true,
    now: () => 1000 * 3_600_000,
    report: (event) => void events.push(event),
    ...more,
  }
}

function streams(): string[] {
  return events
    .splice(0)
    .flatMap((event) => (event.event === 'sent' ? [`${event.plan.kind} ${event.bytes > STREAM_BYTES}`] : []))
}

function names(machine: 'local' | 'remote', dataset: string): string[] | undefined {
  return machines.read(machine)[dataset]?.snapshots.map(({ name, holds }) => [name, ...holds].join(' '))
}

t.test('a stream that is cut goes on', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  machines.write('local', { 'src/a': fakeDataset('one', 'two', 'three') })
  machines.write('remote', {})
  const planned = await replicate(work({ dryRun: true }))
  t.match(events.splice(0), [{ event: 'plan', plan: { kind: 'full', to: 'one' }, bytes: STREAM_BYTES }])
  t.match([planned, machines.read('remote')], [{ snapshot: undefined }, {}])
  machines.cutAfter(100_000)
  await t.rejects(replicate(work()), {
    message: /connection to backup@box:dst\/a was lost: .*Connection closed/s,
  })
  t.same(names('local', 'src/a'), [`one ${TAG}`, 'two', 'three'], 'what is being sent is held')
  t.same(streams(), [])
  const result = await replicate(work())
  t.match(result, { snapshot: 'three', created: 102 * 3_600_000 })
  t.same(streams(), ['resume false', 'incremental true'], 'the first stream sends only the rest')
  t.same(names('local', 'src/a'), ['one', 'two', `three ${TAG}`])
  t.same(names('remote', 'dst/a'), ['one', 'two', `three ${TAG}`])
  t.equal(machines.read('remote')['dst/a']?.readonly, 'on')
  t.match(machines.read('local')['src/a']?.bookmarks, [{ name: `${bookmarkPrefix(ID)}three-guid` }])
  t.match(await replicate(work()), { snapshot: 'three', bytes: 0 }, 'once more is nothing')
  const given = machines.commands()
  const grant = { root: 'dst', thin: false, send: false }
  t.same(
    given.filter((words) => !permitCommand(`zfs ${words}`, grant).ok),
    [],
    'a restricted key can do all that was done',
  )
})

t.test(
  'an interrupted stream whose snapshot is gone is given up',
  { timeout: LIMIT_MILLISECONDS },
  async (t) => {
    machines.write('local', { 'src/a': fakeDataset('one') })
    machines.write('remote', {})
    machines.cutAfter(100_000)
    await t.rejects(replicate(work()))
    machines.write('local', { 'src/a': fakeDataset('new') })
    events.length = 0
    t.match(await replicate(work()), { snapshot: 'new' })
    t.match(events.splice(0)[0], { event: 'abandoned', reason: /no longer exists/ })
  },
)

t.test('failures say why', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  machines.write('local', { 'src/a': fakeDataset('one', 'two') })
  machines.write('remote', { 'dst/a': fakeDataset('own') })
  await t.rejects(replicate(work()), ReplicationRefused)
  t.same(names('remote', 'dst/a'), ['own'], 'and the target is left as it is')
  machines.write('remote', { deny: ['receive'] })
  await t.rejects(replicate(work({ keep: undefined })), {
    message:
      /zfs receive at backup@box:dst\/a: .*permission denied[\s\S]*zfs allow -u backup receive,create,[^ ]* dst$/,
  })
  machines.write('remote', {})
  machines.write('local', { 'src/a': fakeDataset('one'), stalls: true })
  await t.rejects(replicate(work({ stallLimit: 500 })), { message: /nothing has moved for 0.5 s/ })
  machines.write('remote', {})
  await t.rejects(replicate(work({ signal: AbortSignal.abort() })), { message: /stopped/ })
  const stop = new AbortController()
  const isPlanned = (event: ReplicationEvent) =>
    void (event.event === 'plan' && setTimeout(() => stop.abort(), 100))
  machines.write('remote', {})
  await t.rejects(replicate(work({ signal: stop.signal, report: isPlanned })), { message: /stopped/ })
  await t.rejects(replicate(work({ source: localSide('src/none') })), { message: /no dataset "src\/none"/ })
  const lost = createSide({ text: 'h:p/d', host: 'h', dataset: 'p/d' }, { command: '/nothing/ssh' })
  await t.rejects(replicate(work({ target: lost })), { message: /there is no program "\/nothing\/ssh"/ })
})

t.test('the target keeps what its own retention says', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  const nothing = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, maximum: undefined }
  machines.write('local', { 'src/a': fakeDataset('one', 'two', 'three') })
  machines.write('remote', {})
  await replicate(work({ keep: { keepAllFor: 0, ...nothing } }))
  t.same(names('remote', 'dst/a'), [`three ${TAG}`])
  t.same(names('local', 'src/a'), ['one', 'two', `three ${TAG}`])
  t.match(events.splice(0).at(-1), { event: 'thinned', snapshots: ['one', 'two'] })
})

t.test('what a key may do', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  const all = { root: 'dst/backups', thin: true, send: true }
  const below = 'dst/backups/a'
  const permitted = [
    `receive -s -u ${below}`,
    `hold ${TAG} ${below}@s`,
    `destroy ${below}@s`,
    `destroy ${below}#poolhouse:x:1`,
    `send -w ${below}@s`,
    `send -nvP -w -I ${below}@s ${below}@t`,
    'send -t 1-ab12',
    `set poolhouse:reason=backup ${below}@s ${below}@t`,
  ]
  for (const words of permitted) t.match(permitCommand(`zfs ${words}`, all), { ok: true }, words)
  t.match(permitCommand(`zfs destroy ${below}@s`, all), { value: { ownSnapshot: `${below}@s` } })
  const refused = [
    ...['', 'sh', 'zfs', 'zfs ', 'scp -f x', 'zpool destroy dst', 'zfs list', ' zfs get all'],
    ...[
      `zfs destroy ${below}`,
      `zfs destroy -r ${below}@s`,
      `zfs destroy dst/backups@s`,
      `zfs destroy ${below}@a%b`,
    ],
    ...[`zfs receive -s -u -F ${below}`, `zfs receive -F ${below}`, 'zfs receive -s -u dst/backups'],
    ...[
      'zfs receive -s -u dst/backups-other/a',
      'zfs receive -s -u dst/backups/../x',
      'zfs receive -s -u src/a',
    ],
    ...[`zfs receive -s -u ${below};id`, `zfs receive -s -u ${below} | id`, `zfs receive -s -u $(id)`],
    ...[
      `zfs receive -s -u ${below}\nid`,
      `zfs receive  -s -u ${below}`,
      `zfs receive -s -u "${below}"`,
      'zfs receive -s -u -o',
    ],
    ...[
      `zfs hold other ${below}@s`,
      `zfs release ${TAG} dst/x@s`,
      `zfs holds -H ${below}@s src/a@s`,
      `zfs holds -H`,
    ],
    ...[
      `zfs set mountpoint=/etc ${below}`,
      `zfs set readonly=off ${below}`,
      `zfs set poolhouse:reason=x ${below}@s`,
    ],
    ...[
      `zfs send -w src/a@s`,
      `zfs send -w -I src/a@s ${below}@t`,
      `zfs send -R ${below}@s`,
      'zfs send -t 1-ab;id',
    ],
    ...[
      `zfs bookmark ${below}@s ${below}#other`,
      `zfs bookmark ${below}@s src/a#poolhouse:x:1`,
      `zfs destroy ${below}#other`,
    ],
    `zfs ${'x'.repeat(200_000)}`,
  ]
  for (const line of refused) t.match(permitCommand(line, all), { ok: false }, line.slice(0, 60))
  const least = { root: 'dst/backups', thin: false, send: false }
  t.match(permitCommand(`zfs destroy ${below}@s`, least), { message: /may not thin snapshots.*needs --thin/ })
  t.match(permitCommand(`zfs send -w ${below}@s`, least), { message: /needs --send/ })
  t.equal(datasetOfToken('nvlist version: 0\n\ttoname = dst/backups/a@s\n'), 'dst/backups/a')
  t.equal(datasetOfToken('\ttoname = secret/a@s\n\tx = \ntoname = dst/backups/a@s\n'), undefined, 'forged')
  const key = 'ssh-ed25519 AAAAC3Nz+/= anna@box\n'
  t.match(authorizedKeysLine(key, '/usr/bin/poolhouse', { ...least, thin: true }), {
    value:
      'restrict,command="/usr/bin/poolhouse replicate serve --root dst/backups --thin" ssh-ed25519 AAAAC3Nz+/= anna@box',
  })
  t.match(authorizedKeysLine('-----BEGIN OPENSSH PRIVATE KEY-----', 'x', least), { ok: false })
  t.match(authorizedKeysLine('ssh-rsa AAAA a\nssh-rsa BBBB b', 'x', least), { ok: false })
})

t.test('places, and what is configured', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  t.match(parsePlace('backup@box:tank/b'), { host: 'backup@box', dataset: 'tank/b' })
  t.match(parsePlace('usb/box'), { host: undefined, dataset: 'usb/box' })
  t.match(parsePlace('u@[fe80::1]:tank/b'), { host: 'u@fe80::1', dataset: 'tank/b' })
  for (const text of [
    '',
    'box:',
    '-oProxyCommand=id:tank/b',
    'u@-x:tank/b',
    'box:/tank',
    'box:tank/a b',
    'box:tank/b;id',
    7,
  ]) {
    t.equal(parsePlace(text), undefined, String(text))
  }
  const shares = '[[share]]\nname = "mac"\ndataset = "tank/mac"\n[[share]]\nname = "docs"\npath = "/docs"\n'
  const parse = (toml: string) =>
    parseConfiguration({ text: shares + toml, file: 'f', baseDirectory: '/etc', source: undefined })
  const fine = parse(
    '[[replicate]]\nshare = "Mac"\nto = "box:b/mac"\nssh_key = "key"\n[replicate.keep]\ndaily = 90\n',
  )
  t.match(fine.ok && fine.configuration.replicate, [
    {
      to: { text: 'box:b/mac' },
      sshKey: '/etc/key',
      sshCommand: 'ssh',
      afterBackup: true,
      every: 0,
      keep: { daily: 90, hourly: 48 },
    },
  ])
  const faults = [
    ['share = "mac"', /is missing; use "user@host:tank\/backups\/box"/],
    ['share = "mac"\nto = "box:/x"', /"box:\/x" is not allowed; use "user@host/],
    ['to = "box:b"', /what is replicated/],
    ['share = "none"\nto = "box:b"', /there is no share "none"/],
    ['share = "docs"\nto = "box:b"', /share "docs" is a folder/],
    ['dataset = "tank/a b"\nto = "box:b"', /has a space in its name/],
    ['share = "mac"\nto = "tank/mac"', /is the source itself/],
    ['share = "mac"\nto = "box:b"\n[replicate.keep]\ndayly = 1', /dayly/],
  ] as const
  for (const [toml, fault] of faults) {
    const outcome = parse(`[[replicate]]\n${toml}\n`)
    t.match(
      outcome.ok ? '' : outcome.problems.map(({ key, message }) => `${key} ${message}`).join('\n'),
      fault,
      toml,
    )
  }
})

t.test('progress', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  const meter = new ProgressMeter(1 << 30, 0)
  t.equal(meter.add(1 << 20, 10), undefined, 'not more than once a second')
  t.equal(
    progressLine(meter.add(99 << 20, 1000) ?? meter.reading(0)),
    '100 MiB of 1 GiB, 100 MiB/s, 10 s left',
  )
  for (let second = 2; second <= 20; second++) meter.add(0, second * 1000)
  t.match(meter.reading(20_000), { rate: 0, secondsLeft: undefined }, 'the rate is that of the last seconds')
  t.equal(parseEstimate('full\ta@b\t12\nsize\t34\n'), 34)
  t.equal(parseEstimate('nothing'), undefined)
  t.same([59.2, 61, 7260].map(formatDuration), ['1 min 0 s', '1 min 1 s', '2 h 1 min'])
})

t.test('the commands', { timeout: LIMIT_MILLISECONDS }, async (t) => {
  const config = join(machines.folder, 'poolhouse.toml')
  const ssh = join(machines.folder, 'ssh')
  await writeFile(
    config,
    `[server]\nname = "t"\n[[replicate]]\ndataset = "src/a"\nto = "box:dst/a"\nssh_command = "${ssh}"\n` +
      `[[replicate]]\ndataset = "src/a"\nto = "box:dst/other"\nssh_command = "${ssh}"\n`,
  )
  const run = (...args: string[]) =>
    runInProcess(['replicate', ...args, '--config', config], { cwd: machines.folder })
  machines.write('local', { 'src/a': fakeDataset('one') })
  machines.write('remote', { 'dst/a': fakeDataset('own') })
  const both = await run()
  t.equal(both.code, 1)
  t.match(
    both.stderr,
    /^poolhouse: src\/a to box:dst\/a: the newest snapshot of the target, dst\/a@own, is unknown/,
  )
  t.match(both.stdout, /box:dst\/other has src\/a up to one/, 'one that fails does not keep the others')
  const list = JSON.parse((await run('list', '--json')).stdout)
  t.match(list.replications, [
    { to: 'box:dst/a', reached: null, missing: 1 },
    { to: 'box:dst/other', reached: '1970-01-01T01:00:00.000Z', missing: 0 },
  ])
  const pulled = await run('pull', 'src/back', '--from', 'box:dst/other', '--ssh-command', ssh, '--json')
  t.equal(pulled.code, 0)
  t.match(
    pulled.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event)
      .at(-1),
    'done',
  )
  t.equal(machines.read('local')['src/back']?.readonly, undefined, 'it can be worked with')
  t.match((await run('push', 'src/b')).stderr, /no \[\[replicate\]\] is of "src\/b".*--to/)
  t.equal((await run('pull', 'src/b', '--from', 'box:/x')).code, 2)
})
