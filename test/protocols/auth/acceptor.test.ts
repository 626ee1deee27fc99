/** RFC 4178 and MS-SPNG: SPNEGO tokens, and whole exchanges with our initiator and with captured clients. */

import fc from 'fast-check'
import t from 'tap'
import {
  type AcceptorOptions,
  type AcceptorResult,
  type Credential,
  createAcceptor,
} from '../../../protocols/auth/acceptor.ts'
import { contextTag, DerReader, der, Tag } from '../../../protocols/auth/der.ts'
import { createInitiator, type InitiatorOptions } from '../../../protocols/auth/initiator.ts'
import { ntHash } from '../../../protocols/auth/nt-hash.ts'
import { NegotiateFlag } from '../../../protocols/auth/ntlm/flags.ts'
import { encodeNegotiateMessage } from '../../../protocols/auth/ntlm/negotiate-message.ts'
import {
  decodeSpnego,
  encodeMechTypeList,
  encodeNegTokenInit,
  encodeNegTokenResp,
  initialToken,
  NegState,
  Oid,
} from '../../../protocols/auth/spnego.ts'
import { DecodeError } from '../../../protocols/wire/errors.ts'

const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')

/** Repeats a pattern, so that a captured exchange replays. */
const random = (bytes: number) => Buffer.alloc(bytes, hex('0123456789abcdef'))
const PASSWORD = 'Secret 1 é'
const ACCOUNTS: Record<string, Credential> = {
  alice: { name: 'alice', ntHash: ntHash(PASSWORD) },
  gone: { name: 'gone', ntHash: ntHash(PASSWORD), disabled: true },
}
const server: AcceptorOptions = {
  targetName: 'OCEAN',
  dnsName: 'ocean',
  now: () => 1_790_000_000_000,
  random,
  lookup: (user) => ACCOUNTS[user.toLowerCase()],
}
const client: InitiatorOptions = {
  user: 'Alice',
  domain: 'WORK',
  workstation: 'LAPTOP',
  ntHash: ntHash(PASSWORD),
  now: () => 1_790_000_000_000,
  random: (bytes) => Buffer.alloc(bytes, 'random'),
}

/** Runs an exchange to its end, handing each of the client's tokens through `change`. */
function exchange(options: Partial<InitiatorOptions>, change = (token: Buffer, _step: number) => token) {
  const initiator = createInitiator({ ...client, ...options })
  const acceptor = createAcceptor(server)
  let step = initiator.step()
  for (let round = 0; round < 5; round++) {
    const result = acceptor.step(change(step.token ?? Buffer.alloc(0), round))
    const sessionKey = step.sessionKey
    if (result.kind === 'failed') return { result, step, sessionKey, round }
    step = initiator.step(result.token)
    if (result.kind === 'done') return { result, step, sessionKey, round }
  }
  throw new Error('the exchange does not end')
}

t.test('DER: bounds', async (t) => {
  t.same(der(Tag.SEQUENCE, Buffer.alloc(127)).subarray(0, 2), hex('307f'))
  t.same(der(Tag.SEQUENCE, Buffer.alloc(128)).subarray(0, 3), hex('308180'))
  t.same(der(Tag.SEQUENCE, Buffer.alloc(65_536)).subarray(0, 5), hex('3083010000'))
  t.same(new DerReader(hex('0482000141')).expect(Tag.OCTET_STRING).content, hex('41'), 'a longer length')
  const bad = ['', '04', '0401', '0480', '048500000000014100', '1f0100', '04840fffffff00', '0482ff']
  for (const bytes of bad) t.throws(() => new DerReader(hex(bytes)).next(), DecodeError, bytes)
  t.throws(() => new DerReader(hex('040141')).expect(Tag.SEQUENCE), DecodeError)
  t.throws(() => new DerReader(hex('00')).end(), DecodeError)
})

t.test('SPNEGO: golden tokens', async (t) => {
  // What Windows and Samba send when only NTLMSSP is offered.
  const offer = hex(
    '604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa32a3028a0261b24',
    '6e6f745f646566696e65645f696e5f5246433431373840706c656173655f69676e6f7265',
  )
  t.same(initialToken(), offer)
  const offered = decodeSpnego(offer)
  t.match(offered, { kind: 'init', init: { mechTypes: [Oid.NTLMSSP], mechToken: undefined } })
  t.equal(offered.kind === 'init' && offered.init.mechListMic, undefined, 'negHints are no MIC')

  // Windows' client and server, last tokens.
  const last = hex('a11b3019a0030a0100a3120410010000003b453cdc3524164200000000')
  const mechListMic = hex('010000003b453cdc3524164200000000')
  t.match(decodeSpnego(last), {
    kind: 'response',
    response: { negState: NegState.ACCEPT_COMPLETED, mechListMic },
  })
  t.same(encodeNegTokenResp({ negState: NegState.ACCEPT_COMPLETED, mechListMic }), last)

  // A Windows server's offer, NEGOEX first with its token.
  const negoex = decodeSpnego(
    hex('602c06062b0601050502a0223020a01a3018060a2b06010401823702021e060a2b06010401823702020aa20204', '00'),
  )
  t.match(negoex, { kind: 'init', init: { mechToken: Buffer.alloc(0) } })
  t.equal(negoex.kind === 'init' && negoex.init.mechTypes.length, 2)

  const mechList = der(contextTag(0), encodeMechTypeList([Oid.NTLMSSP]))
  const init = (...fields: Buffer[]) =>
    der(
      Tag.APPLICATION_0,
      der(Tag.OBJECT_IDENTIFIER, Oid.SPNEGO),
      der(contextTag(0), der(Tag.SEQUENCE, mechList, ...fields)),
    )
  const mic = der(Tag.OCTET_STRING, mechListMic)
  for (const number of [3, 4]) {
    const token = decodeSpnego(init(der(contextTag(1), hex('03020640')), der(contextTag(number), mic)))
    t.match(token, { init: { mechListMic } }, `mechListMIC in [${number}]`)
  }
  const bad: Buffer[] = [
    Buffer.concat([offer, Buffer.alloc(1)]),
    der(Tag.APPLICATION_0, der(Tag.OBJECT_IDENTIFIER, Oid.KERBEROS), Buffer.alloc(20)),
    der(contextTag(1), der(Tag.SEQUENCE, der(contextTag(0), der(Tag.ENUMERATED, hex('07'))))),
    encodeNegTokenInit(Array(33).fill(Oid.NTLMSSP), undefined),
    init(der(contextTag(2), Buffer.concat([mic, mic]))),
    hex('30020000'),
  ]
  for (const token of bad) t.throws(() => decodeSpnego(token), DecodeError)
})

t.test('whole exchanges', async (t) => {
  const rows: [name: string, options: Partial<InitiatorOptions>, rounds: number][] = [
    ['NTLMSSP', {}, 2],
    ['NTLMSSP without SPNEGO', { raw: true }, 2],
    ['Kerberos preferred', { mechTypes: [Oid.KERBEROS, Oid.NTLMSSP] }, 3],
    ['an account in another case, another domain', { user: 'ALICE', domain: 'Elsewhere' }, 2],
  ]
  for (const [name, options, rounds] of rows) {
    const { result, step, sessionKey, round } = exchange(options)
    const { domain } = { ...client, ...options }
    const principal = { kind: 'user', user: 'alice', domain, workstation: 'LAPTOP' }
    t.match(result, { kind: 'done', principal }, name)
    t.equal(round + 1, rounds)
    t.match(step, { done: true, failure: undefined }, name)
    t.equal(sessionKey?.length, 16)
    t.same(result.kind === 'done' && result.sessionKey, sessionKey, 'both have the key')
  }
  const anonymous = exchange({ user: '', domain: '' })
  t.match(anonymous.result, { kind: 'done', principal: { kind: 'anonymous' } })
  t.equal(anonymous.step.done, true)

  const afterwards = createAcceptor(server)
  t.equal(afterwards.step(Buffer.alloc(0)).kind, 'failed')
  t.match(
    afterwards.step(createInitiator(client).step().token ?? Buffer.alloc(0)),
    { reason: 'malformed' },
    'ended',
  )
})

t.test('logins refused', async (t) => {
  const refuse = (options: Partial<InitiatorOptions>, reason: string, user: string) => {
    const { result } = exchange(options)
    t.match(result, { kind: 'failed', reason, user })
    return result
  }
  refuse({ ntHash: ntHash('wrong') }, 'wrong-password', 'Alice')
  refuse({ user: 'gone' }, 'account-disabled', 'gone')
  refuse({ user: 'gone', ntHash: ntHash('wrong') }, 'wrong-password', 'gone')
  const stranger = refuse({ user: 'bob' }, 'no-such-user', 'bob')
  t.same(stranger.kind === 'failed' && stranger.token, hex('a1073005a0030a0100'), 'for guests')
  refuse({ user: 'bob', ntHash: Buffer.alloc(16) }, 'no-such-user', 'bob')

  const offers: [name: string, token: Buffer, reason: string][] = [
    ['Kerberos alone', encodeNegTokenInit([Oid.KERBEROS], Buffer.alloc(9)), 'not-supported'],
    ['no Unicode', encodeNegotiateMessage(NegotiateFlag.EXTENDED_SESSION_SECURITY, VERSION), 'not-supported'],
    ['no session security', encodeNegotiateMessage(NegotiateFlag.UNICODE, VERSION), 'not-supported'],
    ['too long', Buffer.alloc(65_537), 'malformed'],
    ['a response first', encodeNegTokenResp({ negState: NegState.ACCEPT_COMPLETED }), 'malformed'],
  ]
  for (const [name, token, reason] of offers) {
    t.match(createAcceptor(server).step(token), { kind: 'failed', reason }, name)
  }
})

const VERSION = { major: 10, minor: 0, build: 0 }

/** Applies a change to the NTLM message and the MIC of a client's last token. */
function changeLast(
  edit: (ntlm: Buffer, mic: Buffer | undefined) => { ntlm: Buffer; mic: Buffer | undefined },
) {
  return (token: Buffer): Buffer => {
    const spnego = decodeSpnego(token)
    if (spnego.kind !== 'response' || spnego.response.responseToken === undefined) return token
    const { ntlm, mic } = edit(Buffer.from(spnego.response.responseToken), spnego.response.mechListMic)
    return encodeNegTokenResp({ responseToken: ntlm, mechListMic: mic })
  }
}

t.test('MICs', async (t) => {
  const flip = (bytes: Buffer, at: number) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    return bytes
  }
  const mechTypes = [Oid.KERBEROS, Oid.NTLMSSP]
  const last = (change: ReturnType<typeof changeLast>) => (token: Buffer, step: number) =>
    step === 0 || (step === 1 && token.length < 100) ? token : change(token)
  const outcome = (options: Partial<InitiatorOptions>, edit: Parameters<typeof changeLast>[0]) => {
    const { result } = exchange(options, last(changeLast(edit)))
    return result.kind === 'failed' ? result.reason : result.kind
  }
  const withoutMic = (ntlm: Buffer) => ({ ntlm, mic: undefined })
  t.equal(outcome({}, withoutMic), 'done', 'not needed for the first choice')
  t.equal(outcome({ mechTypes }, withoutMic), 'bad-mic', 'needed for another')
  t.equal(
    outcome({}, (ntlm, mic) => ({ ntlm, mic: flip(Buffer.from(mic ?? []), 5) })),
    'bad-mic',
  )
  t.equal(
    outcome({}, (ntlm, mic) => ({ ntlm, mic: mic?.subarray(0, 15) })),
    'bad-mic',
  )
  t.equal(
    outcome({}, (ntlm, mic) => ({ ntlm: flip(ntlm, 75), mic })),
    'bad-mic',
    'of the NTLM message',
  )
  // NEGOTIATE_128 taken away on the way: only the MIC can tell.
  t.equal(
    outcome({ raw: false }, (ntlm) => ({ ntlm: flip(ntlm, 63), mic: undefined })),
    'bad-mic',
  )
  const offerChanged = exchange({}, (token, step) => (step === 0 ? flip(Buffer.from(token), 35) : token))
  t.match(offerChanged.result, { kind: 'failed' }, 'a changed NEGOTIATE_MESSAGE')

  // The list of mechanisms that the server saw was another one.
  const reordered = exchange({ mechTypes }, (token, step) =>
    step === 0 ? encodeNegTokenInit([Oid.SPNEGO, Oid.NTLMSSP], undefined) : token,
  )
  t.match(reordered.result, { kind: 'failed', reason: 'bad-mic' })

  const initiator = createInitiator(client)
  const acceptor = createAcceptor(server)
  const challenge = acceptor.step(initiator.step().token ?? Buffer.alloc(0))
  initiator.step(challenge.token)
  const final = encodeNegTokenResp({ negState: NegState.ACCEPT_COMPLETED })
  t.match(initiator.step(final), { done: false, failure: /mechListMIC/ }, 'the client insists as well')
  t.match(createInitiator(client).step(hex('00')), { failure: /DER/ })
})

/** Replays a captured client against the acceptor, whose time and randomness are those of the capture. */
function replay(...tokens: Buffer[]): AcceptorResult[] {
  const acceptor = createAcceptor(server)
  return tokens.map((token) => acceptor.step(token))
}

const SMBCLIENT_1 = hex(
  '604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa22a04284e544c4d5353500001000000158208620000',
  '0000280000000000000028000000060100000000000f',
)
const OUR_CHALLENGE = hex(
  'a181a63081a3a0030a0101a10c060a2b06010401823702020aa2818d04818a4e544c4d53535000020000000a000a003800000015',
  '828a620123456789abcdef00000000000000004800480042000000060100000000000f4f004300450041004e0002000a004f0043',
  '00450041004e0001000a004f004300450041004e0004000a006f006300650061006e0003000a006f006300650061006e00070008',
  '000040b95ad349dd0100000000',
)
const SMBCLIENT_2 = hex(
  'a182019a30820196a282017e0482017a4e544c4d53535000030000001800180058000000e400e400700000000800080054010000',
  '0a000a005c0100000400040066010000100010006a01000015820862060100000000000f543a14d07e9df9c06758f0c1788ed973',
  '000000000000000000000000000000000000000000000000d23f262e33d0373a4a87f802cb8aebf301010000000000000040b95a',
  'd349dd014e4f0d5b111b83230000000002000a004f004300450041004e0001000a004f004300450041004e0004000a006f006300',
  '650061006e0003000a006f006300650061006e00070008000040b95ad349dd010600040002000000080030003000000000000000',
  '0000000000000000b64c8052bd424882a86d37eda816cb9f0590804e142b1d5f5c623cfabe31ccf80a0010000000000000000000',
  '000000000000000009001c0063006900660073002f003100320037002e0030002e0030002e0031000000000057004f0052004b00',
  '41006c0069006300650056004d0082166ea985305cd75cafb11502bd26b9a3120410010000007056a1072ac2200600000000',
)

t.test('captured clients', async (t) => {
  const [challenged, done] = replay(SMBCLIENT_1, SMBCLIENT_2)
  t.match(challenged, { kind: 'continue', token: OUR_CHALLENGE })
  t.match(
    done,
    {
      kind: 'done',
      principal: { kind: 'user', user: 'alice', domain: 'WORK', workstation: 'VM' },
      sessionKey: hex('28d89cc9fe626b038c4df0e72d6f04ad'),
      token: hex('a11b3019a0030a0100a312041001000000904f799fbb33005e00000000'),
    },
    'smbclient 4.17, which took the last token and signed what followed',
  )
  const anonymous = replay(
    SMBCLIENT_1,
    hex(
      'a18186308183a28180047e4e544c4d53535000030000000000000058000000000000005800000012001200580000000000000',
      '06a000000040004006a000000100010006e000000158a0062060100000000000f3147d81a89ab920b6700a319f6d40db45700',
      '4f0052004b00470052004f005500500056004d0080f83b2ecd735421a428564d0f957291',
    ),
  )
  t.match(anonymous[1], { kind: 'done', principal: { kind: 'anonymous' } }, 'smbclient -N -U ""')
  const noPassword = replay(
    SMBCLIENT_1,
    hex(
      'a181a33081a0a281890481864e544c4d5353500003000000000000005800000000000000580000001200120058000000080008',
      '006a0000000400040072000000100010007600000015820062060100000000000f72c840cdbecc415cc61da874374da44c5700',
      '4f0052004b00470052004f005500500072006f006f00740056004d00ad5f9fc3ef66643130274c5599e9a441a3120410010000',
      '006d6bbca5f5a569174cf49958',
    ),
  )
  t.match(noPassword[1], { kind: 'failed', reason: 'no-such-user', user: 'root' }, 'smbclient -N')

  const IMPACKET_1 = hex(
    '604006062b0601050502a0363034a00e300c060a2b06010401823702020aa22204204e544c4d5353500001000000050288a000',
    '000000000000000000000000000000',
  )
  const impacket = replay(
    IMPACKET_1,
    hex(
      'a181fb3081f8a281f50481f24e544c4d5353500003000000180018004a000000900090006200000000000000400000000a000a',
      '0040000000000000004a00000000000000f2000000050288a061006c006900630065009ae9fead074a5d3b6b44b573597804e5',
      '614c4941685539430a7ba541e66fc5f1a93d6369f8986abf01010000000000000040b95ad349dd01614c494168553943000000',
      '0002000a004f004300450041004e0001000a004f004300450041004e0004000a006f006300650061006e0003000a006f006300',
      '650061006e00070008000040b95ad349dd010900140063006900660073002f004f004300450041004e000000000000000000',
    ),
  )
  t.match(
    impacket[1],
    {
      kind: 'done',
      principal: { user: 'alice', domain: '' },
      sessionKey: hex('b2da5f66c5aed84e67d643896a288c9e'),
    },
    'impacket 0.10: no MIC, no key exchange',
  )
  t.match(
    replay(
      IMPACKET_1,
      hex(
        'a1473045a24304414e544c4d5353500003000000010001004000000000000000410000000000000040000000000000004000',
        '000000000000400000000000000041000000050288a000',
      ),
    )[1],
    { kind: 'done', principal: { kind: 'anonymous' } },
    'impacket, anonymous: an LM response of Z(1)',
  )
})

t.test('NTLMv1 and LM are refused', async (t) => {
  const lengths: [nt: number, reason: string][] = [
    [24, 'not-supported'],
    [0, 'wrong-password'],
  ]
  for (const [length, reason] of lengths) {
    const { result } = exchange({ raw: true }, (token, step) => {
      if (step === 0) return token
      token.writeUInt16LE(length, 20)
      return token
    })
    t.match(result, { kind: 'failed', reason, user: 'Alice' })
  }
})

t.test('garbage is answered, never thrown', async (t) => {
  for (let length = 0; length < SMBCLIENT_1.length; length++) {
    t.match(replay(SMBCLIENT_1.subarray(0, length))[0], { kind: 'failed' })
  }
  for (let length = 0; length < SMBCLIENT_2.length; length++) {
    t.match(replay(SMBCLIENT_1, SMBCLIENT_2.subarray(0, length))[1], { kind: 'failed', reason: 'malformed' })
  }
  const raw = createInitiator({ ...client, raw: true })
  const first = raw.step().token ?? Buffer.alloc(0)
  const second = raw.step(replay(first)[0]?.token).token ?? Buffer.alloc(0)
  t.match(replay(first, second)[1], { kind: 'done' })
  for (let length = 0; length < second.length; length++) {
    t.match(replay(first, second.subarray(0, length))[1], { kind: 'failed', reason: 'malformed' })
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (one, two) => {
      const ntlm = Buffer.concat([hex('4e544c4d5353500003000000'), Buffer.from(two)])
      const wrapped = encodeNegTokenResp({ responseToken: ntlm, mechListMic: Buffer.from(two) })
      return (
        replay(Buffer.from(one))[0]?.kind === 'failed' &&
        replay(SMBCLIENT_1, Buffer.from(two))[1]?.kind === 'failed' &&
        replay(first, ntlm)[1]?.kind === 'failed' &&
        replay(SMBCLIENT_1, wrapped)[1]?.kind === 'failed'
      )
    }),
  )
  for (let at = 0; at < SMBCLIENT_2.length; at++) {
    const changed = Buffer.from(SMBCLIENT_2)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    t.match(replay(SMBCLIENT_1, changed)[1], { kind: 'failed' }, `byte ${at} changed`)
  }
})
