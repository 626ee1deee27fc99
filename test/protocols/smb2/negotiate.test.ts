/** MS-SMB2 3.3.5.2, 3.3.5.3, 3.3.5.4: how a connection begins, without sockets. */

import t from 'tap'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { Capability, Dialect, SecurityMode } from '../../../protocols/smb2/messages/dialects.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import {
  decodeValidateNegotiateInfoResponse,
  encodeValidateNegotiateInfoRequest,
} from '../../../protocols/smb2/messages/ioctl/validate-negotiate-info.ts'
import {
  decodeNegotiateResponse,
  encodeNegotiateRequest,
} from '../../../protocols/smb2/messages/negotiate.ts'
import type { NegotiateContext } from '../../../protocols/smb2/messages/negotiate-contexts.ts'
import { encodeSmb1NegotiateRequest } from '../../../protocols/smb2/messages/smb1-negotiate.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { isClean, works } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServerOptions } from '../../sim/sim-server.ts'
import { type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import { echoRequest } from '../../sim/smb2-requests.ts'
import { logOn, negotiate, negotiateContexts } from '../../sim/smb2-session.ts'

const DIALECTS = [Dialect.SMB_2_0_2, Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1]
const { SMB_2_1, SMB_3_0, SMB_3_0_2, SMB_3_1_1 } = Dialect

function smb1Negotiate(...dialects: string[]): Buffer {
  const writer = new Writer()
  encodeSmb1NegotiateRequest(writer, { dialects })
  return writer.finish()
}

t.test('a dialect for each client', async (t) => {
  for (const dialect of DIALECTS) {
    const sim = createSimServer()
    const client = await SimClient.mount(sim, { dialects: [dialect], signs: true })
    const { negotiated } = client
    t.equal(negotiated?.dialectRevision, dialect)
    t.ok(negotiated?.serverGuid.equals(sim.server.serverGuid))
    t.equal(negotiated?.securityMode, SecurityMode.SIGNING_ENABLED)
    const isLarge = dialect > Dialect.SMB_2_0_2
    t.equal(negotiated?.maxReadSize, isLarge ? sim.server.limits.maxReadSize : 65536)
    t.equal(((negotiated?.capabilities ?? 0) & Capability.LARGE_MTU) !== 0, isLarge)
    const encrypts = dialect === SMB_3_0 || dialect === SMB_3_0_2
    t.equal(
      ((negotiated?.capabilities ?? 0) & Capability.ENCRYPTION) !== 0,
      encrypts,
      '3.1.1 has contexts for that',
    )
    t.ok(await works(client))
    t.equal(client.messages.at(-1)?.signature, 'valid', 'a signed request has a signed response')
    t.same(sim.complaints, [])
    await isClean(t, sim)
  }
})

t.test('the highest dialect within the configured range', async (t) => {
  const cases: [minimum: number, maximum: number, offered: number[], chosen: number | undefined][] = [
    [Dialect.SMB_2_0_2, SMB_3_1_1, [...DIALECTS], SMB_3_1_1],
    [Dialect.SMB_2_0_2, SMB_3_0_2, [...DIALECTS], SMB_3_0_2],
    [SMB_3_0, SMB_3_1_1, [Dialect.SMB_2_0_2, SMB_2_1], undefined],
    [SMB_3_0, SMB_3_1_1, [SMB_2_1, SMB_3_0], SMB_3_0],
    [SMB_3_1_1, SMB_3_1_1, [SMB_2_1, SMB_3_0, SMB_3_0_2], undefined],
    [Dialect.SMB_2_0_2, SMB_2_1, [SMB_3_0, SMB_3_1_1], undefined],
    [Dialect.SMB_2_0_2, SMB_3_1_1, [0x0222, 0x0224, 0x0310], undefined],
    [Dialect.SMB_2_0_2, SMB_3_1_1, [0x0222, SMB_2_1, 0x0224], SMB_2_1],
    [Dialect.SMB_2_0_2, SMB_3_1_1, [Dialect.WILDCARD], undefined],
  ]
  for (const [minimumDialect, maximumDialect, dialects, chosen] of cases) {
    const client = new SimClient(createSimServer({ settings: { minimumDialect, maximumDialect } }))
    const answer = await negotiate(client, { dialects })
    t.equal(answer.status, chosen === undefined ? Status.NOT_SUPPORTED : Status.SUCCESS)
    t.equal(client.negotiated?.dialectRevision, chosen)
  }
  const client = new SimClient(createSimServer())
  t.equal((await negotiate(client, { dialects: [] })).status, Status.INVALID_PARAMETER)
})

t.test('clients of several protocols begin in SMB1', async (t) => {
  const wildcard = new SimClient(createSimServer())
  wildcard.sendRaw(smb1Negotiate('NT LM 0.12', 'SMB 2.002', 'SMB 2.???'))
  const [first] = wildcard.messages
  t.equal(first?.header.messageId, 0n)
  t.equal(first && decodeNegotiateResponse(first.body).dialectRevision, Dialect.WILDCARD)
  wildcard.messageId = 1n
  t.equal((await negotiate(wildcard, { dialects: [...DIALECTS] })).status, Status.SUCCESS, 'then in SMB2')
  t.equal((await logOn(wildcard)).status, Status.SUCCESS)

  const old = new SimClient(createSimServer())
  old.sendRaw(smb1Negotiate('SMB 2.002'))
  t.equal(old.messages[0] && decodeNegotiateResponse(old.messages[0].body).dialectRevision, Dialect.SMB_2_0_2)
  old.messageId = 1n
  t.equal((await logOn(old)).status, Status.SUCCESS, '2.0.2 is settled at once')

  const limited = createSimServer({ settings: { maximumDialect: Dialect.SMB_2_0_2 } })
  const only202 = new SimClient(limited)
  only202.sendRaw(smb1Negotiate('SMB 2.???', 'SMB 2.002'))
  t.equal(only202.messages[0] && decodeNegotiateResponse(only202.messages[0].body).dialectRevision, 0x0202)

  const refused: [what: string, frames: Buffer[], settings: SimServerOptions['settings']][] = [
    ['SMB1 alone', [smb1Negotiate('NT LM 0.12')], {}],
    ['too old', [smb1Negotiate('SMB 2.002')], { minimumDialect: SMB_3_0 }],
    ['twice', [smb1Negotiate('SMB 2.???'), smb1Negotiate('SMB 2.???')], {}],
    ['another command', [Buffer.concat([Buffer.from('ff534d4273', 'hex'), Buffer.alloc(40)])], {}],
    ['neither', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], {}],
    ['too short', [Buffer.from([0xfe, 0x53, 0x4d])], {}],
    ['nothing', [Buffer.alloc(0)], {}],
  ]
  for (const [what, frames, settings] of refused) {
    const sim = createSimServer({ settings: settings ?? {} })
    const client = new SimClient(sim)
    for (const frame of frames) client.sendRaw(frame)
    t.ok(client.disconnected, what)
    t.same(sim.complaints, [], 'a bad client is no bug')
    await isClean(t, sim)
  }
})

t.test('contexts of 3.1.1', async (t) => {
  const salt = Buffer.alloc(32, 7)
  const preauth: NegotiateContext = { kind: 'preauthIntegrity', hashAlgorithms: [1], salt }
  const refused: [what: string, contexts: NegotiateContext[], status: number][] = [
    ['none', [], Status.INVALID_PARAMETER],
    ['no hash', [{ kind: 'encryption', ciphers: [1] }], Status.INVALID_PARAMETER],
    ['two hashes', [preauth, preauth], Status.INVALID_PARAMETER],
    ['an unknown hash', [{ ...preauth, hashAlgorithms: [9] }], Status.SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP],
  ]
  for (const [what, contexts, status] of refused) {
    const client = new SimClient(createSimServer())
    const answer = await negotiate(client, { dialects: [SMB_3_0_2, SMB_3_1_1], negotiateContexts: contexts })
    t.equal(answer.status, status, what)
  }
  const ask = async (contexts: NegotiateContext[], settings: SimServerOptions['settings'] = {}) => {
    const client = new SimClient(createSimServer({ settings }))
    await negotiate(client, { dialects: [SMB_3_1_1], negotiateContexts: [preauth, ...contexts] })
    return client.negotiated?.negotiateContexts ?? []
  }
  const [own] = await ask([])
  t.match(own, { kind: 'preauthIntegrity', hashAlgorithms: [1] })
  t.ok(
    own?.kind === 'preauthIntegrity' && own.salt.length === 32 && !own.salt.equals(salt),
    'a salt of its own',
  )
  const cases: [
    what: string,
    asked: NegotiateContext,
    answer: NegotiateContext[],
    settings?: SimServerOptions['settings'],
  ][] = [
    [
      "the client's favourite",
      { kind: 'encryption', ciphers: [99, 4, 2] },
      [{ kind: 'encryption', ciphers: [4] }],
    ],
    ['no common cipher', { kind: 'encryption', ciphers: [99] }, [{ kind: 'encryption', ciphers: [0] }]],
    ['encryption is off', { kind: 'encryption', ciphers: [2] }, [], { encryption: 'off' }],
    ['GMAC', { kind: 'signing', algorithms: [7, 2, 1] }, [{ kind: 'signing', algorithms: [2] }]],
    ['no common algorithm', { kind: 'signing', algorithms: [7] }, []],
    ['a name', { kind: 'netName', netName: 'ocean' }, []],
    ['compression', { kind: 'compression', flags: 0, algorithms: [1] }, []],
    ['an unknown one', { kind: 'raw', type: 0x4711, data: Buffer.from('abc') }, []],
  ]
  for (const [what, asked, answer, settings] of cases)
    t.same((await ask([asked], settings)).slice(1), answer, what)
})

t.test('NEGOTIATE once, and first', async (t) => {
  const sim = createSimServer()
  const twice = await SimClient.mount(sim)
  const { fileId } = await twice.create({ name: 'held' })
  t.equal(sim.server.globalOpenTable.get(fileId.volatile)?.pathName, 'held')
  negotiate(twice)
  t.match(twice.disconnectReason, /second NEGOTIATE/)
  await settled()
  t.equal(sim.server.globalOpenTable.size, 0, 'what it had open is closed')

  const early = new SimClient(sim)
  early.send([echoRequest()])
  t.match(early.disconnectReason, /before NEGOTIATE/)

  const garbled = new SimClient(sim)
  const broken = await garbled.request({
    command: Command.NEGOTIATE,
    write: (writer) => writer.u16(36).zeros(3),
  })
  t.equal(broken.status, Status.INVALID_PARAMETER)
  const crowded = new SimClient(sim)
  const many = Array.from({ length: 65 }, () => SMB_2_1)
  t.equal((await negotiate(crowded, { dialects: many })).status, Status.INVALID_PARAMETER)
  await isClean(t, sim)
})

t.test('VALIDATE_NEGOTIATE_INFO', async (t) => {
  const ask = async (
    options: MountOptions,
    change: Partial<Parameters<typeof encodeValidateNegotiateInfoRequest>[1]>,
  ) => {
    const sim = createSimServer()
    const client = await SimClient.mount(sim, options)
    const { negotiateRequest: sent } = client
    if (sent === undefined) throw new Error('nothing was negotiated')
    const { capabilities, clientGuid: guid, securityMode, dialects } = sent
    const writer = new Writer()
    encodeValidateNegotiateInfoRequest(writer, { capabilities, guid, securityMode, dialects, ...change })
    const answer = client.ioctl(Fsctl.VALIDATE_NEGOTIATE_INFO, {
      input: writer.finish(),
      maxOutputResponse: 24,
    })
    await settled()
    return { client, answer }
  }
  const good = await ask({ dialects: [SMB_2_1, SMB_3_0, SMB_3_0_2] }, {})
  const { status, output } = await good.answer
  t.equal(status, Status.SUCCESS)
  const { negotiated } = good.client
  t.same(decodeValidateNegotiateInfoResponse(new Reader(output)), {
    capabilities: negotiated?.capabilities,
    guid: negotiated?.serverGuid,
    securityMode: negotiated?.securityMode,
    dialect: SMB_3_0_2,
  })
  const changes = [
    { capabilities: 0x7f },
    { guid: Buffer.alloc(16) },
    { securityMode: SecurityMode.SIGNING_REQUIRED },
    { dialects: [SMB_2_1] },
    { dialects: [SMB_3_0_2, SMB_3_0, SMB_2_1] },
  ]
  for (const change of changes) {
    const { client } = await ask({ dialects: [SMB_2_1, SMB_3_0, SMB_3_0_2] }, change)
    t.ok(client.disconnected, `${Object.keys(change)} differs`)
  }
  t.ok((await ask({ dialects: [SMB_3_1_1] }, {})).client.disconnected, 'on 3.1.1')
  const short = (await ask({ dialects: [SMB_3_0] }, {})).client
  const small = await short.ioctl(Fsctl.VALIDATE_NEGOTIATE_INFO, { maxOutputResponse: 23 })
  t.equal(small.status, Status.INVALID_PARAMETER)
})

t.test('limits, and who may connect at all', async (t) => {
  const sim = createSimServer({
    limits: { opensPerSession: 2, opens: 3 },
    mayConnect: ({ remoteAddress }) => remoteAddress !== '192.0.2.1',
  })
  t.throws(() => new SimClient(sim, '192.0.2.1'), /refused the connection/)
  t.equal(sim.server.connectionList.size, 0)
  const [anna, bert] = [await SimClient.mount(sim), await SimClient.mount(sim)]
  t.equal((await anna.create({ name: '1' })).status, Status.SUCCESS)
  const second = await anna.create({ name: '2' })
  t.equal((await anna.create({ name: '3' })).status, Status.INSUFFICIENT_RESOURCES, 'of a session')
  t.equal((await bert.create({ name: '3' })).status, Status.SUCCESS)
  t.equal((await bert.create({ name: '4' })).status, Status.INSUFFICIENT_RESOURCES, 'of all')
  t.equal(await anna.close(second.fileId), Status.SUCCESS)
  t.equal((await bert.create({ name: '4' })).status, Status.SUCCESS)
  await isClean(t, sim)
})

t.test('commands that there are not', async (t) => {
  const sim = createSimServer()
  const client = await SimClient.mount(sim)
  t.equal(
    (await client.request({ command: 0x13, write: (writer) => writer.zeros(24) })).status,
    Status.INVALID_PARAMETER,
  )
  t.equal(
    (await client.request({ command: 0xffff, write: () => undefined })).status,
    Status.INVALID_PARAMETER,
  )
  const { status } = await client.request({
    command: Command.CREATE,
    write: (writer) => writer.u16(56).zeros(80),
  })
  t.equal(status, Status.INVALID_PARAMETER, 'a wrong StructureSize')
  client.send([{ ...echoRequest(), flags: HeaderFlag.SERVER_TO_REDIR }])
  t.match(client.disconnectReason, /response came from the client/)
  const writer = new Writer()
  encodeNegotiateRequest(writer, {
    ...{ securityMode: 1, capabilities: 0, clientGuid: Buffer.alloc(16), dialects: [SMB_2_1] },
    negotiateContexts: negotiateContexts((bytes) => Buffer.alloc(bytes)),
  })
  const other = new SimClient(sim)
  const answer = await other.request({
    command: Command.NEGOTIATE,
    write: (body) => body.bytes(writer.finish()),
  })
  t.equal(answer.status, Status.SUCCESS, 'contexts of a client without 3.1.1 are not looked at')
  t.same(sim.complaints, [])
  await isClean(t, sim)
})
