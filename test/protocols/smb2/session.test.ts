/** MS-SMB2 3.3.5.5, 3.3.5.6, 3.3.5.7: sessions and tree connects, from the first to the last message. */

import t from 'tap'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { encodeSessionSetupRequest, SessionFlag } from '../../../protocols/smb2/messages/session-setup.ts'
import {
  decodeTreeConnectResponse,
  ShareFlag,
  ShareType,
} from '../../../protocols/smb2/messages/tree-connect.ts'
import type { Principal } from '../../../protocols/smb2/state/server.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import type { Writer } from '../../../protocols/wire/writer.ts'
import { isClean, tryLogOn, works } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, SIM_SHARE, type SimServerOptions } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import { echoRequest, emptyRequest, treeConnectRequest } from '../../sim/smb2-requests.ts'
import { type LogOnOptions, type LogOnResult, logOn, negotiate } from '../../sim/smb2-session.ts'

const { SMB_2_1, SMB_3_1_1 } = Dialect

t.test('who is let in', async (t) => {
  const cases: [
    what: string,
    settings: SimServerOptions['settings'],
    logOn: LogOnOptions,
    status: number,
    flags: number,
  ][] = [
    ['the password', {}, {}, Status.SUCCESS, 0],
    ['a name in capitals', {}, { user: 'ANNA' }, Status.SUCCESS, 0],
    ['another password', {}, { password: 'guess' }, Status.LOGON_FAILURE, 0],
    ['a stranger', {}, { user: 'nobody' }, Status.LOGON_FAILURE, 0],
    ['a stranger as guest', { guest: true }, { user: 'nobody' }, Status.SUCCESS, SessionFlag.IS_GUEST],
    ['a wrong password is no guest', { guest: true }, { password: 'guess' }, Status.LOGON_FAILURE, 0],
    [
      'no guest where signing is required',
      { guest: true, requireMessageSigning: true },
      { user: 'nobody' },
      Status.LOGON_FAILURE,
      0,
    ],
    ['anonymous', {}, { user: '' }, Status.ACCESS_DENIED, 0],
    ['anonymous where it may', { anonymous: true }, { user: '' }, Status.SUCCESS, SessionFlag.IS_NULL],
  ]
  for (const dialect of [SMB_2_1, SMB_3_1_1]) {
    for (const [what, settings, options, status, flags] of cases) {
      const sim = createSimServer({ settings: settings ?? {} })
      const client = await SimClient.negotiate(sim, { dialects: [dialect] })
      const result = await tryLogOn(client, options)
      t.equal(result.status, status, what)
      t.equal(result.sessionFlags, flags)
      t.equal(sim.server.globalSessionTable.size, status === Status.SUCCESS ? 1 : 0)
      t.equal(sim.server.counters.failedLogins, status === Status.LOGON_FAILURE ? 1 : 0)
      const hasKeys = status === Status.SUCCESS && flags === 0
      t.equal(
        result.answer.signature,
        hasKeys ? 'valid' : 'none',
        'the last response of a session with keys is signed',
      )
      await isClean(t, sim)
    }
  }
})

t.test('a failed login waits; too many are not listened to', async (t) => {
  const calls: string[] = []
  let isBlocked = false
  const sim = createSimServer({
    loginThrottle: {
      failed(address) {
        calls.push(`failed ${address}`)
        return 3000
      },
      succeeded: (address) => void calls.push(`succeeded ${address}`),
      blocked: () => isBlocked,
    },
  })
  const client = await SimClient.negotiate(sim, { address: '10.0.0.9' })
  let result: LogOnResult | undefined
  logOn(client, { password: 'guess' }).then((answer) => {
    result = answer
  })
  await sim.environment.advance(2999)
  t.equal(result, undefined, 'not yet')
  await sim.environment.advance(1)
  t.equal(result?.status, Status.LOGON_FAILURE)
  t.equal((await logOn(client)).status, Status.SUCCESS)
  isBlocked = true
  const right = logOn(client)
  await sim.environment.advance(3000)
  t.equal((await right).status, Status.LOGON_FAILURE, 'even with the right password')
  t.same(calls, ['failed 10.0.0.9', 'succeeded 10.0.0.9', 'failed 10.0.0.9'])

  const gone = await SimClient.negotiate(sim)
  logOn(gone, { password: 'guess' })
  await settled()
  gone.drop()
  await sim.environment.advance(3000)
  t.notOk(gone.disconnected, 'no one is there to be told')
  await isClean(t, sim)
})

t.test('SESSION_SETUP out of place', async (t) => {
  const sim = createSimServer()
  const client = await SimClient.negotiate(sim)
  const setup = (securityBuffer: Buffer, sessionId = 0n) => ({
    ...{ command: Command.SESSION_SETUP, sessionId },
    write: (writer: Writer) =>
      encodeSessionSetupRequest(writer, {
        ...{ flags: 0, securityMode: 1, capabilities: 0, previousSessionId: 0n, securityBuffer },
      }),
  })
  t.equal(
    (await client.request(setup(Buffer.alloc(0), 4711n))).status,
    Status.USER_SESSION_DELETED,
    'of no session',
  )
  const garbage = client.request(setup(Buffer.from('what?')))
  await sim.environment.advance(0)
  t.equal((await garbage).status, Status.INVALID_PARAMETER, 'no token at all')
  const { session } = await logOn(client)
  t.equal((await client.request({ ...treeConnectRequest(SIM_SHARE) })).status, Status.SUCCESS)
  const halfway = new SimClient(sim)
  await negotiate(halfway)
  halfway.session = { id: 4712n, keys: undefined, signingKey: undefined, encrypts: false }
  t.equal((await halfway.request(treeConnectRequest(SIM_SHARE))).status, Status.USER_SESSION_DELETED)
  halfway.session = session
  t.equal(
    (await halfway.request(treeConnectRequest(SIM_SHARE))).status,
    Status.USER_SESSION_DELETED,
    "another connection's",
  )
  await isClean(t, sim)
})

t.test('several sessions on a connection, and their ends', async (t) => {
  const sim = createSimServer({ users: { bert: 'Geheim1' }, limits: { sessionsPerConnection: 2 } })
  const client = await SimClient.mount(sim)
  const anna = client.session
  const annasTree = client.treeId
  const file = await client.create({ name: 'annas' })
  const { session: bert } = await logOn(client, { user: 'bert', password: 'Geheim1' })
  t.not(anna?.id, bert.id)
  t.equal((await client.request(treeConnectRequest(SIM_SHARE))).status, Status.SUCCESS)
  t.equal(await client.write(file.fileId, 'x'), Status.FILE_CLOSED, "another session's open")
  client.session = undefined
  const crowded = await client.request({
    command: Command.SESSION_SETUP,
    write: (writer) =>
      encodeSessionSetupRequest(writer, {
        ...{
          flags: 0,
          securityMode: 1,
          capabilities: 0,
          previousSessionId: 0n,
          securityBuffer: Buffer.alloc(4),
        },
      }),
  })
  t.equal(crowded.status, Status.INSUFFICIENT_RESOURCES, 'a third')
  t.equal(sim.server.usage.refused.get('sessions'), 1)
  client.session = bert
  t.equal((await client.request(emptyRequest(Command.LOGOFF))).status, Status.SUCCESS)
  t.equal((await client.request(emptyRequest(Command.LOGOFF))).status, Status.USER_SESSION_DELETED)
  client.session = anna
  client.treeId = annasTree
  t.equal(await client.write(file.fileId, 'x'), Status.SUCCESS, 'the other goes on')
  t.equal((await client.request(emptyRequest(Command.TREE_DISCONNECT))).status, Status.SUCCESS)
  t.equal(sim.server.globalOpenTable.size, 0, 'with what was open on it')
  t.equal((await client.request(emptyRequest(Command.TREE_DISCONNECT))).status, Status.NETWORK_NAME_DELETED)
  t.equal((await client.create({ name: 'x' })).status, Status.NETWORK_NAME_DELETED)
  await isClean(t, sim)
})

t.test('PreviousSessionId', async (t) => {
  const sim = createSimServer({ users: { bert: 'Geheim1' } })
  const before = await SimClient.mount(sim)
  await before.create({ name: 'held', shareAccess: 0 })
  const previousSessionId = before.session?.id ?? 0n
  const other = await SimClient.logOn(sim, { user: 'bert', password: 'Geheim1', previousSessionId })
  t.ok(await works(before), "another user's is left alone")
  t.equal(sim.server.globalOpenTable.size, 1)
  const again = await SimClient.mount(sim, { previousSessionId })
  t.equal((await before.create({ name: 'x' })).status, Status.USER_SESSION_DELETED)
  t.equal(
    (await again.create({ name: 'held', shareAccess: 0 })).status,
    Status.SUCCESS,
    'what it held is free',
  )
  t.notOk(before.disconnected)
  t.equal((await other.request(echoRequest())).status, Status.SUCCESS)
  await isClean(t, sim)
})

t.test('sessions expire, and authenticate again', async (t) => {
  for (const dialects of [[SMB_2_1], [SMB_3_1_1]]) {
    const sim = createSimServer({ settings: { sessionTimeoutSeconds: 600, requireMessageSigning: true } })
    const client = await SimClient.mount(sim, { dialects, signs: true })
    const { session } = client
    if (session === undefined) throw new Error('no session')
    const { fileId } = await client.create({ name: 'file' })
    const other = await client.create({ name: 'other' })
    await sim.environment.advance(599_999)
    t.equal(await client.write(fileId, 'x'), Status.SUCCESS, 'a millisecond before')
    await sim.environment.advance(1)
    t.equal(await client.write(fileId, 'x'), Status.NETWORK_SESSION_EXPIRED)
    t.equal(client.messages.at(-1)?.signature, 'valid', 'the refusal is signed')
    t.equal((await client.request(treeConnectRequest(SIM_SHARE))).status, Status.NETWORK_SESSION_EXPIRED)
    t.equal(await client.close(other.fileId), Status.SUCCESS, 'closing is possible')
    t.equal((await logOn(client, { session })).status, Status.SUCCESS)
    t.equal(await client.write(fileId, 'x'), Status.SUCCESS, 'with the keys of before')
    t.equal(client.messages.at(-1)?.signature, 'valid')
    await sim.environment.advance(600_000)
    t.equal((await client.request(emptyRequest(Command.LOGOFF))).status, Status.SUCCESS, 'so is leaving')
    await isClean(t, sim)
  }
  const sim = createSimServer()
  const client = await SimClient.mount(sim)
  const { session } = client
  if (session === undefined) throw new Error('no session')
  await client.create({ name: 'file' })
  t.equal((await tryLogOn(client, { session, password: 'guess' })).status, Status.LOGON_FAILURE)
  t.equal(sim.server.globalOpenTable.size, 0, 'who fails to authenticate again is out')
  t.equal((await client.create({ name: 'file' })).status, Status.USER_SESSION_DELETED)
  await isClean(t, sim)
})

t.test('TREE_CONNECT', async (t) => {
  const admit = ({ user }: Principal, readOnly = false) =>
    user === 'bert' ? { identity: undefined, readOnly, administrator: false } : undefined
  const sim = createSimServer({
    users: { bert: 'Geheim1' },
    limits: { treeConnectsPerSession: 4, treeConnects: 5, sessions: 2 },
    shares: [
      { name: 'Berts', admit: (who) => admit(who) },
      { name: 'Static', admit: (who) => admit(who, true), hideUnreadable: true },
    ],
  })
  const anna = await SimClient.logOn(sim)
  t.equal(await anna.connectTree('berts'), Status.ACCESS_DENIED)
  t.equal(await anna.connectTree('nothing'), Status.BAD_NETWORK_NAME)
  const bert = await SimClient.logOn(sim, { user: 'bert', password: 'Geheim1' })
  const connect = async (share: string) => {
    const { status, body } = await bert.request(treeConnectRequest(share))
    return status === Status.SUCCESS ? decodeTreeConnectResponse(body) : status
  }
  t.match(await connect('BERTS'), { shareType: ShareType.DISK, maximalAccess: 0x001f01ff })
  t.match(await connect('static'), {
    shareFlags: ShareFlag.MANUAL_CACHING | ShareFlag.ACCESS_BASED_DIRECTORY_ENUM,
    maximalAccess: 0x001200a9,
  })
  t.match(await connect('IPC$'), { shareType: ShareType.PIPE, shareFlags: ShareFlag.NO_CACHING })
  t.match(await connect('berts'), { shareType: ShareType.DISK }, 'again, as a tree connect of its own')
  t.equal(await connect('berts'), Status.INSUFFICIENT_RESOURCES, 'one too many')
  t.equal((await anna.request(treeConnectRequest(SIM_SHARE))).status, Status.SUCCESS)
  t.equal(await anna.connectTree(SIM_SHARE), Status.INSUFFICIENT_RESOURCES, 'of all')
  const third = await SimClient.negotiate(sim)
  t.equal((await logOn(third)).status, Status.INSUFFICIENT_RESOURCES, 'a session too many')
  t.same(
    [...sim.server.usage.refused],
    [
      ['treeConnects', 2],
      ['sessions', 1],
    ],
  )
  await isClean(t, sim)
})
