/** RFC 1320, RFC 6229 and MS-NLMP: digests, the published NTLMv2 example (4.2.4), messages of Windows. */

import { createHmac } from 'node:crypto'
import t from 'tap'
import { md4 } from '../../../protocols/auth/md4.ts'
import { ntHash } from '../../../protocols/auth/nt-hash.ts'
import {
  decodeAuthenticateMessage,
  encodeAuthenticateMessage,
  micOf,
} from '../../../protocols/auth/ntlm/authenticate-message.ts'
import {
  AV_FLAG_MIC,
  AvId,
  avFlags,
  decodeAvPairs,
  encodeAvPairs,
  findAvPair,
} from '../../../protocols/auth/ntlm/av-pairs.ts'
import {
  decodeChallengeMessage,
  encodeChallengeMessage,
} from '../../../protocols/auth/ntlm/challenge-message.ts'
import { hasFlags, NegotiateFlag } from '../../../protocols/auth/ntlm/flags.ts'
import { utf16 } from '../../../protocols/auth/ntlm/message.ts'
import {
  decodeNegotiateMessage,
  encodeNegotiateMessage,
} from '../../../protocols/auth/ntlm/negotiate-message.ts'
import {
  decodeNtlmV2Response,
  encodeTemp,
  isProven,
  messageIntegrityCode,
  ntowfv2,
  ntProofStr,
  sessionBaseKey,
  upperCase,
} from '../../../protocols/auth/ntlm/ntlmv2.ts'
import { sealKey, signFirstMessage, signKey } from '../../../protocols/auth/ntlm/session-security.ts'
import { Rc4, rc4 } from '../../../protocols/auth/rc4.ts'
import { DecodeError } from '../../../protocols/wire/errors.ts'

const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')

t.test('MD4: RFC 1320 A.5', async (t) => {
  const digests: [message: string, digest: string][] = [
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
    ['1234567890'.repeat(8), 'e33b4ddc9c38f2199c3e7b164fcc0536'],
  ]
  for (const [message, digest] of digests) t.equal(md4(Buffer.from(message)).toString('hex'), digest)
  t.equal(ntHash('Password').toString('hex'), 'a4f49c406510bdcab6824ee7c30fd852', 'MS-NLMP 4.2.2.1.2')
})

t.test('RC4: RFC 6229, and in pieces', async (t) => {
  const stream = rc4(hex('0102030405'), Buffer.alloc(4112))
  t.equal(stream.toString('hex', 0, 16), 'b2396305f03dc027ccc3524a0a1118a8')
  t.equal(stream.toString('hex', 4096), 'ff25b58995996707e51fbdf08b34d875')
  const key = hex('0102030405060708090a0b0c0d0e0f10')
  t.equal(rc4(key, Buffer.alloc(16)).toString('hex'), '9ac7cc9a609d1ef7b2932899cde41b97')
  const cipher = new Rc4(key)
  t.same(
    Buffer.concat([cipher.update(Buffer.alloc(5)), cipher.update(Buffer.alloc(11))]),
    rc4(key, Buffer.alloc(16)),
  )
})

/** 4.2.1 and 4.2.4: what the example is made of. */
const example = {
  user: 'User',
  domain: 'Domain',
  password: 'Password',
  workstation: 'COMPUTER',
  sessionKey: Buffer.alloc(16, 0x55),
  clientChallenge: Buffer.alloc(8, 0xaa),
  serverChallenge: hex('0123456789abcdef'),
  flags: 0xe28a_8233,
  targetInfo: [
    [AvId.NB_DOMAIN_NAME, utf16('Domain')],
    [AvId.NB_COMPUTER_NAME, utf16('Server')],
  ] as const,
}
const EXAMPLE_CHALLENGE = hex(
  '4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000',
  '06007017 0000000f 530065007200760065007200 02000c0044006f006d00610069006e00 01000c005300650072007600650072',
  '00 00000000',
)

t.test('MS-NLMP 4.2.4: NTLMv2 authentication', async (t) => {
  const { user, domain, serverChallenge, clientChallenge, sessionKey, flags } = example
  const responseKey = ntowfv2(ntHash(example.password), user, domain)
  t.equal(responseKey.toString('hex'), '0c868a403bfd7a93a3001ef22ef02e3f', '4.2.4.1.1 NTOWFv2')
  const lmProof = createHmac('md5', responseKey).update(serverChallenge).update(clientChallenge).digest()
  t.equal(lmProof.toString('hex'), '86c35097ac9cec102554764a57cccc19', '4.2.4.2.1 LMv2')
  const temp = encodeTemp(0n, clientChallenge, example.targetInfo)
  t.equal(
    temp.toString('hex'),
    '01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c00' +
      '5300650072007600650072000000000000000000',
    '4.2.4.1.3 temp',
  )
  const proof = ntProofStr(responseKey, serverChallenge, temp)
  t.equal(proof.toString('hex'), '68cd0ab851e51c96aabc927bebef6a1c', '4.2.4.2.2 NTLMv2 Response')
  const baseKey = sessionBaseKey(responseKey, proof)
  t.equal(baseKey.toString('hex'), '8de40ccadbc14a82f15cb0ad0de95ca3', '4.2.4.1.2 Session Base Key')
  t.equal(rc4(baseKey, sessionKey).toString('hex'), 'c5dad2544fc9799094ce1ce90bc9d03e', '4.2.4.2.3')

  const response = decodeNtlmV2Response(Buffer.concat([proof, temp]))
  t.same(response.avPairs, example.targetInfo)
  t.equal(response.timestamp, 0n)
  t.same(response.clientChallenge, clientChallenge)
  t.ok(isProven(responseKey, serverChallenge, response))
  t.notOk(isProven(responseKey, Buffer.alloc(8), response))

  // 4.2.4.4: the sealed message, whose checksum the same RC4 stream covers.
  t.equal(sealKey(flags, sessionKey, 'client').toString('hex'), '59f600973cc4960a25480a7c196e4c58')
  t.equal(signKey(sessionKey, 'client').toString('hex'), '4788dc861b4782f35d43fd98fe1a2d39')
  const handle = new Rc4(sealKey(flags, sessionKey, 'client'))
  t.equal(handle.update(utf16('Plaintext')).toString('hex'), '54e50165bf1936dc996020c1811b0f06fb5f')
  const withoutExchange = (flags & ~NegotiateFlag.KEY_EXCHANGE) >>> 0
  const signature = signFirstMessage(withoutExchange, sessionKey, 'client', utf16('Plaintext'))
  t.equal(signature.toString('hex'), '0100000070352851f256430900000000')
  t.equal(handle.update(signature.subarray(4, 12)).toString('hex'), '7fb38ec5c55d4976')
  t.notSame(sealKey(0, sessionKey, 'client'), sealKey(NegotiateFlag.NEGOTIATE_56, sessionKey, 'client'))
})

t.test('MS-NLMP 4.2.4.3: messages', async (t) => {
  const { serverChallenge, targetInfo, flags } = example
  const challenge = decodeChallengeMessage(EXAMPLE_CHALLENGE)
  t.same(challenge, { flags, serverChallenge, targetName: 'Server', targetInfo })
  t.same(encodeChallengeMessage(challenge, { major: 6, minor: 0, build: 6000 }), EXAMPLE_CHALLENGE)

  const authenticate = hex(
    '4e544c4d5353500003000000180018006c00000054005400840000000c000c00480000000800080054000000',
    '100010005c00000010001000d8000000358288e20501280a0000000f44006f006d00610069006e00',
    '550073006500720043004f004d0050005500540045005200',
    '86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa68cd0ab851e51c96aabc927bebef6a1c',
    '01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e00',
    '01000c005300650072007600650072000000000000000000c5dad2544fc9799094ce1ce90bc9d03e',
  )
  const decoded = decodeAuthenticateMessage(authenticate)
  t.match(decoded, { user: 'User', domain: 'Domain', workstation: 'COMPUTER', flags: 0xe288_8235 })
  t.equal(decoded.encryptedSessionKey.toString('hex'), 'c5dad2544fc9799094ce1ce90bc9d03e')
  t.same(encodeAuthenticateMessage(decoded, { major: 5, minor: 1, build: 2600 }, false), authenticate)
  for (let length = 0; length < authenticate.length; length++) {
    t.throws(() => decodeAuthenticateMessage(authenticate.subarray(0, length)), DecodeError)
  }
  for (let length = 0; length < EXAMPLE_CHALLENGE.length; length++) {
    t.throws(() => decodeChallengeMessage(EXAMPLE_CHALLENGE.subarray(0, length)), DecodeError)
  }
  t.throws(() => micOf(authenticate.subarray(0, 87)), DecodeError)

  // 40 bytes, as Windows sends them, and the shortest form there is.
  const negotiate = hex('4e544c4d5353500001000000978208e200000000000000000000000000000000060380250000000f')
  t.same(decodeNegotiateMessage(negotiate), { flags: 0xe208_8297 })
  t.same(decodeNegotiateMessage(negotiate.subarray(0, 16)), { flags: 0xe208_8297 })
  t.throws(() => decodeNegotiateMessage(negotiate.subarray(0, 15)), DecodeError)
  t.throws(() => decodeNegotiateMessage(EXAMPLE_CHALLENGE), DecodeError)
  const own = encodeNegotiateMessage(0xe208_8297, { major: 6, minor: 3, build: 9600 })
  t.equal(own.length, 40)
  t.same(own.subarray(32), negotiate.subarray(32))
})

t.test('MS-NLMP 2.2.2.1: AV pairs', async (t) => {
  const pairs = decodeAvPairs(hex('06000400 02000000 0a000000 0000 0000 ffff'))
  t.same(pairs, [
    [AvId.FLAGS, hex('02000000')],
    [AvId.CHANNEL_BINDINGS, Buffer.alloc(0)],
  ])
  t.equal(avFlags(pairs), AV_FLAG_MIC)
  t.equal(avFlags([]), 0)
  t.equal(findAvPair(pairs, AvId.TARGET_NAME), undefined)
  t.same(encodeAvPairs(pairs), hex('06000400 02000000 0a000000 00000000'))
  t.throws(() => avFlags([[AvId.FLAGS, Buffer.alloc(3)]]), DecodeError)
  t.throws(() => decodeAvPairs(hex('0600 0400 020000')), DecodeError, 'cut short')
  t.throws(() => decodeAvPairs(hex('0600 0400 02000000')), DecodeError, 'no end')
  t.throws(() => decodeAvPairs(Buffer.alloc(4 * 1000, hex('0b000000'))), DecodeError, 'too many')
})

t.test('upper case is Windows’: unit by unit', async (t) => {
  t.equal(upperCase('aé ÿ ß ı ſ я 😀'), 'AÉ Ÿ ß ı ſ Я 😀')
})

// "SMB 2 and SMB 3 security in Windows 10: the anatomy of signing and cryptographic keys", appendix, whose
// session key is given: the messages between two Windows hosts.
t.test('a Windows client: MIC and mechListMICs', async (t) => {
  const sessionKey = hex('270E1BA896585EEB7AF3472D3B4C75A7')
  const negotiate = hex('4E544C4D5353500001000000978208E200000000000000000000000000000000060380250000000F')
  const challenge = hex(
    '4E544C4D53535000020000000C000C003800000015828AE20D1D8BA31179D00800000000000000005000500044000000',
    '0A0092270000000F53005500540033003100310002000C0053005500540033003100310001000C005300550054003300',
    '3100310004000C0053005500540033003100310003000C0053005500540033003100310007000800A1A1F5ADCBAED001',
    '00000000',
  )
  const authenticate = hex(
    '4E544C4D535350000300000018001800 90000000EE00EE00A80000000C000C00580000001A001A0064000000120012007E0000',
    '001000100096010000158288E2060380250000000FECAC77A5F385A8BF9C38C706EEEDDCD3530055',
    '005400330031003100610064006D0069006E006900730074007200610074006F0072004400520049',
    '0056004500520033003100310000000000000000000000000000000000000000000000000063078E',
    'B639FE03E20A231C3AE3BF23080101000000000000A1A1F5ADCBAED001BC4AD05F223CC90F000000',
    '0002000C0053005500540033003100310001000C0053005500540033003100310004000C00530055',
    '00540033003100310003000C0053005500540033003100310007000800A1A1F5ADCBAED001060004',
    '00020000000800300030000000000000000000000000300000B61FEFCAA857EA57BF1EDCEBF8974B',
    '8E0EBA5A6DFD9D07A31D11B548F8C9D0CC0A00100000000000000000000000000000000000090016',
    '0063006900660073002F005300550054003300310031000000000000000000000000003B9BDFF38F',
    '5EE8F9663F11A0F4C03A78',
  )
  const decoded = decodeAuthenticateMessage(authenticate)
  t.match(decoded, { user: 'administrator', domain: 'SUT311', workstation: 'DRIVER311' })
  const response = decodeNtlmV2Response(decoded.ntResponse)
  t.equal(avFlags(response.avPairs), AV_FLAG_MIC)
  t.same(findAvPair(response.avPairs, AvId.TARGET_NAME), utf16('cifs/SUT311'))
  t.same(findAvPair(response.avPairs, AvId.CHANNEL_BINDINGS), Buffer.alloc(16))
  t.equal(findAvPair(response.avPairs, AvId.SINGLE_HOST)?.length, 48)
  const mic = Buffer.from(micOf(authenticate))
  micOf(authenticate).fill(0)
  t.same(messageIntegrityCode(sessionKey, [negotiate, challenge, authenticate]), mic)
  t.ok(hasFlags(decoded.flags, NegotiateFlag.KEY_EXCHANGE | NegotiateFlag.NEGOTIATE_128))
  const mechTypeList = hex('300C060A2B06010401823702020A')
  const sign = (sender: 'client' | 'server') =>
    signFirstMessage(decoded.flags, sessionKey, sender, mechTypeList).toString('hex')
  t.equal(sign('client'), '0100000063775a9a5fd97f0600000000')
  t.equal(sign('server'), '010000003b453cdc3524164200000000')
})
