/** MS-FSCC 2.1.5.3 and MS-FSA 2.1.5.1: named streams. */

import type { Test } from 'tap'
import { encodeAfpInfo } from '../../../storage/metadata/afp-info.ts'
import { type Fixture, type Lab, textOf } from './lab.ts'

/** Larger limits are not worth the time to reach. */
const TESTABLE_LIMIT_BYTES = 4 * 1024 * 1024

export async function streamContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('streams: create, read, write, list', (t) => fixture(t, basics))
  await t.test('streams: rename and remove', (t) => fixture(t, renameAndRemove))
  await t.test('streams: of directories, of files made on the way, and limits', (t) => fixture(t, special))
  await t.test('streams: of Macs', (t) => fixture(t, finderInformation))
  await t.test('streams: resource forks, and empty ones', (t) => fixture(t, resourceForks))
}

/** Finder information that begins with a type and creator. */
function afpInfo(typeAndCreator: string): Buffer {
  const finderInfo = Buffer.alloc(32)
  finderInfo.write(typeAndCreator, 'latin1')
  return encodeAfpInfo(finderInfo)
}

async function streamNames(lab: Lab, path: string): Promise<string[]> {
  return (await (await lab.handle(path)).streams()).map(({ name }) => name).sort()
}

async function finderInformation(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.extendedAttributes) return
  await lab.file('file', 'base')
  const stream = 'AFP_AfpInfo'
  const made = await lab.open('file', { stream: 'afp_afpinfo', disposition: 'open-if', write: true })
  t.same([made.created, made.stream, made.stat.size], [true, stream, 60])
  t.same(await bytesOf(made.handle, 100), afpInfo(''), 'what nobody wrote is empty')
  await lab.refuses('file', { stream }, 'not-found', 'what nobody wrote is not there')
  t.same(await streamNames(lab, 'file'), [''])
  await lab.fails(made.handle.write(Buffer.alloc(60), 0), 'invalid', 'no signature')
  await made.handle.write(Buffer.concat([afpInfo('TEXTttxt'), Buffer.alloc(100)]), 5)
  t.same(await bytesOf(made.handle, 100), afpInfo('TEXTttxt'))
  t.equal((await made.handle.read(Buffer.alloc(10), 61)) + (await made.handle.read(Buffer.alloc(10), 60)), 10)
  t.same(await streamNames(lab, 'file'), ['', stream])
  t.equal((await lab.open('file', { stream })).stat.size, 60)
  await lab.refuses('file', { stream, disposition: 'create' }, 'exists')
  await made.handle.setSize(1)
  t.same(await bytesOf(made.handle, 60), afpInfo('TEXTttxt'), 'a new end of file changes nothing')
  await lab.fails(made.handle.setSize(61), 'allotment-exceeded', 'too long')
  await lab.fails(made.handle.rename({ to: 'x', replace: false }), 'not-supported', 'it has one name')
  const [entry] = await lab.list('', { pattern: 'file', details: true })
  t.equal(Buffer.from(entry?.mac?.finderInfo ?? []).toString('latin1', 0, 8), 'TEXTttxt')
  await made.handle.write(afpInfo(''), 0)
  t.same(await streamNames(lab, 'file'), [''], 'all zeros removes it')
  await lab.refuses('file', { stream }, 'not-found')
  await made.handle.change({ writeTime: 1_000_000_000n })
  await made.handle.write(afpInfo('AGAIN'), 0)
  t.same(await streamNames(lab, 'file'), ['', stream])
  await made.handle.remove()
  t.same(await streamNames(lab, 'file'), [''])
  await lab.directory('d')
  const folder = await lab.handle('d', { stream, disposition: 'create', write: true })
  await folder.write(afpInfo('folder'), 0)
  t.same(await streamNames(lab, 'd'), [stream])
}

async function bytesOf(handle: { read(target: Buffer, position: number): Promise<number> }, length: number) {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, await handle.read(bytes, 0))
}

async function resourceForks(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.extendedAttributes) return
  await lab.file('file', 'base')
  const stream = 'AFP_Resource'
  const fork = await lab.open('file', { stream, disposition: 'open-if', write: true })
  t.same([fork.created, fork.stat.size], [true, 0])
  await lab.refuses('file', { stream }, 'not-found', 'an empty fork is none')
  t.same(await streamNames(lab, 'file'), [''])
  await fork.handle.write(Buffer.from('1234567890'), 10)
  t.equal((await fork.handle.stat()).size, 20)
  t.equal(await lab.text('file', { stream: 'afp_resource' }), `${'\0'.repeat(10)}1234567890`)
  t.same(await streamNames(lab, 'file'), ['', stream])
  const [entry] = await lab.list('', { pattern: 'file', details: true })
  t.same(entry?.mac, { resourceForkBytes: 20 })
  await fork.handle.setSize(3)
  await fork.handle.setSize(5)
  t.equal(await lab.text('file', { stream }), '\0'.repeat(5))
  await fork.handle.setSize(0)
  await lab.refuses('file', { stream }, 'not-found')
  const again = await lab.handle('file', { stream, disposition: 'open-if', write: true })
  await again.write(Buffer.from('foo'), 0)
  t.equal(await textOf(fork.handle), 'foo', 'the older handle is of the same fork')
  const file = await lab.handle('file')
  await file.rename({ to: 'moved', replace: false })
  t.equal(await lab.text('moved', { stream }), 'foo')
  t.equal(await textOf(fork.handle), 'foo')
  t.same((await lab.names('')).sort(), ['.', '..', 'moved'])
  await fork.handle.overwrite(0)
  await lab.refuses('moved', { stream }, 'not-found')
  await again.write(Buffer.from('bar'), 0)
  await (await lab.handle('moved', { write: true })).overwrite(0)
  t.same(await streamNames(lab, 'moved'), [''], 'the file was overwritten')
  await lab.handle('moved', { stream: 'empty', disposition: 'create' })
  t.equal((await lab.open('moved', { stream: 'empty' })).created, false)
  await lab.refuses('moved', { stream: 'empty', ignoreEmptyStreams: true }, 'not-found')
  const reused = { stream: 'empty', ignoreEmptyStreams: true, disposition: 'create' } as const
  t.equal((await lab.open('moved', reused)).created, true)
  await again.write(Buffer.from('bar'), 0)
  await (await lab.handle('moved')).remove()
  t.same((await lab.names('')).sort(), ['.', '..'], 'nothing is left behind')
}

async function basics(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file', 'base')
  if (!fs.features.extendedAttributes) {
    await lab.refuses('file', { stream: 's', disposition: 'open-if' }, 'not-supported')
    return
  }
  t.same(
    (await file.streams()).map(({ name, size }) => ({ name, size })),
    [{ name: '', size: 4 }],
  )
  await lab.refuses('file', { stream: 'Info' }, 'not-found')
  const made = await lab.open('file', { stream: 'Info', disposition: 'create', write: true })
  t.equal(made.created, true)
  t.equal(made.path, 'file')
  t.equal(made.stat.size, 0)
  t.equal(made.stat.fileId, (await file.stat()).fileId, 'a stream belongs to its file')
  await made.handle.write(Buffer.from('stream text'), 0)
  await made.handle.write(Buffer.from('S'), 0)
  await made.handle.write(Buffer.from('!'), 12)
  t.equal(await textOf(made.handle), 'Stream text\0!')
  await made.handle.setSize(6)
  t.equal(await lab.text('file', { stream: 'iNFO' }), 'Stream', 'found in another case')
  await made.handle.setSize(8)
  t.equal(await textOf(made.handle), 'Stream\0\0')
  await made.handle.flush()
  await lab.refuses('file', { stream: 'INFO', disposition: 'create' }, 'exists')
  t.equal((await lab.open('file', { stream: 'info', disposition: 'open-if' })).created, false)
  await lab.handle('file', { stream: 'empty?*', disposition: 'create' })
  const listed = (await file.streams()).map(({ name, size }) => ({ name, size }))
  t.same(listed[0], { name: '', size: 4 }, 'the unnamed stream is first')
  t.same(
    listed.slice(1).sort((a, b) => (a.name < b.name ? -1 : 1)),
    [
      { name: 'Info', size: 8 },
      { name: 'empty?*', size: 0 },
    ],
  )
  t.equal(await lab.text('file'), 'base', 'the file itself is untouched')
  t.equal((await lab.open('file')).stat.size, 4)
  t.same(await file.extendedAttributes(), [], 'streams are not extended attributes')
}

async function renameAndRemove(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.extendedAttributes) return
  const file = await lab.file('file', 'base')
  const one = await lab.handle('file', { stream: 'one', disposition: 'create', write: true })
  await one.write(Buffer.from('1'), 0)
  const alsoOne = await lab.handle('file', { stream: 'ONE', write: true })
  const two = await lab.handle('file', { stream: 'two', disposition: 'create', write: true })
  await two.write(Buffer.from('2'), 0)
  // For a stream, `to` is the new stream name.
  await lab.fails(one.rename({ to: 'TWO', replace: false }), 'exists', 'onto a stream that exists')
  await one.rename({ to: 'three', replace: false })
  t.equal(await lab.text('file', { stream: 'three' }), '1')
  await lab.refuses('file', { stream: 'one' }, 'not-found')
  await one.write(Buffer.from('I'), 0)
  t.equal(await lab.text('file', { stream: 'three' }), 'I', 'the handle follows')
  await alsoOne.write(Buffer.from('i'), 0)
  t.equal(await textOf(one), 'i', 'and so do others')
  await one.write(Buffer.from('I'), 0)
  await one.rename({ to: 'THREE', replace: false })
  t.ok(
    (await file.streams()).some((stream) => stream.name === 'THREE'),
    'case alone may change',
  )
  await one.rename({ to: 'two', replace: true })
  t.same(
    (await file.streams()).map((stream) => stream.name),
    ['', 'two'],
  )
  t.equal(await lab.text('file', { stream: 'two' }), 'I')
  await one.remove()
  t.same(
    (await file.streams()).map((stream) => stream.name),
    [''],
  )
  await lab.refuses('file', { stream: 'two' }, 'not-found')
  t.ok(await lab.exists('file'), 'removing a stream keeps the file')
}

async function special(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.extendedAttributes) return
  const directory = await lab.directory('d')
  const info = await lab.handle('d', { stream: 'view', disposition: 'create', write: true })
  await info.write(Buffer.from('finder'), 0)
  t.equal(await lab.text('d', { stream: 'view' }), 'finder')
  t.same(
    (await directory.streams()).map((stream) => stream.name),
    ['view'],
    'a directory has no unnamed one',
  )
  const both = await lab.open('new', { stream: 's', disposition: 'open-if', write: true })
  t.equal(both.created, true)
  t.equal((await lab.open('new')).stat.type, 'file', 'the file is made on the way')
  await lab.refuses('missing', { stream: 's' }, 'not-found')
  t.equal(await lab.exists('missing'), false)
  await lab.refuses('new', { stream: 'a:b', disposition: 'create' }, 'name-invalid')
  await lab.refuses('new', { stream: 'a/b', disposition: 'create' }, 'name-invalid')
  await both.handle.rename({ to: 'kept', replace: false })
  const file = await lab.handle('new')
  await both.handle.write(Buffer.from('stays'), 0)
  await file.rename({ to: 'd/moved', replace: false })
  t.equal(await lab.text('d/moved', { stream: 'kept' }), 'stays', 'streams move with their file')
  const limit = fs.features.maximumStreamBytes
  if (limit > TESTABLE_LIMIT_BYTES) return
  const stream = await lab.handle('d/moved', { stream: 'kept', write: true })
  await lab.fails(
    stream.write(Buffer.alloc(2), limit - 1),
    ['stream-too-large', 'disk-full'],
    'past the limit',
  )
  t.equal(await textOf(stream), 'stays')
}
