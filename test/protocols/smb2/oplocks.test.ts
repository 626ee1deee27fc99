/** MS-SMB2 3.3.4.6, 3.3.5.9, 3.3.5.22.1: oplocks between clients of a whole server, with a clock moved by hand. */

import t, { type Test } from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import { encodeLockRequest, LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { encodeQueryInfoRequest, InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import { encodeSetInfoRequest } from '../../../protocols/smb2/messages/set-info.ts'
import { type FileId, RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import {
  MAXIMUM_WAITING_FOR_BREAK,
  OPLOCK_BREAK_TIMEOUT_MILLISECONDS,
} from '../../../protocols/smb2/state/break-waits.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { createdOf, SimClient } from '../../sim/smb2-client.ts'
import type { SimAnswer, SimRequest } from '../../sim/smb2-connection.ts'
import { closeRequest, createRequest } from '../../sim/smb2-requests.ts'

const { BATCH, EXCLUSIVE, II, LEASE, NONE } = OplockLevel

interface Scene {
  readonly sim: SimServer
  readonly anna: SimClient
  readonly bert: SimClient
}

/** A test with two clients, at whose end the server has found nothing to complain of. */
function scene(name: string, play: (t: Test, scene: Scene) => Promise<void>): void {
  t.test(name, async (t) => {
    const sim = createSimServer()
    const [anna, bert] = [await SimClient.mount(sim, 'anna'), await SimClient.mount(sim, 'bert')]
    for (const client of [anna, bert]) client.arrivals.length = 0
    await play(t, { sim, anna, bert })
    t.same(sim.complaints, [])
  })
}

const file = (requestedOplockLevel: number, name = 'file') => ({ name, requestedOplockLevel })

/** Whether a promise has an answer yet. */
function watch<T>(promise: Promise<T>): { readonly done: () => boolean } {
  let done = false
  promise.then(() => {
    done = true
  })
  return { done: () => done }
}

scene('grants, and an open that waits for the acknowledgment', async (t, { anna, bert }) => {
  const first = await anna.create(file(BATCH))
  t.equal(first.response?.oplockLevel, BATCH)
  const pending = bert.create(file(BATCH))
  const state = watch(pending)
  await settled()
  t.notOk(state.done())
  t.same(bert.arrivals, ['CREATE pending'], 'the client is told that it takes a while')
  t.same(anna.breaks, [{ kind: 'oplock', oplockLevel: II, fileId: first.fileId }])
  t.equal(await anna.write(first.fileId, 'dirty'), Status.SUCCESS, 'it writes back what it kept')
  t.equal(await anna.acknowledge(first.fileId, II), Status.SUCCESS)
  const second = await pending
  t.equal(second.response?.oplockLevel, II)
  t.equal(second.response?.endOfFile, 5, 'the size is that after the writing back')
  t.equal(await bert.write(second.fileId, 'x'), Status.SUCCESS)
  t.same(anna.arrivals.at(-1), 'break NONE')
  t.same(bert.arrivals.slice(-2), ['break NONE', 'WRITE 0x00000000'], 'its own level II is broken as well')
})

scene('what is granted to directories, attributes and leases', async (t, { anna, bert }) => {
  const folder = { ...file(BATCH, 'folder'), createOptions: CreateOption.DIRECTORY_FILE }
  t.equal((await anna.create(folder)).response?.oplockLevel, NONE, 'directories')
  t.equal((await anna.create(file(LEASE, 'leased'))).response?.oplockLevel, NONE, 'leases')
  const first = await anna.create(file(EXCLUSIVE))
  t.equal(first.response?.oplockLevel, EXCLUSIVE)
  const attributes = { ...file(BATCH), desiredAccess: FileAccess.READ_ATTRIBUTES | FileAccess.SYNCHRONIZE }
  t.equal((await bert.create(attributes)).response?.oplockLevel, NONE, 'attributes')
  t.same(anna.breaks, [], 'and they break nothing')
  const overwriting = bert.create({ ...attributes, createDisposition: CreateDisposition.OVERWRITE })
  await settled()
  t.same(anna.breaks, [{ kind: 'oplock', oplockLevel: NONE, fileId: first.fileId }], 'unless they overwrite')
  t.equal(await anna.acknowledge(first.fileId, NONE), Status.SUCCESS)
  t.equal((await overwriting).status, Status.SUCCESS)
})

scene('a refused open: batch is broken first, exclusive is not', async (t, { anna, bert }) => {
  const alone = { shareAccess: 0 }
  const first = await anna.create({ ...file(BATCH), ...alone })
  const closing = bert.create({ ...file(BATCH), ...alone })
  await settled()
  t.same(anna.breaks, [{ kind: 'oplock', oplockLevel: II, fileId: first.fileId }])
  t.equal(await anna.close(first.fileId), Status.SUCCESS, 'the holder closes instead of acknowledging')
  const second = await closing
  t.equal(second.response?.oplockLevel, BATCH, 'the other has the file alone')

  const refused = anna.create({ ...file(NONE), ...alone })
  await settled()
  t.equal(await bert.acknowledge(second.fileId, II), Status.SUCCESS)
  t.equal((await refused).status, Status.SHARING_VIOLATION, 'the holder keeps it open')
  t.equal((await anna.create({ ...file(NONE), ...alone })).status, Status.SHARING_VIOLATION)
  t.equal(bert.breaks.length, 1, 'and is not asked twice')

  const third = await bert.create({ ...file(EXCLUSIVE, 'other'), ...alone })
  t.equal((await anna.create({ ...file(NONE, 'other'), ...alone })).status, Status.SHARING_VIOLATION)
  t.equal(bert.breaks.length, 1, 'an exclusive one is not broken')
  t.equal(await bert.close(third.fileId), Status.SUCCESS)
})

scene(
  'the holder deletes on close: the waiting open finds nothing, or makes it anew',
  async (t, { anna, bert }) => {
    const first = await anna.create({ ...file(BATCH), createOptions: CreateOption.DELETE_ON_CLOSE })
    const opening = bert.create({ ...file(NONE), createDisposition: CreateDisposition.OPEN })
    const making = bert.create(file(NONE))
    await settled()
    t.equal(await anna.close(first.fileId), Status.SUCCESS)
    t.equal((await opening).status, Status.OBJECT_NAME_NOT_FOUND)
    t.equal((await making).response?.createAction, CreateAction.CREATED)
  },
)

scene('no acknowledgment: after 35 seconds it counts as broken to none', async (t, { sim, anna, bert }) => {
  const first = await anna.create(file(BATCH))
  const pending = bert.create(file(BATCH))
  const state = watch(pending)
  await sim.environment.advance(OPLOCK_BREAK_TIMEOUT_MILLISECONDS - 1)
  t.notOk(state.done())
  await sim.environment.advance(1)
  t.equal((await pending).response?.oplockLevel, II)
  t.equal(await anna.acknowledge(first.fileId, II), Status.INVALID_OPLOCK_PROTOCOL, 'too late')
})

scene('the holder vanishes, logs off, or whoever waits does', async (t, { sim, anna, bert }) => {
  await anna.create(file(BATCH))
  const pending = bert.create(file(BATCH))
  await settled()
  anna.drop()
  const second = await pending
  t.equal(second.response?.oplockLevel, BATCH)

  const carl = await SimClient.mount(sim, 'carl')
  const cancelled = carl.nextMessageId
  const given = carl.create(file(NONE))
  await settled()
  carl.cancel(cancelled)
  t.equal((await given).status, Status.CANCELLED)
  const gone = watch(carl.create(file(NONE)))
  await settled()
  carl.drop()
  t.equal(await bert.acknowledge(second.fileId, II), Status.SUCCESS, 'the break goes on')
  await settled()
  t.notOk(gone.done())
  t.equal(sim.server.globalOpenTable.size, 1, 'nothing is opened for one who is gone')
  t.equal(await bert.close(second.fileId), Status.SUCCESS)
})

scene(
  'a server that hangs up ends what the client had, though it keeps its side open',
  async (t, { sim, anna, bert }) => {
    await anna.create(file(BATCH))
    anna.send([{ command: Command.NEGOTIATE, write: (writer) => writer.zeros(36) }])
    await settled()
    t.ok(anna.disconnected)
    t.equal(sim.server.globalOpenTable.size, 0)
    t.equal((await bert.create(file(BATCH))).response?.oplockLevel, BATCH)
  },
)

scene('acknowledgments that are wrong', async (t, { anna, bert }) => {
  const first = await anna.create(file(EXCLUSIVE))
  const { fileId } = first
  t.equal(await anna.acknowledge(fileId, II), Status.INVALID_DEVICE_STATE, 'nothing is being broken')
  t.equal(await anna.acknowledge(fileId, LEASE), Status.INVALID_PARAMETER)
  t.equal(await anna.acknowledge({ ...fileId, volatile: 1n }, II), Status.FILE_CLOSED)
  const overwriting = bert.create({ ...file(NONE), createDisposition: CreateDisposition.OVERWRITE_IF })
  await settled()
  t.equal(await anna.acknowledge(fileId, II), Status.INVALID_OPLOCK_PROTOCOL, 'none was to be left')
  t.equal((await overwriting).status, Status.SUCCESS, 'it is broken all the same')
})

scene('too many wait for one break', async (t, { anna, bert }) => {
  const first = await anna.create(file(BATCH))
  const waiting: Promise<number>[] = []
  for (let count = 0; count < MAXIMUM_WAITING_FOR_BREAK; count++) {
    waiting.push(bert.create(file(NONE)).then(({ status }) => status))
    await settled()
  }
  t.equal((await bert.create(file(NONE))).status, Status.INSUFFICIENT_RESOURCES)
  t.equal(await anna.acknowledge(first.fileId, II), Status.SUCCESS)
  t.ok((await Promise.all(waiting)).every((status) => status === Status.SUCCESS))
})

scene(
  'amid a compound the open waits without a word; a break follows the response it is about',
  async (t, { anna, bert }) => {
    const first = await anna.create(file(BATCH))
    const answers = bert.send([createRequest(file(BATCH)), queryStandard(RELATED_FILE_ID), closeRelated()])
    await settled()
    t.same(bert.arrivals, [])
    t.equal(await anna.acknowledge(first.fileId, II), Status.SUCCESS)
    const [created, queried, closed] = await Promise.all(answers)
    t.equal(created && createdOf(created).response?.oplockLevel, II)
    t.same([queried?.status, closed?.status], [Status.SUCCESS, Status.SUCCESS])
    t.equal(await anna.close(first.fileId), Status.SUCCESS)

    // The batch oplock is granted while the rest of its compound waits: the break follows the response.
    const slow = await anna.create(file(BATCH, 'slow'))
    bert.arrivals.length = 0
    const compound = bert.send([
      createRequest(file(BATCH)),
      createRequest(file(NONE, 'slow')),
      closeRelated(),
    ])
    await settled()
    const other = anna.create(file(NONE))
    await settled()
    t.same(bert.arrivals, [])
    t.equal(await anna.acknowledge(slow.fileId, II), Status.SUCCESS)
    const [held] = await Promise.all(compound)
    t.same(bert.arrivals, ['CREATE 0x00000000', 'CREATE 0x00000000', 'CLOSE 0x00000000', 'break II'])
    const { fileId, response } = createdOf(held as SimAnswer)
    t.equal(response?.oplockLevel, BATCH)
    t.equal(await bert.acknowledge(fileId, II), Status.SUCCESS)
    t.equal((await other).status, Status.SUCCESS)
  },
)

scene('level II ends with writing, sizes, locks and renaming over', async (t, { anna, bert }) => {
  const reader = await anna.create(file(II))
  const writer = await bert.create(file(NONE))
  const lower = async (what: string, change: () => Promise<number>): Promise<void> => {
    const again = await anna.create(file(II))
    t.equal(again.response?.oplockLevel, II, `${what}: granted`)
    anna.arrivals.length = 0
    t.equal(await change(), Status.SUCCESS, what)
    t.same(anna.arrivals, ['break NONE'], `${what}: broken`)
    t.equal(await anna.close(again.fileId), Status.SUCCESS)
  }
  await bert.write(writer.fileId, 'before')
  await lower('write', () => bert.write(writer.fileId, 'more'))
  await lower('size', () => setSize(bert, writer.fileId, FileInformationClass.EndOfFile))
  await lower('allocation', () => setSize(bert, writer.fileId, FileInformationClass.Allocation))
  await lower('lock', () => lock(bert, writer.fileId))
  t.equal((await anna.create(file(II))).response?.oplockLevel, NONE, 'nothing beside locks')
  t.equal(await anna.close(reader.fileId), Status.SUCCESS)
})

scene('renaming over a file that a client keeps open only to save the closing', async (t, { anna, bert }) => {
  const kept = await anna.create(file(BATCH, 'target'))
  const source = await bert.create(file(NONE, 'source'))
  const renaming = rename(bert, source.fileId, 'target')
  await settled()
  t.same(anna.breaks, [{ kind: 'oplock', oplockLevel: II, fileId: kept.fileId }])
  t.equal(await anna.close(kept.fileId), Status.SUCCESS)
  t.equal(await renaming, Status.SUCCESS)
})

async function statusOf(client: SimClient, request: SimRequest): Promise<number> {
  return (await client.request(request)).status
}

function closeRelated(): SimRequest {
  return { ...closeRequest(RELATED_FILE_ID), related: true }
}

function queryStandard(fileId: FileId): SimRequest {
  const fields = {
    outputBufferLength: 100,
    additionalInformation: 0,
    flags: 0,
    fileId,
    input: Buffer.alloc(0),
  }
  const fileInfoClass = FileInformationClass.Standard
  return {
    command: Command.QUERY_INFO,
    write: (writer) => encodeQueryInfoRequest(writer, { ...fields, infoType: InfoType.FILE, fileInfoClass }),
    related: true,
  }
}

function setInfo(client: SimClient, fileId: FileId, fileInfoClass: number, input: Buffer): Promise<number> {
  const fields = { infoType: InfoType.FILE, fileInfoClass, additionalInformation: 0, fileId, input }
  return statusOf(client, {
    command: Command.SET_INFO,
    write: (writer) => encodeSetInfoRequest(writer, fields),
  })
}

function setSize(client: SimClient, fileId: FileId, fileInfoClass: number): Promise<number> {
  return setInfo(client, fileId, fileInfoClass, new Writer().u64(2n).finish())
}

function rename(client: SimClient, fileId: FileId, fileName: string): Promise<number> {
  // MS-FSCC 2.4.42.2: ReplaceIfExists, RootDirectory, FileName, and at least 24 bytes.
  const writer = new Writer()
    .u64(1n)
    .u64(0n)
    .u32(2 * fileName.length)
    .utf16(fileName)
  return setInfo(client, fileId, FileInformationClass.Rename, writer.zeros(4).finish())
}

function lock(client: SimClient, fileId: FileId): Promise<number> {
  const locks = [{ offset: 0n, length: 1n, flags: LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY }]
  const fields = { lockSequenceNumber: 0, lockSequenceIndex: 0, fileId, locks }
  return statusOf(client, { command: Command.LOCK, write: (writer) => encodeLockRequest(writer, fields) })
}
