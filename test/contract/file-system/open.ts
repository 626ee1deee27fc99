/** MS-FSA 2.1.5.1: what an open finds, makes and refuses. */

import type { Test } from 'tap'
import type { StorageErrorCode } from '../../../storage/errors.ts'
import type { Disposition, OpenRequest } from '../../../storage/file-system.ts'
import { type Fixture, type Lab, textOf } from './lab.ts'

type Outcome = StorageErrorCode | 'opened' | 'created'

/** [kind asked for, on a file, on a directory, on a missing name, below a missing directory, below a file] */
const OUTCOMES: Record<Disposition, [OpenRequest['kind'], Outcome, Outcome, Outcome, Outcome, Outcome][]> = {
  open: [
    ['any', 'opened', 'opened', 'not-found', 'path-not-found', 'path-not-found'],
    ['file', 'opened', 'is-directory', 'not-found', 'path-not-found', 'path-not-found'],
    ['directory', 'not-directory', 'opened', 'not-found', 'path-not-found', 'path-not-found'],
  ],
  create: [
    ['any', 'exists', 'exists', 'created', 'path-not-found', 'path-not-found'],
    ['file', 'exists', 'exists', 'created', 'path-not-found', 'path-not-found'],
    ['directory', 'exists', 'exists', 'created', 'path-not-found', 'path-not-found'],
  ],
  'open-if': [
    ['any', 'opened', 'opened', 'created', 'path-not-found', 'path-not-found'],
    ['file', 'opened', 'is-directory', 'created', 'path-not-found', 'path-not-found'],
    ['directory', 'not-directory', 'opened', 'created', 'path-not-found', 'path-not-found'],
  ],
}
const PLACES = ['file', 'directory', 'missing', 'none/missing', 'file/missing'] as const

export async function openContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('open: every disposition and kind', (t) => fixture(t, everyOutcome))
  await t.test('open: names keep their case and are found in any', (t) => fixture(t, caseOfNames))
  await t.test('open: Unicode forms', (t) => fixture(t, unicodeForms))
  await t.test('open: names that cannot be', (t) => fixture(t, invalidNames))
  await t.test('open: private-range names', (t) => fixture(t, privateNames))
  await t.test('open: 8.3 names', (t) => fixture(t, shortNames))
  await t.test('open: what a new file begins with', (t) => fixture(t, newFiles))
}

async function everyOutcome(lab: Lab): Promise<void> {
  const { t } = lab
  await lab.file('file', 'text')
  await lab.directory('directory')
  for (const [disposition, rows] of Object.entries(OUTCOMES) as [Disposition, (typeof OUTCOMES)['open']][]) {
    for (const [kind, ...outcomes] of rows) {
      for (const [at, path] of PLACES.entries()) {
        const expected = outcomes[at] as Outcome
        const request = { disposition, kind }
        const message = `${disposition} ${kind} on ${path}`
        if (expected !== 'opened' && expected !== 'created') {
          await lab.refuses(path, request, expected, message)
          continue
        }
        const { created, handle, stat } = await lab.open(path, request)
        t.equal(created, expected === 'created', message)
        if (expected !== 'created') continue
        t.equal(stat.type, kind === 'directory' ? 'directory' : 'file', `${message}: type`)
        await handle.remove()
        await handle.close()
      }
    }
  }
  const root = await lab.open('', { kind: 'directory' })
  t.equal(root.path, '')
  t.equal(root.stat.type, 'directory')
  await lab.refuses('', { kind: 'file' }, 'is-directory')
  await lab.refuses('', { disposition: 'create', kind: 'directory' }, 'exists')
  t.equal(await lab.text('file'), 'text', 'an open changes nothing')
}

async function caseOfNames(lab: Lab): Promise<void> {
  const { t, fs } = lab
  await lab.directory('Folder')
  await lab.file('Folder/ReadMe.TXT', 'text')
  t.same((await lab.names('Folder')).slice(2), ['ReadMe.TXT'])
  if (fs.features.caseSensitive) {
    await lab.refuses('folder/readme.txt', {}, 'path-not-found')
    await lab.refuses('Folder/readme.txt', {}, 'not-found')
    return
  }
  const found = await lab.open('fOLDER/readme.txt')
  t.equal(found.path, 'Folder/ReadMe.TXT', 'the path is as stored')
  t.equal(await textOf(found.handle), 'text')
  await lab.refuses('folder/README.txt', { disposition: 'create' }, 'exists')
  await lab.file('Folder/ÄÖ')
  t.equal((await lab.open('Folder/äö')).path, 'Folder/ÄÖ')
}

async function unicodeForms(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const composed = 'caf\u00e9'
  const decomposed = 'cafe\u0301'
  await lab.file(decomposed, 'decomposed')
  if (fs.features.caseSensitive) return
  t.equal((await lab.open(composed)).path, decomposed, 'found by the other form')
  t.equal((await lab.open(composed.toUpperCase())).path, decomposed, 'and in the other case')
  t.equal((await lab.open(composed, { disposition: 'open-if' })).created, false)
  const made = await lab.open(composed, { disposition: 'create', write: true })
  t.equal(made.path, composed, 'create makes a distinct one')
  await made.handle.write(Buffer.from('composed'), 0)
  t.equal(await lab.text(composed), 'composed', 'the exact form is preferred')
  t.equal(await lab.text(decomposed), 'decomposed')
}

async function invalidNames(lab: Lab): Promise<void> {
  await lab.directory('d')
  const asked = [{ disposition: 'open' }, { disposition: 'open-if' }] as const
  const names = [
    '..',
    'd/..',
    'd/../d',
    '.',
    'd/.',
    'd//x',
    '/d',
    'd/',
    'a:b',
    'a*',
    'a\\b',
    'a\0b',
    'a\x01',
    '\ud800',
  ]
  for (const request of asked) {
    for (const name of names) await lab.refuses(name, request, 'name-invalid')
    await lab.refuses('\uf029\uf029/x', request, 'name-invalid')
    await lab.refuses('x'.repeat(256), request, 'name-too-long')
  }
  await lab.file('x'.repeat(255))
  lab.t.ok(await lab.exists('x'.repeat(255)))
}

async function privateNames(lab: Lab): Promise<void> {
  const { t } = lab
  const name = 'a\uf022b\uf021 what\uf025'
  await lab.file(name, 'text')
  t.equal(await lab.text(name), 'text')
  t.ok((await lab.names('')).includes(name), 'listed as the client wrote it')
  await lab.directory('ends with a period\uf029')
  t.ok(await lab.exists('ends with a period\uf029'))
  await lab.file('ends with a space\uf028')
  t.ok((await lab.names('')).includes('ends with a space\uf028'))
}

async function shortNames(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const name = 'A name that is long.document'
  const long = await lab.file(name, 'text')
  const short = await long.shortName()
  t.match(short, /^[A-Z0-9~_]{1,8}\.[A-Z]{1,3}$/)
  t.equal(await (await lab.file('SHORT.TXT')).shortName(), 'SHORT.TXT')
  const entries = await lab.list('')
  t.equal(entries.find((entry) => entry.name === name)?.shortName, short)
  t.equal(entries.find((entry) => entry.name === 'SHORT.TXT')?.shortName, '')
  if (fs.features.caseSensitive) return
  t.equal((await lab.open(short)).path, name, 'opens by its 8.3 name')
  await lab.refuses(short, { disposition: 'create' }, 'exists')
  t.same(await lab.names('', { pattern: short }), [name], 'is listed by it')
}

async function newFiles(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.open('file', {
    disposition: 'create',
    kind: 'file',
    create: { mode: 0o640, dosAttributes: 0x22 },
    wantPermissions: true,
  })
  t.equal(file.created, true)
  t.equal(file.stat.mode, 0o640, 'the mode is taken as it is')
  t.equal(file.stat.size, 0)
  t.equal(file.stat.links, 1)
  t.equal(file.stat.volumeId, fs.volumeId)
  t.equal(file.stat.eaSize, 0)
  t.match(file.permissions, { read: true, write: true, owner: true, remove: true })
  if (fs.features.extendedAttributes) t.equal(file.stat.dosAttributes, 0x22)
  const create = { mode: 0o750, dosAttributes: 0x2 }
  const directory = await lab.open('directory', { disposition: 'create', kind: 'directory', create })
  t.equal(directory.stat.mode & 0o777, 0o750)
  t.equal(directory.permissions, undefined, 'permissions only when wanted')
  if (fs.features.extendedAttributes) t.equal(directory.stat.dosAttributes, 0x2)
  const again = await lab.open('file')
  t.equal(again.stat.fileId, file.stat.fileId, 'the file id is stable')
  t.not(directory.stat.fileId, file.stat.fileId)
  t.equal(again.stat.birthTime, file.stat.birthTime)
}
