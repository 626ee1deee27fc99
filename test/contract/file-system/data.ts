/** MS-FSA 2.1.5.3, 2.1.5.4, 2.1.5.10 and 2.1.5.14: reading, writing, sizes, holes and copies. */

import type { Test } from 'tap'
import type { ByteRange } from '../../../storage/file-system.ts'
import { type Fixture, type Lab, textOf } from './lab.ts'

const MIB = 1024 * 1024

export async function dataContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('data: read and write', (t) => fixture(t, readAndWrite))
  await t.test('data: sizes', (t) => fixture(t, sizes))
  await t.test('data: access of the handle', (t) => fixture(t, handleAccess))
  await t.test('data: overwrite', (t) => fixture(t, overwrite))
  await t.test('data: holes', (t) => fixture(t, holes))
  await t.test('data: copies', (t) => fixture(t, copies))
  await t.test('data: space', (t) => fixture(t, space))
}

async function readAndWrite(lab: Lab): Promise<void> {
  const { t } = lab
  const file = await lab.file('file', 'hello world')
  const buffer = Buffer.alloc(5, 'x')
  t.equal(await file.read(buffer, 6), 5)
  t.equal(buffer.toString(), 'world')
  t.equal(await file.read(buffer, 9), 2, 'short at the end')
  t.equal(buffer.toString(), 'ldrld', 'what was not read stays')
  t.equal(await file.read(buffer, 11), 0)
  t.equal(await file.read(buffer, 2 ** 40), 0)
  t.equal(await file.read(Buffer.alloc(0), 0), 0)
  await file.write(Buffer.from('there'), 6)
  t.equal(await textOf(file), 'hello there')
  await file.write(Buffer.from('!'), 20)
  t.equal(await textOf(file), `hello there${'\0'.repeat(9)}!`, 'the gap reads as zeros')
  await file.write(Buffer.alloc(0), 100)
  t.equal((await file.stat()).size, 21, 'writing nothing extends nothing')
  await file.flush()
  await (await lab.handle('')).flush()
  const large = Buffer.alloc(3 * MIB + 17, 'abcdefghijklmnopq')
  const other = await lab.file('large')
  await other.write(large, 5)
  const back = Buffer.alloc(large.length)
  t.equal(await other.read(back, 5), large.length, 'a large read is whole')
  t.ok(back.equals(large))
  const readers = Array.from({ length: 8 }, async (_, i) => {
    const part = Buffer.alloc(1000)
    await other.read(part, 5 + i * 1000)
    return part
  })
  t.ok(Buffer.concat(await Promise.all(readers)).equals(large.subarray(0, 8000)), 'reads may run together')
}

async function sizes(lab: Lab): Promise<void> {
  const { t } = lab
  const file = await lab.file('file', 'hello world')
  await file.setSize(5)
  t.equal(await textOf(file), 'hello')
  await file.setSize(8)
  t.equal(await textOf(file), 'hello\0\0\0', 'what was cut does not come back')
  await file.setAllocation(MIB)
  let stat = await file.stat()
  t.equal(stat.size, 8, 'reserving keeps the end of file')
  t.ok(stat.allocated >= 8)
  await file.setAllocation(3)
  t.equal(await textOf(file), 'hel', 'below the end of file it cuts')
  await file.setSize(10 * MIB)
  stat = await file.stat()
  t.equal(stat.size, 10 * MIB)
  t.ok(stat.allocated >= 10 * MIB, 'a file not flagged sparse counts as wholly allocated')
  const past = await lab.file('past')
  await past.setSize(2 ** 33)
  await past.write(Buffer.from('end'), 2 ** 33)
  t.equal((await past.stat()).size, 2 ** 33 + 3, 'sizes beyond 32 bits')
}

async function handleAccess(lab: Lab): Promise<void> {
  await lab.file('file', 'text')
  await lab.directory('directory')
  const byte = Buffer.alloc(1)
  const reader = await lab.handle('file')
  await lab.fails(reader.write(byte, 0), 'access-denied', 'write on a handle for reading')
  await lab.fails(reader.setSize(0), 'access-denied', 'setSize on a handle for reading')
  const writer = await lab.handle('file', { read: false, write: true })
  await lab.fails(writer.read(byte, 0), 'access-denied', 'read on a handle for writing')
  await writer.write(Buffer.from('T'), 0)
  const neither = await lab.handle('file', { read: false })
  await lab.fails(neither.read(byte, 0), 'access-denied', 'read on a handle for attributes')
  lab.t.equal((await neither.stat()).size, 4)
  const directory = await lab.handle('directory')
  await lab.fails(directory.read(byte, 0), 'is-directory', 'read on a directory')
  lab.t.equal(await lab.text('file'), 'Text')
}

async function overwrite(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file', 'text')
  const before = await file.stat()
  if (fs.features.extendedAttributes) {
    const stream = await lab.handle('file', { stream: 'side', disposition: 'create', write: true })
    await stream.write(Buffer.from('stream'), 0)
  }
  const stat = await file.overwrite(0x20)
  t.equal(stat.size, 0)
  t.equal(stat.fileId, before.fileId, 'it stays the same file')
  t.equal(await textOf(file), '')
  if (!fs.features.extendedAttributes) return
  t.equal(stat.dosAttributes, 0x20, 'attributes are the new ones')
  await lab.refuses('file', { stream: 'side' }, 'not-found', 'named streams are gone')
  const again = await lab.handle('file', { stream: 'side', disposition: 'create', write: true })
  await file.write(Buffer.from('base'), 0)
  await again.write(Buffer.from('second'), 0)
  await again.overwrite(0)
  t.equal(await textOf(again), '', 'overwriting a stream empties the stream')
  t.equal(await textOf(file), 'base', 'and nothing else')
}

async function holes(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file')
  await file.write(Buffer.alloc(4 * MIB, 'x'), 0)
  await file.zeroRange({ offset: MIB + 1, length: 2 * MIB })
  const content = Buffer.alloc(4 * MIB)
  t.equal(await file.read(content, 0), 4 * MIB, 'the end of file stays')
  const expected = Buffer.alloc(4 * MIB, 'x').fill(0, MIB + 1, 3 * MIB + 1)
  t.ok(content.equals(expected), 'the range reads as zeros, the rest as before')
  await file.zeroRange({ offset: 4 * MIB - 1, length: MIB })
  t.equal((await file.stat()).size, 4 * MIB, 'zeroing past the end does not extend')
  if (!fs.features.sparse) return
  await file.flush()
  const ranges = await file.allocatedRanges({ offset: 0, length: 8 * MIB }, 100)
  t.ok(covers(ranges, 0) && covers(ranges, 3 * MIB + 2), 'data is reported')
  t.notOk(covers(ranges, 2 * MIB), 'a hole is not')
  t.ok(
    ranges.every((range, at) => at === 0 || range.offset > endOf(ranges[at - 1] as ByteRange)),
    'in order',
  )
  t.ok(endOf(ranges.at(-1) as ByteRange) <= 4 * MIB, 'nothing past the end of file')
  t.same(await file.allocatedRanges({ offset: 2 * MIB, length: 4096 }, 100), [], 'a range in a hole has none')
  t.same(await file.allocatedRanges({ offset: 9 * MIB, length: MIB }, 100), [], 'nor one past the end')
  t.same(
    await file.allocatedRanges({ offset: 10, length: 100 }, 100),
    [{ offset: 10, length: 100 }],
    'cut to the range',
  )
  t.equal((await file.allocatedRanges({ offset: 0, length: 4 * MIB }, 1)).length, 1, 'at most the limit')
}

function covers(ranges: readonly ByteRange[], offset: number): boolean {
  return ranges.some((range) => range.offset <= offset && offset < endOf(range))
}

function endOf({ offset, length }: ByteRange): number {
  return offset + length
}

async function copies(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const source = await lab.file('source')
  const bytes = Buffer.alloc(256 * 1024, 'copy me ')
  await source.write(bytes, 0)
  const target = await lab.file('target', 'begin')
  t.equal(await target.copyFrom(source, { offset: 0, length: bytes.length }, 5), bytes.length)
  t.equal(await textOf(target), `begin${bytes.toString()}`)
  t.equal(await target.copyFrom(source, { offset: bytes.length - 3, length: 100 }, 0), 3, 'fewer at the end')
  t.equal(await target.copyFrom(source, { offset: bytes.length, length: 100 }, 0), 0)
  t.equal((await target.stat()).size, 5 + bytes.length)
  t.equal(await source.copyFrom(source, { offset: 0, length: 10 }, 100), 10, 'within one file')
  const clone = await lab.file('clone')
  const shared = clone.cloneFrom(source, { offset: 0, length: 128 * 1024 }, 0)
  if (!fs.features.clone) {
    await lab.fails(shared, 'not-supported', 'clone')
    return
  }
  await shared
  t.equal(await textOf(clone), (await textOf(source)).slice(0, 128 * 1024))
  await source.write(Buffer.from('changed'), 0)
  t.equal((await textOf(clone)).slice(0, 7), 'copy me', 'a clone is a file of its own')
}

async function space(lab: Lab): Promise<void> {
  const { t } = lab
  const { blockSize, total, free, available } = await lab.fs.space()
  t.ok(Number.isSafeInteger(blockSize) && blockSize >= 512, `block size ${blockSize}`)
  t.ok(Number.isSafeInteger(total) && total > 0, `total ${total}`)
  t.ok(free <= total && available <= free && available >= 0, `free ${free}, available ${available}`)
}
