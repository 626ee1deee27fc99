/** MS-SMB2 3.3.5.2.1.1, 3.3.5.2.4: signing and encryption, as the server, its shares and its clients want them. */

import t from 'tap'
import { Cipher, SigningAlgorithm } from '../../../protocols/smb2/crypto/algorithms.ts'
import { Dialect, SecurityMode } from '../../../protocols/smb2/messages/dialects.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { isClean, works } from '../../sim/sim-checks.ts'
import { createSimServer, SIM_SHARE } from '../../sim/sim-server.ts'
import { type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import { createRequest, echoRequest, treeConnectRequest } from '../../sim/smb2-requests.ts'
import { logOn } from '../../sim/smb2-session.ts'

const { SMB_2_1, SMB_3_0, SMB_3_0_2, SMB_3_1_1 } = Dialect

t.test('signing', async (t) => {
  const algorithms: [name: string, options: MountOptions][] = [
    ['HMAC-SHA256', { dialects: [SMB_2_1] }],
    ['AES-CMAC on 3.0', { dialects: [SMB_3_0] }],
    ['AES-CMAC on 3.1.1', { dialects: [SMB_3_1_1] }],
    ['HMAC-SHA256 on 3.1.1', { dialects: [SMB_3_1_1], signing: [SigningAlgorithm.hmacSha256] }],
    ['AES-GMAC', { dialects: [SMB_3_1_1], signing: [SigningAlgorithm.aesGmac] }],
  ]
  for (const [name, options] of algorithms) {
    const sim = createSimServer({ settings: { requireMessageSigning: true } })
    const client = await SimClient.mount(sim, { ...options, signs: true })
    t.ok((client.negotiated?.securityMode ?? 0) & SecurityMode.SIGNING_REQUIRED, name)
    t.ok(await works(client))
    t.equal(client.messages.at(-1)?.signature, 'valid')
    const unsigned = await client.request({ ...createRequest({ name: 'a' }), signed: false })
    t.equal(unsigned.status, Status.ACCESS_DENIED, 'unsigned')
    const badly = await client.request({ ...createRequest({ name: 'a' }), signed: 'badly' })
    t.equal(badly.status, Status.ACCESS_DENIED, 'with another signature')
    t.equal(
      (await client.request({ ...echoRequest(), signed: false })).status,
      Status.ACCESS_DENIED,
      'an ECHO too',
    )
    t.ok(await works(client), 'the connection goes on')
    t.equal([...sim.server.nodes.opens()].length, 0, 'nothing was opened')
    await isClean(t, sim)
  }
  const sim = createSimServer()
  const wants = await SimClient.negotiate(sim)
  await logOn(wants, { securityMode: SecurityMode.SIGNING_REQUIRED })
  const refused = await wants.request({ ...treeConnectRequest(SIM_SHARE), signed: false })
  t.equal(refused.status, Status.ACCESS_DENIED, 'a client that requires signing must sign')
  const signedOnce = await wants.request({ ...treeConnectRequest(SIM_SHARE), signed: true })
  t.equal(signedOnce.signature, 'valid')

  const free = await SimClient.mount(sim)
  t.ok(await works(free))
  t.equal(free.messages.at(-1)?.signature, 'none', 'who does not sign gets no signatures')
  const badly = await free.request({ ...createRequest({ name: 'a' }), signed: 'badly' })
  t.equal(badly.status, Status.ACCESS_DENIED, 'a wrong signature counts even where none is needed')
  const stranger = await free.request({ ...echoRequest(), flags: HeaderFlag.SIGNED, sessionId: 4711n })
  t.equal(stranger.status, Status.USER_SESSION_DELETED)
})

t.test('an unprotected TREE_CONNECT on 3.1.1', async (t) => {
  const sim = createSimServer({ settings: { guest: true } })
  const client = await SimClient.logOn(sim, { dialects: [SMB_3_1_1] })
  client.send([{ ...treeConnectRequest(SIM_SHARE), signed: false }])
  t.match(client.disconnectReason, /neither signed nor encrypted/)
  const guest = await SimClient.mount(sim, { dialects: [SMB_3_1_1], user: 'nobody' })
  t.ok(await works(guest), 'a guest has no key to sign with')
  await isClean(t, sim)
})

t.test('encryption', async (t) => {
  const ciphers: [name: string, options: MountOptions][] = [
    ['3.0', { dialects: [SMB_3_0] }],
    ['3.0.2', { dialects: [SMB_3_0_2] }],
    ...Object.entries(Cipher).map(([name, id]): [string, MountOptions] => [
      name,
      { dialects: [SMB_3_1_1], ciphers: [id] },
    ]),
  ]
  const data = Buffer.alloc(3 << 16, 'data')
  for (const [name, options] of ciphers) {
    const sim = createSimServer({ settings: { encryption: 'required' } })
    const client = await SimClient.mount(sim, options)
    const { fileId } = await client.create({ name: 'file' })
    t.equal(await client.write(fileId, data), Status.SUCCESS, name)
    t.ok((await client.read(fileId, data.length)).output.equals(data))
    t.equal(client.messages.at(-1)?.encrypted, true)
    t.equal(client.messages.at(-1)?.signature, 'none', 'encrypted, so not signed')
    const plain = await client.request(createRequest({ name: 'a' }), { encrypted: false })
    t.equal(plain.status, Status.ACCESS_DENIED, 'not encrypted')
    t.ok(await works(client))
    await isClean(t, sim)
  }
  const sim = createSimServer({ settings: { encryption: 'required' } })
  for (const options of [{ dialects: [SMB_2_1] }, { dialects: [SMB_3_1_1] }]) {
    const client = await SimClient.negotiate(sim, options)
    t.equal((await logOn(client)).status, Status.ACCESS_DENIED, 'a client without a cipher')
  }
  await isClean(t, sim)
})

t.test('a share that wants encryption', async (t) => {
  const sim = createSimServer({ shares: [{ name: 'secret', encryptData: true }] })
  const client = await SimClient.mount(sim, { dialects: [SMB_3_1_1], ciphers: [2], share: 'secret' })
  t.ok(client.treeEncrypts)
  t.ok(await works(client))
  t.equal(
    (await client.request(createRequest({ name: 'a' }), { encrypted: false })).status,
    Status.ACCESS_DENIED,
  )
  const old = await SimClient.logOn(sim, { dialects: [SMB_2_1] })
  t.equal(await old.connectTree('secret'), Status.ACCESS_DENIED, 'a client that cannot')
  t.equal(await old.connectTree(SIM_SHARE), Status.SUCCESS)
  t.ok(await works(old), 'another share')

  const flip = (at: number) => (frame: Buffer) => {
    const copy = Buffer.from(frame)
    copy[at] = (copy[at] ?? 0) ^ 0x80
    return copy
  }
  const changes: [what: string, tamper: (frame: Buffer) => Buffer][] = [
    ['its tag', flip(4)],
    ['its nonce', flip(20)],
    ['its size', flip(38)],
    ['its session', flip(44)],
    ['its body', flip(60)],
    ['its end', (frame) => frame.subarray(0, frame.length - 1)],
    ['all but its header', (frame) => frame.subarray(0, 52)],
    ['half its header', (frame) => frame.subarray(0, 30)],
  ]
  for (const [what, tamper] of changes) {
    const victim = await SimClient.mount(sim, { dialects: [SMB_3_1_1], ciphers: [2], share: 'secret' })
    victim.send([createRequest({ name: 'a' })], { tamper })
    t.ok(victim.disconnected, `${what} was changed`)
  }
  const liar = await SimClient.mount(sim, { dialects: [SMB_3_1_1], ciphers: [2], share: 'secret' })
  const { session } = liar
  await logOn(liar)
  t.not(session?.id, liar.session?.id)
  liar.send([{ ...createRequest({ name: 'a' }), sessionId: session?.id ?? 0n }], { encrypted: true })
  t.match(liar.disconnectReason, /session of an encrypted message/, "under another session's key")
  t.ok(await works(client), 'others go on')
  t.same(sim.complaints, [])
  await isClean(t, sim)
})
