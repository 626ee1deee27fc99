/** RFC 7143 6.3, 12 and 13: logins, stage by stage, through the engine. */

import t from 'tap'
import { chapResponse, decodeBinaryValue, encodeBinaryValue } from '../../../protocols/auth/chap.ts'
import { LoginStatus } from '../../../protocols/iscsi/pdu/login.ts'
import { encodeTextKeys } from '../../../protocols/iscsi/pdu/text-keys.ts'
import { INITIATOR, loggedIn, NAMES, type Scene, scene, TARGET, type TestInitiator } from './lab.ts'

const SECRET = Buffer.from('fourteen-bytes')
const MUTUAL_SECRET = Buffer.from('another-secret')
const CHAP = { user: 'mac', secret: SECRET, mutual: { user: 'ocean', secret: MUTUAL_SECRET } }
const SECURITY = { current: 0, next: 1 }
/** Status-Class and Status-Detail of a Login Response. */
const STATUS_OFFSET = 36

t.test('keys are answered, each by its kind', async (t) => {
  const initiator = scene().connect()
  const { response, keys } = await initiator.login({
    ...NAMES,
    HeaderDigest: 'None,CRC32C',
    DataDigest: 'CRC32C,None',
    InitialR2T: 'No',
    ImmediateData: 'Yes',
    MaxBurstLength: '262144',
    FirstBurstLength: '262144',
    DefaultTime2Wait: '5',
    DefaultTime2Retain: '20',
    MaxOutstandingR2T: '8',
    ErrorRecoveryLevel: '2',
    IFMarker: 'No',
    OFMarkInt: '2048',
    MaxConnections: '4',
    MaxRecvDataSegmentLength: '65536',
    DataPDUInOrder: 'No',
    'X-com.example.thing': 'Yes',
  })
  t.match(response, { status: 0, transit: true, currentStage: 1, nextStage: 3, statSN: 0 })
  t.match(response, { expCmdSN: 1, maxCmdSN: 64 })
  t.not(response.tsih, 0)
  t.same(keys, {
    TargetPortalGroupTag: '1',
    HeaderDigest: 'None',
    DataDigest: 'CRC32C',
    InitialR2T: 'No',
    ImmediateData: 'Yes',
    MaxBurstLength: '262144',
    FirstBurstLength: '262144',
    DefaultTime2Wait: '5',
    DefaultTime2Retain: '0',
    MaxOutstandingR2T: '4',
    ErrorRecoveryLevel: '0',
    IFMarker: 'No',
    OFMarkInt: 'Reject',
    MaxConnections: '4',
    DataPDUInOrder: 'Yes',
    'X-com.example.thing': 'NotUnderstood',
    MaxRecvDataSegmentLength: '262144',
  })
})

t.test('what is no value of a key is rejected, and the default stays', async (t) => {
  const { connect, server } = scene()
  const wrong = {
    InitialR2T: 'no',
    MaxBurstLength: '511',
    FirstBurstLength: '-1',
    HeaderDigest: 'MD5',
    ErrorRecoveryLevel: '3',
  }
  const { keys } = await connect().login({ ...NAMES, ...wrong })
  for (const key of Object.keys(wrong)) t.equal(keys[key], 'Reject', key)
  const [session] = server.sessions.values()
  t.match(session?.parameters, { initialR2T: true, maxBurstLength: 262144, firstBurstLength: 65536 })
})

t.test('digests go by the policy of the target', async (t) => {
  const choices = [
    ['none', 'CRC32C,None', 'None'],
    ['none', 'CRC32C', 'Reject'],
    ['optional', 'CRC32C', 'CRC32C'],
    ['required', 'None,CRC32C', 'CRC32C'],
  ] as const
  for (const [policy, offer, answer] of choices) {
    const { connect } = scene({ digests: { header: policy, data: 'optional' } })
    const { keys, response } = await connect().login({ ...NAMES, HeaderDigest: offer })
    t.equal(keys['HeaderDigest'], answer, `${policy}: ${offer}`)
    t.equal(response.status, 0)
  }
  const { connect } = scene({ digests: { header: 'optional', data: 'required' } })
  const { response } = await connect().login({ ...NAMES, HeaderDigest: 'None' })
  t.equal(response.status, LoginStatus.initiatorError, 'a required digest that nobody offers')
})

t.test('two stages, texts that C bits cut apart, and T that is not granted with C', async (t) => {
  const { connect, server } = scene()
  const initiator = connect()
  const text = encodeTextKeys(Object.entries({ ...NAMES, AuthMethod: 'CHAP,None' }))
  const part = await initiator.login(text.subarray(0, 21), { ...SECURITY, continues: true })
  t.match(part, { response: { status: 0, transit: false, continues: false, tsih: 0 }, keys: {} })
  const first = await initiator.login(text.subarray(21), SECURITY)
  t.match(first.response, { status: 0, transit: true, currentStage: 0, nextStage: 1, tsih: 0, statSN: 1 })
  t.same(first.keys, { TargetPortalGroupTag: '1', AuthMethod: 'None' })
  t.equal(server.sessions.size, 0)
  const second = await initiator.login({ InitialR2T: 'Yes' })
  t.match(second.response, { status: 0, transit: true, nextStage: 3 })
  t.same(second.keys, { InitialR2T: 'Yes', MaxRecvDataSegmentLength: '262144' })
  t.equal(server.sessions.size, 1)
  t.equal(initiator.held, 0)
})

t.test('requests that are refused', async (t) => {
  const one = { InitiatorName: INITIATOR }
  const cases: [string, number, Record<string, string>, object][] = [
    ['no names', LoginStatus.missingParameter, {}, {}],
    ['no TargetName', LoginStatus.missingParameter, one, {}],
    ['unknown target', LoginStatus.notFound, { ...one, TargetName: 'iqn.2026-11.test:x' }, {}],
    ['unknown type', LoginStatus.sessionTypeNotSupported, { ...NAMES, SessionType: 'Odd' }, {}],
    ['version', LoginStatus.unsupportedVersion, NAMES, { versionMin: 1 }],
    ['T with C', LoginStatus.initiatorError, NAMES, { transit: true, continues: true }],
    ['backwards', LoginStatus.initiatorError, NAMES, { current: 1, next: 0 }],
    ['reserved stage', LoginStatus.invalidDuringLogin, NAMES, { current: 2 }],
    ['unknown TSIH', LoginStatus.sessionDoesNotExist, NAMES, { tsih: 9 }],
  ]
  for (const [name, status, keys, options] of cases) {
    const initiator = scene().connect()
    const { response } = await initiator.login(keys, options)
    t.equal(response.status.toString(16), status.toString(16), name)
    t.type(initiator.disconnected, 'string')
  }
  const refusing = scene({ admits: () => false })
  const { response } = await refusing.connect().login(NAMES)
  t.equal(response.status, LoginStatus.authorizationFailure)
  const twice = Buffer.concat([encodeTextKeys(Object.entries(NAMES)), Buffer.from('SessionType=Normal\0')])
  t.equal((await scene().connect().login(twice)).response.status, LoginStatus.initiatorError, 'a key twice')
  const long = encodeTextKeys([...Object.entries(NAMES), ['X-a', 'b'.repeat(7000)]])
  t.equal((await scene().connect().login(long)).response.status, 0)
})

t.test('SessionType and its case: a login without it is a normal one; names have no case', async (t) => {
  const { server, connect } = scene()
  await connect().login({ InitiatorName: INITIATOR.toUpperCase(), TargetName: TARGET.toUpperCase() })
  const [session] = server.sessions.values()
  t.match(session, { initiatorName: INITIATOR, target: { name: TARGET } })
})

/** Up to the target's challenge. */
async function challenged(
  { connect }: Scene,
  algorithms: string,
): Promise<{ initiator: TestInitiator; keys: Record<string, string> }> {
  const initiator = connect()
  const began = await initiator.login({ ...NAMES, AuthMethod: 'CHAP,None' }, { ...SECURITY, transit: false })
  t.match(began, { response: { status: 0, transit: false }, keys: { AuthMethod: 'CHAP' } })
  const { keys } = await initiator.login({ CHAP_A: algorithms }, { ...SECURITY, transit: false })
  return { initiator, keys }
}

function proof(keys: Record<string, string>, secret: Buffer): Buffer {
  const challenge = decodeBinaryValue(keys['CHAP_C'] ?? '') as Buffer
  return chapResponse(Number(keys['CHAP_A']), Number(keys['CHAP_I']), secret, challenge)
}

t.test('CHAP with each hash, in hexadecimal and base64, one way and mutual', async (t) => {
  for (const [offer, chosen] of [
    ['5,6,7,8', '5'],
    ['8,6', '6'],
    ['7', '7'],
  ] as const) {
    for (const encode of [encodeBinaryValue, (bytes: Buffer) => `0b${bytes.toString('base64')}`]) {
      const all = scene({ chap: CHAP })
      const { initiator, keys } = await challenged(all, offer)
      t.equal(keys['CHAP_A'], chosen)
      const { response } = await initiator.login(
        { CHAP_N: 'mac', CHAP_R: encode(proof(keys, SECRET)) },
        SECURITY,
      )
      t.match(response, { status: 0, transit: true }, `${offer} one way`)
      t.match((await initiator.login({})).response, { status: 0, transit: true })
      t.match([...all.server.sessions.values()][0], { user: 'mac' })
    }
    const { initiator, keys } = await challenged(scene({ chap: CHAP }), offer)
    const challenge = Buffer.alloc(24, 7)
    const mutual = { CHAP_I: '200', CHAP_C: encodeBinaryValue(challenge) }
    const given = { CHAP_N: 'mac', CHAP_R: encodeBinaryValue(proof(keys, SECRET)), ...mutual }
    const answer = await initiator.login(given, SECURITY)
    const expected = chapResponse(Number(chosen), 200, MUTUAL_SECRET, challenge)
    t.same(answer.keys, { CHAP_N: 'ocean', CHAP_R: encodeBinaryValue(expected) })
  }
})

t.test('names that look like encoded bytes are names', async (t) => {
  for (const [account, given, status] of [
    ['0x6d6163', '0x6d6163', LoginStatus.success],
    ['0bbWFj', '0bbWFj', LoginStatus.success],
    ['mac', '0x6d6163', LoginStatus.authenticationFailure],
    ['mac', '0bbWFj', LoginStatus.authenticationFailure],
  ] as const) {
    const all = scene({ chap: { ...CHAP, user: account } })
    const { initiator, keys } = await challenged(all, '5')
    const response = { CHAP_N: given, CHAP_R: encodeBinaryValue(proof(keys, SECRET)) }
    // A refusal is told late: there is no answer before.
    await initiator.login(response, SECURITY).catch(() => undefined)
    await all.environment.advance(100)
    const told = initiator.received.at(-1)?.bhs.readUInt16BE(STATUS_OFFSET)
    t.equal(told, status, `${given} for ${account}`)
  }
})

t.test('CHAP that fails is told late, and nothing else', async (t) => {
  const right = (keys: Record<string, string>) => encodeBinaryValue(proof(keys, SECRET))
  const attempts: Record<string, (keys: Record<string, string>) => Record<string, string>> = {
    'a wrong secret': (keys) => ({ CHAP_N: 'mac', CHAP_R: encodeBinaryValue(proof(keys, MUTUAL_SECRET)) }),
    'a wrong name': (keys) => ({ CHAP_N: 'Mac', CHAP_R: right(keys) }),
    'no response': () => ({ CHAP_N: 'mac' }),
    'an odd response': () => ({ CHAP_N: 'mac', CHAP_R: '0x123' }),
    'a long response': (keys) => ({ CHAP_N: 'mac', CHAP_R: `${right(keys)}00` }),
    'our challenge back': (keys) => ({
      CHAP_N: 'mac',
      CHAP_R: right(keys),
      CHAP_I: '1',
      CHAP_C: keys['CHAP_C'] ?? '',
    }),
    'an identifier that is none': (keys) => ({
      CHAP_N: 'mac',
      CHAP_R: right(keys),
      CHAP_I: '256',
      CHAP_C: '0x0102',
    }),
  }
  for (const [name, answer] of Object.entries(attempts)) {
    const all = scene({ chap: CHAP })
    const { initiator, keys } = await challenged(all, '5')
    await t.rejects(
      initiator.login(answer(keys), SECURITY),
      { message: '0 PDUs came' },
      `${name}: not at once`,
    )
    await all.environment.advance(100)
    const [refused] = await initiator.answers()
    t.equal(refused?.bhs.readUInt16BE(36), LoginStatus.authenticationFailure, name)
    t.equal(refused?.data.length, 0)
    t.type(initiator.disconnected, 'string')
    t.same([all.server.sessions.size, all.server.counters.failedLogins], [0, 1])
  }
})

t.test('CHAP cannot be gone around', async (t) => {
  const ways: [string, Record<string, string>, object][] = [
    ['no AuthMethod', NAMES, SECURITY],
    ['None alone', { ...NAMES, AuthMethod: 'None' }, SECURITY],
    ['the operational stage first', NAMES, {}],
    ['straight to the end', NAMES, { current: 0, next: 3 }],
    [
      'a response without a challenge',
      { ...NAMES, AuthMethod: 'CHAP', CHAP_N: 'mac', CHAP_R: '0x00' },
      SECURITY,
    ],
    ['an unknown algorithm', { ...NAMES, AuthMethod: 'CHAP', CHAP_A: '56' }, SECURITY],
    ['no algorithm', { ...NAMES, AuthMethod: 'CHAP', CHAP_A: '' }, SECURITY],
  ]
  for (const [name, keys, options] of ways) {
    const all = scene({ chap: CHAP })
    const initiator = all.connect()
    await t.rejects(initiator.login(keys, options), { message: '0 PDUs came' })
    await all.environment.advance(100)
    const [refused] = await initiator.answers()
    t.equal(refused?.bhs.readUInt16BE(36), LoginStatus.authenticationFailure, name)
    t.equal(all.server.sessions.size, 0)
  }
  const { connect } = scene({ chap: { ...CHAP, mutual: undefined } })
  const initiator = connect()
  const asks = await initiator.login({ ...NAMES, AuthMethod: 'CHAP' }, SECURITY)
  t.match(asks.response, { status: 0, transit: false }, 'T is not granted before the end')
})

t.test('a blocked address is not looked at', async (t) => {
  const all = scene({ chap: CHAP })
  Object.assign(all.server, {
    loginThrottle: { failed: () => 2000, succeeded: () => undefined, blocked: () => true },
  })
  const initiator = all.connect()
  await t.rejects(initiator.login(NAMES), { message: '0 PDUs came' })
  await all.environment.advance(2000)
  t.equal((await initiator.answer()).bhs.readUInt16BE(36), LoginStatus.authenticationFailure)
})

t.test('the same port logs in anew: the old session ends first, with what it does', async (t) => {
  const all = scene()
  let finish = (): void => undefined
  all.scsi.answer = () =>
    new Promise((resolve) => {
      finish = () => resolve({ status: 0, dataIn: [], dataInLength: 0, dataOutLength: 0 })
    })
  const first = await loggedIn(all)
  first.command()
  const other = await loggedIn(all, {}, { isid: '400001370001' })
  await first.answers()
  const second = all.connect()
  await t.rejects(second.login(NAMES), { message: '0 PDUs came' }, 'waits for the disk')
  t.type(first.disconnected, 'string')
  t.equal(all.scsi.tasks[0]?.signal.aborted, true)
  finish()
  const answer = await second.answer()
  t.equal(answer.bhs.readUInt16BE(36), 0)
  const port = (isid: string): string => `${INITIATOR},i,0x${isid}`
  t.same(all.scsi.story, [
    `attach ${port('400001370000')}`,
    `attach ${port('400001370001')}`,
    `detach ${port('400001370000')}`,
    `attach ${port('400001370000')}`,
  ])
  t.equal(other.disconnected, undefined)
  t.equal(all.server.sessions.size, 2)
  t.same(await first.answers(), [], 'no status of the old')
})

t.test('who does not log in is hung up on', async (t) => {
  const all = scene()
  const initiator = all.connect()
  await all.environment.advance(14_999)
  t.equal(initiator.disconnected, undefined)
  await all.environment.advance(1)
  t.type(initiator.disconnected, 'string')
  const hasty = all.connect()
  hasty.command()
  t.match(hasty.disconnected, /before the login/)
  t.equal(hasty.held, 0)
})
