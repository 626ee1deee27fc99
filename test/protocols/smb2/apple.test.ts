/** Apple's extensions (MS-SMB2 2.2.13.2 AAPL): requests laid out byte for byte as a Mac's smbfs sends them. */

import t from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeAaplServerReply,
  encodeAaplServerQuery,
} from '../../../protocols/smb2/messages/create-context-aapl.ts'
import { decodeDurableHandleResponseV2 } from '../../../protocols/smb2/messages/create-context-durable.ts'
import { findCreateContext } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { DecodeError } from '../../../protocols/wire/errors.ts'
import { AAPL, AAPL_QUERY, AFP_INFO, mountMac, ROOT } from '../../sim/mac.ts'
import { attempt, hex, make, scene } from '../../sim/scene.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, OBJECT_NAME_NOT_FOUND, DELETE_PENDING, ACCESS_DENIED } = Status
const { OPEN, OPEN_IF } = CreateDisposition
const { DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption

/** READ_DIR_ATTR_V2, NFS_ACE, UNIX_BASED, OSX_COPYFILE; FULL_SYNC, RESOLVE_ID; 4 bytes of padding, 32 bytes of model. */
const AAPL_REPLY = Buffer.concat([
  Buffer.from('0100000000000000' + '0700000000000000' + '1e00000000000000' + '0500000000000000', 'hex'),
  Buffer.from('0000000020000000', 'hex'),
  Buffer.from('TimeCapsule8,119', 'utf16le'),
])
t.test('the create context', async (t) => {
  t.same(encodeAaplServerQuery({ queryBitmap: 7n, clientCapabilities: 0x3fn }), AAPL_QUERY)
  t.same(decodeAaplServerReply(AAPL_REPLY), {
    serverCapabilities: 0x1e,
    volumeCapabilities: 0x05,
    model: 'TimeCapsule8,119',
  })
  t.throws(() => decodeAaplServerReply(Buffer.concat([AAPL_REPLY, Buffer.alloc(4)])), DecodeError)
})

scene('AAPL is answered when it is asked for, and only then', async (t, { sim, anna }) => {
  const plain = await anna.create(ROOT)
  t.same(plain.response?.createContexts, [], 'nothing was asked')
  const asked = await anna.create({ ...ROOT, createContexts: [AAPL] })
  t.same(asked.response?.createContexts, [{ name: 'AAPL', data: AAPL_REPLY }])
  const [connection] = [...sim.server.connectionList].filter(({ negotiatedAapl }) => negotiatedAapl)
  t.equal(connection?.keepsSetTimes, false, 'no sticky times for a Mac')
  t.equal([...sim.server.connectionList].filter(({ negotiatedAapl }) => negotiatedAapl).length, 1)
  const again = await anna.create({ name: 'file', createContexts: [AAPL] })
  t.same(again.response?.createContexts, [{ name: 'AAPL', data: AAPL_REPLY }], 'whenever it is asked')
  const model = { queryBitmap: 4n, clientCapabilities: 0n }
  const third = await anna.create({
    ...ROOT,
    createContexts: [{ name: 'AAPL', data: encodeAaplServerQuery(model) }],
  })
  const data = third.response?.createContexts[0]?.data ?? Buffer.alloc(0)
  t.same(decodeAaplServerReply(data), { model: 'TimeCapsule8,119' }, 'only the parts that were asked for')
  const old = { queryBitmap: 1n, clientCapabilities: 0x0fn }
  const fourth = await anna.create({
    ...ROOT,
    createContexts: [{ name: 'AAPL', data: encodeAaplServerQuery(old) }],
  })
  const first = decodeAaplServerReply(fourth.response?.createContexts[0]?.data ?? Buffer.alloc(0))
  t.same(first, { serverCapabilities: 0x0f }, 'a client without the second version gets the first')
  const resolve = Buffer.from('0200000000000000' + '0700000000000000', 'hex')
  const fifth = await anna.create({ ...ROOT, createContexts: [{ name: 'AAPL', data: resolve }] })
  const answer = '0200000000000000' + '340000c0' + '00000000'
  t.same(fifth.response?.createContexts[0]?.data, Buffer.from(answer, 'hex'), 'no file of such an id was met')
  const short = await anna.create({
    ...ROOT,
    createContexts: [{ name: 'AAPL', data: AAPL_QUERY.subarray(0, 20) }],
  })
  t.equal(short.status, Status.INVALID_PARAMETER)
  for (const { response } of [plain, asked, again, third, fourth, fifth]) {
    if (response !== undefined) await anna.close(response.fileId)
  }
})

const LEASE_KEY = '0f'.repeat(16)
const CREATE_GUID = '5a'.repeat(16)

/** RqLs version 2: key, state RH, flags, duration, parent key, epoch. */
const LEASE_RH = Buffer.from(`${LEASE_KEY}03000000000000000000000000000000${'00'.repeat(16)}00000000`, 'hex')

/** DH2Q: timeout, flags, reserved, CreateGuid. */
function durableRequest(timeout: number): Buffer {
  const data = Buffer.alloc(32)
  data.writeUInt32LE(timeout)
  data.write(CREATE_GUID, 16, 'hex')
  return data
}

scene('the gate of Time Machine', async (t, { sim }) => {
  const mac = await mountMac(sim)
  for (const timeout of [30_000, 960_000]) {
    const name = '.com.apple.timemachine.supported-5e0a4c1-77b'
    const probe = await mac.create({
      ...{ name, createDisposition: OPEN_IF, shareAccess: 1, requestedOplockLevel: OplockLevel.LEASE },
      desiredAccess: FileAccess.READ_DATA | FileAccess.READ_ATTRIBUTES | FileAccess.READ_EA,
      createContexts: [
        { name: 'DH2Q', data: durableRequest(timeout) },
        { name: 'RqLs', data: LEASE_RH },
      ],
    })
    t.equal(probe.response?.createAction, CreateAction.CREATED)
    const contexts = probe.response?.createContexts ?? []
    t.same(contexts.map(({ name, data }) => [name, data.length]).sort(), [
      ['DH2Q', 8],
      ['RqLs', 52],
    ])
    const durable = decodeDurableHandleResponseV2(findCreateContext(contexts, 'DH2Q') ?? Buffer.alloc(0))
    t.equal(durable.timeout, timeout, 'the time that was asked for, exactly')
    const lease = findCreateContext(contexts, 'RqLs')
    t.equal(lease?.toString('hex', 0, 20), `${LEASE_KEY}03000000`, 'RH')
    t.equal(await mac.close(probe.fileId), SUCCESS)
    const doomed = await mac.create({
      name,
      createDisposition: OPEN,
      desiredAccess: FileAccess.DELETE,
      createOptions: DELETE_ON_CLOSE,
    })
    t.equal(await mac.close(doomed.fileId), SUCCESS)
    t.equal(await attempt(mac, { name, createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
  }
})

/** FLUSH with Reserved1 0xFFFF. */
async function fullSync(client: SimClient, fileId: FileId): Promise<number> {
  const answer = await client.request({
    command: Command.FLUSH,
    write: (writer) => {
      writer.u16(24).u16(0xffff).u32(0).u64(fileId.persistent).u64(fileId.volatile)
    },
  })
  return answer.status
}

scene('F_FULLFSYNC syncs the file and its entry', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  const synced: string[] = []
  const watch = (fileId: FileId): void => {
    const handle = sim.server.globalOpenTable.get(fileId.volatile)?.file.handle
    if (handle === undefined) throw new Error('nothing is open')
    const [flush, flushEntry] = [handle.flush.bind(handle), handle.flushEntry.bind(handle)]
    handle.flush = async () => {
      synced.push('file')
      await flush()
    }
    handle.flushEntry = async () => {
      synced.push('entry')
      await flushEntry()
    }
  }
  const { fileId } = await mac.create({ name: 'band' })
  watch(fileId)
  await mac.write(fileId, 'x')
  t.equal(await mac.flush(fileId), SUCCESS)
  t.same(synced.splice(0), ['file'])
  t.equal(await fullSync(mac, fileId), SUCCESS)
  t.same(synced.splice(0), ['file', 'entry'])
  const other = await anna.create({ name: 'band' })
  watch(other.fileId)
  t.equal(await fullSync(anna, other.fileId), SUCCESS)
  t.same(synced, ['file'], 'the field means nothing on other connections')
  await anna.close(other.fileId)
  await mac.close(fileId)
})

async function rename(client: SimClient, fileId: FileId, to: string): Promise<number> {
  const name = Buffer.from(to, 'utf16le')
  const input = Buffer.alloc(20 + name.length)
  input.writeUInt32LE(name.length, 16)
  name.copy(input, 20)
  return client.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input })
}

scene('a Mac renames a folder with open files below', async (t, { sim, anna }) => {
  const [mac, second] = [await mountMac(sim), await mountMac(sim, 'second')]
  await make(mac, 'a.incomplete', DIRECTORY_FILE)
  await make(mac, 'a.incomplete\\bands', DIRECTORY_FILE)
  const band = await mac.create({ name: 'a.incomplete\\bands\\0' })
  const info = await second.create({ name: 'a.incomplete\\Info.plist' })
  const folder = { name: 'a.incomplete', createOptions: DIRECTORY_FILE }
  const ofWindows = await anna.create(folder)
  t.equal(await rename(anna, ofWindows.fileId, 'b'), ACCESS_DENIED, 'not so a Windows client')
  await anna.close(ofWindows.fileId)

  const read = await anna.create({ name: 'a.incomplete\\bands\\0', desiredAccess: FileAccess.READ_DATA })
  const bundle = await mac.create(folder)
  t.equal(await rename(mac, bundle.fileId, 'a.sparsebundle'), ACCESS_DENIED, 'nor from under one')
  await anna.close(read.fileId)
  t.equal(await rename(mac, bundle.fileId, 'a.sparsebundle'), SUCCESS)
  const pathOf = ({ fileId }: { fileId: FileId }) => sim.server.globalOpenTable.get(fileId.volatile)?.pathName
  t.equal(pathOf(band), 'a.sparsebundle\\bands\\0')
  t.equal(pathOf(info), 'a.sparsebundle\\Info.plist')
  t.equal(await mac.write(band.fileId, 'data'), SUCCESS)
  for (const { fileId } of [band, bundle]) t.equal(await mac.close(fileId), SUCCESS)
  t.equal(await second.close(info.fileId), SUCCESS)
  const moved = { name: 'a.sparsebundle\\bands\\0', createDisposition: OPEN }
  t.equal(await attempt(mac, moved), CreateAction.OPENED)
})

scene(
  'what was opened before the client said that it is a Mac is in no way of it either',
  async (t, { sim }) => {
    const mac = await SimClient.mount(sim, { address: 'mac', dialects: [Dialect.SMB_3_0_2] })
    const folder = { name: 'folder', createOptions: DIRECTORY_FILE }
    const opened = await mac.create(folder)
    const file = await mac.create({ name: 'folder\\file' })
    t.equal(await rename(mac, opened.fileId, 'renamed'), ACCESS_DENIED)
    const root = await mac.create({ ...ROOT, createContexts: [AAPL] })
    t.equal(await rename(mac, opened.fileId, 'renamed'), SUCCESS)
    for (const { fileId } of [opened, file, root]) t.equal(await mac.close(fileId), SUCCESS)
  },
)

scene(
  'file ids are kept from Macs where the share says so',
  async (t, { sim, anna }) => {
    const mac = await mountMac(sim)
    await make(anna, 'file')
    const idsFor = async (client: SimClient): Promise<bigint[]> => {
      const createContexts = [{ name: 'QFid', data: Buffer.alloc(0) }]
      const { fileId, response } = await client.create({ name: 'file', createContexts })
      const onDisk = response?.createContexts[0]?.data.readBigUInt64LE(0) ?? -1n
      const { output } = await client.queryInfo(fileId, { fileInfoClass: FileInformationClass.Internal })
      const root = await client.create({ ...ROOT, desiredAccess: FileAccess.READ_DATA })
      const listing = await client.list(root.fileId, { fileName: 'file' })
      for (const id of [fileId, root.fileId]) await client.close(id)
      return [onDisk, output.readBigUInt64LE(0), listing.output.readBigUInt64LE(96)]
    }
    t.same(await idsFor(mac), [0n, 0n, 0n])
    t.equal(new Set(await idsFor(anna)).size, 1, 'others see one and the same')
    t.not((await idsFor(anna))[0], 0n)
  },
  { share: { zeroFileId: true } },
)

scene(
  "clients' locks of netatalk's bytes count as its own, where it shares the files",
  async (t, { anna, bert }) => {
    const file = { name: 'file', shareAccess: 3 }
    const { fileId } = await anna.create({ ...file, desiredAccess: FileAccess.READ_DATA })
    // What netatalk locks while it has a file open for writing.
    const range = { offset: 0x7fff_ffff_ffff_fff6n, length: 1n, flags: LockFlag.EXCLUSIVE_LOCK }
    t.equal(await anna.lock(fileId, range), SUCCESS)
    const reader = { ...file, desiredAccess: FileAccess.READ_DATA }
    t.equal(await attempt(bert, reader), CreateAction.OPENED)
    t.equal(await attempt(bert, { ...reader, shareAccess: 1 }), hex(Status.SHARING_VIOLATION))
    t.equal(await anna.lock(fileId, { ...range, flags: LockFlag.UNLOCK }), SUCCESS)
    t.equal(await attempt(bert, { ...reader, shareAccess: 1 }), CreateAction.OPENED)
    await anna.close(fileId)
  },
  { share: { netatalkLocking: true } },
)

scene('a Mac deletes what another has open', async (t, { sim, anna }) => {
  const [mac, second] = [await mountMac(sim), await mountMac(sim, 'second')]
  const band = { name: 'band' }
  const kept = await second.create(band)
  await second.write(kept.fileId, 'old')
  const doomed = await mac.create({ ...band, createOptions: DELETE_ON_CLOSE })
  t.equal(await mac.close(doomed.fileId), SUCCESS)
  const fresh = await mac.create(band)
  t.equal(fresh.response?.createAction, CreateAction.CREATED, 'the name is free at once')
  t.equal((await second.read(kept.fileId, 3)).output.toString(), 'old', 'the handle lives on')
  t.equal(await second.close(kept.fileId), SUCCESS)

  const ofWindows = await anna.create(band)
  t.equal(await mac.close(fresh.fileId), SUCCESS)
  const again = await mac.create({ ...band, createOptions: DELETE_ON_CLOSE })
  t.equal(await mac.close(again.fileId), SUCCESS)
  t.equal(await attempt(mac, band), hex(DELETE_PENDING), "a Windows client's handle keeps it")
  await anna.close(ofWindows.fileId)
  t.equal(await attempt(mac, { ...band, createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
})

scene(
  'streams without bytes are none to a Mac, and resource forks go with their file alone',
  async (t, { sim, anna }) => {
    const mac = await mountMac(sim)
    await make(anna, 'file')
    for (const name of ['file:attribute', 'file:AFP_Resource', 'file:AFP_AfpInfo']) await make(anna, name)
    const existing = (name: string) => ({ name, createDisposition: OPEN })
    t.equal(await attempt(anna, existing('file:attribute')), CreateAction.OPENED)
    for (const name of ['file:attribute', 'file:AFP_Resource', 'file:AFP_AfpInfo']) {
      t.equal(await attempt(mac, existing(name)), hex(OBJECT_NAME_NOT_FOUND), name)
    }
    const fork = await mac.create({ name: 'file:AFP_Resource' })
    t.equal(await mac.write(fork.fileId, 'fork'), SUCCESS)
    t.equal(await mac.close(fork.fileId), SUCCESS)
    const attribute = await mac.create({ name: 'file:attribute' })
    t.equal(await mac.write(attribute.fileId, 'value'), SUCCESS)
    t.equal(await mac.close(attribute.fileId), SUCCESS)
    for (const name of ['file:AFP_Resource', 'file:attribute']) {
      const doomed = await mac.create({ ...existing(name), createOptions: DELETE_ON_CLOSE })
      t.equal(await mac.close(doomed.fileId), SUCCESS)
    }
    t.equal(await attempt(mac, existing('file:AFP_Resource')), CreateAction.OPENED)
    t.equal(await attempt(anna, existing('file:attribute')), hex(OBJECT_NAME_NOT_FOUND))
    const info = await mac.create({ name: 'file:AFP_AfpInfo' })
    t.equal(await mac.write(info.fileId, 'no signature'), Status.INVALID_PARAMETER)
    t.equal(await mac.close(info.fileId), SUCCESS)
  },
)

scene('a stream that is made with as much access as there is', async (t, { sim }) => {
  const mac = await mountMac(sim)
  await make(mac, 'file')
  for (const name of ['file:AFP_AfpInfo', 'file:AFP_Resource', 'file:attribute']) {
    const { status, fileId } = await mac.create({ name, desiredAccess: FileAccess.MAXIMUM_ALLOWED })
    t.equal(status, SUCCESS, name)
    t.equal(await mac.write(fileId, AFP_INFO), SUCCESS)
    t.equal(await mac.close(fileId), SUCCESS)
    t.equal(await attempt(mac, { name, createDisposition: OPEN }), CreateAction.OPENED)
  }
})
