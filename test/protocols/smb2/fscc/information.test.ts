/** MS-FSCC structures against buffers captured from Samba's smbd and bytes worked out from the specification's tables. */

import t from 'tap'
import { FileAttribute } from '../../../../protocols/smb2/fscc/attributes.ts'
import {
  type DirectoryListEntry,
  DirectoryListWriter,
  directoryEntryFixedBytes,
} from '../../../../protocols/smb2/fscc/directory-information.ts'
import {
  type FileInformation,
  FileInformationClass,
  QUERY_FILE_INFORMATION_SIZES,
} from '../../../../protocols/smb2/fscc/file-information.ts'
import * as query from '../../../../protocols/smb2/fscc/file-information-query.ts'
import {
  encodeFileSystemInformation,
  FILE_SYSTEM_INFORMATION_SIZES,
  type FileSystemInformation,
} from '../../../../protocols/smb2/fscc/file-system-information.ts'
import { ReparseTag } from '../../../../protocols/smb2/fscc/reparse.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { golden } from './golden.ts'

function times(reader: Reader) {
  return {
    creationTime: reader.u64(),
    lastAccessTime: reader.u64(),
    lastWriteTime: reader.u64(),
    changeTime: reader.u64(),
  }
}

/** FileAllInformation taken apart by the table of MS-FSCC 2.4.2. */
function readAll(buffer: Buffer): FileInformation {
  const reader = new Reader(buffer)
  const basic = { ...times(reader), fileAttributes: reader.u32() }
  reader.skip(4)
  const standard = {
    allocationSize: reader.size64(),
    endOfFile: reader.size64(),
    numberOfLinks: reader.u32(),
    deletePending: reader.u8() !== 0,
    directory: reader.u8() !== 0,
  }
  reader.skip(2)
  return {
    ...basic,
    ...standard,
    indexNumber: reader.u64(),
    eaSize: reader.u32(),
    accessFlags: reader.u32(),
    currentByteOffset: reader.size64(),
    mode: reader.u32(),
    alignmentRequirement: reader.u32(),
    fileName: reader.utf16(reader.u32()).slice(1),
    alternateName: 'a',
    reparseTag: 0,
    compressionFormat: 0,
    volumeSerialNumber: 0x1122_3344_5566_7788n,
  }
}

t.test('file information of smbd', async (t) => {
  const info = readAll(golden('file', 18))
  t.equal(info.fileName, 'folder\\a')
  t.equal(info.endOfFile, 5000)
  for (const number of [4, 5, 6, 7, 8, 9, 14, 16, 17, 18, 21, 28, 34, 35]) {
    const bytes = query.encodeFileInformation(number, info)
    t.equal(bytes?.toString('hex'), golden('file', number).toString('hex'), `class ${number}`)
  }
  const streams = query.encodeStreamInformation([
    { streamName: ':str:$DATA', streamSize: 5, streamAllocationSize: 5 },
    { streamName: '::$DATA', streamSize: 5000, streamAllocationSize: 12288 },
  ])
  t.equal(streams.toString('hex'), golden('file', 22).toString('hex'))
  t.equal(query.encodeStreamInformation([]).length, 0)
  t.equal(query.encodeFileInformation(FileInformationClass.Names, info), undefined)
  t.equal(query.encodeFileInformation(200, info), undefined)
})

t.test('file information by the specification', async (t) => {
  const info: FileInformation = {
    creationTime: 1n,
    lastAccessTime: 2n,
    lastWriteTime: 3n,
    changeTime: 0xffff_ffff_ffff_fffen,
    fileAttributes: FileAttribute.REPARSE_POINT,
    allocationSize: 0x1_0000_1000,
    endOfFile: 0x1_0000_0001,
    numberOfLinks: 2,
    deletePending: true,
    directory: false,
    indexNumber: 0xffff_ffff_ffff_ffffn,
    eaSize: 0,
    accessFlags: 0x8000_0001,
    currentByteOffset: 7,
    mode: 2,
    alignmentRequirement: 0,
    fileName: 'd\\é',
    alternateName: 'E~1',
    reparseTag: ReparseTag.SYMLINK,
    compressionFormat: 2,
    volumeSerialNumber: 0x0102_0304_0506_0708n,
  }
  const hex = (number: number) => query.encodeFileInformation(number, info)?.toString('hex')
  t.equal(hex(5), '0010000001000000' + '0100000001000000' + '02000000' + '01' + '00' + '0000')
  t.equal(hex(8), '01000080')
  t.equal(hex(9), '080000005c0064005c00e900')
  t.equal(hex(21), '0600000045007e003100')
  t.equal(hex(28), '0100000001000000' + '0200' + '000000000000')
  t.equal(hex(35), '00040000' + '0c0000a0')
  t.equal(hex(48), '0600000064005c00e900', 'a normalized name has no leading backslash')
  t.equal(hex(54), '02000000' + '02000000' + '01' + '00' + '0000')
  t.equal(hex(59), '0807060504030201' + 'ffffffffffffffff' + '0000000000000000')
  for (const [number, size] of QUERY_FILE_INFORMATION_SIZES) {
    const bytes = query.encodeFileInformation(number, info)
    if (bytes === undefined || size.variable) continue
    t.equal(bytes.length, size.minimumBytes, `class ${number} has its fixed size`)
  }
  t.equal(query.encodePipeInformation({ readMode: 1, completionMode: 0 }).toString('hex'), '0100000000000000')
  const local = { maximumInstances: 0xffff_ffff, currentInstances: 1, readDataAvailable: 5, quota: 4096 }
  t.equal(
    query.encodePipeLocalInformation(local).toString('hex'),
    '01000000' +
      '02000000' +
      'ffffffff' +
      '01000000' +
      '00100000' +
      '05000000' +
      '00100000' +
      '00100000' +
      '03000000' +
      '00000000',
  )
})

const EVERY_DIRECTORY_CLASS = [1, 2, 3, 12, 37, 38, 60, 63]

/** Entries of a list, taken apart by the tables of 2.4.8 to 2.4.33; `padding` is what stands between them. */
function readDirectory(buffer: Buffer, number: number): { entries: DirectoryListEntry[]; offsets: number[] } {
  const entries: DirectoryListEntry[] = []
  const offsets: number[] = []
  for (let at = 0; ; ) {
    const reader = new Reader(buffer, at)
    const next = reader.u32()
    offsets.push(next)
    entries.push(readEntry(reader, number))
    if (next === 0) return { entries, offsets }
    at += next
  }
}

function readEntry(reader: Reader, number: number): DirectoryListEntry {
  const fileIndex = reader.u32()
  const none = { creationTime: 0n, lastAccessTime: 0n, lastWriteTime: 0n, changeTime: 0n }
  const names = number === FileInformationClass.Names
  const common = names ? none : times(reader)
  const [endOfFile, allocationSize, fileAttributes] = names
    ? [0, 0, 0]
    : [reader.size64(), reader.size64(), reader.u32()]
  const nameBytes = reader.u32()
  const eaSize = names || number === 1 ? 0 : reader.u32()
  const reparseTag = number >= 60 ? reader.u32() : 0
  const both = number === 3 || number === 37 || number === 63
  let fileId = number >= 60 ? reader.u64() : 0n
  if (number >= 60) reader.skip(8)
  const shortNameRaw = both ? reader.bytes(26) : Buffer.alloc(26)
  if (number === 37) reader.skip(2)
  if (number === 38) reader.skip(4)
  if (number === 37 || number === 38) fileId = reader.u64()
  return {
    ...common,
    fileIndex,
    endOfFile,
    allocationSize,
    fileAttributes,
    eaSize,
    reparseTag,
    shortName: shortNameRaw.toString('utf16le', 2, 2 + (shortNameRaw[0] ?? 0)),
    fileId,
    fileName: reader.utf16(nameBytes),
  }
}

t.test('directory listings of smbd', async (t) => {
  for (const number of [1, 2, 3, 12, 37, 38]) {
    const expected = golden('directory', number)
    const { entries } = readDirectory(expected, number)
    t.equal(entries.length, 7)
    t.ok(entries.some(({ fileName }) => fileName === 'Ünïcødé name.txt'))
    const writer = new DirectoryListWriter(number, 65_536)
    for (const entry of entries) t.ok(writer.add(entry))
    const actual = writer.finish()
    // smbd pads the last entry, too.
    t.equal(actual.toString('hex'), expected.subarray(0, actual.length).toString('hex'), `class ${number}`)
    t.ok(expected.length - actual.length < 8)
    t.ok(expected.subarray(actual.length).every((byte) => byte === 0))
  }
})

t.test('directory listings by the specification', async (t) => {
  const entry: DirectoryListEntry = {
    fileIndex: 9,
    creationTime: 1n,
    lastAccessTime: 2n,
    lastWriteTime: 3n,
    changeTime: 0x0100_0000_0000_0000n,
    endOfFile: 0x2_0000_0003,
    allocationSize: 0x2_0000_1000,
    fileAttributes: FileAttribute.ARCHIVE,
    eaSize: 0x1f01ff,
    shortName: 'ABCDEF~1.TXT',
    reserved2: 0o100644,
    fileId: 0xfedc_ba98_7654_3210n,
    fileName: 'x',
  }
  for (const number of EVERY_DIRECTORY_CLASS) {
    const writer = new DirectoryListWriter(number, 1000)
    t.ok(writer.add(entry))
    t.ok(
      writer.add({
        ...entry,
        fileName: 'yz',
        fileAttributes: FileAttribute.REPARSE_POINT,
        reparseTag: 0xa000_000c,
      }),
    )
    t.equal(writer.count, 2)
    const bytes = writer.finish()
    const { entries, offsets } = readDirectory(bytes, number)
    const fixed = directoryEntryFixedBytes(number) ?? 0
    t.equal(offsets[0], Math.ceil((fixed + 2) / 8) * 8, 'the next entry is aligned')
    t.equal(offsets[1], 0)
    t.equal(bytes.length, (offsets[0] ?? 0) + fixed + 4, 'the last is not padded')
    t.same(
      entries.map(({ fileName }) => fileName),
      ['x', 'yz'],
    )
    if (number === 12) continue
    t.same([entries[0]?.endOfFile, entries[0]?.allocationSize], [0x2_0000_0003, 0x2_0000_1000])
    t.equal(entries[0]?.changeTime, 0x0100_0000_0000_0000n)
    if (number !== 1) t.equal(entries[0]?.eaSize, 0x1f01ff)
    if (number === 3 || number === 37 || number === 63) t.equal(entries[0]?.shortName, 'ABCDEF~1.TXT')
    if (number >= 37) t.equal(entries[0]?.fileId, 0xfedc_ba98_7654_3210n)
    if (number >= 60) t.equal(entries[1]?.reparseTag, 0xa000_000c)
    else if (number !== 1) t.equal(entries[1]?.eaSize, 0xa000_000c, 'the tag stands for EaSize')
  }

  const apple = new DirectoryListWriter(37, 200)
  const shortNameRaw = Buffer.from(Array.from({ length: 26 }, (_, i) => i + 1))
  t.ok(apple.add({ ...entry, shortNameRaw }))
  t.equal(
    apple.finish().toString('hex', 64, 104),
    `ff011f00${shortNameRaw.toString('hex')}a4811032547698badcfe`,
  )

  const limited = new DirectoryListWriter(1, 64 + 2 + 6 + 64 + 3)
  t.ok(limited.add(entry))
  t.notOk(limited.add({ ...entry, fileName: 'yz' }), 'four bytes of name are one too many')
  t.equal(limited.finish().length, 66)
  t.ok(limited.add({ ...entry, fileName: 'y' }), 'a shorter one still fits')
  t.notOk(new DirectoryListWriter(1, 0).add(entry))
  t.equal(new DirectoryListWriter(1, 100).finish().length, 0)
  t.throws(() => new DirectoryListWriter(4, 100), RangeError)
  t.equal(directoryEntryFixedBytes(4), undefined)

  const large = new DirectoryListWriter(37, 1_048_576)
  let count = 0
  while (large.add({ ...entry, fileName: `a name with number ${count}` })) count++
  t.equal(large.count, count)
  t.ok(count > 6000)
  const names = readDirectory(large.finish(), 37).entries.map(({ fileName }) => fileName)
  t.same(
    [names.length, names[0], names.at(-1)],
    [count, 'a name with number 0', `a name with number ${count - 1}`],
  )
})

t.test('file system information of smbd', async (t) => {
  const volume = new Reader(golden('filesystem', 1))
  const full = new Reader(golden('filesystem', 7))
  const attribute = new Reader(golden('filesystem', 5))
  const info: FileSystemInformation = {
    volumeCreationTime: volume.u64(),
    volumeSerialNumber: volume.u32(),
    volumeLabel: 'share',
    totalAllocationUnits: full.size64(),
    callerAvailableAllocationUnits: full.size64(),
    actualAvailableAllocationUnits: full.size64(),
    sectorsPerAllocationUnit: full.u32(),
    bytesPerSector: full.u32(),
    physicalBytesPerSector: 512,
    characteristics: 0x20,
    fileSystemAttributes: attribute.u32(),
    maximumComponentNameLength: attribute.u32(),
    fileSystemName: 'NTFS',
    objectId: golden('filesystem', 8).subarray(0, 16),
  }
  for (const number of [3, 4, 5, 7, 11]) {
    const bytes = encodeFileSystemInformation(number, info)
    t.equal(bytes?.toString('hex'), golden('filesystem', number).toString('hex'), `class ${number}`)
  }
  // smbd leaves SupportsObjects 0 although it announces object ids.
  const label = Buffer.from(golden('filesystem', 1))
  label[16] = 1
  t.equal(encodeFileSystemInformation(1, info)?.toString('hex'), label.toString('hex'))
  t.equal(
    encodeFileSystemInformation(8, info)?.toString('hex'),
    info.objectId.toString('hex') + '00'.repeat(48),
  )
  t.equal(
    encodeFileSystemInformation(6, info)?.toString('hex'),
    `${'00'.repeat(24)}${'ff'.repeat(16)}${'00'.repeat(8)}`,
  )
  for (const [number, size] of FILE_SYSTEM_INFORMATION_SIZES) {
    const length = encodeFileSystemInformation(number, info)?.length ?? 0
    t.ok(size.variable ? length >= size.minimumBytes - 2 : length === size.minimumBytes, `class ${number}`)
  }
  t.equal(encodeFileSystemInformation(99, info), undefined)
})
