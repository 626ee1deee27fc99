/** The parts of the composition root that decide something: throttle, SIDs, shares' admission. */

import { appendFile, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { DurableRecord } from '../../protocols/smb2/state/durable-store.ts'
import { DEFAULT_LIMITS } from '../../protocols/smb2/state/server.ts'
import type { Account } from '../../server/accounts/account.ts'
import type { LiveAccounts } from '../../server/accounts/live.ts'
import { SystemUsers } from '../../server/accounts/system-users.ts'
import { parseConfiguration } from '../../server/config/parse.ts'
import { createAccountDirectory } from '../../server/serve/account-directory.ts'
import { descriptorLimit, limitsWithin } from '../../server/serve/descriptor-limits.ts'
import { createIdentityMap } from '../../server/serve/identity-map.ts'
import { createLoginThrottle } from '../../server/serve/login-throttle.ts'
import { type AccountSources, diskShare, pipeShare } from '../../server/serve/shares.ts'
import { hasFolder, withUserFolders } from '../../server/serve/user-folders.ts'
import { openDurableHandles } from '../../server/state/durable-handles.ts'
import { Lane } from '../../storage/lane.ts'
import { createMemoryFileSystem } from '../../storage/memory/file-system.ts'
import { TunnelCache } from '../../storage/sharing/tunnel-cache.ts'

t.test('failed logins are answered later each time, blocked at last, and forgotten', async (t) => {
  let now = 0
  const throttle = createLoginThrottle(() => now)
  const delays = Array.from({ length: 8 }, () => throttle.failed('10.0.0.1'))
  t.same(delays, [100, 200, 400, 800, 1600, 2000, 2000, 2000])
  t.equal(throttle.failed('10.0.0.2'), 100, 'another address is not meant')
  for (let count = 0; count < 93; count++) throttle.failed('10.0.0.1')
  t.equal(throttle.blocked('10.0.0.1'), true)
  t.equal(throttle.blocked('10.0.0.2'), false)
  now += 5 * 60 * 1000 + 1
  t.equal(throttle.blocked('10.0.0.1'), false, 'after five quiet minutes')
  t.equal(throttle.failed('10.0.0.1'), 100)
  throttle.succeeded('10.0.0.1')
  t.equal(throttle.failed('10.0.0.1'), 100)
})

t.test('only so many addresses are remembered', async (t) => {
  const throttle = createLoginThrottle(() => 0)
  throttle.failed('first')
  for (let count = 0; count < 10_000; count++) throttle.failed(`address ${count}`)
  t.equal(throttle.failed('first'), 100, 'the oldest is forgotten')
  t.equal(throttle.failed('address 9999'), 200)
})

t.test('users and groups have SIDs that lead back, on this server alone', async (t) => {
  const here = createIdentityMap(Buffer.alloc(16, 1))
  const elsewhere = createIdentityMap(Buffer.alloc(16, 2))
  for (const id of [0, 1, 1000, 65534, 4_000_000]) {
    t.same(here.accountOf(here.userSid(id)), { uid: id })
    t.same(here.accountOf(here.groupSid(id)), { gid: id })
  }
  t.not(here.userSid(1), here.groupSid(1))
  t.equal(here.userSid(7), createIdentityMap(Buffer.alloc(16, 1)).userSid(7), 'the same after a restart')
  t.equal(elsewhere.accountOf(here.userSid(1)), undefined)
  t.equal(here.accountOf('S-1-1-0'), undefined)
  t.equal(here.accountOf(`${here.userSid(1)}x`), undefined)
})

t.test('a removed long name comes back with its short one, for a while', async (t) => {
  const cache = new TunnelCache()
  cache.remember('share/dir', 'LONG~1.TXT', 'long name.txt', 1000)
  t.equal(cache.longNameOf('share/dir', 'long~1.txt', 1000), 'long name.txt')
  t.equal(cache.longNameOf('share/other', 'LONG~1.TXT', 1000), undefined)
  t.equal(cache.longNameOf('share/dir', 'LONG~1.TXT', 16_000), 'long name.txt')
  t.equal(cache.longNameOf('share/dir', 'LONG~1.TXT', 16_001), undefined)
  for (let count = 0; count < 1024; count++) cache.remember('share/dir', `N~${count}`, 'x', 2000)
  t.equal(cache.longNameOf('share/dir', 'LONG~1.TXT', 2000), undefined, 'the oldest makes room')
})

const PASSWD = 'alice:x:1001:100::/:\nbob:x:1002:100::/:\nbackup:x:34:34::/:\nnobody:x:65534:65534::/:\n'
const GROUP = 'users:x:100:\nstaff:x:50:alice\nbackup:x:34:\n'

async function sourcesFor(isRoot: boolean): Promise<AccountSources> {
  const systemUsers = new SystemUsers({
    passwd: async () => PASSWD,
    group: async () => GROUP,
    run: async () => undefined,
  })
  await systemUsers.prepare(['alice', 'bob', 'backup', 'nobody'], ['staff', 'backup'])
  const account = (name: string): Account => ({
    name,
    ntHash: Buffer.alloc(16),
    created: '',
    changed: '',
    disabled: false,
  })
  const known = new Map(['alice', 'bob', 'ghost'].map((name) => [name, account(name)]))
  known.set('saver', { ...account('Saver'), unixUser: 'backup' })
  const accounts = {
    find: (name: string) => known.get(name.toLowerCase()),
    all: () => [...known.values()],
  } as unknown as LiveAccounts
  return { accounts, systemUsers, isRoot }
}

function shareOf(toml: string, sources: AccountSources) {
  const outcome = parseConfiguration({
    text: `[server]\nname = "t"\nstate_dir = "/state"\n[[share]]\nname = "s"\npath = "/data"\n${toml}\n`,
    file: 'test.toml',
    baseDirectory: '/',
    source: undefined,
  })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems))
  const [configuration] = outcome.configuration.shares
  if (configuration === undefined) throw new Error('no share')
  return {
    share: diskShare(configuration, { fileSystem: createMemoryFileSystem({ now: () => 0n }) }, sources),
    configuration: outcome.configuration,
  }
}

const user = (name: string) => ({ kind: 'user', user: name, domain: '' }) as const
const GUEST = { kind: 'guest', user: '', domain: '' } as const
const ANONYMOUS = { kind: 'anonymous', user: '', domain: '' } as const

t.test('who may connect to a share, and as whom', async (t) => {
  const sources = await sourcesFor(true)
  const open = shareOf('', sources).share
  t.match(open.admit(user('alice')), { identity: { uid: 1001 }, readOnly: false, administrator: false })
  t.equal(open.admit(user('ghost')), undefined, 'an account without a system user acts as nobody')
  t.equal(open.admit(user('stranger')), undefined)
  t.equal(open.admit(GUEST), undefined)
  t.equal(open.admit(ANONYMOUS), undefined)

  const listed = shareOf('valid_users = ["@staff"]\nread_only = true', sources).share
  t.match(listed.admit(user('alice')), { readOnly: true })
  t.equal(listed.admit(user('bob')), undefined)

  const forced = shareOf('force_user = "backup"\nforce_group = "staff"\nguest_ok = true', sources).share
  t.match(forced.admit(user('alice')), { identity: { uid: 34, gid: 50 } })
  t.match(forced.admit(GUEST), { identity: { uid: 34, gid: 50 } })
  t.same(forced.forcedOwner, { uid: 34, gid: 50 })

  const administered = shareOf('admin_users = ["bob"]', sources)
  t.match(administered.share.admit(user('bob')), { identity: undefined, administrator: true })
  t.match(pipeShare(administered.configuration, sources).admit(user('bob')), { administrator: true })
  t.match(pipeShare(administered.configuration, sources).admit(user('alice')), { administrator: false })
  t.throws(() => shareOf('force_user = "missing"', sources), /force_user/)
})

t.test('without root all act as the server', async (t) => {
  const { share } = shareOf('', await sourcesFor(false))
  t.match(share.admit(user('alice')), { identity: undefined, administrator: false })
  t.match(share.admit(user('ghost')), { identity: undefined })
})

t.test('each account gets a folder below a per_user share', async (t) => {
  const path = t.testdir({ bob: { old: '' } })
  const sources = await sourcesFor(false)
  const { share, configuration } = shareOf(
    'per_user = true\nguest_ok = true\ndirectory_mask = "0755"',
    sources,
  )
  const [configured] = configuration.shares
  if (configured === undefined) throw new Error('no share')
  const asked: string[] = []
  const users = withUserFolders(share, {
    share: { ...configured, path },
    lane: new Lane(),
    sources,
    volume: async (name) => {
      asked.push(name)
      return { fileSystem: createMemoryFileSystem() }
    },
  })
  t.equal(users.admit(GUEST), undefined, 'guests have no folder')
  const own = await users.own?.(user('ALICE'))
  t.equal(own?.path, join(path, 'alice'))
  t.equal((await stat(join(path, 'alice'))).mode & 0o777, 0o700)
  t.equal((await users.own?.(user('alice')))?.fileSystem, own?.fileSystem, 'the same for the next session')
  t.equal(own?.admit(user('bob')), undefined, 'not for another user of the session')
  t.match(own?.admit(user('Alice')), { readOnly: false })
  t.equal((await users.own?.(user('bob')))?.name, 's')
  t.equal(await users.own?.(user('stranger')), undefined)
  t.same(asked, ['alice', 'bob'])
  await symlink('/', join(path, 'ghost'))
  await t.rejects(Promise.resolve(users.own?.(user('ghost'))), { code: 'ENOTDIR' }, 'a link leads nowhere')
  t.equal(await hasFolder({ path }, 'bob'), true)
  for (const name of ['ghost', 'none', '..']) t.equal(await hasFolder({ path }, name), false)
})

t.test('names of accounts', async (t) => {
  const identities = createIdentityMap(Buffer.alloc(16))
  const sources = await sourcesFor(true)
  const directory = createAccountDirectory(sources, identities, 0)
  t.equal(identities.domainSid, identities.userSid(0).replace(/-\d+$/, ''))
  const alice = { kind: 'user', name: 'alice', sid: identities.userSid(1001), id: 1001, unixName: 'alice' }
  t.same(directory.byName('ALICE'), alice)
  t.same(directory.bySid(alice.sid), alice)
  t.same(directory.byUnixName('user', 'alice'), alice)
  const saver = { kind: 'user', name: 'Saver', sid: identities.userSid(34), id: 34, unixName: 'backup' }
  for (const name of ['saver', 'backup'])
    t.same(directory.byName(name), saver, 'its account goes by another name')
  t.match(directory.byId('user', 65_534), { name: 'nobody' }, 'a user of the system without an account')
  t.match(directory.byName('Staff'), { kind: 'group', name: 'staff', sid: identities.groupSid(50) })
  const group = { kind: 'group', name: 'backup (group)', sid: identities.groupSid(34), unixName: 'backup' }
  t.match(directory.bySid(identities.groupSid(34)), group, 'not to be taken for the user of its name')
  t.match(directory.byName('BACKUP (group)'), group)
  t.match(directory.byUnixName('group', 'backup'), group)
  for (const name of ['ghost', 'stranger', '']) t.equal(directory.byName(name), undefined, name)
  for (const sid of ['S-1-1-0', identities.userSid(7), identities.groupSid(7), identities.domainSid]) {
    t.equal(directory.bySid(sid), undefined, sid)
  }
  const all = createAccountDirectory(await sourcesFor(false), identities, 1002)
  t.match(
    all.byName('alice'),
    { name: 'bob', sid: identities.userSid(1002) },
    'without root all are the server',
  )
})

t.test('names that a share shows as hidden', async (t) => {
  const { share } = shareOf('hide_files = ["*.tmp", "Thumbs.db"]', await sourcesFor(false))
  t.equal(share.hidden?.('a.TMP'), true)
  t.equal(share.hidden?.('thumbs.db'), true)
  t.equal(share.hidden?.('a.txt'), false)
})

t.test('opens within the descriptors of the process', async (t) => {
  t.same(limitsWithin(undefined, 1024), DEFAULT_LIMITS)
  t.same(limitsWithin(1 << 20, 1024), DEFAULT_LIMITS, 'there are enough')
  t.match(limitsWithin(20_000, 1024), { opens: 18_464, opensPerSession: 13_848 }, 'one client leaves some')
  t.match(limitsWithin(1024, 1024), { opens: 256, opensPerSession: 192 })
  const own = descriptorLimit()
  t.ok(process.platform !== 'linux' || own === undefined || own > 0)
})

const DURABLE: DurableRecord = {
  ...{
    id: 'a1',
    durable: { version: 2, timeout: 30_000, owner: 'anna' },
    createGuid: '00ff',
    share: 'share',
  },
  ...{
    path: 'folder/file',
    stream: '',
    volumeId: '1',
    fileId: '18446744073709551615',
    grantedAccess: 0x1f01ff,
  },
  ...{ maximalAccess: 0x1f01ff, shareAccess: 7, createOptions: 0, createAction: 1, mode: 0 },
  posix: false,
  sharesAsPosix: false,
  ...{ currentByteOffset: '0', deleteOnClose: false, deletePending: false, lease: undefined },
  ...{ locks: [{ offset: '0', length: '1', exclusive: true }], lockSequences: [[1, 2]], creationTime: 1 },
  absentSince: 2,
}

t.test('durable opens are kept in a log', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'durable-handles.jsonl')
  const complaints: string[] = []
  const open = () => openDurableHandles(directory, (_level, message) => complaints.push(message))
  const first = await open()
  t.same(first.records, [])
  first.write([DURABLE, { ...DURABLE, id: 'b2' }], [])
  first.write([{ ...DURABLE, path: 'moved' }], ['b2'])
  await first.close()
  t.equal((await stat(file)).mode & 0o777, 0o600)
  // The end of a line that was being written when the machine stopped, and what is no record.
  await appendFile(file, '{"id":"c3","over":1}\nnonsense\n{"id":"a1","du')
  const second = await open()
  t.same(second.records, [JSON.parse(JSON.stringify({ ...DURABLE, path: 'moved' }))])
  const lines = async () => (await readFile(file, 'utf8')).split('\n').length - 1
  t.equal(await lines(), 1, 'what does not count is gone')
  for (let count = 0; count < 3000; count++) {
    second.write([{ ...DURABLE, path: `${count}` }], [])
    if (count % 100 === 0) await new Promise(setImmediate)
  }
  await second.close()
  t.ok((await lines()) < 2000, 'nor does it pile up')
  const third = await open()
  t.same(
    third.records.map(({ path }) => path),
    ['2999'],
  )
  await third.close()
  await writeFile(file, '')
  t.same((await open()).records, [])
  t.same(complaints, [])
})

t.test('a state directory that takes nothing stops no server', async (t) => {
  const directory = t.testdir()
  const complaints: string[] = []
  const handles = await openDurableHandles(directory, (_level, message) => complaints.push(message))
  await rm(directory, { recursive: true })
  for (let count = 0; count < 1100; count++) handles.write([DURABLE], [])
  handles.write([], ['a1'])
  await new Promise((resolve) => setTimeout(resolve, 20))
  handles.write([DURABLE], [])
  await handles.close()
  t.same(complaints, ['durable opens will not survive a restart'], 'said once')
  const lost = await openDurableHandles(join(directory, 'none'), (_level, message) =>
    complaints.push(message),
  )
  t.same(lost.records, [])
  t.equal(complaints.length, 2)
  await lost.close()
})
