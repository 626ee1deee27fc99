/** MS-FSA 2.1.5.1 with reparse points: symbolic links that are followed inside the share, shown as such, and never out of it. */

import type { Test } from 'tap'
import { type Fixture, type Lab, textOf } from './lab.ts'

export async function linkContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('symbolic links', (t) => fixture(t, symbolicLinks))
}

async function makeLink(lab: Lab, path: string, target: string): Promise<void> {
  const handle = await lab.file(path)
  await handle.makeLink(target)
  lab.t.equal(await handle.readLink(), target, `${path} points to ${target}`)
  await handle.close()
}

async function symbolicLinks(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.symbolicLinks) {
    await lab.fails((await lab.file('x')).makeLink('y'), 'not-supported', 'makeLink')
    return
  }
  await lab.directory('d')
  await lab.file('d/file', 'text')
  await makeLink(lab, 'link', 'd/file')
  await makeLink(lab, 'd/up', '../d/file')
  await makeLink(lab, 'dir', 'd')
  await makeLink(lab, 'dangling', 'nowhere')
  t.equal(await lab.text('link'), 'text', 'followed')
  t.equal(await lab.text('d/up'), 'text', 'also upwards within the share')
  t.equal(await lab.text('dir/file'), 'text', 'also on the way')
  const link = await lab.open('link', { followLinks: false, read: false })
  t.equal(link.stat.type, 'symlink')
  t.equal(await link.handle.readLink(), 'd/file')
  await lab.refuses('dangling', {}, 'not-found')
  t.ok(await lab.exists('dangling'), 'a dangling one can be opened itself')
  const escapes = ['..', '../x', '/etc/passwd', 'd/../../x']
  for (const [at, target] of escapes.entries()) {
    await makeLink(lab, `out${at}`, target)
    await lab.refuses(`out${at}`, {}, ['outside', 'symlink'], `a link to ${target}`)
    await lab.refuses(`out${at}/passwd`, {}, ['outside', 'symlink'], `below a link to ${target}`)
  }
  await makeLink(lab, 'loop', 'loop')
  await lab.refuses('loop', {}, ['symlink', 'too-many-links'])
  const shown = (await lab.list('')).find(({ name }) => name === 'link')
  if (shown?.stat.type === 'symlink') t.equal(shown.linkTarget, 'd/file')
  await link.handle.remove()
  t.equal(await lab.text('d/file'), 'text', 'removing a link keeps its target')
  t.equal(await lab.exists('link'), false)
  await lab.directory('empty')
  const empty = await lab.handle('empty', { kind: 'directory' })
  await empty.makeLink('d')
  t.equal(await empty.readLink(), 'd', 'an empty directory becomes a link')
  t.equal(await lab.text('empty/file'), 'text')
  const full = await lab.handle('d', { kind: 'directory' })
  await lab.fails(
    full.makeLink('x'),
    ['not-empty', 'is-directory'],
    'a full directory does not become a link',
  )
  const file = await lab.handle('d/file', { write: true })
  await lab.fails(file.makeLink('x'), ['invalid', 'not-empty'], 'nor does a file with data')
  t.equal(await textOf(file), 'text')
  await lab.fails(file.readLink(), 'invalid', 'what is no link has no target')
}
