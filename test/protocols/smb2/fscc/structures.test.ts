/** MS-FSCC and MS-DTYP structures that both sides send: golden bytes, cuts at every length, and garbage. */

import fc from 'fast-check'
import t, { type Test } from 'tap'
import * as access from '../../../../protocols/smb2/fscc/access.ts'
import { aclBytes, makeAcl } from '../../../../protocols/smb2/fscc/acl.ts'
import * as ea from '../../../../protocols/smb2/fscc/ea.ts'
import {
  FileInformationClass,
  SET_FILE_INFORMATION_MINIMUM_BYTES,
} from '../../../../protocols/smb2/fscc/file-information.ts'
import * as set from '../../../../protocols/smb2/fscc/file-information-set.ts'
import { NotifyAction, NotifyListWriter } from '../../../../protocols/smb2/fscc/notify.ts'
import * as reparse from '../../../../protocols/smb2/fscc/reparse.ts'
import {
  SecurityDescriptorControl as Control,
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  mergeSecurity,
  type SecurityDescriptor,
  SecurityInformation,
  selectSecurity,
} from '../../../../protocols/smb2/fscc/security-descriptor.ts'
import { decodeSid, encodeSid, sidBytes } from '../../../../protocols/smb2/fscc/sid.ts'
import { DecodeError } from '../../../../protocols/wire/errors.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { Writer } from '../../../../protocols/wire/writer.ts'
import { golden } from './golden.ts'

/** Every shorter buffer throws DecodeError, and only that. */
function cutEverywhere(t: Test, bytes: Buffer, decode: (bytes: Buffer) => unknown) {
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decode(bytes.subarray(0, length)), DecodeError, `cut at ${length}`)
  }
}

t.test('what SET_INFO sends', async (t) => {
  const basic = Buffer.from(
    '0000000000000000' +
      'ffffffffffffffff' +
      'feffffffffffffff' +
      'cb0dfc48f87add01' +
      '20000000' +
      'aaaaaaaa',
    'hex',
  )
  t.same(set.decodeSetBasic(basic), {
    creationTime: set.SetTime.UNCHANGED,
    lastAccessTime: set.SetTime.FREEZE,
    lastWriteTime: set.SetTime.THAW,
    changeTime: 0x01dd_7af8_48fc_0dcbn,
    fileAttributes: 0x20,
  })
  t.throws(() => set.decodeSetBasic(Buffer.from(`fdffffffffffffff${'00'.repeat(32)}`, 'hex')), DecodeError)
  const rename = Buffer.from('01aaaaaaaaaaaaaa' + '0000000000000000' + '06000000' + '61005c006200', 'hex')
  t.same(set.decodeSetRename(rename), { flags: 1, rootDirectory: 0n, fileName: 'a\\b' })
  t.same(set.decodeSetLink(rename), set.decodeSetRename(rename))
  t.same(
    set.decodeSetRename(Buffer.concat([rename, Buffer.alloc(4)])).fileName,
    'a\\b',
    'padding behind the name',
  )
  const renameEx = Buffer.from('43000000aaaaaaaa' + '0000000000000001' + '02000000' + '6100', 'hex')
  t.same(set.decodeSetRenameEx(renameEx), {
    flags: 0x43,
    rootDirectory: 0x0100_0000_0000_0000n,
    fileName: 'a',
  })
  t.equal(set.decodeSetSize(Buffer.from('0100000001000000', 'hex')), 0x1_0000_0001)
  t.throws(() => set.decodeSetSize(Buffer.from('ffffffffffffffff', 'hex')), DecodeError, 'negative')
  t.same(
    [set.decodeSetDisposition(Buffer.from([1])), set.decodeSetDisposition(Buffer.from([0]))],
    [true, false],
  )
  t.equal(set.decodeSetDispositionEx(Buffer.from('13000000', 'hex')), 0x13)
  t.equal(set.decodeSetMode(Buffer.from('02000000', 'hex')), 2)
  const shortName = Buffer.from('04000000' + '41004200', 'hex')
  t.equal(set.decodeSetShortName(shortName), 'AB')
  const pipe = Buffer.from('0100000000000000', 'hex')
  t.same(set.decodeSetPipe(pipe), { readMode: 1, completionMode: 0 })

  cutEverywhere(t, basic, set.decodeSetBasic)
  cutEverywhere(t, rename, set.decodeSetRename)
  cutEverywhere(t, renameEx, set.decodeSetRenameEx)
  cutEverywhere(t, shortName, set.decodeSetShortName)
  cutEverywhere(t, pipe, set.decodeSetPipe)
  cutEverywhere(t, Buffer.alloc(8), set.decodeSetSize)
  cutEverywhere(t, Buffer.alloc(4), set.decodeSetMode)
  cutEverywhere(t, Buffer.alloc(4), set.decodeSetDispositionEx)
  t.equal(SET_FILE_INFORMATION_MINIMUM_BYTES.get(FileInformationClass.Basic), basic.length)
})

t.test('extended attributes', async (t) => {
  const bytes = golden('file', 15)
  const list = ea.decodeFullEaList(bytes)
  t.same(
    list.map(({ flags, name, value }) => [flags, name, value.toString()]),
    [
      [0, 'EAONE', 'VALUE1'],
      [0, 'SECONDEA', 'ValueTwo'],
    ],
  )
  t.equal(ea.encodeFullEaList(list).bytes.toString('hex'), bytes.toString('hex'))
  t.equal(ea.eaListBytes(list), golden('file', 7).readUInt32LE(0), 'EaSize as smbd has it')
  t.equal(ea.encodeFullEaList(list, bytes.length - 1).count, 1)
  t.equal(ea.encodeFullEaList(list, bytes.length - 1).bytes.length, 20)
  t.equal(ea.encodeFullEaList(list, 19).count, 0)
  t.same(ea.encodeFullEaList([]), { bytes: Buffer.alloc(0), count: 0 })

  const get = Buffer.from('0c000000' + '0545414f4e4500' + '00' + '00000000' + '014100', 'hex')
  t.same(ea.decodeGetEaList(get), ['EAONE', 'A'])
  t.same(
    ea.selectEas(list, ['a', 'eaone']).map(({ name, value }) => [name, value.toString()]),
    [
      ['a', ''],
      ['EAONE', 'VALUE1'],
    ],
  )
  cutEverywhere(t, bytes, ea.decodeFullEaList)
  cutEverywhere(t, get, ea.decodeGetEaList)
  for (const broken of ['04000000000541410000', '02000000000141000000', '00000000000141410000']) {
    t.throws(() => ea.decodeFullEaList(Buffer.from(broken, 'hex')), DecodeError, broken)
  }
  const endless = Buffer.concat(
    Array.from({ length: 5000 }, () => Buffer.from('0c0000000001000041000000', 'hex')),
  )
  t.throws(() => ea.decodeFullEaList(endless), DecodeError, 'too many')
  t.same(['', 'a'.repeat(255), 'a:b', 'a\nb', 'user.a b'].map(ea.isValidEaName), [
    false,
    false,
    false,
    false,
    true,
  ])
})

t.test('reparse points', async (t) => {
  const link = { substituteName: '..\\a', printName: 'p', flags: reparse.SYMLINK_FLAG_RELATIVE }
  const bytes = reparse.encodeSymbolicLink(link)
  t.equal(
    bytes.toString('hex'),
    '0c0000a0' +
      '1600' +
      '0000' +
      '0000' +
      '0800' +
      '0800' +
      '0200' +
      '01000000' +
      '2e002e005c006100' +
      '7000',
  )
  const { reparseTag, data } = reparse.decodeReparseDataBuffer(bytes)
  t.equal(reparseTag, reparse.ReparseTag.SYMLINK)
  t.same(reparse.decodeSymbolicLink(data), link)
  // The Linux kernel's order: the print name first.
  const linux = Buffer.from(
    '0200' + '0800' + '0000' + '0200' + '01000000' + '7000' + '2e002e005c006100',
    'hex',
  )
  t.same(reparse.decodeSymbolicLink(linux), link)
  cutEverywhere(t, bytes, reparse.decodeReparseDataBuffer)
  cutEverywhere(t, linux, reparse.decodeSymbolicLink)
  t.throws(() => reparse.decodeReparseDataBuffer(Buffer.concat([bytes, Buffer.alloc(1)])), DecodeError)
  t.throws(() => reparse.decodeReparseDataBuffer(Buffer.alloc(16_385)), DecodeError)
})

t.test('change notifications', async (t) => {
  const writer = new NotifyListWriter(100)
  t.ok(writer.add(NotifyAction.ADDED, 'a'))
  t.ok(writer.add(NotifyAction.RENAMED_NEW_NAME, 'd\\b'))
  t.equal(
    writer.finish().toString('hex'),
    '10000000' +
      '01000000' +
      '02000000' +
      '6100' +
      '0000' +
      '00000000' +
      '05000000' +
      '06000000' +
      '64005c006200',
  )
  const small = new NotifyListWriter(16 + 13)
  t.ok(small.add(NotifyAction.ADDED, 'a'))
  t.notOk(small.add(NotifyAction.REMOVED, 'b'))
  t.equal(small.finish().length, 14)
})

t.test('access masks', async (t) => {
  t.equal(access.FILE_ALL_ACCESS, 0x1f01ff)
  t.equal(access.mapGenericAccess(0x8000_0000), 0x120089)
  t.equal(access.mapGenericAccess(0x4000_0000), 0x120116)
  t.equal(access.mapGenericAccess(0x2000_0000), 0x1200a0)
  t.equal(access.mapGenericAccess(0x1000_0000), 0x1f01ff)
  t.equal(access.mapGenericAccess(0x8200_0001), 0x0212_0089)
  t.equal(access.VALID_ACCESS_MASK, 0xf31f_01ff)
})

t.test('SIDs', async (t) => {
  const decode = (bytes: Buffer) => decodeSid(new Reader(bytes))
  const encode = (sid: string) => {
    const writer = new Writer()
    encodeSid(writer, sid)
    return writer.finish()
  }
  const pairs = [
    ['S-1-1-0', '010100000000000100000000'],
    ['S-1-5', '0100000000000005'],
    ['S-1-5-32-544', '01020000000000052000000020020000'],
    [
      'S-1-5-21-1-4294967295-3-1013',
      '010500000000000515000000' + '01000000' + 'ffffffff' + '03000000' + 'f5030000',
    ],
    ['S-1-0x010000000000-7', '0101010000000000' + '07000000'],
    ['S-1-4294967295-7', '01010000ffffffff' + '07000000'],
  ] as const
  for (const [sid, hex] of pairs) {
    t.equal(encode(sid).toString('hex'), hex, sid)
    t.equal(decode(Buffer.from(hex, 'hex')), sid)
    t.equal(sidBytes(sid), hex.length / 2)
    cutEverywhere(t, Buffer.from(hex, 'hex'), decode)
  }
  const bad = [
    '',
    'S-1-',
    'S-2-5-1',
    'S-1-5-4294967296',
    'S-1-5-1-',
    's',
    `S-1-5${'-1'.repeat(16)}`,
    'S-1-0xfffffffffffff-1',
  ]
  for (const text of bad) t.throws(() => encode(text), DecodeError, text)
  for (const hex of ['020100000000000100000000', `0110000000000005${'00'.repeat(64)}`]) {
    t.throws(() => decode(Buffer.from(hex, 'hex')), DecodeError)
  }
})

t.test('security descriptors', async (t) => {
  const bytes = golden('security', 7)
  const descriptor = decodeSecurityDescriptor(bytes)
  t.equal(descriptor.control, Control.SELF_RELATIVE | Control.DACL_PROTECTED | Control.DACL_PRESENT)
  t.match(descriptor.owner, /^S-1-5-21-\d+-\d+-\d+-1000$/)
  t.equal(descriptor.group, 'S-1-22-2-0')
  t.equal(descriptor.dacl?.aces.length, 3)
  t.same(descriptor.dacl?.aces[2], { type: 0, flags: 0, mask: 0x120089, sid: 'S-1-1-0' })
  t.equal(descriptor.sacl, undefined)
  t.equal(encodeSecurityDescriptor(descriptor).toString('hex'), bytes.toString('hex'))
  cutEverywhere(t, bytes, decodeSecurityDescriptor)

  const nullDacl = decodeSecurityDescriptor(Buffer.from(`01000480${'00'.repeat(16)}`, 'hex'))
  t.same(nullDacl, { control: 0x8004, dacl: null })
  t.equal(encodeSecurityDescriptor(nullDacl).toString('hex'), `01000480${'00'.repeat(16)}`)
  const header = (control: string, offsets: string) => Buffer.from(`0100${control}${offsets}`, 'hex')
  const none = '00000000'
  const broken: [string, Buffer][] = [
    ['revision', Buffer.from(`02000080${none.repeat(4)}`, 'hex')],
    ['not self-relative', header('0400', none.repeat(4))],
    ['owner in the header', header('0080', `08000000${none.repeat(3)}`)],
    ['owner behind the end', header('0080', `ffffff7f${none.repeat(3)}`)],
    [
      'more ACEs than bytes',
      Buffer.concat([header('0480', `${none.repeat(3)}14000000`), Buffer.from('02000800ffff0000', 'hex')]),
    ],
    [
      'an ACE of 3 bytes',
      Buffer.concat([
        header('0480', `${none.repeat(3)}14000000`),
        Buffer.from('02000c000100000000000300', 'hex'),
      ]),
    ],
    [
      'ACL revision',
      Buffer.concat([header('0480', `${none.repeat(3)}14000000`), Buffer.from('0700080000000000', 'hex')]),
    ],
    ['too long', Buffer.concat([header('0080', none.repeat(4)), Buffer.alloc(65_536)])],
  ]
  for (const [name, value] of broken) t.throws(() => decodeSecurityDescriptor(value), DecodeError, name)
  const aces = Array.from({ length: 4000 }, () => ({ type: 0, flags: 0, mask: 1, sid: 'S-1-1-0' }))
  t.throws(() => aclBytes(makeAcl(aces)), DecodeError, 'a list above 64 KiB')
  t.equal(aclBytes(makeAcl(aces.slice(0, 3))), 8 + 3 * 20)
})

t.test('parts of security descriptors', async (t) => {
  const acl = (sid: string) => makeAcl([{ type: 0, flags: 0, mask: 1, sid }])
  const existing: SecurityDescriptor = {
    control: Control.SELF_RELATIVE | Control.DACL_AUTO_INHERITED | Control.SACL_PROTECTED,
    owner: 'S-1-5-18',
    group: 'S-1-5-32-544',
    dacl: acl('S-1-1-0'),
    sacl: acl('S-1-5-7'),
  }
  const { OWNER, GROUP, DACL, SACL, PROTECTED_DACL, UNPROTECTED_DACL } = SecurityInformation
  t.same(selectSecurity(existing, OWNER), { control: 0, owner: 'S-1-5-18' })
  t.same(selectSecurity(existing, GROUP | DACL), {
    control: Control.DACL_AUTO_INHERITED,
    group: 'S-1-5-32-544',
    dacl: existing.dacl,
  })
  t.same(selectSecurity(existing, 0), { control: 0 })
  const update: SecurityDescriptor = {
    control: Control.SELF_RELATIVE | Control.DACL_PROTECTED | Control.DACL_AUTO_INHERITED,
    owner: 'S-1-5-11',
    dacl: null,
  }
  const dacl = mergeSecurity(existing, update, DACL)
  t.same([dacl.owner, dacl.dacl, dacl.sacl], ['S-1-5-18', null, existing.sacl])
  t.equal(dacl.control & Control.DACL_PROTECTED, Control.DACL_PROTECTED)
  t.equal(dacl.control & Control.DACL_AUTO_INHERITED, 0, 'not kept when it was not asked for')
  t.equal(dacl.control & Control.SACL_PROTECTED, Control.SACL_PROTECTED, 'of another part')
  const asking = { ...update, control: update.control | Control.DACL_AUTO_INHERIT_REQ }
  const inherited = mergeSecurity(existing, asking, DACL | UNPROTECTED_DACL)
  t.equal(inherited.control & 0x1500, Control.DACL_AUTO_INHERITED)
  t.equal(mergeSecurity(existing, existing, PROTECTED_DACL).control & 0x1000, 0x1000)
  t.same(
    mergeSecurity(existing, update, OWNER | GROUP),
    { ...existing, owner: 'S-1-5-11' },
    'an absent group stays',
  )
  t.equal(mergeSecurity(existing, update, SACL).sacl, undefined, 'an absent list goes')
})

t.test('anything at all', async (t) => {
  const decoders = [
    set.decodeSetBasic,
    set.decodeSetRename,
    set.decodeSetRenameEx,
    set.decodeSetShortName,
    ea.decodeFullEaList,
    ea.decodeGetEaList,
    reparse.decodeReparseDataBuffer,
    reparse.decodeSymbolicLink,
  ]
  for (const decode of decoders) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        try {
          decode(Buffer.from(bytes))
          return true
        } catch (error) {
          return error instanceof DecodeError
        }
      }),
    )
  }
  const name = fc.stringMatching(/^[A-Za-z0-9. ]{1,20}$/)
  const eas = fc.array(fc.record({ flags: fc.nat(255), name, value: fc.uint8Array({ maxLength: 40 }) }), {
    minLength: 1,
  })
  fc.assert(
    fc.property(eas, (values) => {
      const list = values.map((entry) => ({ ...entry, value: Buffer.from(entry.value) }))
      const { bytes, count } = ea.encodeFullEaList(list)
      t.same(ea.decodeFullEaList(bytes), list)
      return count === list.length && ea.eaListBytes(list) === bytes.length
    }),
    { numRuns: 50 },
  )
  const u32 = fc.nat(0xffff_ffff)
  const sid = fc
    .tuple(fc.nat(0xffff_ffff_ffff), fc.array(u32, { minLength: 1, maxLength: 15 }))
    .map(([authority, rest]) => {
      const text =
        authority > 0xffff_ffff ? `0x${authority.toString(16).padStart(12, '0')}` : String(authority)
      return `S-1-${text}-${rest.join('-')}`
    })
  const flags = fc.nat(255)
  const raw = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes))
  const ace = fc.oneof(
    fc.record({ type: fc.constantFrom(0, 1, 2, 0x11), flags, mask: u32, sid }),
    fc.record({ type: fc.constantFrom(3, 5, 9, 0x12), flags, data: raw }),
  )
  const acl = fc.option(fc.array(ace, { maxLength: 10 }).map((aces) => makeAcl(aces)))
  const part = fc.record({ owner: sid, group: sid, dacl: acl, sacl: acl }, { requiredKeys: [] })
  fc.assert(
    fc.property(part, fc.nat(0x3fff), (parts, control) => {
      const bytes = encodeSecurityDescriptor({ ...parts, control })
      const { control: decoded, ...rest } = decodeSecurityDescriptor(bytes)
      t.same(rest, parts)
      t.equal(decoded & ~0x14, (control & ~0x14) | Control.SELF_RELATIVE)
    }),
    { numRuns: 50 },
  )
  const seed = golden('security', 7)
  const damage = fc.array(fc.tuple(fc.nat(seed.length - 1), flags), { maxLength: 6 })
  fc.assert(
    fc.property(damage, (changes) => {
      const bytes = Buffer.from(seed)
      for (const [at, value] of changes) bytes[at] = value
      try {
        encodeSecurityDescriptor(decodeSecurityDescriptor(bytes))
        return true
      } catch (error) {
        return error instanceof DecodeError
      }
    }),
    { numRuns: 1000 },
  )
})
