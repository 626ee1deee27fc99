/** DESIGN 7: a client acts as its account; the file system's own rules decide. */

import type { Test } from 'tap'
import type { Identity } from '../../../storage/file-system.ts'
import type { Fixture, Lab } from './lab.ts'

const ALICE: Identity = { uid: 61_001, gid: 62_001, groups: [62_010] }
const BOB: Identity = { uid: 61_002, gid: 62_002, groups: [62_010] }
const CAROL: Identity = { uid: 61_003, gid: 62_003, groups: [] }

export async function identityContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('identities', (t) => fixture(t, identities))
}

async function identities(lab: Lab): Promise<void> {
  if (!lab.canImpersonate) {
    lab.t.pass('this backend acts as its own user only here')
    return
  }
  await ownership(lab)
  await accessByMode(lab)
  await hidden(lab)
}

async function ownership(lab: Lab): Promise<void> {
  const { t } = lab
  await lab.refuses('x', { identity: ALICE, disposition: 'create' }, 'access-denied', 'the root is not hers')
  const root = await lab.handle('', { read: false })
  await root.change({ mode: 0o1777 })
  const made = await lab.open('alice', { identity: ALICE, disposition: 'create', kind: 'file', write: true })
  t.equal(made.stat.uid, ALICE.uid)
  t.equal(made.stat.gid, ALICE.gid)
  const owner = { uid: BOB.uid, gid: BOB.gid }
  const forced = await lab.open('forced', {
    identity: undefined,
    disposition: 'create',
    create: { mode: 0o644, dosAttributes: 0, owner },
  })
  t.equal(forced.stat.uid, BOB.uid, 'another owner when it is asked for')
  t.equal(forced.stat.gid, BOB.gid)
  const asBob = await lab.handle('alice', { identity: BOB })
  await lab.fails(asBob.change({ mode: 0o666 }), 'not-permitted', "another's mode")
  await lab.fails(asBob.change({ writeTime: 0n }), 'not-permitted', "another's times")
  await lab.fails(asBob.remove(), ['access-denied', 'not-permitted'], "another's file in a sticky directory")
  await lab.fails(
    asBob.rename({ to: 'mine', replace: false }),
    ['access-denied', 'not-permitted'],
    'nor renamed',
  )
  await lab.fails(made.handle.change({ uid: BOB.uid }), 'not-permitted', 'giving a file away')
  t.equal((await made.handle.change({ mode: 0o640 })).mode, 0o640, 'her own mode')
}

async function accessByMode(lab: Lab): Promise<void> {
  const { t } = lab
  const file = await lab.handle('alice', { read: false })
  await file.change({ gid: 62_010, mode: 0o640 })
  const permissions = async (identity: Identity) => {
    const outcome = await lab.open('alice', { identity, read: false, wantPermissions: true })
    return outcome.permissions
  }
  t.match(await permissions(ALICE), { read: true, write: true, execute: false, owner: true, remove: true })
  t.match(await permissions(BOB), { read: true, write: false, execute: false, owner: false, remove: false })
  t.match(await permissions(CAROL), {
    read: false,
    write: false,
    execute: false,
    owner: false,
    remove: false,
  })
  await lab.open('alice', { identity: BOB })
  await lab.refuses('alice', { identity: BOB, write: true }, 'access-denied')
  await lab.refuses('alice', { identity: CAROL }, 'access-denied')
  await lab.open('alice', { identity: ALICE, write: true })
  const closed = await lab.handle('closed', {
    identity: ALICE,
    disposition: 'create',
    kind: 'directory',
    create: { mode: 0o700, dosAttributes: 0 },
  })
  await lab.open('closed/file', { identity: ALICE, disposition: 'create' })
  await lab.refuses('closed/file', { identity: BOB, read: false }, 'access-denied', 'no way through')
  await lab.refuses('closed/new', { identity: BOB, disposition: 'create' }, 'access-denied')
  t.equal(await closed.path(), 'closed')
}

async function hidden(lab: Lab): Promise<void> {
  const { t } = lab
  const directory = await lab.handle('', { identity: CAROL })
  const names = async (hideUnreadable: boolean) => {
    const cursor = await directory.list({ pattern: '*', hideUnreadable })
    const entries = await cursor.next(100)
    await cursor.close()
    return entries.map((entry) => entry.name).sort()
  }
  t.same(await names(false), ['.', '..', 'alice', 'closed', 'forced'])
  t.same(await names(true), ['.', '..', 'forced'], 'access-based enumeration')
}
