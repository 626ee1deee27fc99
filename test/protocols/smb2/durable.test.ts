/** MS-SMB2 3.3.5.9.6 to 3.3.5.9.13, 3.3.7.1, 3.3.5.2.10: clients that lose their connection, come back, and ask once more. */

import t from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateAction, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { type CreateResponse, OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeDurableHandleResponseV2,
  encodeDurableHandleReconnect,
  encodeDurableHandleRequest,
} from '../../../protocols/smb2/messages/create-context-durable.ts'
import { CreateContextName, findCreateContext } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { ChannelSequence } from '../../../protocols/smb2/state/channel-sequence.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { comeBack, GUID, LEASE_KEY, MINUTE, mount, open, openLeased, sessionOf } from '../../sim/durable.ts'
import { durableTest as test } from '../../sim/durable-test.ts'
import { watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createdOf, leaseBits, leaseText, SimClient, type SimCreated } from '../../sim/smb2-client.ts'
import { type CreateFields, createRequest, writeRequest } from '../../sim/smb2-requests.ts'
import { durableReconnect, durableRequest, grantedLease, leaseRequest } from '../../sim/world/wire.ts'

const timeoutOf = ({ createContexts }: CreateResponse): number | undefined => {
  const data = findCreateContext(createContexts, CreateContextName.DURABLE_HANDLE_REQUEST_V2)
  return data && decodeDurableHandleResponseV2(data).timeout
}
const namesOf = (response?: CreateResponse): string[] =>
  (response?.createContexts ?? []).map(({ name }) => name)

test('what is granted', async (t, sim) => {
  const anna = await mount(sim)
  const granted = async (timeout: number): Promise<number | undefined> => {
    const { response, fileId } = await open(anna, {}, timeout)
    await anna.close(fileId)
    return response && timeoutOf(response)
  }
  t.equal(await granted(30_000), 30_000, 'exactly what a Mac asks for')
  t.equal(await granted(16 * MINUTE), 16 * MINUTE, 'up to 16 minutes')
  t.equal(await granted(0), MINUTE, 'a minute when the client leaves it to the server')
  t.equal(await granted(0xffff_ffff), 5 * MINUTE, 'five when it asks for more than there is')
  for (const level of [OplockLevel.NONE, OplockLevel.II, OplockLevel.EXCLUSIVE]) {
    const { response, fileId } = await open(anna, { requestedOplockLevel: level })
    t.same(namesOf(response), [], `nothing with oplock ${level}`)
    await anna.close(fileId)
  }
  for (const [state, isDurable] of [
    ['R', false],
    ['RW', false],
    ['RH', true],
    ['RWH', true],
  ] as const) {
    const { response, fileId } = await openLeased(anna, state)
    t.equal(response && timeoutOf(response) !== undefined, isDurable, `lease ${state}`)
    await anna.close(fileId)
  }
  const folder = await open(anna, { name: 'folder', createOptions: CreateOption.DIRECTORY_FILE })
  t.same(namesOf(folder.response), [], 'nothing for a directory')
  const version1 = await open(anna, {
    name: 'old',
    createContexts: [{ name: CreateContextName.DURABLE_HANDLE_REQUEST, data: encodeDurableHandleRequest() }],
  })
  t.same(namesOf(version1.response), [CreateContextName.DURABLE_HANDLE_REQUEST])
  const both = await open(anna, {
    createContexts: [
      { name: CreateContextName.DURABLE_HANDLE_REQUEST, data: encodeDurableHandleRequest() },
      durableRequest(GUID, 0),
    ],
  })
  t.equal(both.status, Status.INVALID_PARAMETER, 'not both versions at once')
})

test('a client comes back over a new connection', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RWH')
  t.equal(await before.write(fileId, 'kept'), Status.SUCCESS)
  const lock = { offset: 0n, length: 4n, flags: LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY }
  t.equal(await before.lock(fileId, lock), Status.SUCCESS)
  before.drop()
  await settled()
  t.equal(sim.server.absentOpens.size, 1)
  t.equal(sim.server.globalSessionTable.size, 0)
  const after = await mount(sim)
  const back = await comeBack(after, fileId, leaseRequest(LEASE_KEY, 0))
  t.equal(back.status, Status.SUCCESS)
  t.same(namesOf(back.response), [CreateContextName.LEASE], 'a Mac takes no other context')
  const lease = back.response && grantedLease(back.response)
  t.equal(lease && leaseText(lease.leaseState), 'RWH')
  t.equal(back.response?.createAction, CreateAction.OPENED)
  t.equal(back.response?.endOfFile, 4)
  t.equal((await after.read(back.fileId, 4)).output.toString(), 'kept')
  t.equal(await after.lock(back.fileId, { ...lock, flags: LockFlag.UNLOCK }), Status.SUCCESS, 'with its lock')
  t.equal(sim.server.absentOpens.size, 0)
  t.equal(await after.close(back.fileId), Status.SUCCESS)
  t.equal((await comeBack(after, fileId)).status, Status.OBJECT_NAME_NOT_FOUND, 'a closed handle is gone')
})

test('a client comes back while the server believes in its old connection', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await open(before)
  const stranger = await mount(sim)
  t.equal((await comeBack(stranger, fileId)).status, Status.OBJECT_NAME_NOT_FOUND, 'not yet: it is in use')
  // A write that is still on its way to the disk.
  let finish: () => void = () => undefined
  sim.storage.faults.delayNext(
    'write',
    new Promise<void>((resolve) => {
      finish = resolve
    }),
  )
  const late = before.write(fileId, 'late')
  const after = await mount(sim, { previousSessionId: sessionOf(before) })
  const reclaiming = comeBack(after, fileId)
  const reclaimed = watch(reclaiming)
  await settled()
  t.equal(reclaimed.done, false, 'not before that has ended')
  finish()
  t.equal((await reclaiming).status, Status.SUCCESS)
  t.equal(await after.write(fileId, 'soon'), Status.SUCCESS)
  t.equal((await after.read(fileId, 4)).output.toString(), 'soon', 'nothing comes after it')
  void late
})

test('LOGOFF keeps durable handles, TREE_DISCONNECT and CLOSE do not', async (t, sim) => {
  const anna = await mount(sim)
  const { fileId } = await open(anna)
  await anna.request({ command: Command.LOGOFF, write: (writer) => writer.u16(4).u16(0) })
  const again = await mount(sim)
  t.equal((await comeBack(again, fileId)).status, Status.SUCCESS)
  await again.request({ command: Command.TREE_DISCONNECT, write: (writer) => writer.u16(4).u16(0) })
  const last = await mount(sim)
  t.equal((await comeBack(last, fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
})

test(
  'who does not get a handle back',
  async (t, sim) => {
    const before = await mount(sim)
    const { fileId } = await openLeased(before, 'RWH')
    before.drop()
    const anna = await mount(sim)
    const other = leaseRequest(Buffer.alloc(16, 'x'), 0)
    const right = leaseRequest(LEASE_KEY, 0)
    t.equal((await comeBack(anna, fileId)).status, Status.OBJECT_NAME_NOT_FOUND, 'without the lease')
    t.equal((await comeBack(anna, fileId, other)).status, Status.OBJECT_NAME_NOT_FOUND, 'with another key')
    const wrongGuid = [durableReconnect(fileId, Buffer.alloc(16, 'x')), right]
    const wrong = await anna.create({ name: 'file', createContexts: wrongGuid })
    t.equal(wrong.status, Status.OBJECT_NAME_NOT_FOUND, 'with another CreateGuid')
    const renamed = [durableReconnect(fileId, GUID), right]
    t.equal((await anna.create({ name: 'else', createContexts: renamed })).status, Status.INVALID_PARAMETER)
    const bert = await mount(sim, { user: 'bert', password: 'secret' })
    t.equal((await comeBack(bert, fileId, right)).status, Status.ACCESS_DENIED, 'another user')
    const elsewhere = await mount(sim, { clientGuid: Buffer.alloc(16, 'z') })
    t.equal(
      (await comeBack(elsewhere, fileId, right)).status,
      Status.OBJECT_NAME_NOT_FOUND,
      'another machine',
    )
    t.equal((await comeBack(anna, fileId, right)).status, Status.SUCCESS, 'its owner')
  },
  { users: { bert: 'secret' } },
)

test('a handle is kept for as long as was promised', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await open(before, {}, 30_000)
  before.drop()
  await sim.environment.advance(29_999)
  const between = await mount(sim)
  t.equal((await comeBack(between, fileId)).status, Status.SUCCESS)
  between.drop()
  await sim.environment.advance(30_001)
  const after = await mount(sim)
  t.equal((await comeBack(after, fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
  t.equal(sim.server.globalOpenTable.size, 0)
})

test('a handle that is in the way of others ends', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await open(before, { shareAccess: 0, createOptions: CreateOption.DELETE_ON_CLOSE })
  t.equal(await before.write(fileId, 'gone'), Status.SUCCESS)
  before.drop()
  const bert = await SimClient.mount(sim, 'bert')
  const { status, response } = await bert.create({ name: 'file' })
  t.equal(status, Status.SUCCESS, 'at once: there is nobody to wait for')
  t.equal(response?.createAction, CreateAction.CREATED, 'its deletion comes first')
  const after = await mount(sim)
  t.equal((await comeBack(after, fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
})

test('looking at attributes leaves a handle alone', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await open(before)
  before.drop()
  const bert = await SimClient.mount(sim, 'bert')
  const look = await bert.create({ name: 'file', desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.equal(look.status, Status.SUCCESS)
  const after = await mount(sim)
  t.equal((await comeBack(after, fileId)).status, Status.SUCCESS)
})

test(
  'only so many handles are kept',
  async (t, sim) => {
    const before = await mount(sim)
    const [first, second] = [
      await open(before),
      await open(before, { name: 'two', createContexts: [durableRequest(Buffer.alloc(16, 'h'), 0)] }),
    ]
    before.drop()
    await settled()
    t.equal(sim.server.absentOpens.size, 1)
    t.equal(sim.server.usage.refused.get('absentOpens'), 1)
    const after = await mount(sim)
    t.equal((await comeBack(after, first.fileId)).status, Status.SUCCESS)
    t.not(first.fileId.persistent, second.fileId.persistent)
  },
  { limits: { absentOpens: 1 } },
)

test(
  'and of one account fewer; coming back takes no more than is there',
  async (t, sim) => {
    const before = await mount(sim)
    const { fileId } = await open(before)
    await open(before, { name: 'two', createContexts: [durableRequest(Buffer.alloc(16, 'h'), 0)] })
    before.drop()
    await settled()
    t.equal(sim.server.absentOpens.size, 1)
    t.equal(sim.server.absentOpens.countOf('anna'), 1)
    const after = await mount(sim)
    await after.create({ name: 'three' })
    t.equal((await after.create({ name: 'four' })).status, Status.INSUFFICIENT_RESOURCES)
    t.equal((await comeBack(after, fileId)).status, Status.SUCCESS)
  },
  { limits: { absentOpensPerOwner: 1, opens: 2 } },
)

test('version 1 comes back by its FileId', async (t, sim) => {
  const old = { dialects: [Dialect.SMB_2_1] }
  const before = await mount(sim, old)
  const { fileId } = await open(before, {
    createContexts: [{ name: CreateContextName.DURABLE_HANDLE_REQUEST, data: encodeDurableHandleRequest() }],
  })
  before.drop()
  const after = await mount(sim, old)
  const data = encodeDurableHandleReconnect(fileId)
  const back = await after.create({
    ...{ name: 'file', createContexts: [{ name: CreateContextName.DURABLE_HANDLE_RECONNECT, data }] },
    // What clients may leave zero here.
    ...{ desiredAccess: 0, requestedOplockLevel: 0 },
  })
  t.equal(back.status, Status.SUCCESS)
  t.equal(back.response?.oplockLevel, OplockLevel.BATCH)
})

/** The CREATE of `open` once more. */
async function replay(client: SimClient, fields: Partial<CreateFields> = {}): Promise<SimCreated> {
  const request = createRequest({
    ...{ name: 'file', requestedOplockLevel: OplockLevel.BATCH, createContexts: [durableRequest(GUID, 0)] },
    ...fields,
  })
  return createdOf(await client.request({ ...request, flags: HeaderFlag.REPLAY_OPERATION }))
}

test('a CREATE is sent once more', async (t, sim) => {
  const anna = await mount(sim)
  const first = await open(anna)
  t.equal((await open(anna)).status, Status.DUPLICATE_OBJECTID, 'not without saying so')
  const again = await replay(anna)
  t.same(again.fileId, first.fileId)
  t.equal(again.response?.createAction, CreateAction.CREATED, 'the same answer')
  t.equal(again.response && timeoutOf(again.response), MINUTE)
  const key = leaseRequest(LEASE_KEY, leaseBits('RWH'))
  const leased = { requestedOplockLevel: OplockLevel.LEASE, createContexts: [key, durableRequest(GUID, 0)] }
  t.equal((await replay(anna, leased)).status, Status.ACCESS_DENIED, 'it had no lease')
  t.equal(await anna.write(first.fileId, 'seen'), Status.SUCCESS)
  const next = await replay(anna, { desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.not(next.response?.fileId.persistent, first.fileId.persistent, 'who used the handle has seen the answer')
})

test('a CREATE whose answer was lost with the connection', async (t, sim) => {
  const before = await mount(sim)
  const lost = await open(before)
  before.drop()
  const after = await mount(sim)
  const again = await replay(after)
  t.same(again.fileId, lost.fileId)
  t.equal(again.response?.createAction, CreateAction.CREATED)
})

test('a CREATE that still waits for others', async (t, sim) => {
  const bert = await SimClient.mount(sim, 'bert')
  const held = await bert.create({ name: 'file', requestedOplockLevel: OplockLevel.BATCH })
  const anna = await mount(sim)
  const waiting = open(anna)
  await settled()
  t.equal((await replay(anna)).status, Status.FILE_NOT_AVAILABLE, 'asked again too early')
  await bert.close(held.fileId)
  const first = await waiting
  t.same((await replay(anna)).fileId, first.fileId)
})

test('what was sent before a channel was lost comes too late', async (t, sim) => {
  const anna = await mount(sim)
  const { fileId } = await open(anna)
  const write = (sequence: number, flags = 0) =>
    anna.request(
      { ...writeRequest({ fileId, data: Buffer.from('x') }), flags },
      {
        mutate: (plain) => {
          plain.writeUInt16LE(sequence, CHANNEL_SEQUENCE_OFFSET)
          return plain
        },
      },
    )
  t.equal((await write(1)).status, Status.SUCCESS)
  t.equal((await write(0)).status, Status.FILE_NOT_AVAILABLE)
  t.equal((await write(1, HeaderFlag.REPLAY_OPERATION)).status, Status.SUCCESS)
  t.equal((await anna.read(fileId, 1)).status, Status.SUCCESS, 'reading never comes too late')
})

/** 2.2.1.2: where a response has its Status. */
const CHANNEL_SEQUENCE_OFFSET = 8

t.test('the channel sequence wraps around and counts', async (t) => {
  const sequence = new ChannelSequence()
  const first = sequence.admit(0, false)
  t.ok(first)
  t.ok(sequence.admit(1, false), 'the next channel')
  t.notOk(sequence.admit(1, true), 'a replay while what it repeats may still be carried out')
  if (first !== undefined) sequence.done(first)
  t.ok(sequence.admit(1, true), 'and afterwards')
  t.ok(sequence.admit(0x8000, false), 'as far ahead as may be')
  t.notOk(sequence.admit(0, false), 'a number of before')
  t.ok(sequence.admit(0xffff, false))
  t.ok(sequence.admit(0x7ffe, false), 'around')
})
