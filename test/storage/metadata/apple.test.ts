/** What Macs keep with files, as other servers store it: AFP_AfpInfo, org.netatalk.Metadata, ._ sidecars. */

import fc from 'fast-check'
import t from 'tap'
import {
  AFP_INFO_BYTES,
  assertAfpInfoSize,
  decodeAfpInfo,
  emptyAfpInfo,
  encodeAfpInfo,
  isEmptyFinderInfo,
  readAfpInfo,
  writeAfpInfo,
} from '../../../storage/metadata/afp-info.ts'
import { decodeEntries, isAppleDouble } from '../../../storage/metadata/apple-double.ts'
import { appleStreamOf, presentFinderInfo } from '../../../storage/metadata/apple-streams.ts'
import { encodeStream, xattrOfStream } from '../../../storage/metadata/dos-stream.ts'
import { macMetadataOf } from '../../../storage/metadata/mac-metadata.ts'
import {
  decodeNetatalkMetadata,
  encodeNetatalkMetadata,
  NETATALK_METADATA_BYTES,
  NETATALK_METADATA_XATTR,
  NETATALK_RESOURCE_XATTR,
  withFinderInfo,
} from '../../../storage/metadata/netatalk.ts'
import {
  BLANK_FORK_BYTES,
  decodeSidecar,
  encodeSidecar,
  forkLengthField,
  isBlankFork,
  ownerOfSidecar,
  SIDECAR_BYTES,
  sidecarName,
  withoutAttribute,
} from '../../../storage/metadata/sidecar.ts'

/** Hexadecimal digits, in groups as they are to be read; the rest up to `bytes` is zero. */
function hex(bytes: number, ...parts: string[]): Buffer {
  const text = Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
  return Buffer.concat([text, Buffer.alloc(bytes - text.length)])
}

const ASCII = (text: string): string => Buffer.from(text, 'latin1').toString('hex')
/** Type and creator, then nothing. */
const FINDER = hex(32, ASCII('TEXTttxt'))
const finderInfo = fc.uint8Array({ minLength: 32, maxLength: 32 })
const anything = fc.uint8Array({ maxLength: 700 }).map((bytes) => Buffer.from(bytes))
/** Valid bytes with some of them changed, and cut. */
const damaged = (valid: Buffer) =>
  fc
    .tuple(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(valid.length))
    .map(([changes, length]) => {
      const bytes = Buffer.from(valid)
      for (const [at, value] of changes) bytes[at] = value
      return bytes.subarray(0, length)
    })

const AFP_INFO = hex(60, '41465000 00000100 00000000 00000080', FINDER.toString('hex'))

t.test('AFP_AfpInfo: bytes, and what is none', async (t) => {
  t.equal(AFP_INFO_BYTES, 60)
  t.same(encodeAfpInfo(FINDER), AFP_INFO)
  t.same(decodeAfpInfo(AFP_INFO), FINDER)
  t.same(emptyAfpInfo().subarray(0, 16), AFP_INFO.subarray(0, 16))
  for (const length of [0, 3, 59]) t.equal(decodeAfpInfo(AFP_INFO.subarray(0, length)), undefined)
  t.equal(decodeAfpInfo(Buffer.concat([AFP_INFO, Buffer.alloc(1)])), undefined)
  for (const at of [0, 3, 4, 7]) {
    const wrong = Buffer.from(AFP_INFO)
    wrong[at] = 0x7f
    t.equal(decodeAfpInfo(wrong), undefined, `byte ${at}`)
  }
  t.throws(() => encodeAfpInfo(Buffer.alloc(31)))
  t.equal(presentFinderInfo(emptyAfpInfo()), undefined, 'all zeros: there is none')
  t.equal(presentFinderInfo(Buffer.from('foo')), undefined)
  t.same(presentFinderInfo(AFP_INFO), FINDER)
  fc.assert(fc.property(finderInfo, (bytes) => decodeAfpInfo(encodeAfpInfo(bytes))?.equals(bytes) === true))
  fc.assert(fc.property(anything, (bytes) => decodeAfpInfo(bytes) === undefined || bytes.length === 60))
})

t.test('AFP_AfpInfo: reading and writing as on a Mac', async (t) => {
  t.same(readAfpInfo(AFP_INFO, 0, 61), AFP_INFO)
  t.equal(readAfpInfo(AFP_INFO, 16, 8).toString('latin1'), 'AFP\0\0\0\x01\0', 'the offset says nothing')
  t.same(readAfpInfo(AFP_INFO, 60, 1), Buffer.from('A'))
  t.equal(readAfpInfo(AFP_INFO, 61, 1).length, 0)
  t.same(readAfpInfo(undefined, 0, 60), emptyAfpInfo())
  const larger = Buffer.concat([AFP_INFO, Buffer.alloc(1000, 1)])
  for (const [position, length] of [
    [0, 60],
    [0, 1060],
    [1, 60],
    [59, 61],
    [10_000, 1060],
  ] as const) {
    t.same(
      writeAfpInfo(undefined, position, larger.subarray(0, length)),
      AFP_INFO,
      `${length} at ${position}`,
    )
  }
  t.same(writeAfpInfo(undefined, 0, AFP_INFO.subarray(0, 16)), emptyAfpInfo(), 'the header alone')
  t.same(writeAfpInfo(AFP_INFO, 0, Buffer.from('AFP')), AFP_INFO, 'the rest stays')
  const refused = [
    [0, Buffer.from('AF')],
    [0, Buffer.alloc(60)],
    [1, AFP_INFO.subarray(0, 59)],
    [0, Buffer.from('AFP\0\0\0\x02\0')],
    [0, Buffer.alloc(0)],
  ] as const
  for (const [position, data] of refused) {
    t.throws(() => writeAfpInfo(AFP_INFO, position, data), { code: 'invalid' })
  }
  for (const size of [0, 1, 60]) assertAfpInfoSize(size)
  t.throws(() => assertAfpInfoSize(61), { code: 'allotment-exceeded' })
  t.same(['afp_AFPINFO', 'AFP_Resource', 'AFP_Resource2', 'x'].map(appleStreamOf), [
    'afp-info',
    'resource-fork',
    undefined,
    undefined,
  ])
})

/** Seconds since 2000, and the same in nanoseconds since 1970. */
const CREATED = 0x1234_5678
const BIRTH = (BigInt(CREATED) + 946_684_800n) * 1_000_000_000n

/** Entries in the order of Samba's; netatalk's own is below. */
const NETATALK = Buffer.concat([
  hex(26, '00051607 00020000', ASCII('Netatalk        '), '0008'),
  hex(12, '00000009 0000007a 00000020'),
  hex(12, '00000004 0000009a 00000000'),
  hex(12, '00000008 00000162 00000010'),
  hex(12, '0000000e 00000172 00000004'),
  hex(12, '80444556 00000176 00000008'),
  hex(12, '80494e4f 0000017e 00000008'),
  hex(12, '8053594e 00000186 00000008'),
  hex(12, '8053567e 0000018e 00000004'),
  FINDER,
  Buffer.alloc(200),
  hex(16, '12345678 80000000 80000000 80000000'),
  Buffer.alloc(4 + 8 + 8 + 8 + 4),
])

t.test('org.netatalk.Metadata', async (t) => {
  t.equal(NETATALK_METADATA_BYTES, 402)
  t.equal(NETATALK.length, 402)
  t.same(encodeNetatalkMetadata({ finderInfo: FINDER, birthTime: BIRTH }), NETATALK)
  t.same(decodeNetatalkMetadata(NETATALK), { finderInfo: FINDER, birthTime: BIRTH })
  t.same(decodeNetatalkMetadata(encodeNetatalkMetadata({ finderInfo: FINDER })), { finderInfo: FINDER })
  // Descriptors in another order, as netatalk writes them, and a comment.
  const other = Buffer.from(NETATALK)
  NETATALK.copy(other, 26, 38, 50)
  NETATALK.copy(other, 38, 26, 38)
  other.writeUInt32BE(5, 26 + 8)
  other.write('hello', 0x9a, 'latin1')
  t.same(decodeNetatalkMetadata(other), { finderInfo: FINDER, birthTime: BIRTH })
  const changed = withFinderInfo(other, Buffer.alloc(32, 7))
  t.same(changed === undefined ? undefined : decodeNetatalkMetadata(changed)?.finderInfo, Buffer.alloc(32, 7))
  t.equal(changed?.toString('latin1', 0x9a, 0x9f), 'hello', 'all else stays')
  for (const length of [0, 26, 401]) t.equal(decodeNetatalkMetadata(NETATALK.subarray(0, length)), undefined)
  t.equal(withFinderInfo(Buffer.alloc(402), FINDER), undefined)
  const early = encodeNetatalkMetadata({ finderInfo: FINDER, birthTime: -(10n ** 20n) })
  t.equal(early.readInt32BE(0x162), -0x7fff_ffff, 'before 1932, which is not "no date"')
  const late = encodeNetatalkMetadata({ finderInfo: FINDER, birthTime: 10n ** 20n })
  t.equal(late.readInt32BE(0x162), 0x7fff_ffff)
  fc.assert(
    fc.property(finderInfo, fc.bigInt(-1_000_000_000n, 3_000_000_000n), (bytes, seconds) => {
      const birthTime = seconds * 1_000_000_000n
      const decoded = decodeNetatalkMetadata(encodeNetatalkMetadata({ finderInfo: bytes, birthTime }))
      t.equal(decoded?.birthTime, birthTime)
      return decoded?.finderInfo.equals(bytes) === true
    }),
  )
  fc.assert(
    fc.property(damaged(NETATALK), (bytes) => {
      const decoded = decodeNetatalkMetadata(bytes)
      return decoded === undefined || decoded.finderInfo.length === 32
    }),
  )
})

/** Bytes of the block of attributes; its data begins at 0xbc in the file, and the resource fork at 0x100. */
const ATTRIBUTES = Buffer.concat([
  hex(36, '41545452 00000000 00000100 000000bc 0000002c 000000000000000000000000 0000 0002'),
  hex(32, '000000bc 00000005 0000 14', ASCII('com.apple.FirstName\0')),
  hex(36, '000000c1 00000003 0000 08', ASCII('foo:bar\0')),
])

const MAC_SIDECAR = Buffer.concat([
  hex(26, '00051607 00020000', ASCII('Mac OS X        '), '0002'),
  hex(12, '00000009 00000032 000000ce'),
  hex(12, '00000002 00000100 00000004'),
  FINDER,
  Buffer.alloc(2),
  ATTRIBUTES,
  Buffer.from('helloBAZ'),
  Buffer.alloc(0x100 - 0xc4),
  Buffer.from('fork'),
])

t.test('sidecars', async (t) => {
  const plain = Buffer.concat([
    hex(26, '00051607 00020000', ASCII('Netatalk        '), '0002'),
    hex(12, '00000009 00000032 00000020'),
    hex(12, '00000002 00000052 00000000'),
    FINDER,
  ])
  t.equal(SIDECAR_BYTES, 82)
  t.same(encodeSidecar(FINDER), plain)
  t.same(decodeSidecar(plain, plain.length), {
    finderInfo: 50,
    resourceFork: { offset: 82, length: 0, descriptor: 38, isLast: true },
    attributes: [],
  })
  t.same(forkLengthField({ descriptor: 38 }, 258), { offset: 46, bytes: Buffer.of(0, 0, 1, 2) })
  t.equal(MAC_SIDECAR.length, 0x104)
  const decoded = decodeSidecar(MAC_SIDECAR, MAC_SIDECAR.length)
  t.same(decoded?.resourceFork, { offset: 0x100, length: 4, descriptor: 38, isLast: true })
  t.same(decoded?.attributes, [
    { name: 'com.apple.FirstName', offset: 0xbc, length: 5 },
    { name: 'foo:bar', offset: 0xc1, length: 3 },
  ])
  t.equal(sidecarName('a'), '._a')
  t.same(['._a', '._', 'a', '._._a'].map(ownerOfSidecar), ['a', undefined, undefined, '._a'])
})

t.test('sidecars: an attribute goes, all else stays where it is', async (t) => {
  const without = withoutAttribute(MAC_SIDECAR, MAC_SIDECAR.length, 'com.apple.FirstName')
  t.equal(without?.length, MAC_SIDECAR.length)
  if (without === undefined) return
  const decoded = decodeSidecar(without, without.length)
  t.same(decoded?.attributes, [{ name: 'foo:bar', offset: 0xc1, length: 3 }])
  t.equal(without.toString('latin1', 0xbc, 0xc4), '\0\0\0\0\0BAZ', 'its data is gone too')
  t.same(without.subarray(0x100), MAC_SIDECAR.subarray(0x100))
  const last = withoutAttribute(without, without.length, 'foo:bar')
  t.same(last === undefined ? undefined : decodeSidecar(last, last.length)?.attributes, [])
  t.equal(withoutAttribute(encodeSidecar(), 82, 'x'), undefined)
})

t.test('sidecars: the fork of files that have none', async (t) => {
  const blank = hex(286, '00000100 00000100 00000000 0000001e')
  blank.write('This resource fork intentionally left blank   ', 16, 'latin1')
  hex(30, '00000100 00000100 00000000 0000001e 00000000 00000000 001c 001e ffff').copy(blank, 256)
  t.equal(BLANK_FORK_BYTES, 286)
  t.equal(isBlankFork(blank), true)
  blank[16] = 0xf0
  t.equal(isBlankFork(blank), false)
})

t.test('sidecars: hostile ones', async (t) => {
  t.equal(isAppleDouble(Buffer.from('0005160700020000', 'hex')), true)
  t.equal(isAppleDouble(Buffer.from('0005160700010000', 'hex')), false, 'version 1')
  const put = (value: number, at: number): Buffer => {
    const bytes = Buffer.from(MAC_SIDECAR)
    bytes.writeUInt32BE(value, at)
    return bytes
  }
  const none = (bytes: Buffer, what: string) => t.equal(decodeSidecar(bytes, bytes.length), undefined, what)
  none(put(0xffff_ffff, 26 + 4), 'an entry far outside')
  none(put(0xffff_ffff, 26 + 8), 'an entry without end')
  none(put(4, 26 + 4), 'an entry in the header')
  none(put(9, 38), 'an entry twice')
  const many = Buffer.from(MAC_SIDECAR)
  many.writeUInt16BE(0xffff, 24)
  none(many, 'entries without number')
  const unread = (bytes: Buffer, what: string) =>
    t.same(decodeSidecar(bytes, bytes.length)?.attributes, [], what)
  const block = 84
  unread(put(0, block), 'no block')
  unread(put(0x101, block + 8), 'larger than its entry')
  unread(put(0x99, block + 12), 'names that run into the data')
  unread(put(0xffff_ffff, block + 16), 'data without end')
  unread(put(0xffff, block + 32), 'attributes without number')
  unread(put(0x20, block + 36), 'data outside')
  unread(put(0xffff_ffff, block + 40), 'an attribute without end')
  const nameless = Buffer.from(MAC_SIDECAR)
  nameless[block + 46] = 0
  unread(nameless, 'a name of nothing')
  fc.assert(
    fc.property(damaged(MAC_SIDECAR), (bytes) => {
      const sidecar = decodeSidecar(bytes, bytes.length)
      for (const { offset, length } of sidecar?.attributes ?? []) t.ok(offset + length <= bytes.length)
      withoutAttribute(bytes, bytes.length, 'foo:bar')
    }),
    { numRuns: 500 },
  )
  fc.assert(fc.property(anything, (bytes) => decodeEntries(bytes) === undefined))
})

t.test('what a listing shows, whoever stored it', async (t) => {
  const show = (values: Record<string, Buffer>, sidecar?: Parameters<typeof macMetadataOf>[2]) =>
    macMetadataOf(Object.keys(values), { value: (xattr) => values[xattr] }, sidecar)
  const info = xattrOfStream('AFP_AfpInfo')
  const fork = xattrOfStream('afp_resource')
  const none = { finderInfo: undefined, resourceForkBytes: 0, hasAttributes: false }
  t.equal(show({}), undefined)
  t.equal(show({}, none), undefined)
  t.equal(show({ [info]: encodeStream(emptyAfpInfo()), [fork]: encodeStream(Buffer.alloc(0)) }), undefined)
  t.same(show({ [xattrOfStream('x')]: encodeStream(Buffer.alloc(0)) }), { resourceForkBytes: 0 })
  const expected = { resourceForkBytes: 7, finderInfo: new Uint8Array(FINDER) }
  t.same(show({ [info]: encodeStream(AFP_INFO), [fork]: encodeStream(Buffer.alloc(7)) }), expected)
  t.same(show({ [NETATALK_METADATA_XATTR]: NETATALK, [NETATALK_RESOURCE_XATTR]: Buffer.alloc(7) }), expected)
  t.same(show({}, { ...none, finderInfo: FINDER, resourceForkBytes: 7 }), expected)
  t.same(show({}, { ...none, hasAttributes: true }), { resourceForkBytes: 0 })
  const continued = Buffer.concat([Buffer.alloc(5), Buffer.of(2)])
  t.same(show({ [fork]: continued, 'user.DosStreamExt.1.afp_resource:$DATA': Buffer.alloc(6) }), {
    resourceForkBytes: 11,
  })
  const wins = encodeAfpInfo(Buffer.alloc(32, 1))
  t.same(show({ [NETATALK_METADATA_XATTR]: NETATALK, [info]: encodeStream(wins) })?.finderInfo?.[0], 1)
  t.equal(isEmptyFinderInfo(Buffer.alloc(32)), true)
})
