/** MS-SMB2 3.1.4: key derivation, signing, encryption and preauthentication integrity on published vectors. */

import { createCipheriv, createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { Cipher, cipherKeyBytes, SigningAlgorithm } from '../../../../protocols/smb2/crypto/algorithms.ts'
import { cbcMac } from '../../../../protocols/smb2/crypto/cbc-mac.ts'
import { aesCmac } from '../../../../protocols/smb2/crypto/cmac.ts'
import { decrypt, encrypt } from '../../../../protocols/smb2/crypto/encryption.ts'
import { deriveKey } from '../../../../protocols/smb2/crypto/kdf.ts'
import { deriveKeys } from '../../../../protocols/smb2/crypto/keys.ts'
import { INITIAL_PREAUTH_HASH, updatePreauthHash } from '../../../../protocols/smb2/crypto/preauth.ts'
import { sign, verify } from '../../../../protocols/smb2/crypto/signing.ts'

const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')

/** Cuts a buffer at sorted, perhaps equal positions. */
function cut(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const sorted = [...positions].map((at) => at % (bytes.length + 1)).sort((a, b) => a - b)
  const ends = [...sorted, bytes.length]
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
}

// "SMB 2 and SMB 3 security in Windows 10: the anatomy of signing and cryptographic keys", appendix:
// a dialect 3.1.1 connection between two Windows hosts.
const NEGOTIATE_REQUEST = hex(
  'FE534D4240000100000000000000800000000000000000000100000000000000FFFE000000000000',
  '00000000000000000000000000000000000000000000000024000500000000003F000000ECD86F32',
  '6276024F9F7752B89BB33F3A70000000020000000202100200030203110300000100260000000000',
  '010020000100FA49E6578F1F3A9F4CD3E9CC14A67AA884B3D05844E0E5A118225C15887F32FF0000',
  '0200060000000000020002000100',
)
const NEGOTIATE_RESPONSE = hex(
  'FE534D4240000100000000000000010001000000000000000100000000000000FFFE000000000000',
  '000000000000000000000000000000000000000000000000410001001103020039CBCAF329714942',
  'BDCE5D60F09AB3FB2F000000000080000000800000008000D8DAE5ADCBAED00109094AB095AED001',
  '80004001C00100006082013C06062B0601050502A08201303082012CA01A3018060A2B0601040182',
  '3702021E060A2B06010401823702020AA282010C048201084E45474F455854530100000000000000',
  '60000000700000007C7CC0FD06D6362D02DDE1CF343BFE292900F49750B4AA97934D9C4296B26E51',
  'FD370471B235E15A50DAE15BD5489C87000000000000000060000000010000000000000000000000',
  '5C33530DEAF90D4DB2EC4AE3786EC3084E45474F4558545303000000010000004000000098000000',
  '7C7CC0FD06D6362D02DDE1CF343BFE295C33530DEAF90D4DB2EC4AE3786EC3084000000058000000',
  '3056A05430523027802530233121301F06035504031318546F6B656E205369676E696E6720507562',
  '6C6963204B65793027802530233121301F06035504031318546F6B656E205369676E696E67205075',
  '626C6963204B6579010026000000000001002000010060A3C3B95C3C7CCD51EC536648D9B3AC74C4',
  '83CA5B65385A251117BEB30712E50000020004000000000001000200',
)
const SESSION_SETUP_REQUEST_1 = hex(
  'FE534D4240000100000000000100800000000000000000000200000000000000FFFE000000000000',
  '00000000000000000000000000000000000000000000000019000001010000000000000058004A00',
  '0000000000000000604806062B0601050502A03E303CA00E300C060A2B06010401823702020AA22A',
  '04284E544C4D5353500001000000978208E200000000000000000000000000000000060380250000',
  '000F',
)
const SESSION_SETUP_RESPONSE_1 = hex(
  'FE534D4240000100160000C00100010001000000000000000200000000000000FFFE000000000000',
  '190000000010000000000000000000000000000000000000090000004800B300A181B03081ADA003',
  '0A0101A10C060A2B06010401823702020AA281970481944E544C4D53535000020000000C000C0038',
  '00000015828AE20D1D8BA31179D008000000000000000050005000440000000A0092270000000F53',
  '005500540033003100310002000C0053005500540033003100310001000C00530055005400330031',
  '00310004000C0053005500540033003100310003000C0053005500540033003100310007000800A1',
  'A1F5ADCBAED00100000000',
)
const SESSION_SETUP_REQUEST_2 = hex(
  'FE534D4240000100000000000100800000000000000000000300000000000000FFFE000000000000',
  '1900000000100000000000000000000000000000000000001900000101000000000000005800CF01',
  '0000000000000000A18201CB308201C7A0030A0101A28201AA048201A64E544C4D53535000030000',
  '001800180090000000EE00EE00A80000000C000C00580000001A001A0064000000120012007E0000',
  '001000100096010000158288E2060380250000000FECAC77A5F385A8BF9C38C706EEEDDCD3530055',
  '005400330031003100610064006D0069006E006900730074007200610074006F0072004400520049',
  '0056004500520033003100310000000000000000000000000000000000000000000000000063078E',
  'B639FE03E20A231C3AE3BF23080101000000000000A1A1F5ADCBAED001BC4AD05F223CC90F000000',
  '0002000C0053005500540033003100310001000C0053005500540033003100310004000C00530055',
  '00540033003100310003000C0053005500540033003100310007000800A1A1F5ADCBAED001060004',
  '00020000000800300030000000000000000000000000300000B61FEFCAA857EA57BF1EDCEBF8974B',
  '8E0EBA5A6DFD9D07A31D11B548F8C9D0CC0A00100000000000000000000000000000000000090016',
  '0063006900660073002F005300550054003300310031000000000000000000000000003B9BDFF38F',
  '5EE8F9663F11A0F4C03A78A31204100100000063775A9A5FD97F0600000000',
)
const SESSION_SETUP_RESPONSE_2 = hex(
  'FE534D4240000100000000000100800009000000000000000300000000000000FFFE000000000000',
  '1900000000100000EBE146DA120BA25FC3376A49DFE31BC10900000048001D00A11B3019A0030A01',
  '00A3120410010000003B453CDC3524164200000000',
)
const PREAUTH_HASH = hex(
  '0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79',
  '28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01',
)

t.test('preauthentication integrity: a Windows session set-up', async (t) => {
  const messages: [message: Buffer, start: string][] = [
    [NEGOTIATE_REQUEST, 'dd94efc5321bb618'],
    [NEGOTIATE_RESPONSE, '324bfa92a4f3a190'],
    [SESSION_SETUP_REQUEST_1, 'ac0b0f2b99862577'],
    [SESSION_SETUP_RESPONSE_1, '2729e3440dfddd83'],
    [SESSION_SETUP_REQUEST_2, '0dd13628cc3ed218'],
  ]
  let hash = INITIAL_PREAUTH_HASH
  for (const [message, start] of messages) {
    hash = updatePreauthHash(hash, cut(message, [64, 3, 100]))
    t.equal(hash.toString('hex', 0, 8), start)
  }
  t.same(hash, PREAUTH_HASH)
  t.same(INITIAL_PREAUTH_HASH, Buffer.alloc(64))
})

t.test('keys of every dialect', async (t) => {
  const none = undefined
  const old = hex('000102030405060708090A0B0C0D0E0F')
  for (const dialect of [0x0202, 0x0210]) {
    const keys = deriveKeys({ dialect, sessionKey: old, cipher: 0, preauthIntegrityHash: none })
    t.match(keys, { signingKey: old, applicationKey: old, encryptionKey: none, decryptionKey: none })
  }
  // The sample names them as the client does: its encryption key is the server's decryption key.
  const sessionKey = hex('7CD451825D0450D235424E44BA6E78CC')
  for (const dialect of [0x0300, 0x0302]) {
    t.same(deriveKeys({ dialect, sessionKey, cipher: Cipher.aes128ccm, preauthIntegrityHash: none }), {
      signingKey: hex('0B7E9C5CAC36C0F6EA9AB275298CEDCE'),
      decryptionKey: hex('FAD27796665B313EBB578F388632B4F7'),
      encryptionKey: hex('B0F0427F7CEB416D1D9DCC0CD4F99447'),
      applicationKey: hex('BB23A4575AA26C721AF525AF15A87B4F'),
    })
  }
  const source = {
    dialect: 0x0311,
    sessionKey: hex('270E1BA896585EEB7AF3472D3B4C75A7'),
    preauthIntegrityHash: PREAUTH_HASH,
  }
  const keys = deriveKeys({ ...source, cipher: Cipher.aes128gcm })
  t.same(keys, {
    signingKey: hex('73FE7A9A77BEF0BDE49C650D8CCB5F76'),
    decryptionKey: hex('629BCBC54422A0F572B97F45989B6073'),
    encryptionKey: hex('E2AF0DCEFAC68DA71A0DFBD0D1350D74'),
    applicationKey: hex('6D7AD7954E9EC61E907B4D473DC178FF'),
  })
  t.ok(
    verify({ algorithm: SigningAlgorithm.aesCmac, key: keys.signingKey }, [SESSION_SETUP_RESPONSE_2]),
    'signed by Windows',
  )

  const wide = deriveKeys({ ...source, cipher: Cipher.aes256gcm })
  t.equal(wide.encryptionKey?.length, 32)
  t.notSame(wide.encryptionKey, wide.decryptionKey)
  t.notSame(wide.encryptionKey?.subarray(0, 16), keys.encryptionKey, 'L is part of the input')
  t.same(wide.signingKey, keys.signingKey)
  const full = Buffer.concat([source.sessionKey, Buffer.alloc(16, 7)])
  const fromFull = deriveKeys({ ...source, sessionKey: full, cipher: Cipher.aes256gcm })
  t.notSame(fromFull.encryptionKey, wide.encryptionKey, 'FullSessionKey')
  t.same(fromFull.signingKey, wide.signingKey, 'SessionKey is its first 16 bytes')
  const narrow = deriveKeys({ ...source, sessionKey: full, cipher: Cipher.aes128gcm })
  t.same(narrow.encryptionKey, keys.encryptionKey)
  t.equal(deriveKeys({ ...source, cipher: 0 }).encryptionKey, undefined)
  t.throws(() => deriveKeys({ ...source, cipher: 0, preauthIntegrityHash: none }), /preauthentication/)
})

t.test('SP800-108: counter, label, zero, context and length', async (t) => {
  const [key, label, context] = [Buffer.alloc(16, 1), Buffer.from('label'), Buffer.from('context')]
  const block = createHmac('sha256', key)
    .update(Buffer.concat([hex('00000001'), label, hex('00'), context, hex('00000100')]))
    .digest()
  t.same(deriveKey(key, label, context, 32), block)
  t.throws(() => deriveKey(key, label, context, 33), RangeError)
  t.throws(() => deriveKey(key, label, context, 0), RangeError)
})

t.test('AES-CMAC: RFC 4493 section 4, however it is cut', async (t) => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c')
  const message = hex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51',
    '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  )
  const examples: [length: number, mac: string][] = [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ]
  for (const [length, mac] of examples) {
    t.equal(aesCmac(key, [message.subarray(0, length)]).toString('hex'), mac)
    for (let at = 0; at <= length; at++) {
      t.equal(aesCmac(key, cut(message.subarray(0, length), [at, at + 1])).toString('hex'), mac)
    }
  }
  t.equal(aesCmac(key, []).toString('hex'), 'bb1d6929e95937287fa37d129b756746')
  // Section 4's K1 and K2, and CBC over the whole message at once.
  const [k1, k2] = [hex('fbeed618357133667c85e08f7236a8de'), hex('f7ddac306ae266ccf90bc11ee46d513b')]
  const byTheBook = (message: Buffer) => {
    const isWhole = message.length % 16 === 0
    const padded = isWhole ? Buffer.from(message) : Buffer.concat([message, hex('80'), Buffer.alloc(15)])
    const blocks = padded.subarray(0, padded.length - (padded.length % 16))
    const last = blocks.subarray(-16)
    for (const [index, byte] of (isWhole ? k1 : k2).entries()) last[index] = (last[index] ?? 0) ^ byte
    return createCipheriv('aes-128-cbc', key, Buffer.alloc(16)).update(blocks).subarray(-16)
  }
  for (const length of [4080, 4095, 4096, 4097, 4112, 32_768 + 4096, 300_001]) {
    const large = Buffer.alloc(length, 'a message to sign')
    t.same(aesCmac(key, [large]), byTheBook(large), `${length} bytes`)
    for (const cuts of [[64, 80], [1, 4095], [length - 1], [65_537, 200_000]]) {
      t.same(aesCmac(key, cut(large, cuts)), byTheBook(large), `${length} bytes, cut at ${cuts}`)
    }
  }
  const fed = (isNative: boolean) => {
    const chain = cbcMac(key, isNative)
    for (const piece of cut(Buffer.alloc(100_000, 'chain'), [3, 16, 16, 50_000, 99_999])) chain.feed(piece)
    return chain.last()
  }
  t.same(fed(false), fed(true), 'node:crypto does as OpenSSL')
})

t.test('signing: every algorithm, changed anywhere', async (t) => {
  const key = hex('0102030405060708090a0b0c0d0e0f10')
  const message = Buffer.concat([SESSION_SETUP_RESPONSE_2, Buffer.alloc(500, 'x')])
  for (const algorithm of Object.values(SigningAlgorithm)) {
    const chunks = cut(Buffer.from(message), [64, 70, 70, 300])
    sign({ algorithm, key }, chunks)
    const signed = Buffer.concat(chunks)
    t.same(signed.subarray(0, 48), message.subarray(0, 48))
    t.same(signed.subarray(64), message.subarray(64), 'nothing but the signature is written')
    const before = Buffer.from(signed)
    t.ok(verify({ algorithm, key }, [signed]))
    t.same(signed, before, 'verifying changes nothing')
    t.notOk(verify({ algorithm, key: Buffer.alloc(16) }, [signed]))
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.integer({ min: 64, max: 600 })), (at, cuts) => {
        const changed = Buffer.from(signed)
        changed.writeUInt8(changed.readUInt8(at % signed.length) ^ 0x40, at % signed.length)
        return (
          verify({ algorithm, key }, cut(signed, cuts)) && !verify({ algorithm, key }, cut(changed, cuts))
        )
      }),
    )
  }
  t.throws(() => verify({ algorithm: SigningAlgorithm.aesCmac, key }, [message.subarray(0, 63)]), RangeError)
  t.throws(() => sign({ algorithm: SigningAlgorithm.aesCmac, key }, []), RangeError)
})

t.test('signing: what exactly goes in', async (t) => {
  const key = hex('0102030405060708090a0b0c0d0e0f10')
  const zeroed = Buffer.from(SESSION_SETUP_RESPONSE_2).fill(0, 48, 64)
  const signed = Buffer.from(SESSION_SETUP_RESPONSE_2)
  sign({ algorithm: SigningAlgorithm.hmacSha256, key }, [signed])
  t.same(signed.subarray(48, 64), createHmac('sha256', key).update(zeroed).digest().subarray(0, 16))

  const gmac = (message: Buffer, nonce: Buffer) => {
    const cipher = createCipheriv('aes-128-gcm', key, nonce)
    cipher.setAAD(message)
    cipher.final()
    return cipher.getAuthTag()
  }
  const rows: [command: number, flags: number, bits: string][] = [
    [0x0001, 0x09, '01000000'],
    [0x0001, 0x08, '00000000'],
    [0x000c, 0x08, '02000000'],
  ]
  for (const [command, flags, bits] of rows) {
    const message = Buffer.from(zeroed)
    message.writeUInt16LE(command, 12)
    message.writeUInt32LE(flags, 16)
    message.writeBigUInt64LE(0x0102_0304_0506_0708n, 24)
    const expected = gmac(message, hex('0807060504030201', bits))
    sign({ algorithm: SigningAlgorithm.aesGmac, key }, [message])
    t.same(message.subarray(48, 64), expected)
  }
})

/** Microsoft's samples: a TRANSFORM_HEADER with its message, encrypted, and the message. */
const ENCRYPTED: { name: string; cipher: Cipher; key: Buffer; frame: Buffer; plain: Buffer }[] = [
  {
    name: '"Encryption in SMB 3.0: A protocol perspective", WRITE Request',
    cipher: Cipher.aes128ccm,
    key: hex('261B72350558F2E9DCF613070383EDBF'),
    frame: hex(
      'FD534D4281A286535415445DAE393921E44FA42E66E69A111892584FB5ED524A',
      '744DA3EE87000000000001001100001400E4080025C8FEE16605A437832D1CD5',
      '2DA9F4645333482A175FE5384563F45FCDAFAEF38BC62BA4D5C62897996625A4',
      '4C29BE5658DE2E6117585779E7B59FFD971278D08580D7FA899E410E910EABF5',
      'AA1DB43050B33B49182637759AC15D84BFCDF5B6B238993C0F4CF4D6012023F6',
      'C627297075D84B7803912D0A9639634453595EF3E33FFE4E7AC2AB',
    ),
    plain: hex(
      'FE534D4240000100000000000900400008000000000000000400000000000000',
      'FFFE0000010000001100001400E4080000000000000000000000000000000000',
      '3100700017000000000000000000000015010000390000020100000039020000',
      '00000000000000007000000000000000536D623320656E6372797074696F6E20',
      '74657374696E67',
    ),
  },
  {
    name: '"SMB 3.1.1 Encryption in Windows 10", WRITE Request',
    cipher: Cipher.aes128gcm,
    key: hex('A2F5E80E5D59103034F32E52F698E5EC'),
    frame: hex(
      'FD534D42BD73D97D2BC9001BCAFAC0FDFF5FEEBCC7D6822D269CAF48904C664C0000000087000000',
      '0000010025000000001000006ECDD2A7AFC7B47763057A041B8FD4DAFFE990B70C9E09D36C084E02',
      'D14EF247F8BDE38ACF6256F8B1D3B56F77FBDEB312FEA5E92CBCC1ED8FB2EBBFAA75E49A4A394BB4',
      '4576545567C24D4C014D47C9FBDFDAFD2C4F9B72F8D256452620A299F48E29E53D6B61D1C13A19E9',
      '1AF013F00D17E3ABC2FC3D36C8C1B6B93973253852DBD442E46EE8',
    ),
    plain: hex(
      'FE534D4240000100000000000900010008000000000000000500000000000000FFFE000001000000',
      '25000000001000000000000000000000000000000000000031007000170000000000000000000000',
      '0600000004000000010000000400000000000000000000007000000000000000536D623320656E63',
      '72797074696F6E2074657374696E67',
    ),
  },
  {
    name: '"SMB 3.1.1 Encryption in Windows 10", WRITE Response',
    cipher: Cipher.aes128gcm,
    key: hex('748C50868C90F302962A5C35F5F9A8BF'),
    frame: hex(
      'FD534D42ACBE1CB7ED343ADF1725EF144D90D4B0E06831DD2E8EB7B4000000000000000050000000',
      '00000100250000000010000026BBBF949983A6C1C796559D0F2C510CB651D1F7B6AC8DED32A2A0B8',
      'F2D793A815C6F6B848D69767A215841A42D400AE6DDB5F0B44173A014973321FDD7950DA6179159B',
      '82E03C9E18A050FF0EA1C967',
    ),
    plain: hex(
      'FE534D4240000100000000000900010001000000000000000500000000000000FFFE000001000000',
      '25000000001000000000000000000000000000000000000011000000170000000000000000000000',
    ),
  },
]
const TRANSFORM_HEADER_BYTES = 52

t.test('encryption: published messages', async (t) => {
  const key = deriveKeys({
    dialect: 0x0300,
    sessionKey: hex('B4546771B515F766A86735532DD6C4F0'),
    cipher: Cipher.aes128ccm,
    preauthIntegrityHash: undefined,
  }).decryptionKey
  t.same(key, ENCRYPTED[0]?.key)
  for (const { name, cipher, key, frame, plain } of ENCRYPTED) {
    const header = Buffer.from(frame.subarray(0, TRANSFORM_HEADER_BYTES))
    t.same(decrypt(cipher, key, header, Buffer.from(frame.subarray(TRANSFORM_HEADER_BYTES))), plain, name)
    header.fill(0, 4, 20)
    const chunks = encrypt(cipher, key, header, cut(Buffer.from(plain), [64, 65, 65]))
    t.same(Buffer.concat([header, ...chunks]), frame, name)
  }
})

t.test('encryption: every cipher, any chunks, changed anywhere', async (t) => {
  for (const cipher of Object.values(Cipher)) {
    const key = Buffer.alloc(cipherKeyBytes(cipher), 'key')
    const header = Buffer.from(ENCRYPTED[0]?.frame.subarray(0, TRANSFORM_HEADER_BYTES) ?? [])
    const check = (message: Buffer, cuts: number[], at: number) => {
      const frame = Buffer.concat([header, ...encrypt(cipher, key, header, cut(Buffer.from(message), cuts))])
      header.copy(frame)
      const open = (bytes: Buffer) =>
        decrypt(
          cipher,
          key,
          bytes.subarray(0, TRANSFORM_HEADER_BYTES),
          Buffer.from(bytes.subarray(TRANSFORM_HEADER_BYTES)),
        )
      const plain = open(frame)
      // The protocol id is not covered, and the last nonce bytes only as additional data.
      const place = 4 + (at % (frame.length - 4))
      frame.writeUInt8(frame.readUInt8(place) ^ 1, place)
      return plain?.equals(message) === true && open(frame) === undefined
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.array(fc.nat()),
        fc.nat(),
        (bytes, cuts, at) => check(Buffer.from(bytes), cuts, at),
      ),
    )
    t.ok(check(Buffer.alloc(1_200_000, 'large'), [80, 600_000], 1_000_000))
    const body = Buffer.concat(encrypt(cipher, key, header, [Buffer.alloc(100)]))
    t.equal(decrypt(cipher, key, header, Buffer.from(body.subarray(0, 99))), undefined, 'cut short')
    t.equal(decrypt(cipher, Buffer.alloc(key.length), header, body), undefined, 'another key')
  }
  t.throws(() => encrypt(Cipher.aes128gcm, Buffer.alloc(16), Buffer.alloc(32), []), RangeError)
})

t.test('AES-256-GCM and AES-256-CCM agree with node:crypto on nonce and additional data', async (t) => {
  for (const [cipher, name, nonceBytes] of [
    [Cipher.aes256gcm, 'aes-256-gcm', 12],
    [Cipher.aes256ccm, 'aes-256-ccm', 11],
  ] as const) {
    const key = Buffer.alloc(32, 9)
    const header = Buffer.from(ENCRYPTED[0]?.frame.subarray(0, TRANSFORM_HEADER_BYTES) ?? [])
    const message = Buffer.alloc(100_003, 'a message')
    const nonce = header.subarray(20, 20 + nonceBytes)
    const reference = createCipheriv(name as 'aes-256-ccm', key, nonce, { authTagLength: 16 })
    reference.setAAD(header.subarray(20), { plaintextLength: message.length })
    const expected = reference.update(message)
    reference.final()
    const chunks = cut(message, [80, 40_000])
    t.same(Buffer.concat(encrypt(cipher, key, header, chunks)), expected)
    t.same(header.subarray(4, 20), reference.getAuthTag())
  }
})
