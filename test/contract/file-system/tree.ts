/** MS-FSA 2.1.5.14.11, 2.1.5.14.6 and 2.1.5.4: renaming, linking and removing, with handles open. */

import type { Test } from 'tap'
import { type Fixture, type Lab, textOf } from './lab.ts'

export async function treeContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('tree: rename', (t) => fixture(t, rename))
  await t.test('tree: rename onto something', (t) => fixture(t, renameOnto))
  await t.test('tree: rename that changes case or form', (t) => fixture(t, renameCase))
  await t.test('tree: rename of a directory with open files below', (t) => fixture(t, renameDirectory))
  await t.test('tree: remove', (t) => fixture(t, remove))
  await t.test('tree: hard links', (t) => fixture(t, hardLinks))
}

async function rename(lab: Lab): Promise<void> {
  const { t } = lab
  await lab.directory('d')
  const file = await lab.file('a', 'text')
  const { fileId } = await file.stat()
  t.equal(await file.rename({ to: 'd/b', replace: false }), 'd/b')
  t.equal(await file.path(), 'd/b')
  t.equal((await file.stat()).fileId, fileId, 'it keeps its id')
  t.equal(await lab.exists('a'), false)
  t.equal(await lab.text('d/b'), 'text')
  await file.write(Buffer.from('T'), 0)
  t.equal(await textOf(file), 'Text', 'the handle keeps working')
  await lab.fails(file.rename({ to: 'none/b', replace: false }), 'path-not-found', 'into a missing directory')
  for (const to of ['d/..', 'a:b', '../x']) {
    await lab.fails(file.rename({ to, replace: false }), 'name-invalid', `to ${to}`)
  }
  const second = await lab.handle('d/b', { read: false })
  t.equal(await second.rename({ to: 'c', replace: false }), 'c')
  t.equal(await file.path(), 'c', 'another handle follows')
}

async function renameOnto(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('a', 'a')
  await lab.file('B', 'b')
  await lab.directory('full')
  await lab.file('full/x')
  await lab.fails(file.rename({ to: 'B', replace: false }), 'exists', 'without replace')
  t.equal(await lab.text('B'), 'b')
  await lab.fails(file.rename({ to: 'full', replace: false }), 'exists', 'onto a directory')
  await lab.fails(
    file.rename({ to: 'full', replace: true }),
    ['is-directory', 'exists'],
    'in place of a directory',
  )
  const replaced = await lab.handle('B')
  const to = fs.features.caseSensitive ? 'B' : 'b'
  t.equal(await file.rename({ to, replace: true }), to, 'the new name is as asked for')
  t.equal(await lab.text('B'), 'a')
  t.equal((await lab.names('')).filter((name) => name.toUpperCase() === 'B').length, 1)
  t.equal(await textOf(replaced), 'b', 'the replaced file lives on for its handle')
  const directory = await lab.directory('dir')
  await lab.fails(
    directory.rename({ to: 'full', replace: true }),
    ['not-empty', 'exists'],
    'in place of a full one',
  )
  await lab.fails(directory.rename({ to, replace: true }), ['not-directory', 'exists'], 'in place of a file')
  await lab.directory('dir/sub')
  await lab.fails(directory.rename({ to: 'dir/sub/dir', replace: false }), 'invalid', 'into itself')
}

async function renameCase(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (fs.features.caseSensitive) return
  const file = await lab.file('Name', 'text')
  t.equal(await file.rename({ to: 'NAME', replace: false }), 'NAME')
  t.same((await lab.names('')).slice(2), ['NAME'])
  t.equal(await file.rename({ to: 'NAME', replace: false }), 'NAME', 'to the name it has')
  const accented = await lab.file('caf\u00e9')
  t.equal(await accented.rename({ to: 'cafe\u0301', replace: false }), 'cafe\u0301')
  t.same((await lab.names('')).slice(2).sort(), ['NAME', 'cafe\u0301'])
}

async function renameDirectory(lab: Lab): Promise<void> {
  const { t } = lab
  const bundle = await lab.directory('bundle.tmp')
  await lab.directory('bundle.tmp/bands')
  const band = await lab.file('bundle.tmp/bands/0', 'band')
  const bands = await lab.handle('bundle.tmp/bands')
  await bundle.rename({ to: 'bundle', replace: false })
  t.equal(await band.path(), 'bundle/bands/0')
  t.equal(await bands.path(), 'bundle/bands')
  await band.write(Buffer.from('B'), 0)
  t.equal(await textOf(band), 'Band')
  t.equal(await lab.text('bundle/bands/0'), 'Band')
  t.equal(await lab.exists('bundle.tmp'), false)
  await band.rename({ to: 'bundle/bands/1', replace: false })
  t.ok(await lab.exists('bundle/bands/1'), 'handles below rename where they are now')
  await band.remove()
  t.equal(await lab.exists('bundle/bands/1'), false, 'and remove there')
}

async function remove(lab: Lab): Promise<void> {
  const { t } = lab
  const directory = await lab.directory('d')
  const file = await lab.file('d/file', 'text')
  await lab.fails(directory.remove(), 'not-empty', 'a directory with something in it')
  await file.remove()
  t.equal(await lab.exists('d/file'), false)
  t.equal(await textOf(file), 'text', 'the handle stays usable')
  await file.write(Buffer.from('T'), 0)
  t.equal((await file.stat()).size, 4)
  t.equal((await file.stat()).links, 0)
  const again = await lab.file('d/file', 'new')
  t.equal(await textOf(file), 'Text', 'a new file of the name is another')
  await again.remove()
  await file.close()
  await directory.remove()
  t.equal(await lab.exists('d'), false)
}

async function hardLinks(lab: Lab): Promise<void> {
  const { t } = lab
  const file = await lab.file('a', 'text')
  await lab.file('taken', 'taken')
  const directory = await lab.directory('d')
  await file.link({ to: 'd/b', replace: false })
  const other = await lab.open('d/b')
  t.equal(other.stat.fileId, (await file.stat()).fileId)
  t.equal(other.stat.links, 2)
  t.equal(await textOf(other.handle), 'text')
  await lab.fails(file.link({ to: 'taken', replace: false }), 'exists', 'onto a name that is taken')
  await file.link({ to: 'taken', replace: true })
  t.equal(await lab.text('taken'), 'text', 'with replace')
  await lab.fails(directory.link({ to: 'x', replace: false }), 'is-directory', 'of a directory')
  await file.remove()
  t.equal(await lab.text('d/b'), 'text', 'the other name stays')
  t.equal(await lab.exists('a'), false)
}
