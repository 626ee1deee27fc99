/** MS-SMB2 3.3.5.18: QUERY_DIRECTORY. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { QueryDirectoryFlag } from '../../../protocols/smb2/messages/query-directory.ts'
import { type FileId, RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { make, scene } from '../../sim/scene.ts'
import { namesIn, outputOf, type SimClient } from '../../sim/smb2-client.ts'
import { closeRequest, createRequest, queryDirectoryRequest, related } from '../../sim/smb2-requests.ts'

const { SUCCESS, INVALID_PARAMETER, NO_MORE_FILES, NO_SUCH_FILE } = Status
const { RESTART_SCANS, REOPEN, RETURN_SINGLE_ENTRY } = QueryDirectoryFlag
const { DIRECTORY_FILE } = CreateOption
const DIRECTORY = { createOptions: DIRECTORY_FILE }
const LIST = { desiredAccess: FileAccess.READ_DATA | FileAccess.READ_ATTRIBUTES }

const DIRECTORY_CLASSES = [
  FileInformationClass.Directory,
  FileInformationClass.FullDirectory,
  FileInformationClass.BothDirectory,
  FileInformationClass.Names,
  FileInformationClass.IdBothDirectory,
  FileInformationClass.IdFullDirectory,
  FileInformationClass.IdExtdDirectory,
  FileInformationClass.IdExtdBothDirectory,
]

async function openFolder(client: SimClient, name: string): Promise<FileId> {
  const { fileId } = await client.create({ name, ...DIRECTORY, ...LIST })
  return fileId
}

/** All pages of a listing. */
async function listAll(
  client: SimClient,
  fileId: FileId,
  fields: Parameters<SimClient['list']>[1],
): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const page = await client.list(fileId, fields)
    if (page.status !== SUCCESS) return names
    names.push(...page.names)
  }
}

scene('listing', async (t, { anna }) => {
  const folder = await openFolder(anna, 'folder')
  t.same((await anna.list(folder)).names, ['.', '..'], 'an empty one')
  t.equal((await anna.list(folder)).status, NO_MORE_FILES)
  for (const name of ['Alpha.txt', 'beta.TXT', 'gamma.doc', 'ünï']) await make(anna, `folder\\${name}`)
  await make(anna, 'folder\\sub', DIRECTORY_FILE)
  const all = ['.', '..', 'Alpha.txt', 'beta.TXT', 'gamma.doc', 'sub', 'ünï']
  for (const fileInformationClass of DIRECTORY_CLASSES) {
    const { status, names } = await anna.list(folder, { fileInformationClass, flags: RESTART_SCANS })
    t.equal(status, SUCCESS)
    t.same(names.sort(), all, `class ${fileInformationClass}`)
  }
  t.equal((await anna.list(folder)).status, NO_MORE_FILES, 'the last listing has come to its end')
  const patterns: [pattern: string, names: string[] | number][] = [
    ['*.txt', ['Alpha.txt', 'beta.TXT']],
    ['ALPHA.TXT', ['Alpha.txt']],
    ['????.txt', ['beta.TXT']],
    ['*a*', ['Alpha.txt', 'beta.TXT', 'gamma.doc']],
    ['<.doc', ['gamma.doc']],
    ['missing', NO_SUCH_FILE],
    ['*.none', NO_SUCH_FILE],
  ]
  for (const [fileName, expected] of patterns) {
    const { status, names } = await anna.list(folder, { fileName, flags: REOPEN })
    t.same(status === SUCCESS ? names.sort() : status, expected, fileName)
  }
})

scene('patterns hold until the listing begins anew', async (t, { anna }) => {
  for (const name of ['a1', 'a2', 'b1']) await make(anna, name)
  const root = await openFolder(anna, '')
  const single = async (fileName: string, flags = 0) => {
    const { status, names } = await anna.list(root, { fileName, flags: flags | RETURN_SINGLE_ENTRY })
    return status === SUCCESS ? names.join() : status
  }
  t.equal(await single('a*'), 'a1')
  t.equal(await single('b*'), 'a2', 'the first pattern counts')
  t.equal(await single('*'), NO_MORE_FILES)
  t.equal(await single('', RESTART_SCANS), 'a1', 'again with the same')
  t.equal(await single('b*', RESTART_SCANS), 'b1', 'again with another')
  t.equal(await single('b*'), NO_MORE_FILES)
})

scene('pages', async (t, { anna }) => {
  const names = Array.from(
    { length: 60 },
    (_, index) => `a rather long name, number ${String(index).padStart(3, '0')}`,
  )
  for (const name of names) await make(anna, name)
  const expected = ['.', '..', ...names]
  for (const outputBufferLength of [200, 300, 512, 4096]) {
    const root = await openFolder(anna, '')
    t.same(
      (await listAll(anna, root, { outputBufferLength })).sort(),
      expected,
      `of ${outputBufferLength} bytes`,
    )
  }
  const root = await openFolder(anna, '')
  t.same((await listAll(anna, root, { flags: RETURN_SINGLE_ENTRY })).sort(), expected, 'of one entry')
  const both = await openFolder(anna, '')
  const together = await Promise.all([anna.list(both), anna.list(both)])
  t.same(
    together.map(({ status }) => status),
    [SUCCESS, NO_MORE_FILES],
    'two at once do not get the same entries',
  )

  const small = await openFolder(anna, '')
  const cases: [bytes: number, fields: Parameters<SimClient['list']>[1], status: number][] = [
    [103, {}, Status.INFO_LENGTH_MISMATCH],
    [104, {}, Status.BUFFER_OVERFLOW],
    [105, {}, Status.BUFFER_OVERFLOW],
    [106, {}, SUCCESS],
    [9 << 20, {}, INVALID_PARAMETER],
    [4096, { fileInformationClass: FileInformationClass.Basic }, Status.INVALID_INFO_CLASS],
  ]
  for (const [outputBufferLength, fields, status] of cases) {
    const charge = Math.ceil(outputBufferLength / 65536)
    const request = queryDirectoryRequest({ fileId: small, outputBufferLength, ...fields })
    const answer = await anna.request({ ...request, creditCharge: charge })
    t.equal(answer.status, status, `${outputBufferLength} bytes`)
  }
})

scene('what cannot be listed', async (t, { sim, anna }) => {
  const file = await anna.create({ name: 'file' })
  t.equal((await anna.list(file.fileId)).status, INVALID_PARAMETER)
  const blind = await anna.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.equal((await anna.list(blind.fileId)).status, Status.ACCESS_DENIED)
  const root = await openFolder(anna, '')
  sim.storage.faults.failNext('list', 'access-denied')
  t.equal((await anna.list(root)).status, Status.ACCESS_DENIED)
  sim.storage.faults.failNext('next', 'io')
  t.equal((await anna.list(root)).status, Status.UNEXPECTED_IO_ERROR)
  t.equal((await anna.list(root, { flags: RESTART_SCANS })).status, SUCCESS, 'a failure is not for ever')
  const chain = await Promise.all(
    anna.send([
      createRequest({ name: '', ...LIST }),
      related(queryDirectoryRequest({ fileId: RELATED_FILE_ID })),
      related(queryDirectoryRequest({ fileId: RELATED_FILE_ID })),
      related(closeRequest()),
    ]),
  )
  t.same(
    chain.map(({ status }) => status),
    [SUCCESS, SUCCESS, NO_MORE_FILES, SUCCESS],
  )
  const listed = chain[1] && namesIn(outputOf(chain[1]).output, FileInformationClass.IdBothDirectory)
  t.same(listed, ['.', '..', 'file'])
})
