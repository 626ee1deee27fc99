/** MS-FSA 2.1.5.6.3: listing directories with patterns, in pages, while they change. */

import type { Test } from 'tap'
import type { FileStat } from '../../../storage/file-system.ts'
import type { Fixture, Lab } from './lab.ts'

const MANY = 1000

export async function listContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('list: entries and patterns', (t) => fixture(t, patterns))
  await t.test('list: pages, while the directory changes', (t) => fixture(t, pages))
}

async function patterns(lab: Lab): Promise<void> {
  const { t } = lab
  const directory = await lab.directory('d')
  t.same(await lab.names('d'), ['.', '..'], 'an empty directory')
  const file = await lab.file('d/One.txt', 'text')
  await lab.directory('d/sub')
  for (const name of ['two.txt', 'three', 'four.a.b']) await lab.file(`d/${name}`)
  const entries = await lab.list('d')
  const names = entries.map((entry) => entry.name)
  t.same(names.slice(0, 2), ['.', '..'], 'these come first')
  t.same(names.slice(2).sort(), ['One.txt', 'four.a.b', 'sub', 'three', 'two.txt'])
  const [self, parent] = entries
  t.equal(self?.stat.fileId, (await directory.stat()).fileId)
  t.equal(parent?.stat.fileId, (await lab.open('')).stat.fileId)
  const listed = entries.find((entry) => entry.name === 'One.txt')?.stat
  t.same(atRest(listed), atRest(await file.stat()), 'stat as from a handle')
  t.equal(entries.find((entry) => entry.name === 'sub')?.stat.type, 'directory')
  const sorted = async (pattern: string) => (await lab.names('d', { pattern })).sort()
  t.same(await sorted('*.TXT'), ['One.txt', 'two.txt'])
  t.same(await sorted('t*'), ['three', 'two.txt'])
  t.same(await sorted('<.b'), ['four.a.b'])
  t.same(await sorted('?ne">>>'), ['One.txt'])
  t.same(await sorted('one.txt'), ['One.txt'])
  t.same(await sorted('none*'), [])
  await lab.fails(
    file.list({ pattern: '*', hideUnreadable: false }),
    'not-directory',
    'a file has no entries',
  )
  const root = await lab.list('')
  t.same(
    root.map((entry) => entry.name),
    ['.', '..', 'd'],
  )
  t.equal(root[0]?.stat.fileId, root[1]?.stat.fileId, 'above the root is the root')
}

/** All but the room it takes: ZFS counts a file's blocks when it writes the transaction group, up to seconds after the file was written. */
function atRest(stat: FileStat | undefined): Omit<FileStat, 'allocated'> {
  if (stat === undefined) throw new Error('the file is not in the listing')
  const { allocated: _, ...rest } = stat
  return rest
}

async function pages(lab: Lab): Promise<void> {
  const { t } = lab
  const directory = await lab.directory('d')
  const names = Array.from({ length: MANY }, (_, i) => `file ${i}`)
  for (const name of names) await (await lab.file(`d/${name}`)).close()
  const cursor = await directory.list({ pattern: 'file*', hideUnreadable: false })
  const first = await cursor.next(10)
  t.equal(first.length, 10, 'as many as were asked for')
  const seen = new Set(first.map((entry) => entry.name))
  const gone = names.filter((name) => !seen.has(name)).slice(0, 300)
  for (const name of gone) await (await lab.handle(`d/${name}`)).remove()
  await lab.file('d/file that is new')
  for (;;) {
    const page = await cursor.next(64)
    if (page.length === 0) break
    t.ok(page.length <= 64)
    for (const { name } of page) {
      if (seen.has(name)) t.fail(`${name} came twice`)
      seen.add(name)
    }
  }
  t.equal(seen.size, MANY - gone.length, 'what was removed meanwhile is left out')
  t.notOk(seen.has('file that is new'), 'what came later is not in it')
  t.same(await cursor.next(10), [], 'the end is the end')
  await cursor.close()
  t.equal((await lab.names('d', { pattern: 'file*' })).length, MANY - gone.length + 1)
}
