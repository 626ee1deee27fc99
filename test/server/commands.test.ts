/** init, check, status, and serve with its signals, against a server that needs no protocol. */

import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { readAccounts } from '../../server/accounts/store.ts'
import { SystemUsers } from '../../server/accounts/system-users.ts'
import { loadConfiguration } from '../../server/config/load.ts'
import { connectLines, diskLine, prepareBuiltIn } from '../../server/serve/first-start.ts'
import { prepareStateDirectory } from '../../server/state/directory.ts'
import type { StatusReport } from '../../server/status/report.ts'
import { collect, runChild, runInProcess, startCommand } from './command.ts'
import { FAKE_STATUS } from './fake-status.ts'

const START_LIMIT_MILLISECONDS = 20_000

/** A server under test, ready. */
async function serveFake(t: Test, cwd: string, args: readonly string[] = []) {
  const child = startCommand(['serve', ...args], { cwd, fake: true, pipes: 1 })
  t.teardown(() => child.kill('SIGKILL'))
  const stdout = collect(child, 'stdout')
  const stderr = collect(child, 'stderr')
  const until = async (test: () => boolean): Promise<void> => {
    const end = Date.now() + START_LIMIT_MILLISECONDS
    while (!test()) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`${stdout()}\n${stderr()}`)
      await sleep(20)
    }
  }
  await until(() => stdout().endsWith('ready\n'))
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    const closed = once(child, 'close')
    child.kill(signal)
    const [code] = (await closed) as [number | null]
    return code
  }
  return { child, stdout, stderr, until, stop, readyPipe: child.stdio[3] as Readable }
}

const CONFIGURATION = `
[server]
name = "test"
state_dir = "state"
[smb]
listen = ["127.0.0.1:0"]
[status]
listen = "127.0.0.1:0"
[[share]]
name = "work"
path = "work"
`

t.test('serve: lines, ready, status, closing, reload, stop', async (t) => {
  const cwd = t.testdir({ 'poolhouse.toml': CONFIGURATION, work: {}, more: {} })
  const file = join(cwd, 'poolhouse.toml')
  const server = await serveFake(t, cwd, ['--ready-fd', '3'])
  const lines = server.stdout().split('\n')
  t.match(lines, [/^listening smb 127\.0\.0\.1:\d+$/, /^listening status http:\/\/127\.0\.0\.1:\d+\/$/])
  t.strictSame(lines.slice(2), [
    'announcing mdns ocean.local on eth0, eth1',
    `share work ${join(cwd, 'work')}`,
    'ready',
    '',
  ])
  t.equal((await server.readyPipe.toArray()).join(''), 'ready\n', 'and the descriptor is closed')
  t.match(server.stderr(), /not started as root: all clients act as the user this process runs as/)
  t.match(server.stderr(), /there are no accounts: nobody can log in/)
  t.equal(statSync(join(cwd, 'state', 'control.json')).mode & 0o777, 0o600)

  const run = (...args: string[]) => runInProcess(args, { cwd })
  const status = await run('status')
  t.match(status, { code: 0, stdout: /^test: poolhouse \d+\.\d+\.\d+, process \d+/ })
  t.match(status.stdout, /read 1 MiB, written 4 KiB, 400 requests, 1 failed logins/)
  t.match(status.stdout, /17 .*anna<b>.*192\.0\.2\.7:50123.*smb 3\.1\.1.*signed.*3 s/)
  t.match(status.stdout, /99 .*17.*work.*a\/b\.txt.*rw.*RWH.*2/)
  const report = JSON.parse((await run('status', '--json')).stdout) as StatusReport
  t.match(report, {
    ...FAKE_STATUS,
    server: { name: 'test', pid: server.child.pid },
    shares: [{ name: 'work', totalBytes: Number }],
  })
  t.match(await run('session', 'close', '17'), { code: 0, stdout: 'session 17 closed\n' })
  t.match(await run('session', 'close', '18'), {
    code: 1,
    stderr: 'poolhouse: session 18: there is no such session\n',
  })
  t.match(await run('file', 'close', '99'), { code: 0, stdout: 'file 99 closed\n' })
  t.match(await run('file', 'close', '../../x'), { code: 1, stderr: /there is no such open file/ })

  const second = await runChild(['serve'], { cwd, fake: true })
  t.match(second, { code: 1, stdout: '' })
  t.match(second.stderr, new RegExp(`is in use by process ${server.child.pid}; stop that server`))

  const reload = async (text: string, logged: RegExp): Promise<void> => {
    const from = server.stderr().length
    writeFileSync(file, text)
    server.child.kill('SIGHUP')
    await server.until(() => logged.test(server.stderr().slice(from)))
  }
  const url = /^listening status (.*)$/m.exec(server.stdout())?.[1] ?? ''
  // Not through the command, which refuses the broken file.
  const shares = async () =>
    ((await (await fetch(`${url}api/status`)).json()) as StatusReport).shares.map((one) => one.name)
  const more = `${CONFIGURATION}[[share]]\nname = "more"\npath = "more"\n`
  await reload(more, /"msg":"reloaded"/)
  t.strictSame(await shares(), ['work', 'more'])
  await reload(
    `${more}pth = "x"\n`,
    /not reloaded: .*poolhouse\.toml:\d+: share\.pth: unknown key; did you mean/,
  )
  t.strictSame(await shares(), ['work', 'more'], 'an error keeps what was')
  await reload(
    `${more}[[share]]\nname = "refused"\npath = "x"\n`,
    /not reloaded: share \\"refused\\" cannot be opened/,
  )
  t.strictSame(await shares(), ['work', 'more'])
  await reload(
    `${CONFIGURATION.replace('[smb]', '[smb]\nguest = true')}`,
    /\[smb\] has changed; that takes effect at the next start/,
  )
  t.strictSame(await shares(), ['work'])

  t.equal(await server.stop(), 0)
  t.notOk(existsSync(join(cwd, 'state', 'control.json')))
  t.match(await run('status'), { code: 1, stderr: /no server with a status listener runs on/ })
})

t.test('serve without a configuration', async (t) => {
  const cwd = t.testdir()
  // The built-in ports are fixed and may be taken on this machine; then that is what it must say.
  const server = await serveFake(t, cwd).catch((error: Error) => error.message)
  if (typeof server === 'string')
    return t.match(server, /127\.0\.0\.1:4450 is in use; stop the program that has it/)
  const password = /^user poolhouse, password ([a-z2-9]{20})$/m.exec(server.stdout())?.[1] ?? ''
  t.match(server.stdout(), /^listening smb 127\.0\.0\.1:4450$/m)
  t.match(server.stdout(), new RegExp(`^share backup ${join(cwd, 'data')}$`, 'm'))
  t.match(server.stdout(), `smbclient //127.0.0.1/backup -p 4450 -U 'poolhouse%${password}'`)
  t.match(server.stdout(), 'smb://poolhouse@127.0.0.1:4450/backup')
  t.match(server.stdout(), /Windows {2}needs port 445: run as root with --public/)
  t.notMatch(server.stderr(), /not built/)
  t.notMatch(server.stdout(), /^listening (?:afp|iscsi)/m)
  for (const name of ['accounts.json', 'first-password'])
    t.equal(statSync(join(cwd, '.poolhouse', name)).mode & 0o777, 0o600)
  t.equal(await server.stop('SIGINT'), 0)
  const again = await serveFake(t, cwd)
  t.match(again.stdout(), `password ${password}\n`, 'the same at the next start')
  t.equal(await again.stop(), 0)
  t.match(await runInProcess(['user', 'passwd', 'poolhouse', '--password-stdin'], { cwd, input: 'mine' }), {
    code: 0,
  })
  const third = await serveFake(t, cwd)
  t.match(third.stdout(), 'password as you set it\n')
  t.equal(await third.stop(), 0)
})

t.test('the first start as root: the account acts as the owner of the folder', async (t) => {
  const cwd = t.testdir()
  const outcome = await loadConfiguration({ directory: cwd, systemFile: join(cwd, 'none') })
  if (!outcome.ok) return t.fail('the built-in configuration is valid')
  t.match(await prepareStateDirectory(outcome.configuration.server.stateDir), { ok: true })
  const user = await prepareBuiltIn(outcome.configuration, true)
  t.match(user, { ok: true, value: { password: /^[a-z2-9]{20}$/ } })
  const users = new SystemUsers()
  await users.prepare()
  const accounts = readAccounts(outcome.configuration.server.stateDir)
  const expected = users.user('poolhouse') ? undefined : users.nameOf(statSync(join(cwd, 'data')).uid)
  t.equal(accounts.ok && accounts.value[0]?.unixUser, expected)
  const open = await loadConfiguration({ directory: cwd, systemFile: join(cwd, 'none'), isPublic: true })
  if (!open.ok) return t.fail('the public configuration is valid')
  const secretFile = join(cwd, '.poolhouse', 'first-chap-secret')
  const secrets: string[] = []
  for (let start = 0; start < 2; start++) {
    t.match(await prepareBuiltIn(open.configuration, true), { ok: true })
    secrets.push(readFileSync(secretFile, 'utf8'))
  }
  t.match(secrets[0], /^[a-z2-9]{16}\n$/)
  t.equal(secrets[1], secrets[0], 'the same at the next start')
  t.equal(statSync(secretFile).mode & 0o777, 0o600)
  t.match(diskLine(3260, true, secretFile), `LUN 0, CHAP user poolhouse, secret in ${secretFile}`)
  t.equal(
    diskLine(3260, false, undefined),
    '  iSCSI    127.0.0.1:3260, target iqn.2026-11.org.poolhouse:disk0, LUN 0',
  )
  t.strictSame(connectLines({ password: 'pw' }, 445, false).slice(1), [
    "  Linux    smbclient //127.0.0.1/backup -p 445 -U 'poolhouse%pw'",
    '  macOS    Finder, Go > Connect to Server: smb://poolhouse@127.0.0.1/backup',
    '  Windows  \\\\127.0.0.1\\backup',
  ])
})

t.test('serve: what it refuses', async (t) => {
  const cwd = t.testdir({
    'poolhouse.toml': CONFIGURATION,
    'open.toml': 'server.state_dir = "open"',
    open: {},
    empty: {},
  })
  const run = (args: string[], directory = cwd) => runInProcess(['serve', ...args], { cwd: directory })
  t.match(await run(['--public']), {
    code: 2,
    stderr: /--public is for starting without a configuration; here, set smb\.listen in .*poolhouse\.toml/,
  })
  t.match(await run(['--public'], join(cwd, 'empty')), { code: 2, stderr: /needs root/ })
  t.match(await run(['--ready-fd', 'x']), { code: 2, stderr: /not a file descriptor/ })
  t.match(await run(['--ready-fd', '999']), {
    code: 2,
    stderr: /--ready-fd 999: there is no such open file descriptor/,
  })
  t.match(await run(['--config', 'nowhere.toml']), {
    code: 2,
    stderr: /nowhere\.toml: cannot be read: there is no such file/,
  })
  t.match(await run(['--conf', 'x']), { code: 2, stderr: /unknown option '--conf'/ })
  chmodSync(join(cwd, 'open'), 0o777)
  t.match(await run(['--config', 'open.toml']), {
    code: 1,
    stderr: /can be changed by others; run: chmod 700/,
  })
  t.match(await runInProcess([], { cwd }), { code: 2 })
  t.match(await runInProcess(['--help'], { cwd }), { code: 0, stdout: /Usage: poolhouse/ })
  t.match(await runInProcess(['sreve'], { cwd }), { code: 2, stderr: /Did you mean serve\?/ })
})

t.test('serve stops in bounded time when clients never finish', async (t) => {
  const cwd = t.testdir({
    'poolhouse.toml': CONFIGURATION.replace('name = "work"', 'name = "endless"'),
    work: {},
  })
  const server = await serveFake(t, cwd)
  const begin = Date.now()
  t.equal(await server.stop(), 0)
  t.ok(Date.now() - begin < 15_000)
  t.match(server.stderr(), /still had requests under way after 10 s; stopped anyway/)
})

t.test('init', async (t) => {
  const cwd = t.testdir()
  const init = (args: string[], input = '') => runInProcess(['init', ...args], { cwd, input })
  const first = await init(
    [
      'one',
      '--share-name',
      'tm',
      '--share-path',
      'tm data',
      '--time-machine',
      '--user',
      'anna',
      '--password-stdin',
    ],
    'pw',
  )
  const file = join(cwd, 'one', 'poolhouse.toml')
  t.match(first, { code: 0, stderr: '' })
  t.strictSame(first.stdout.split('\n'), [
    `wrote ${file}`,
    'account "anna" added',
    `Next: poolhouse check --config ${file}, then poolhouse serve --config ${file}`,
    '',
  ])
  t.ok(statSync(join(cwd, 'one', 'tm data')).isDirectory())
  t.equal(statSync(join(cwd, 'one', '.poolhouse', 'accounts.json')).mode & 0o777, 0o600)
  const written = readFileSync(file, 'utf8')
  t.match(await init(['one', '--yes']), {
    code: 1,
    stderr: /poolhouse\.toml exists; name another folder, or overwrite it with --force/,
  })
  t.equal(readFileSync(file, 'utf8'), written)
  t.match(await init(['one', '--yes', '--force']), { code: 0, stdout: /Add a user: poolhouse user add NAME/ })
  t.match(readFileSync(file, 'utf8'), 'name = "backup"')
  t.match(await init(['two', '--share-name', 'a/b', '--yes']), {
    code: 2,
    stderr: /share\.name: "a\/b" is not allowed/,
  })
  t.match(await init(['two', '--user', 'anna', '--password-stdin'], ''), {
    code: 1,
    stderr: /the password is empty/,
  })
  t.notOk(existsSync(join(cwd, 'two')), 'nothing is written before all is known')
  const typed = ['films', '', 'yes', 'bob', 'pw', 'pw']
  t.match(await runInProcess(['init', 'three'], { cwd, typed }), { code: 0, stdout: /account "bob" added/ })
  t.match(
    readFileSync(join(cwd, 'three', 'poolhouse.toml'), 'utf8'),
    /name = "films"\npath = ".\/data"\ntime_machine = true/,
  )
})

t.test('check', async (t) => {
  const cwd = t.testdir({ 'poolhouse.toml': CONFIGURATION, work: { 'kept.txt': '' } })
  const file = join(cwd, 'poolhouse.toml')
  const check = (args: string[] = [], isRoot = false) => runInProcess(['check', ...args], { cwd, isRoot })
  await runInProcess(['user', 'add', 'anna', '--password-stdin'], { cwd, input: 'x' })
  const good = await check()
  t.strictSame(good, {
    code: 0,
    stdout: `note: not run as root: all clients act as the current user\n${file}: no problems found\n`,
    stderr: '',
  })
  writeFileSync(
    file,
    `${CONFIGURATION}valid_users = ["anna", "bob", "@no-such-group"]
[[share]]
name = "gone"
path = "gone"
valid_users = ["bob"]
[[share]]
name = "file"
path = "work/kept.txt"
[[share]]
name = "set"
dataset = "tank/set"
[[share]]
name = "tm"
path = "work"
time_machine = true
force_user = "no-such-user"
`,
  )
  const bad = await check()
  t.equal(bad.code, 1)
  const [aboutDataset, ...lines] = bad.stdout.split('\n')
  // With OpenZFS or without it: there is no such dataset.
  t.match(aboutDataset, /^warning: share "set": there is no (program "zfs"|dataset "tank\/set")/)
  t.strictSame(lines, [
    'note: not run as root: all clients act as the current user',
    'warning: share "work": valid_users: there is no account "bob"; add it: poolhouse user add bob',
    'warning: share "work": valid_users: there is no system group "no-such-group"; make it: groupadd no-such-group',
    'warning: share "gone": valid_users: there is no account "bob"; add it: poolhouse user add bob',
    'warning: share "gone": valid_users names none of the accounts; nobody can use it',
    `error: share "gone": ${cwd}/gone does not exist; make it: mkdir -p ${cwd}/gone`,
    `error: share "file": ${cwd}/work/kept.txt is not a folder; name one`,
    'note: share "tm": no max_size: each Mac sees the whole pool as its disk, and fills it before it removes old backups',
    'error: share "tm": force_user: there is no system user "no-such-user"; make it or name another',
    '',
  ])
  const json = await check(['--json'])
  t.equal(json.code, 1)
  t.match(JSON.parse(json.stdout), {
    source: file,
    findings: [{ severity: 'warning' }, { severity: 'note' }],
  })
  writeFileSync(
    file,
    '[smb]\nmin_protocol = "2.1"\nmax_protocol = "2.1"\n[[share]]\nname = "tm"\npath = "work"\ntime_machine = true\nread_only = true',
  )
  t.match(
    (await check()).stdout,
    /error: share "tm": .*required capabilities.*durable handles need SMB 3; set smb.max_protocol/,
  )
  t.match((await check()).stdout, /error: share "tm": .*required capabilities.*set read_only = false/)
  writeFileSync(file, '[smb]\nlisten = 1')
  t.match(await check(), { code: 2, stderr: /poolhouse\.toml:2: smb\.listen: 1 is not allowed/ })
})

t.test(
  'check as root: what each user can do',
  { skip: process.geteuid?.() !== 0 && 'needs root' },
  async (t) => {
    const cwd = t.testdir({ 'poolhouse.toml': CONFIGURATION, work: {} })
    const run = (...args: string[]) => runInProcess(args, { cwd, input: 'x', isRoot: true })
    t.match(await run('user', 'add', 'daemon', '--password-stdin'), { code: 0 })
    chmodSync(join(cwd, 'work'), 0o755)
    const refused = await run('check')
    t.equal(refused.code, 1)
    t.strictSame(
      refused.stdout,
      `error: share "work": user "daemon" cannot create files in it; give write permission, or set read_only = true: ${cwd}/work (EACCES)\n`,
    )
    writeFileSync(join(cwd, 'poolhouse.toml'), `${CONFIGURATION}time_machine = true`)
    t.match((await run('check')).stdout, /cannot create files .*\(EACCES\); Macs say .*required capabilities/)
    writeFileSync(join(cwd, 'poolhouse.toml'), CONFIGURATION)
    chmodSync(join(cwd, 'work'), 0o700)
    t.match(await run('check'), {
      code: 1,
      stdout: /user "daemon" cannot enter it; give execute permission: .*work \(EACCES\)/,
    })
    chmodSync(join(cwd, 'work'), 0o777)
    t.match(await run('check'), { code: 0, stdout: /no problems found/ })
    t.match(await run('user', 'add', 'root', '--password-stdin'), { code: 0 })
    mkdirSync(join(cwd, 'secret'), { mode: 0o700 })
    writeFileSync(
      join(cwd, 'poolhouse.toml'),
      `${CONFIGURATION.replace('path = "work"', 'path = "secret"')}valid_users = ["root"]`,
    )
    t.match(await run('check'), { code: 0 }, 'only those who may use it are tried')
  },
)
