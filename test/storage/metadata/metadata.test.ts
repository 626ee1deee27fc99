/** Formats on disk: user.DOSATTRIB (xattr.idl), user.DosStream, reserved names, EA sizes. */

import fc from 'fast-check'
import t from 'tap'
import {
  DOS_ATTRIBUTES_BYTES,
  decodeDosAttributes,
  encodeDosAttributes,
} from '../../../storage/metadata/dos-attributes.ts'
import {
  continuations,
  decodeStream,
  encodeStream,
  MAXIMUM_STREAM_NAME_BYTES,
  streamOfXattr,
  streamSize,
  xattrOfContinuation,
  xattrOfStream,
} from '../../../storage/metadata/dos-stream.ts'
import { extendedAttributesSize } from '../../../storage/metadata/ea-size.ts'
import { u64 } from '../../../storage/metadata/layout.ts'
import { eaOfXattr, isReservedXattr, xattrOfEa } from '../../../storage/metadata/reserved.ts'

/** The creation time in the field example below, as FILETIME. */
const FIELD_TICKS = 0x01d9b171aada6300n
const EPOCH_TICKS = 116_444_736_000_000_000n
const FIELD_TIME = (FIELD_TICKS - EPOCH_TICKS) * 100n

t.test('DOSATTRIB version 5: a value found in the field', async (t) => {
  const value = Buffer.from('AAAFAAUAAAARAAAAIAAAAABj2qpxsdkB', 'base64')
  t.same(decodeDosAttributes(value), { dosAttributes: 0x20, birthTime: FIELD_TIME })
  t.same(encodeDosAttributes({ dosAttributes: 0x20, birthTime: FIELD_TIME }), value)
  t.equal(DOS_ATTRIBUTES_BYTES, 24)
})

t.test('DOSATTRIB older versions', async (t) => {
  const time = '0063daaa71b1d901'
  const zero = '0000000000000000'
  const hex = (...parts: string[]) => Buffer.from(parts.join(''), 'hex')
  const text = Buffer.from('0x22\0').toString('hex')
  const v4 = hex('0000', '0400', '0400', '0000', '51000000', '22000000', zero, time)
  t.same(decodeDosAttributes(v4), { dosAttributes: 0x22, birthTime: FIELD_TIME })
  const v3 = (flags: string) =>
    hex(text, '00', '0300', '0300', '0000', flags, '22000000', '00000000', zero, zero, time, zero)
  t.same(decodeDosAttributes(v3('11000000')), { dosAttributes: 0x22, birthTime: FIELD_TIME })
  t.same(decodeDosAttributes(v3('01000000')), { dosAttributes: 0x22 })
  t.same(decodeDosAttributes(v3('10000000')), { birthTime: FIELD_TIME })
  const v1 = hex(text, '00', '0100', '0100', '0000', '22000000', '00000000', zero, zero, time, zero)
  t.same(decodeDosAttributes(v1), { dosAttributes: 0x22, birthTime: FIELD_TIME })
  const v2 = hex(
    text,
    '00',
    '0200',
    '0200',
    '0000',
    zero.slice(8),
    '22000000',
    '00000000',
    zero,
    zero,
    time,
    zero,
    zero,
  )
  t.same(decodeDosAttributes(v2), { dosAttributes: 0x22, birthTime: FIELD_TIME })
  t.same(decodeDosAttributes(Buffer.from('0x20')), { dosAttributes: 0x20 })
  t.same(decodeDosAttributes(Buffer.from('0x7\0')), { dosAttributes: 0x7 })
})

t.test('DOSATTRIB: what cannot be read says nothing', async (t) => {
  const value = encodeDosAttributes({ dosAttributes: 0xffff_ffff, birthTime: 100n })
  t.same(
    decodeDosAttributes(value),
    { dosAttributes: 0x3b27, birthTime: 100n },
    'only attributes that are stored',
  )
  for (let length = 0; length < value.length; length++) {
    t.same(decodeDosAttributes(value.subarray(0, length)), {}, `cut at ${length}`)
  }
  t.same(decodeDosAttributes(Buffer.from('archive')), {})
  const unknown = Buffer.from(value)
  unknown.writeUInt16LE(9, 2)
  t.same(decodeDosAttributes(unknown), {})
  const early = encodeDosAttributes({ dosAttributes: 0, birthTime: -(10n ** 30n) })
  t.equal(early.readBigUInt64LE(16), 1n, 'before 1601')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      decodeDosAttributes(Buffer.from(bytes))
    }),
  )
})

t.test('a 64-bit layout does not round', async (t) => {
  const bytes = Buffer.alloc(9)
  t.equal(u64('id').encode(0xffff_ffff_ffff_fffen, bytes, 1), 8)
  t.equal(bytes.toString('hex'), '00feffffffffffffff')
  t.equal(u64().decode(bytes, 1), 0xffff_ffff_ffff_fffen)
})

t.test('named streams', async (t) => {
  t.equal(xattrOfStream('AFP_AfpInfo'), 'user.DosStream.AFP_AfpInfo:$DATA')
  t.equal(streamOfXattr('user.DosStream.AFP_AfpInfo:$DATA'), 'AFP_AfpInfo')
  t.equal(streamOfXattr('user.DosStream.Zone.Identifier'), 'Zone.Identifier')
  t.equal(streamOfXattr('user.DosStream.:$DATA'), undefined)
  t.equal(streamOfXattr('user.other'), undefined)
  t.equal(MAXIMUM_STREAM_NAME_BYTES, 234)
  t.equal(Buffer.byteLength(xattrOfStream('x'.repeat(234))), 255)
  t.throws(() => xattrOfStream('é'.repeat(118)), { code: 'name-too-long' })
  t.same(encodeStream(Buffer.from('ab')), Buffer.from('ab\0'))
  t.same(decodeStream(Buffer.from('ab\0')), Buffer.from('ab'))
  t.same(decodeStream(Buffer.alloc(0)), Buffer.alloc(0))
  t.same([Buffer.from('ab\0'), Buffer.from('ab\x02'), Buffer.alloc(0)].map(continuations), [0, 2, 0])
  t.equal(
    xattrOfContinuation(xattrOfStream('AFP_Resource'), 2),
    'user.DosStreamExt.2.AFP_Resource:$DATA',
    'continued in further attributes',
  )
  t.same([0, 1, 3].map(streamSize), [0, 0, 2])
})

t.test('reserved names and EA sizes', async (t) => {
  for (const name of ['DOSATTRIB', 'dosattrib', 'DosStream.x:$DATA', 'DosStreamExt.1.x', 'SAMBA_PAI']) {
    t.equal(isReservedXattr(`user.${name}`), true, name)
    t.equal(xattrOfEa(name), undefined, name)
    t.equal(eaOfXattr(`user.${name}`), undefined, name)
  }
  t.equal(isReservedXattr('user.org.netatalk.Metadata'), true)
  t.equal(eaOfXattr('user.comment'), 'comment')
  t.equal(eaOfXattr('security.capability'), undefined)
  t.equal(xattrOfEa('comment'), 'user.comment')
  t.equal(xattrOfEa(''), undefined)
  t.equal(extendedAttributesSize([]), 0)
  const ea = (name: string, value: string) => ({ name, value: Buffer.from(value) })
  t.equal(extendedAttributesSize([ea('AB', 'x')]), 12)
  t.equal(extendedAttributesSize([ea('ABC', 'x'), ea('AB', '')]), 16 + 11)
})
