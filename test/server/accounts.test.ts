/** Accounts and system users: the file's safety, several writers, names, identities, user lists. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Account } from '../../server/accounts/account.ts'
import { ACCOUNT_NAME } from '../../server/accounts/account.ts'
import {
  forcedIdentity,
  identityOf,
  isListed,
  mayUse,
  referencedNames,
} from '../../server/accounts/identity.ts'
import { LiveAccounts } from '../../server/accounts/live.ts'
import { newAccount } from '../../server/accounts/new-account.ts'
import { accountsFile, adding, changeAccounts, changing, readAccounts } from '../../server/accounts/store.ts'
import { parseGroup, parsePasswd, SystemUsers } from '../../server/accounts/system-users.ts'
import { parseConfiguration } from '../../server/config/parse.ts'
import type { ShareConfiguration } from '../../server/config/types.ts'
import { replaceFile } from '../../server/state/atomic-file.ts'
import { lockStateDirectory, prepareStateDirectory } from '../../server/state/directory.ts'
import { tryLock, waitForLock } from '../../server/state/lock.ts'
import { runChild, runInProcess } from './command.ts'

const mode = (path: string): number => statSync(path).mode & 0o777

function accountsIn(directory: string): readonly Account[] {
  const read = readAccounts(directory)
  if (!read.ok) throw new Error(read.message)
  return read.value
}

t.test('the accounts file', async (t) => {
  const directory = join(t.testdir(), 'deep', 'state')
  t.strictSame(readAccounts(directory), { ok: true, value: [] }, 'no file yet')
  t.match(await changeAccounts(directory, adding(newAccount('Anna', 'password', 'daemon'))), { ok: true })
  t.equal(mode(directory), 0o700)
  const file = accountsFile(directory)
  t.equal(mode(file), 0o600)
  t.match(accountsIn(directory), [{ name: 'Anna', unixUser: 'daemon', disabled: false }])
  // NTOWFv1 of "password", as published in many places.
  t.equal(accountsIn(directory)[0]?.ntHash.toString('hex'), '8846f7eaee8fb117ad06bdd830b7586c')
  t.notMatch(readFileSync(file, 'utf8'), '"password"')
  t.match(await changeAccounts(directory, adding(newAccount('aNNA', 'x', undefined))), {
    ok: false,
    message: 'account "Anna" exists; to change its password: poolhouse user passwd Anna',
  })
  t.match(
    await changeAccounts(
      directory,
      changing('ANNA', (account) => ({ ...account, disabled: true })),
    ),
    { ok: true },
  )
  t.equal(accountsIn(directory)[0]?.disabled, true)
  t.match(
    await changeAccounts(
      directory,
      changing('bob', () => undefined),
    ),
    {
      message: 'there is no account "bob"; "poolhouse user list" shows them all',
    },
  )
  t.match(
    await changeAccounts(
      directory,
      changing('anna', () => undefined),
    ),
    { ok: true },
  )
  t.strictSame(accountsIn(directory), [])
  t.strictSame(
    readdirSync(directory).sort(),
    ['accounts.json', 'accounts.json.lock'],
    'no temporary files stay',
  )
})

t.test('a file that is open to others or damaged is refused, and not overwritten', async (t) => {
  const directory = t.testdir()
  const file = accountsFile(directory)
  chmodSync(directory, 0o700)
  await changeAccounts(directory, adding(newAccount('anna', 'x', undefined)))
  const before = readFileSync(file, 'utf8')
  chmodSync(file, 0o640)
  const open = { ok: false, message: `${file} is open to other users (mode 640); run: chmod 600 ${file}` }
  t.strictSame(readAccounts(directory), open)
  t.strictSame(await changeAccounts(directory, adding(newAccount('bob', 'x', undefined))), open)
  t.equal(readFileSync(file, 'utf8'), before)
  chmodSync(file, 0o600)
  for (const damaged of [
    '',
    before.slice(0, -9),
    before.replace('"version": 1', '"version": 2'),
    before.replace(/[0-9a-f]{32}/, 'zz'),
  ]) {
    writeFileSync(file, damaged)
    t.match(readAccounts(directory), { ok: false, message: /is damaged or of a newer version/ })
    t.match(await changeAccounts(directory, adding(newAccount('bob', 'x', undefined))), { ok: false })
    t.equal(readFileSync(file, 'utf8'), damaged)
  }
})

t.test('many writers lose nothing', async (t) => {
  const directory = t.testdir()
  chmodSync(directory, 0o700)
  const names = Array.from({ length: 12 }, (_, index) => `user${index}`)
  const own = names.map((name) => changeAccounts(directory, adding(newAccount(name, name, undefined))))
  writeFileSync(join(directory, 'poolhouse.toml'), 'server.state_dir = "."')
  const others = ['other1', 'other2', 'other3'].map((name) =>
    runChild(['user', 'add', name, '--password-stdin'], { cwd: directory, input: `${name}\n`, fake: true }),
  )
  t.ok((await Promise.all(own)).every((outcome) => outcome.ok))
  t.strictSame(
    await Promise.all(others),
    others.map((_, index) => ({ code: 0, stdout: `account "other${index + 1}" added\n`, stderr: '' })),
  )
  t.strictSame(
    accountsIn(directory)
      .map((account) => account.name)
      .sort(),
    [...names, 'other1', 'other2', 'other3'].sort(),
  )
})

t.test('a replacement that fails leaves the old file alone', async (t) => {
  const directory = t.testdir({ 'a.json': 'old', folder: {} })
  await replaceFile(join(directory, 'a.json'), 'new')
  t.equal(readFileSync(join(directory, 'a.json'), 'utf8'), 'new')
  t.equal(mode(join(directory, 'a.json')), 0o600)
  await t.rejects(replaceFile(join(directory, 'folder'), 'text'), { code: 'EISDIR' })
  t.strictSame(readdirSync(directory).sort(), ['a.json', 'folder'])
})

t.test('locks and the state directory', async (t) => {
  const directory = join(t.testdir(), 'state')
  t.strictSame(await prepareStateDirectory(directory), { ok: true, value: directory })
  t.equal(mode(directory), 0o700)
  const held = lockStateDirectory(directory)
  t.ok(held.ok)
  t.strictSame(lockStateDirectory(directory), {
    ok: false,
    message: `state directory ${directory} is in use by process ${process.pid}; stop that server, or give this one another server.state_dir`,
  })
  if (held.ok) held.value.release()
  t.ok(lockStateDirectory(directory).ok, 'free again')
  const file = join(directory, 'x.lock')
  const lock = tryLock(file)
  t.match(await waitForLock(file, 60), {
    ok: false,
    message: `${file} is held by process ${process.pid}; try again when it is done`,
  })
  const waiting = waitForLock(file, 5000)
  if ('release' in lock) lock.release()
  t.match(await waiting, { ok: true })
  chmodSync(directory, 0o770)
  t.strictSame(await prepareStateDirectory(directory), {
    ok: false,
    message: `state directory ${directory} can be changed by others; run: chmod 700 ${directory}`,
  })
  t.match(await prepareStateDirectory(join(file, 'below-a-file')), { ok: false, message: /cannot be made/ })
})

t.test('a running server follows the file', async (t) => {
  const directory = t.testdir()
  chmodSync(directory, 0o700)
  const failures: string[] = []
  const live = new LiveAccounts(directory, (message) => failures.push(message))
  t.ok(live.load().ok)
  t.equal(live.find('anna'), undefined)
  await changeAccounts(directory, adding(newAccount('Anna', 'x', undefined)))
  t.equal(live.find('ANNA')?.name, 'Anna')
  await changeAccounts(
    directory,
    changing('anna', (account) => ({ ...account, disabled: true })),
  )
  t.equal(live.find('anna'), undefined, 'disabled')
  t.equal(live.all().length, 1)
  await changeAccounts(
    directory,
    changing('anna', (account) => ({ ...account, disabled: false })),
  )
  chmodSync(accountsFile(directory), 0o644)
  t.equal(live.all().length, 1, 'what was known stays')
  live.all()
  t.match(failures, [/is open to other users/])
  t.equal(failures.length, 1, 'told once')
  chmodSync(accountsFile(directory), 0o600)
  t.ok(live.find('anna'))
  renameSync(accountsFile(directory), join(directory, 'gone'))
  t.strictSame(live.all(), [], 'a removed file means no accounts')
})

t.test('account names', async (t) => {
  for (const name of ['anna', 'Anna B', 'jörg', 'a.b-c_d', 'x'.repeat(104)]) t.match(name, ACCOUNT_NAME)
  for (const name of ['', '-v', ' a', 'a ', 'a/b', 'a\\b', 'a:b', '@g', 'a\nb', 'a"b', 'x'.repeat(105)]) {
    t.notMatch(name, ACCOUNT_NAME)
  }
})

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# comment
anna:x:1000:1000:Anna,,,:/home/anna:/bin/sh
bob:x:1001:100::/home/bob:/bin/sh
bob:x:9:9:second entry loses::
broken:x:abc:1::
+nis::::::
`
const GROUP = `root:x:0:
users:x:100:
anna:x:1000:
tm:x:200:anna,bob
staff:x:201:anna
broken:x::anna
`

t.test('system users and groups', async (t) => {
  t.strictSame([...parsePasswd(PASSWD).keys()], ['root', 'anna', 'bob'])
  t.strictSame(parsePasswd(PASSWD).get('bob'), { uid: 1001, gid: 100 })
  t.strictSame(parseGroup(GROUP).get('tm'), { gid: 200, members: ['anna', 'bob'] })
  const asked: string[] = []
  let passwd = PASSWD
  const users = new SystemUsers({
    passwd: async () => passwd,
    group: async () => GROUP,
    async run(command, args) {
      asked.push([command, ...args].join(' '))
      const answers: Record<string, string> = {
        'id -u -- ldap': '5000\n',
        'id -g -- ldap': '5001\n',
        'id -G -- ldap': '5001 5002\n',
        'getent group lgroup': 'lgroup:*:5002:ldap\n',
      }
      return answers[[command, ...args].join(' ')]
    },
  })
  t.equal(users.user('anna'), undefined, 'nothing before prepare')
  await users.prepare(['anna', 'ldap', 'ghost', '-rf', '$(x)'], ['tm', 'lgroup', 'noone'])
  t.strictSame(users.user('anna'), { uid: 1000, gid: 1000, groups: [1000, 200, 201] })
  t.strictSame(users.user('bob'), { uid: 1001, gid: 100, groups: [100, 200] })
  t.strictSame(users.user('ldap'), { uid: 5000, gid: 5001, groups: [5001, 5002] })
  t.equal(users.user('ghost'), undefined)
  t.equal(users.group('lgroup'), 5002)
  t.equal(users.group('noone'), undefined)
  t.equal(users.nameOf(1001), 'bob')
  t.strictSame(asked, [
    'id -u -- ldap',
    'id -g -- ldap',
    'id -G -- ldap',
    'id -u -- ghost',
    'getent group lgroup',
    'getent group noone',
  ])
  passwd = ''
  await users.prepare()
  t.equal(users.user('anna'), undefined, 'a reload forgets')
})

function share(extra: string): ShareConfiguration {
  const text = `[[share]]\nname = "s"\npath = "p"\n${extra}`
  const outcome = parseConfiguration({ text, file: 'f', baseDirectory: '/b', source: undefined })
  const first = outcome.ok ? outcome.configuration.shares[0] : undefined
  if (!first) throw new Error(JSON.stringify(outcome))
  return first
}

t.test('who an account acts as and what it may use', async (t) => {
  const users = new SystemUsers({
    passwd: async () => PASSWD,
    group: async () => GROUP,
    run: async () => undefined,
  })
  await users.prepare()
  const anna = newAccount('Anna', 'x', 'anna')
  const mac = newAccount('mac 1', 'x', undefined)
  t.match(identityOf(anna, users, true), { ok: true, value: { uid: 1000 } })
  t.strictSame(
    identityOf(mac, users, false),
    { ok: true, value: undefined },
    'without root: the server itself',
  )
  t.strictSame(identityOf(mac, users, true), {
    ok: false,
    message:
      'account "mac 1" needs a system user to act as, and there is no "mac 1". ' +
      'Make one: useradd --system --no-create-home mac-1; or name another with --unix-user NAME',
  })
  t.ok(isListed(['ANNA'], anna, users))
  t.ok(isListed(['nobody', '@staff'], anna, users))
  t.ok(isListed(['@anna'], anna, users), 'primary group')
  t.notOk(isListed(['@users', '@ghosts', 'ann'], anna, users))
  t.notOk(isListed(['@tm'], mac, users), 'no system user, no groups')
  t.ok(mayUse(share(''), mac, users))
  t.notOk(mayUse(share('valid_users = ["@tm"]'), mac, users))
  t.strictSame(forcedIdentity(share(''), users), { ok: true, value: { user: undefined, gid: undefined } })
  const forced = share(
    'force_user = "bob"\nforce_group = "staff"\nadmin_users = ["@tm"]\nvalid_users = ["anna", "@users"]',
  )
  t.match(forcedIdentity(forced, users), { ok: true, value: { user: { uid: 1001 }, gid: 201 } })
  t.match(forcedIdentity(share('force_user = "ghost"'), users), {
    ok: false,
    message: 'force_user: there is no system user "ghost"; make it or name another',
  })
  t.match(forcedIdentity(share('force_group = "ghost"'), users), { ok: false, message: /force_group/ })
  t.strictSame(referencedNames([forced], [anna, mac]), {
    users: new Set(['anna', 'mac 1', 'bob']),
    groups: new Set(['staff', 'users', 'tm']),
  })
})

t.test('user commands', async (t) => {
  const directory = t.testdir({ 'poolhouse.toml': 'server.state_dir = "state"' })
  const user = (args: string[], input = '') => runInProcess(['user', ...args], { cwd: directory, input })
  t.match(await user(['list']), {
    code: 0,
    stdout: 'There are no accounts; add one: poolhouse user add NAME\n',
  })
  t.match(await user(['add', 'anna', '--password-stdin'], 'secret\r\n'), {
    code: 0,
    stdout: 'account "anna" added\n',
    stderr: '',
  })
  const hash = () => accountsIn(join(directory, 'state'))[0]?.ntHash.toString('hex')
  const first = hash()
  t.equal(first, newAccount('x', 'secret', undefined).ntHash.toString('hex'), 'without the line end')
  t.match(await user(['add', 'ANNA', '--password-stdin'], 'x'), {
    code: 1,
    stderr: /^poolhouse: account "anna" exists/,
  })
  t.match(await user(['passwd', 'Anna', '--password-stdin'], 'other'), { code: 0 })
  t.not(hash(), first)
  t.match(await user(['passwd', 'bob', '--password-stdin'], 'x'), {
    code: 1,
    stderr: /there is no account "bob"/,
  })
  t.match(await user(['passwd', 'anna', '--password-stdin'], ''), {
    code: 1,
    stderr: 'poolhouse: the password is empty; give one\n',
  })
  t.match(await user(['passwd', 'anna', '--password-stdin'], 'a\nb\n'), {
    code: 1,
    stderr: /more than one line/,
  })
  t.match(await user(['passwd', 'anna']), {
    code: 1,
    stderr: /no terminal to ask for a password on; pass it with --password-stdin/,
  })
  t.match(await user(['add', 'a/b', '--password-stdin'], 'x'), {
    code: 2,
    stderr: /"a\/b" cannot be an account/,
  })
  t.match(await user(['add', 'bob', '--unix-user', 'no-such-user', '--password-stdin'], 'x'), {
    code: 1,
    stderr: /there is no "no-such-user"\. Make one: useradd/,
  })
  t.match(await user(['disable', 'anna']), { code: 0, stdout: 'account "anna" disabled\n' })
  t.match(JSON.parse((await user(['list', '--json'])).stdout), [
    { name: 'anna', unix_user: 'anna', disabled: true },
  ])
  t.match(await user(['list']), { code: 0, stdout: /anna.*disabled/s })
  t.match(await user(['enable', 'anna']), { code: 0 })
  t.match(await user(['remove', 'anna']), { code: 0, stdout: 'account "anna" removed\n' })
  t.match(await user(['remove', 'anna']), { code: 1 })
  const typing = (args: string[], typed: string[]) =>
    runInProcess(['user', ...args], { cwd: directory, typed })
  const mismatch = await typing(['add', 'carl'], ['one', 'two'])
  t.match(mismatch, { code: 1, stderr: 'poolhouse: the two passwords differ; nothing was changed\n' })
  t.equal(mismatch.stdout, 'Password: \nAgain: \n', 'what is typed is not shown')
  t.match(await typing(['add', 'carl'], ['pass word', 'pass word']), { code: 0 })
  t.equal(hash(), newAccount('x', 'pass word', undefined).ntHash.toString('hex'))
  const asRoot = (args: string[]) =>
    runInProcess(['user', ...args, '--password-stdin'], { cwd: directory, input: 'x', isRoot: true })
  t.match(await asRoot(['add', 'no-such-user']), { code: 1, stderr: /needs a system user to act as/ })
  t.match(await asRoot(['add', 'root']), { code: 0 })
  t.match(await asRoot(['add', 'mac', '--unix-user', 'root']), { code: 0 })
  t.match(await user(['add']), { code: 2, stderr: /missing required argument 'name'/ })
  t.match(await user(['ad', 'x']), { code: 2, stderr: /Did you mean add\?/ })
  mkdirSync(join(directory, 'bad'))
  writeFileSync(join(directory, 'bad', 'p.toml'), '[smb]\nguets = true')
  t.match(await user(['list', '--config', 'bad/p.toml']), {
    code: 2,
    stderr: /p\.toml:2: smb\.guets: unknown key; did you mean "guest"\?\n$/,
  })
  t.notOk(existsSync(join(directory, 'bad', '.poolhouse')))
})
