/** MS-FSCC 2.1.5.3 and MS-FSA 2.1.5.1: named streams. */

import type { Test } from 'tap'
import { type Fixture, type Lab, textOf } from './lab.ts'

/** Larger limits are not worth the time to reach. */
const TESTABLE_LIMIT_BYTES = 4 * 1024 * 1024

export async function streamContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('streams: create, read, write, list', (t) => fixture(t, basics))
  await t.test('streams: rename and remove', (t) => fixture(t, renameAndRemove))
  await t.test('streams: of directories, of files made on the way, and limits', (t) => fixture(t, special))
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
  const info = await lab.handle('d', { stream: 'AFP_AfpInfo', disposition: 'create', write: true })
  await info.write(Buffer.from('finder'), 0)
  t.equal(await lab.text('d', { stream: 'AFP_AfpInfo' }), 'finder')
  t.same(
    (await directory.streams()).map((stream) => stream.name),
    ['AFP_AfpInfo'],
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
