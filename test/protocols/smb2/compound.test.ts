/** MS-SMB2 3.3.5.2.3, 3.3.5.2.5, 3.3.5.2.7: compounds, message ids, and what payloads cost. */

import t from 'tap'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { decodeReadResponse } from '../../../protocols/smb2/messages/read.ts'
import { RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import type { SimAnswer, SimRequest } from '../../sim/smb2-connection.ts'
import {
  closeRequest,
  createRequest,
  echoRequest,
  flushRequest,
  notifyRequest,
  queryInfoRequest,
  readRequest,
  related,
  writeRequest,
} from '../../sim/smb2-requests.ts'

const { SUCCESS, PENDING, FILE_CLOSED, INVALID_PARAMETER, OBJECT_NAME_NOT_FOUND } = Status
const OPEN = { createDisposition: 1 }
const UNKNOWN = { persistent: 4711n, volatile: 4711n }

async function mount(options: MountOptions = {}): Promise<{ sim: SimServer; client: SimClient }> {
  const sim = createSimServer()
  return { sim, client: await SimClient.mount(sim, options) }
}

/** Sends a compound. @returns the final statuses */
async function statuses(client: SimClient, ...requests: SimRequest[]): Promise<number[]> {
  const answers = await Promise.all(client.send(requests))
  return answers.map(({ status }) => status)
}

t.test('related requests take session, tree and open of the one before', async (t) => {
  const { sim, client } = await mount()
  const before = client.frames.length
  const answers = await Promise.all(
    client.send([
      createRequest({ name: 'file' }),
      related({
        ...writeRequest({ data: Buffer.from('hello') }),
        treeId: 0xffff_ffff,
        sessionId: 0xffff_ffff_ffff_ffffn,
      }),
      related(readRequest()),
      related(queryInfoRequest()),
      related(flushRequest()),
      related(closeRequest()),
    ]),
  )
  t.same(
    answers.map(({ status }) => status),
    [SUCCESS, SUCCESS, SUCCESS, SUCCESS, SUCCESS, SUCCESS],
  )
  t.same(client.frames.slice(before), [6], 'answered in one frame')
  const [first, ...others] = answers as [SimAnswer, ...SimAnswer[]]
  t.equal(first.header.flags & HeaderFlag.RELATED_OPERATIONS, 0)
  for (const { header, message } of others) {
    t.ok(header.flags & HeaderFlag.RELATED_OPERATIONS)
    t.equal(message.length % 8, 0, 'each is padded, the last as well')
    t.equal(header.treeId, client.treeId)
    t.equal(header.sessionId, client.session?.id)
  }
  t.equal(answers[2] && decodeReadResponse(answers[2].body).data.toString(), 'hello')
  await isClean(t, sim)
})

t.test('chains that fail', async (t) => {
  const { sim, client } = await mount()
  const missing = createRequest({ name: 'missing', ...OPEN })
  const file = createRequest({ name: 'file' })
  const cases: [what: string, requests: SimRequest[], expected: number[]][] = [
    [
      'the CREATE',
      [missing, related(readRequest()), related(closeRequest())],
      [OBJECT_NAME_NOT_FOUND, OBJECT_NAME_NOT_FOUND, OBJECT_NAME_NOT_FOUND],
    ],
    [
      'one in between',
      [file, related(readRequest()), related(closeRequest())],
      [SUCCESS, Status.END_OF_FILE, SUCCESS],
    ],
    [
      'a related CREATE after one that failed',
      [missing, related(file), related(closeRequest())],
      [OBJECT_NAME_NOT_FOUND, SUCCESS, SUCCESS],
    ],
    [
      'the open is closed already',
      [file, related(closeRequest()), related(readRequest())],
      [SUCCESS, SUCCESS, FILE_CLOSED],
    ],
    [
      'an open of no one',
      [readRequest({ fileId: UNKNOWN }), related(readRequest())],
      [FILE_CLOSED, FILE_CLOSED],
    ],
    ['all ones outside of a chain', [readRequest({ fileId: RELATED_FILE_ID })], [FILE_CLOSED]],
    ['the first is related', [related(file)], [INVALID_PARAMETER]],
    ['all are related', [related(file), related(closeRequest())], [INVALID_PARAMETER, INVALID_PARAMETER]],
    [
      'related to a wrong session',
      [{ ...file, sessionId: 4711n }, related(closeRequest())],
      [Status.USER_SESSION_DELETED, INVALID_PARAMETER],
    ],
    [
      'related to a wrong tree',
      [{ ...file, treeId: 4711 }, related(closeRequest())],
      [Status.NETWORK_NAME_DELETED, Status.NETWORK_NAME_DELETED],
    ],
    [
      'unrelated to it',
      [{ ...file, sessionId: 4711n }, echoRequest(), missing],
      [Status.USER_SESSION_DELETED, SUCCESS, OBJECT_NAME_NOT_FOUND],
    ],
    [
      'two chains',
      [file, related(closeRequest()), missing, related(closeRequest())],
      [SUCCESS, SUCCESS, OBJECT_NAME_NOT_FOUND, OBJECT_NAME_NOT_FOUND],
    ],
    [
      'a body that cannot be read',
      [file, related({ command: Command.WRITE, write: (writer) => writer.u16(1) }), related(closeRequest())],
      [SUCCESS, INVALID_PARAMETER, SUCCESS],
    ],
    [
      'a command that there is not',
      [file, related({ command: 0x77, write: () => undefined }), related(closeRequest())],
      [SUCCESS, INVALID_PARAMETER, SUCCESS],
    ],
  ]
  for (const [what, requests, expected] of cases) t.same(await statuses(client, ...requests), expected, what)
  t.notOk(client.disconnected)
  t.equal(sim.server.globalOpenTable.size, 0, 'every chain closed what it opened')
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('an open named by its id in a related request', async (t) => {
  const { sim, client } = await mount()
  const one = await client.create({ name: 'one' })
  const answers = await Promise.all(
    client.send([
      createRequest({ name: 'two' }),
      related(writeRequest({ fileId: one.fileId, data: Buffer.from('1') })),
      related(closeRequest()),
    ]),
  )
  t.same(
    answers.map(({ status }) => status),
    [SUCCESS, SUCCESS, SUCCESS],
  )
  t.equal(sim.server.globalOpenTable.size, 1)
  const [open] = [...sim.server.globalOpenTable.values()]
  t.equal(open?.pathName, 'two', 'the newest named open is what the next one inherits')
  const again = await client.create({ name: 'one' })
  t.equal((await client.read(again.fileId, 10)).output.toString(), '1')
  await isClean(t, sim)
})

t.test('frames that are no compounds', async (t) => {
  const echo = echoRequest()
  const cases: [what: string, requests: SimRequest[]][] = [
    ['misaligned', [{ ...echo, nextCommand: 68 }, echo]],
    ['into the header', [{ ...echo, nextCommand: 8 }, echo]],
    ['past the end', [{ ...echo, nextCommand: 1024 }, echo]],
    ['to the end, where nothing is', [{ ...echo, nextCommand: 72 }]],
    ['to the middle of what follows', [{ ...echo, nextCommand: 80 }, echo]],
    ['far away', [{ ...echo, nextCommand: 0xffff_fff8 }, echo]],
    ['too many', Array.from({ length: 65 }, () => echo)],
  ]
  for (const [what, requests] of cases) {
    const { sim, client } = await mount()
    client.send(requests)
    t.ok(client.disconnected, what)
    t.same(sim.complaints, [])
    await isClean(t, sim)
  }
  const { client } = await mount()
  t.same(
    new Set(await statuses(client, ...Array.from({ length: 64 }, () => echo))),
    new Set([SUCCESS]),
    'as many as may be',
  )
})

t.test('signed and encrypted compounds', async (t) => {
  const chain = [createRequest({ name: 'file' }), related(readRequest()), related(closeRequest())]
  for (const options of [{ dialects: [Dialect.SMB_2_1] }, { dialects: [Dialect.SMB_3_1_1], signing: [2] }]) {
    const { sim, client } = await mount({ ...options, signs: true })
    const answers = await Promise.all(client.send(chain))
    t.same(
      answers.map(({ status }) => status),
      [SUCCESS, Status.END_OF_FILE, SUCCESS],
    )
    t.same(
      answers.map(({ signature }) => signature),
      ['valid', 'valid', 'valid'],
      'each has a signature of its own',
    )
    const [create, read, close] = chain as [SimRequest, SimRequest, SimRequest]
    const badly = await statuses(client, create, { ...read, signed: 'badly' }, close)
    t.same(badly, [SUCCESS, Status.ACCESS_DENIED, SUCCESS], 'the one with a wrong signature alone is refused')
    await isClean(t, sim)
  }
  const sim = createSimServer({ settings: { encryption: 'required' } })
  const client = await SimClient.mount(sim, { dialects: [Dialect.SMB_3_1_1], ciphers: [2] })
  const answers = await Promise.all(client.send(chain))
  t.same(
    answers.map(({ status }) => status),
    [SUCCESS, Status.END_OF_FILE, SUCCESS],
  )
  t.ok(answers.every(({ encrypted }) => encrypted))
  t.equal(client.frames.at(-1), 3)
  const waits = client.send([
    createRequest({ name: '', desiredAccess: 1 }),
    related(notifyRequest(RELATED_FILE_ID, 1)),
  ])
  await settled()
  t.equal(client.messages.at(-1)?.status, PENDING)
  t.ok(client.messages.at(-1)?.encrypted, 'the interim response too')
  client.cancel(client.nextMessageId - 1n)
  t.equal((await waits[1])?.status, Status.CANCELLED)
  t.ok(client.messages.at(-1)?.encrypted)
  await isClean(t, sim)
})

t.test('the price of payloads', async (t) => {
  const { sim, client } = await mount()
  const { fileId } = await client.create({ name: 'file' })
  const [exact, more] = [Buffer.alloc(65536), Buffer.alloc(65537)]
  const cases: [what: string, request: SimRequest, charge: number, status: number][] = [
    ['WRITE of 64 KiB', writeRequest({ fileId, data: exact }), 1, SUCCESS],
    ['WRITE of more', writeRequest({ fileId, data: more }), 1, INVALID_PARAMETER],
    ['WRITE of more, paid', writeRequest({ fileId, data: more }), 2, SUCCESS],
    ['READ of more', readRequest({ fileId, length: 65537 }), 1, INVALID_PARAMETER],
    ['READ of more, paid', readRequest({ fileId, length: 65537 }), 2, SUCCESS],
    ['a charge of 0 is 1', readRequest({ fileId, length: 65536 }), 0, SUCCESS],
    ['QUERY_INFO', queryInfoRequest({ fileId, outputBufferLength: 65537 }), 1, INVALID_PARAMETER],
    ['too much at any price', readRequest({ fileId, length: (8 << 20) + 1 }), 129, INVALID_PARAMETER],
  ]
  for (const [what, request, creditCharge, status] of cases) {
    if (client.credits < creditCharge) await client.request({ ...echoRequest(), credits: 200 })
    t.equal((await client.request({ ...request, creditCharge })).status, status, what)
  }
  const old = await SimClient.mount(sim, { dialects: [Dialect.SMB_2_0_2] })
  const file = await old.create({ name: 'old' })
  const free = await old.request({ ...writeRequest({ fileId: file.fileId, data: exact }), creditCharge: 0 })
  t.equal(free.status, SUCCESS, '2.0.2 knows no charges')
  await isClean(t, sim)
})

t.test('message ids', async (t) => {
  const violations: [what: string, requests: SimRequest[]][] = [
    ['used', [{ ...echoRequest(), messageId: 0n }]],
    [
      'twice in a compound',
      [
        { ...echoRequest(), messageId: 100n },
        { ...echoRequest(), messageId: 100n },
      ],
    ],
    ['not granted', [{ ...echoRequest(), messageId: 100_000n }]],
    ['that of notifications', [{ ...echoRequest(), messageId: 0xffff_ffff_ffff_ffffn }]],
    ['a charge over the window', [{ ...echoRequest(), creditCharge: 65535 }]],
  ]
  for (const [what, requests] of violations) {
    const { sim, client } = await mount()
    const other = await SimClient.mount(sim)
    client.send(requests)
    t.match(client.disconnectReason, /not in the window/, what)
    t.equal((await other.request(echoRequest())).status, SUCCESS, 'others go on')
    await isClean(t, sim)
  }
  const { sim, client } = await mount()
  const first = client.nextMessageId
  for (const id of [3n, 1n, 2n, 0n]) {
    t.equal(
      (await client.request({ ...echoRequest(), messageId: first + id })).status,
      SUCCESS,
      'in any order',
    )
  }
  await isClean(t, sim)
})

t.test('credits that are granted', async (t) => {
  const { sim, client } = await mount()
  const ask = async (credits: number) => (await client.request({ ...echoRequest(), credits })).header.credits
  t.equal(await ask(10), 10)
  t.equal(await ask(0), 0)
  while (client.credits > 1) await client.request({ ...echoRequest(), credits: 0 })
  t.equal(await ask(0), 1, 'the last one is always replaced')
  t.ok((await ask(65535)) <= 8192)
  t.equal(client.credits, 8192, 'up to the limit')
  t.equal(await ask(65535), 1)
  await isClean(t, sim)
})
