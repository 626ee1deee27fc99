/** MS-SMB2 3.3.5.5 with SMB2_SESSION_FLAG_BINDING, 3.3.5.2.4 and 3.3.5.16: sessions of several connections, and who speaks for them. */

import t from 'tap'
import { Cipher, SigningAlgorithm } from '../../../protocols/smb2/crypto/algorithms.ts'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { isClean, tryLogOn, watch, works } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, SIM_SHARE, type SimServer } from '../../sim/sim-server.ts'
import { type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import { createRequest, echoRequest, notifyRequest, treeConnectRequest } from '../../sim/smb2-requests.ts'
import { logOn, type SimSession } from '../../sim/smb2-session.ts'

const { SMB_2_1, SMB_3_0, SMB_3_1_1 } = Dialect
const { hmacSha256, aesCmac, aesGmac } = SigningAlgorithm
const { SUCCESS, USER_SESSION_DELETED, INVALID_PARAMETER, ACCESS_DENIED } = Status
const BERT = { user: 'bert', password: 'Geheim1' }

function sessionOf(client: SimClient): SimSession {
  if (client.session === undefined) throw new Error('no session')
  return client.session
}

/** Another connection, with the tree connect of the first, that has bound its session or tried to. */
async function bind(sim: SimServer, first: SimClient, options: MountOptions) {
  const second = await SimClient.negotiate(sim, options)
  const { status, answer } = await tryLogOn(second, { ...options, binds: sessionOf(first) })
  // A client that does not mind the refusal goes on with the keys that it has.
  second.session ??= sessionOf(first)
  second.treeId = first.treeId
  second.signs = true
  return { second, status, answer }
}

t.test('a session of several connections', async (t) => {
  const kinds: [name: string, first: MountOptions, second: MountOptions][] = [
    ['3.0', { dialects: [SMB_3_0] }, { dialects: [SMB_3_0] }],
    ['3.1.1', { dialects: [SMB_3_1_1] }, { dialects: [SMB_3_1_1] }],
    [
      'of different algorithms',
      { dialects: [SMB_3_1_1], signing: [hmacSha256] },
      { dialects: [SMB_3_1_1], signing: [aesCmac] },
    ],
    [
      'encrypted, with GMAC',
      { dialects: [SMB_3_1_1], ciphers: [Cipher.aes128gcm], signing: [aesGmac] },
      { dialects: [SMB_3_1_1], ciphers: [Cipher.aes128gcm], signing: [aesGmac] },
    ],
  ]
  for (const [name, options, more] of kinds) {
    const encryption = options.ciphers === undefined ? 'enabled' : 'required'
    const sim = createSimServer({ settings: { requireMessageSigning: true, encryption } })
    const first = await SimClient.mount(sim, { ...options, signs: true })
    const { second, status, answer } = await bind(sim, first, more)
    t.equal(status, SUCCESS, name)
    t.equal(answer.signature, 'valid', 'signed with the key of the channel')
    const { fileId } = await first.create({ name: 'file' })
    t.equal(await second.write(fileId, 'x'), SUCCESS, 'an open of the session')
    t.equal(second.messages.at(-1)?.signature, encryption === 'required' ? 'none' : 'valid')
    const again = await tryLogOn(second, { binds: sessionOf(second) })
    t.equal(again.status, Status.REQUEST_NOT_ACCEPTED, 'bound already')
    const both = [first, second].map((client) => logOn(client, { session: sessionOf(client) }))
    for (const { status: renewed } of await Promise.all(both)) {
      t.equal(renewed, SUCCESS, 'both authenticate again at the same time')
    }
    first.drop()
    await settled()
    t.equal(await second.write(fileId, 'y'), SUCCESS, 'the session goes on without its first connection')
    const { status: late } = await bind(sim, second, more)
    // Whoever binds knows Session.SigningKey, not the channel's.
    t.equal(late, ACCESS_DENIED)
    second.drop()
    await settled()
    t.equal(sim.server.globalSessionTable.size, 0, 'and ends with its last')
    await isClean(t, sim)
  }
})

t.test('who may not bind', async (t) => {
  const gcm = { dialects: [SMB_3_1_1], ciphers: [Cipher.aes128gcm] }
  const gmac = { dialects: [SMB_3_1_1], signing: [aesGmac] }
  const cmac = { dialects: [SMB_3_1_1], signing: [aesCmac] }
  const rows: [what: string, first: MountOptions, second: MountOptions, status: number][] = [
    ['2.1', { dialects: [SMB_2_1] }, { dialects: [SMB_2_1] }, Status.REQUEST_NOT_ACCEPTED],
    ['from 3.1.1 to 2.1', cmac, { dialects: [SMB_2_1] }, Status.REQUEST_NOT_ACCEPTED],
    ['from 2.1 to 3.1.1', { dialects: [SMB_2_1] }, cmac, INVALID_PARAMETER],
    ['another dialect', { dialects: [SMB_3_0] }, cmac, INVALID_PARAMETER],
    ['another cipher', gcm, { ...gcm, ciphers: [Cipher.aes128ccm] }, INVALID_PARAMETER],
    ['GMAC to CMAC', gmac, cmac, Status.REQUEST_OUT_OF_SEQUENCE],
    ['CMAC to GMAC', cmac, gmac, Status.NOT_SUPPORTED],
    ['another dialect with GMAC', { dialects: [SMB_3_0] }, gmac, Status.NOT_SUPPORTED],
    ['another user', cmac, { ...cmac, ...BERT }, ACCESS_DENIED],
    ['a wrong password', cmac, { ...cmac, password: 'guess' }, Status.LOGON_FAILURE],
  ]
  for (const [what, options, more, expected] of rows) {
    const sim = createSimServer({ users: { bert: BERT.password } })
    const first = await SimClient.mount(sim, { ...options, signs: true })
    const { second, status, answer } = await bind(sim, first, more)
    t.equal(status, expected, what)
    t.equal(answer.signature, 'valid', 'signed with the key of the session')
    t.ok(await works(first), 'the session goes on')
    const unbound = await second.request(createRequest({ name: 'a' }), { encrypted: false })
    t.equal(unbound.status, USER_SESSION_DELETED)
    t.equal(unbound.signature, 'valid', 'so that the client believes it')
    await isClean(t, sim)
  }
  const sim = createSimServer()
  const first = await SimClient.mount(sim, { dialects: [SMB_3_1_1] })
  const forged = { ...sessionOf(first), signingKey: { algorithm: aesCmac, key: Buffer.alloc(16) } }
  const second = await SimClient.negotiate(sim, { dialects: [SMB_3_1_1] })
  const result = await tryLogOn(second, { binds: forged })
  t.equal(result.status, ACCESS_DENIED, 'who does not know the key')
  t.equal(result.answer.signature, 'none')
  t.equal((await tryLogOn(second, { binds: { ...forged, id: 4711n } })).status, USER_SESSION_DELETED)
  t.equal((await tryLogOn(second, { binds: { ...forged, id: 0n } })).status, INVALID_PARAMETER)
  const unsigned = { ...sessionOf(first), signingKey: undefined }
  t.equal((await tryLogOn(second, { binds: unsigned })).status, INVALID_PARAMETER, 'unsigned')
  t.equal(sim.server.counters.failedLogins, 0)
  await isClean(t, sim)
})

t.test('requests of a session that is not here', async (t) => {
  const sim = createSimServer({ settings: { encryption: 'required' } })
  const options = { dialects: [SMB_3_1_1], ciphers: [Cipher.aes128gcm] }
  const [anna, other] = [await SimClient.mount(sim, options), await SimClient.mount(sim, options)]
  const own = sessionOf(other)
  const foreign = sessionOf(anna)
  other.sessions.set(foreign.id, foreign)
  other.session = foreign
  const refused = await other.request(createRequest({ name: 'a' }))
  t.equal(refused.status, USER_SESSION_DELETED, 'encrypted by a client that takes it for bound')
  t.ok(refused.encrypted)
  other.session = own
  t.ok(await works(other), 'the connection goes on')
  const stranger = await SimClient.negotiate(sim, options)
  stranger.session = foreign
  stranger.send([createRequest({ name: 'a' })])
  t.match(stranger.disconnectReason, /no session/, 'from a connection without any session')
  anna.drop()
  await settled()
  other.session = foreign
  other.send([createRequest({ name: 'a' })])
  t.match(other.disconnectReason, /no session/, 'when nobody has its key any more')

  const signs = await SimClient.logOn(createSimServer(), { dialects: [SMB_3_1_1] })
  const orphan = await signs.request({ ...echoRequest(), flags: HeaderFlag.SIGNED, sessionId: 4711n })
  t.equal(orphan.status, USER_SESSION_DELETED)
  t.ok(orphan.header.flags & HeaderFlag.SIGNED, 'who signs gets no answer without the flag through')
  await isClean(t, sim)
})

t.test('CANCEL is verified', async (t) => {
  const sim = createSimServer({ users: { bert: BERT.password }, settings: { requireMessageSigning: true } })
  const client = await SimClient.mount(sim, { signs: true })
  const anna = sessionOf(client)
  const root = await client.create({ name: '', desiredAccess: FileAccess.READ_DATA })
  const messageId = client.nextMessageId
  const answer = client.request(notifyRequest(root.fileId, 1))
  const state = watch(answer)
  await settled()
  const asyncId = client.messages.at(-1)?.header.asyncId ?? 0n
  client.cancel(messageId, undefined, false)
  client.cancel(messageId, asyncId, false)
  client.cancel(messageId, asyncId, 'badly')
  await logOn(client, BERT)
  client.cancel(messageId, asyncId)
  await settled()
  t.notOk(state.done, 'unsigned, forged, of another session')
  client.session = anna
  client.cancel(messageId, asyncId)
  t.equal((await answer).status, Status.CANCELLED)
  await isClean(t, sim)
})

t.test('another user authenticates', async (t) => {
  const admission = { identity: undefined, administrator: false }
  const sim = createSimServer({
    users: { bert: BERT.password },
    settings: { anonymous: true, requireMessageSigning: true },
    share: { admit: ({ user }) => (user === 'anna' ? { ...admission, readOnly: false } : undefined) },
    shares: [{ name: 'read', admit: ({ user }) => ({ ...admission, readOnly: user !== 'anna' }) }],
  })
  const client = await SimClient.mount(sim, { signs: true })
  const session = sessionOf(client)
  const { fileId } = await client.create({ name: 'file' })
  const annas = client.treeId
  t.equal(await client.connectTree('read'), SUCCESS)
  const read = client.treeId
  const unsigned = await client.request({ ...echoRequest(), signed: false })
  t.equal(unsigned.status, ACCESS_DENIED)
  for (const who of [BERT, { user: '' }]) {
    t.equal((await logOn(client, { session, ...who })).status, SUCCESS)
    client.treeId = annas
    t.equal((await client.create({ name: 'more' })).status, ACCESS_DENIED, 'not let in any more')
    t.equal(await client.write(fileId, 'x'), SUCCESS, 'what was granted stays')
    t.equal(await client.connectTree(SIM_SHARE), ACCESS_DENIED)
    client.treeId = read
    t.equal((await client.create({ name: 'more' })).status, ACCESS_DENIED, 'may read only')
    t.ok(await works(client))
  }
  t.equal((await logOn(client, { session })).status, SUCCESS)
  client.treeId = annas
  t.equal((await client.create({ name: 'more' })).status, SUCCESS, 'the first user is back')
  client.signs = false
  const careless = await tryLogOn(client, { session })
  t.equal(careless.status, ACCESS_DENIED, 'unsigned, where all must be signed')
  client.signs = true
  t.equal((await client.request(treeConnectRequest(SIM_SHARE))).status, SUCCESS)
  await isClean(t, sim)
})
