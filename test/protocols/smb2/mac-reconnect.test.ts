/** MS-SMB2 3.2.4.4, 3.3.5.5.3, 3.3.7.1 as macOS needs them: all handles or none come back, and a Mac that begins anew is not kept out by itself. */

import type { Test } from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeAaplServerReply,
  encodeAaplServerQuery,
} from '../../../protocols/smb2/messages/create-context-aapl.ts'
import { findCreateContext } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { CLIENT_GUID, MINUTE, sessionOf } from '../../sim/durable.ts'
import { durableTest as test } from '../../sim/durable-test.ts'
import { settled } from '../../sim/sim-environment.ts'
import type { SimServer } from '../../sim/sim-server.ts'
import { leaseBits, type MountOptions, SimClient, type SimCreated } from '../../sim/smb2-client.ts'
import { echoRequest, writeRequest } from '../../sim/smb2-requests.ts'
import { durableReconnect, durableRequest, leaseRequest } from '../../sim/world/wire.ts'

const { SUCCESS, OBJECT_NAME_NOT_FOUND, USER_SESSION_DELETED, SHARING_VIOLATION } = Status
/** What backupd asks for, milliseconds. */
const TIMEOUT = 30_000
const HOUR = 60 * MINUTE
const SHARE_NONE = 0
const DATA = FileAccess.READ_DATA | FileAccess.WRITE_DATA
const WHOLE_FILE = {
  ...{ offset: 0n, length: 0x7fff_ffff_ffff_fffen },
  flags: LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY,
}

/** What a Mac does at every mount and after every reconnect. */
async function mountMac(t: Test, sim: SimServer, options: MountOptions = {}): Promise<SimClient> {
  const mac = await SimClient.mount(sim, {
    ...{ dialects: [Dialect.SMB_3_0_2], clientGuid: CLIENT_GUID },
    ...options,
  })
  const root = await mac.create({
    ...{ name: '', createOptions: CreateOption.DIRECTORY_FILE, desiredAccess: FileAccess.READ_ATTRIBUTES },
    createContexts: [
      { name: 'AAPL', data: encodeAaplServerQuery({ queryBitmap: 7n, clientCapabilities: 0x3fn }) },
    ],
  })
  const reply = findCreateContext(root.response?.createContexts ?? [], 'AAPL')
  const volume = reply && decodeAaplServerReply(reply).volumeCapabilities
  t.equal(volume, 5, 'AAPL is answered, with FULL_SYNC and RESOLVE_ID')
  await mac.close(root.fileId)
  return mac
}

/** Sixteen bytes that stand for one file: its lease key and CreateGuid. */
const keyOf = (name: string): Buffer<ArrayBuffer> => Buffer.from(name.padEnd(16, '.'))

let opened = 0

/** Each CREATE has a CreateGuid of its own; the first of a file is that of `comeBack`. */
function open(
  mac: SimClient,
  name: string,
  shareAccess = 7,
  key = keyOf(name),
  createGuid = Buffer.from(`create ${++opened}`.padEnd(16)),
): Promise<SimCreated> {
  return mac.create({
    ...{ name, shareAccess, desiredAccess: DATA, requestedOplockLevel: OplockLevel.LEASE },
    createContexts: [leaseRequest(key, leaseBits('RWH')), durableRequest(createGuid, TIMEOUT)],
  })
}

function comeBack(mac: SimClient, name: string, fileId: FileId): Promise<SimCreated> {
  return mac.create({
    ...{ name, requestedOplockLevel: OplockLevel.LEASE },
    createContexts: [leaseRequest(keyOf(name), leaseBits('RWH')), durableReconnect(fileId, keyOf(name))],
  })
}

const BUNDLE = ['lock', 'token', 'Info.plist', 'band-0', 'band-1']

async function openBundle(t: Test, mac: SimClient): Promise<Map<string, FileId>> {
  const handles = new Map<string, FileId>()
  for (const name of BUNDLE) {
    const { status, fileId } = await open(
      mac,
      name,
      name === 'lock' ? SHARE_NONE : 7,
      keyOf(name),
      keyOf(name),
    )
    t.equal(status, SUCCESS, name)
    handles.set(name, fileId)
  }
  return handles
}

test('all handles come back while the old connection is not known to be dead', async (t, sim) => {
  const before = await mountMac(t, sim)
  const handles = await openBundle(t, before)
  for (const fileId of handles.values()) await before.write(fileId, 'kept')
  const after = await mountMac(t, sim, { previousSessionId: sessionOf(before) })
  t.notOk(before.disconnected, 'the old connection lives')
  for (const [name, fileId] of handles) {
    const back = await comeBack(after, name, fileId)
    t.equal(back.status, SUCCESS, name)
    t.equal((await after.read(back.fileId, 4)).output.toString(), 'kept')
    t.equal(await after.write(back.fileId, 'more'), SUCCESS)
    const late = await before.request(writeRequest({ fileId, data: Buffer.from('late'), offset: 0n }))
    t.equal(late.status, USER_SESSION_DELETED, 'nothing comes late on the old one')
  }
  before.drop()
  await settled()
  const band = handles.get('band-0') as FileId
  t.equal((await after.read(band, 4)).output.toString(), 'more', 'its end takes nothing along')
  t.equal((await after.request(echoRequest())).status, SUCCESS)
})

test('when one handle is lost the Mac gives up all, and begins anew at once', async (t, sim) => {
  const before = await mountMac(t, sim)
  const handles = await openBundle(t, before)
  before.drop()
  await settled()
  const windows = await SimClient.mount(sim, { address: 'windows', dialects: [Dialect.SMB_3_0_2] })
  const taken = await windows.create({ name: 'token', desiredAccess: DATA, shareAccess: SHARE_NONE })
  t.equal(taken.status, SUCCESS, 'who is away keeps no one out')
  await windows.close(taken.fileId)

  const after = await mountMac(t, sim, { previousSessionId: sessionOf(before) })
  const statuses = new Map<string, number>()
  for (const [name, fileId] of handles) statuses.set(name, (await comeBack(after, name, fileId)).status)
  t.equal(statuses.get('token'), OBJECT_NAME_NOT_FOUND, 'it is said that this one is lost')
  statuses.delete('token')
  t.same([...new Set(statuses.values())], [SUCCESS], 'of the others each is there')
  // smb2fs_reconnect: any that fails fails the mount; it goes away without a word, and the user mounts again.
  after.drop()
  await settled()
  const fresh = await mountMac(t, sim, { clientGuid: Buffer.alloc(16, 'n') })
  for (const name of BUNDLE) {
    const { status } = await open(fresh, name, SHARE_NONE, Buffer.alloc(16, name))
    t.equal(status, SUCCESS, `${name} is not in use`)
  }
})

test('a Mac that opens instead of coming back is not kept out by its own orphans', async (t, sim) => {
  for (const [how, previous] of [
    ['its session is gone', false],
    ['its session was superseded', true],
  ] as const) {
    const before = await mountMac(t, sim)
    const handles = await openBundle(t, before)
    t.equal(await before.lock(handles.get('band-1') as FileId, WHOLE_FILE), SUCCESS)
    if (!previous) before.drop()
    await settled()
    const after = await mountMac(t, sim, previous ? { previousSessionId: sessionOf(before) } : {})
    const again = await open(after, 'lock', SHARE_NONE)
    t.equal(again.status, SUCCESS, `${how}: with the lease key of before`)
    const other = await open(after, 'token', SHARE_NONE, Buffer.alloc(16, 'o'))
    t.equal(other.status, SUCCESS, `${how}: with another`)
    const band = await open(after, 'band-1')
    t.equal(await after.lock(band.fileId, WHOLE_FILE), SUCCESS, `${how}: what the orphan had locked`)
    const lost = await comeBack(after, 'lock', handles.get('lock') as FileId)
    t.equal(lost.status, OBJECT_NAME_NOT_FOUND, `${how}: the orphan is gone`)
    for (const { fileId } of [again, other, band]) t.equal(await after.close(fileId), SUCCESS)
    for (const client of [before, after]) client.drop()
    await sim.environment.advance(MINUTE)
  }
})

test('who is no Mac may come back for each handle when it needs it', async (t, sim) => {
  const before = await mountMac(t, sim)
  const handles = await openBundle(t, before)
  before.drop()
  await settled()
  const plain = await SimClient.mount(sim, { dialects: [Dialect.SMB_3_0_2], clientGuid: CLIENT_GUID })
  t.equal((await open(plain, 'lock', SHARE_NONE)).status, SHARING_VIOLATION)
  t.equal(sim.server.absentOpens.size, BUNDLE.length, 'nothing was ended')
  const back = await comeBack(plain, 'lock', handles.get('lock') as FileId)
  t.equal(back.status, SUCCESS)
})

test('an orphan is not ended for what others refuse all the same', async (t, sim) => {
  const before = await mountMac(t, sim)
  const { fileId } = await open(before, 'file', 7, keyOf('file'), keyOf('file'))
  const windows = await SimClient.mount(sim, { address: 'windows', dialects: [Dialect.SMB_3_0_2] })
  const acknowledged = windows.create({ name: 'file', desiredAccess: FileAccess.READ_DATA })
  await settled()
  await before.acknowledgeLease(keyOf('file'), 'RH')
  t.equal((await acknowledged).status, SUCCESS)
  before.drop()
  await settled()
  const after = await mountMac(t, sim)
  t.equal((await open(after, 'file', SHARE_NONE)).status, SHARING_VIOLATION)
  t.equal((await comeBack(after, 'file', fileId)).status, SUCCESS)
})

test('a Mac wakes after an hour', async (t, sim) => {
  const asleep = await mountMac(t, sim)
  const handles = await openBundle(t, asleep)
  await sim.environment.advance(HOUR)
  t.equal((await asleep.request(echoRequest())).status, SUCCESS, 'a connection that is there stays')
  t.equal(await asleep.write(handles.get('band-0') as FileId, 'x'), SUCCESS)

  asleep.drop()
  await sim.environment.advance(HOUR)
  t.equal(sim.server.globalOpenTable.size, 0, 'handles are kept for as long as was granted, no longer')
  const awake = await mountMac(t, sim, { previousSessionId: sessionOf(asleep) })
  for (const [name, fileId] of handles) {
    t.equal((await comeBack(awake, name, fileId)).status, OBJECT_NAME_NOT_FOUND, name)
    t.equal((await open(awake, name, SHARE_NONE)).status, SUCCESS, 'a new open succeeds at once')
  }
})

test(
  'a session that expires in the meantime',
  async (t, sim) => {
    const mac = await mountMac(t, sim)
    const { fileId } = await open(mac, 'band', 7, keyOf('band'), keyOf('band'))
    await sim.environment.advance(HOUR)
    t.equal(await mac.write(fileId, 'x'), Status.NETWORK_SESSION_EXPIRED, 'this makes a Mac reconnect')
    const after = await mountMac(t, sim, { previousSessionId: sessionOf(mac) })
    t.equal((await comeBack(after, 'band', fileId)).status, SUCCESS, 'its handles have waited')
    t.equal(await after.write(fileId, 'y'), SUCCESS)
  },
  { settings: { sessionTimeoutSeconds: 600 } },
)

test('while its handles are in use the same Mac is refused as anybody', async (t, sim) => {
  const mac = await mountMac(t, sim)
  t.equal((await open(mac, 'lock', SHARE_NONE)).status, SUCCESS)
  t.equal((await open(mac, 'lock', SHARE_NONE)).status, SHARING_VIOLATION)
})
