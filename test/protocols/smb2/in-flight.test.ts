/** MS-SMB2 3.3.4.2, 3.3.5.2.7, 3.3.5.10, 3.3.5.16: requests that take long: interim responses, CANCEL, CLOSE, the end of the connection. */

import t from 'tap'
import { NotifyFilter } from '../../../protocols/smb2/fscc/notify.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { decodeReadResponse } from '../../../protocols/smb2/messages/read.ts'
import { RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { isClean, watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, SIM_SHARE, type SimServer } from '../../sim/sim-server.ts'
import { createdOf, type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import type { SimAnswer, SimRequest } from '../../sim/smb2-connection.ts'
import {
  closeRequest,
  createRequest,
  echoRequest,
  emptyRequest,
  lockRequest,
  notifyRequest,
  readRequest,
  related,
  treeConnectRequest,
  writeRequest,
} from '../../sim/smb2-requests.ts'

const { SUCCESS, PENDING, FILE_CLOSED } = Status

async function mount(options: MountOptions = {}): Promise<{ sim: SimServer; client: SimClient }> {
  const sim = createSimServer()
  return { sim, client: await SimClient.mount(sim, options) }
}

/** Sends a compound. @returns the final statuses */
async function statuses(client: SimClient, ...requests: SimRequest[]): Promise<number[]> {
  const answers = await Promise.all(client.send(requests))
  return answers.map(({ status }) => status)
}

t.test('the last of a compound may wait', async (t) => {
  const { sim, client } = await mount({ signs: true })
  const mark = client.messages.length
  const [created, changed] = client.send([
    createRequest({ name: '', desiredAccess: 1 }),
    related(notifyRequest(RELATED_FILE_ID, NotifyFilter.FILE_NAME)),
  ])
  await settled()
  const [first, interim] = client.messages.slice(mark)
  t.equal(first?.header.command, Command.CREATE, 'those before it are answered')
  t.equal(interim?.status, PENDING)
  t.ok((interim?.header.flags ?? 0) & HeaderFlag.ASYNC_COMMAND)
  t.not(interim?.header.asyncId, 0n)
  t.ok((interim?.header.credits ?? 0) > 0, 'the credits come with the interim response')
  t.equal(interim?.signature, 'valid')
  const file = await client.create({ name: 'new' })
  const final = await changed
  t.equal(final?.status, SUCCESS)
  t.equal(final?.header.asyncId, interim?.header.asyncId)
  t.equal(final?.header.credits, 0, 'and not twice')
  t.equal(final?.signature, 'valid')
  const root = createdOf((await created) as SimAnswer).fileId

  const amid = await statuses(client, notifyRequest(root, 1), echoRequest())
  t.same(amid, [Status.INTERNAL_ERROR, SUCCESS], 'amid a compound it may not')
  t.equal(await client.close(file.fileId), SUCCESS)
  await isClean(t, sim)
})

t.test('CANCEL', async (t) => {
  const { sim, client } = await mount()
  const root = await client.create({ name: '', desiredAccess: 1 })
  const wait = async () => {
    const messageId = client.nextMessageId
    const answer = client.request(notifyRequest(root.fileId, 1))
    await settled()
    return { messageId, asyncId: client.messages.at(-1)?.header.asyncId ?? 0n, answer, state: watch(answer) }
  }
  const byAsyncId = await wait()
  client.cancel(0n, byAsyncId.asyncId + 1n)
  client.cancel(byAsyncId.messageId + 100n)
  await settled()
  t.notOk(byAsyncId.state.done, 'of something else')
  client.cancel(0n, byAsyncId.asyncId)
  const cancelled = await byAsyncId.answer
  t.equal(cancelled.status, Status.CANCELLED)
  t.equal(cancelled.header.messageId, byAsyncId.messageId)
  client.cancel(0n, byAsyncId.asyncId)
  const byMessageId = await wait()
  t.not(byMessageId.asyncId, byAsyncId.asyncId)
  client.cancel(byMessageId.messageId)
  t.equal((await byMessageId.answer).status, Status.CANCELLED)
  const before = client.messages.length
  const id = client.nextMessageId
  t.equal((await client.request(echoRequest())).status, SUCCESS)
  client.cancel(id)
  await settled()
  t.equal(client.messages.length, before + 1, 'CANCEL is never answered, and takes no message id')
  await isClean(t, sim)
})

t.test('a slow disk: the client is told that it takes long', async (t) => {
  const { sim, client } = await mount()
  const { fileId } = await client.create({ name: 'file' })
  await client.write(fileId, 'data')
  let wake: () => void = () => undefined
  const slow = new Promise<void>((resolve) => {
    wake = resolve
  })
  sim.storage.faults.delayNext('read', slow)
  const mark = client.messages.length
  const [written, read] = client.send([
    writeRequest({ fileId, data: Buffer.from('more') }),
    readRequest({ fileId }),
  ])
  await sim.environment.advance(4999)
  t.equal(client.messages.length, mark, 'not at once')
  await sim.environment.advance(1)
  t.same(
    client.messages.slice(mark).map(({ status }) => status),
    [SUCCESS, PENDING],
  )
  t.equal((await written)?.status, SUCCESS)
  client.cancel(client.nextMessageId - 1n)
  await settled()
  t.equal(client.messages.length, mark + 2, 'a READ cannot be cancelled')
  t.equal((await client.request(echoRequest())).status, SUCCESS, 'others are served meanwhile')
  wake()
  const answer = await read
  t.equal(answer?.status, SUCCESS)
  t.equal(answer && decodeReadResponse(answer.body).data.toString(), 'more')
  await isClean(t, sim)
})

t.test('CLOSE waits for what uses the handle', async (t) => {
  const { sim, client } = await mount()
  const gate = (operation: 'read' | 'stat') => {
    let open: () => void = () => undefined
    sim.storage.faults.delayNext(
      operation,
      new Promise<void>((resolve) => {
        open = resolve
      }),
    )
    return () => open()
  }
  const first = await client.create({ name: 'file' })
  await client.write(first.fileId, 'data')
  const goOn = gate('read')
  const reading = client.read(first.fileId, 4)
  const closing = client.close(first.fileId)
  const state = watch(closing)
  await settled()
  t.notOk(state.done)
  t.equal(await client.write(first.fileId, 'x'), FILE_CLOSED, 'later requests find it no more')
  t.equal(await client.close(first.fileId), FILE_CLOSED, 'nor does a second CLOSE')
  goOn()
  t.equal((await reading).output.toString(), 'data')
  t.equal(await closing, SUCCESS)

  const second = await client.create({ name: 'file' })
  const statIsSlow = gate('stat')
  const [one, two] = [
    client.request(closeRequest(second.fileId, 1)),
    client.request(closeRequest(second.fileId, 1)),
  ]
  await settled()
  statIsSlow()
  t.same([(await one).status, (await two).status], [SUCCESS, FILE_CLOSED], 'two at once, with attributes')

  const third = await client.create({ name: 'file' })
  const readIsSlow = gate('read')
  client.read(third.fileId, 4)
  client.close(third.fileId)
  await settled()
  client.drop()
  await settled()
  readIsSlow()
  await isClean(t, sim)
})

t.test('a connection that breaks amid all this', async (t) => {
  const { sim, client } = await mount()
  const root = await client.create({ name: '', desiredAccess: 1 })
  const file = await client.create({ name: 'file' })
  const other = await SimClient.mount(sim)
  const others = await other.create({ name: 'file' })
  const whole = { offset: 0n, length: 10n, flags: LockFlag.EXCLUSIVE_LOCK }
  t.equal(await other.lock(others.fileId, whole), SUCCESS)
  client.request(notifyRequest(root.fileId, 1))
  client.request(lockRequest(file.fileId, whole))
  await client.write(file.fileId, 'data', 100n)
  let wake: () => void = () => undefined
  sim.storage.faults.delayNext(
    'read',
    new Promise<void>((resolve) => {
      wake = resolve
    }),
  )
  client.request(readRequest({ fileId: file.fileId, offset: 100n }))
  let create: () => void = () => undefined
  sim.storage.faults.delayNext(
    'open',
    new Promise<void>((resolve) => {
      create = resolve
    }),
  )
  client.request(createRequest({ name: 'late' }))
  client.request(treeConnectRequest(SIM_SHARE))
  await settled()
  client.drop()
  await settled()
  wake()
  create()
  await settled()
  t.equal(sim.server.globalOpenTable.size, 1, "the other client's")
  t.equal([...sim.server.nodes.opens()].length, 1, 'the open that came too late is not kept')
  t.same(sim.leases, { frames: 0, payloads: 0 })
  t.equal(await other.write(others.fileId, 'x'), SUCCESS)
  t.equal((await other.request(emptyRequest(Command.LOGOFF))).status, SUCCESS)
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('a disconnect in a compound gives back what was read before it', async (t) => {
  const { sim, client } = await mount()
  const { fileId } = await client.create({ name: 'file' })
  await client.write(fileId, 'data')
  client.send([readRequest({ fileId }), { command: Command.NEGOTIATE, write: (writer) => writer.zeros(36) }])
  await settled()
  t.ok(client.disconnected)
  await isClean(t, sim)
})
