/** MS-SMB2 3.3.5.18, 3.3.5.19: QUERY_DIRECTORY and CHANGE_NOTIFY. */

import type { Test } from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { NOTIFY_FILTER_ALL, NotifyAction, NotifyFilter } from '../../../protocols/smb2/fscc/notify.ts'
import { QueryDirectoryFlag } from '../../../protocols/smb2/messages/query-directory.ts'
import { type FileId, RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { make, scene } from '../../sim/scene.ts'
import { watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { namesIn, outputOf, type SimClient } from '../../sim/smb2-client.ts'
import {
  closeRequest,
  createRequest,
  notifyRequest,
  queryDirectoryRequest,
  related,
} from '../../sim/smb2-requests.ts'

const { SUCCESS, INVALID_PARAMETER, NO_MORE_FILES, NO_SUCH_FILE } = Status
const { RESTART_SCANS, REOPEN, RETURN_SINGLE_ENTRY } = QueryDirectoryFlag
const { DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption
const DIRECTORY = { createOptions: DIRECTORY_FILE }
const LIST = { desiredAccess: FileAccess.READ_DATA | FileAccess.READ_ATTRIBUTES }
const WATCH_TREE = { flags: 1 }

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

/** What a CHANGE_NOTIFY answered, as "ADDED name". */
function changesIn(output: Buffer): string[] {
  const changes: string[] = []
  for (let at = 0, next = output.length; next > 0; at += next) {
    next = output.readUInt32LE(at)
    const action = ACTION_NAMES.get(output.readUInt32LE(at + 4))
    const length = output.readUInt32LE(at + 8)
    changes.push(`${action} ${output.toString('utf16le', at + 12, at + 12 + length)}`)
  }
  return changes
}

const ACTION_NAMES = new Map<number, string>(
  Object.entries(NotifyAction).map(([name, action]) => [action, name]),
)

/** Waits for a change of a folder, lets `change` happen, and checks what is told of it. */
async function expectChanges(
  t: Test,
  client: SimClient,
  fileId: FileId,
  change: () => Promise<unknown>,
  expected: readonly string[],
): Promise<void> {
  const answer = client.request(notifyRequest(fileId, NOTIFY_FILTER_ALL, WATCH_TREE))
  await settled()
  await change()
  const changes = changesIn(outputOf(await answer).output)
  // The first answer comes with the first change; the others are kept for the next request.
  while (changes.length < expected.length) {
    changes.push(
      ...changesIn(
        outputOf(await client.request(notifyRequest(fileId, NOTIFY_FILTER_ALL, WATCH_TREE))).output,
      ),
    )
  }
  t.same(changes, expected)
}

function renameTo(name: string): Buffer {
  return new Writer()
    .u8(0)
    .zeros(7)
    .u64(0n)
    .u32(name.length * 2)
    .utf16(name)
    .finish()
}

scene('changes', async (t, { anna, bert }) => {
  const root = await openFolder(anna, '')
  await make(bert, 'folder', DIRECTORY_FILE)
  await expectChanges(t, anna, root, () => make(bert, 'folder\\new'), ['ADDED folder\\new'])
  await expectChanges(
    t,
    anna,
    root,
    async () => {
      const { fileId } = await bert.create({ name: 'folder\\new' })
      await bert.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input: renameTo('moved') })
      await bert.close(fileId)
    },
    ['RENAMED_OLD_NAME folder\\new', 'RENAMED_NEW_NAME moved'],
  )
  await expectChanges(
    t,
    anna,
    root,
    async () => {
      const { fileId } = await bert.create({ name: 'moved', desiredAccess: 0x102 })
      const size = new Writer().size64(7).finish()
      await bert.setInfo(fileId, { fileInfoClass: FileInformationClass.EndOfFile, input: size })
      await bert.close(fileId)
    },
    ['MODIFIED moved'],
  )
  const { OVERWRITE } = CreateDisposition
  const overwrite = async () =>
    bert.close((await bert.create({ name: 'moved', createDisposition: OVERWRITE })).fileId)
  await expectChanges(t, anna, root, overwrite, ['MODIFIED moved'])
  await expectChanges(t, anna, root, () => make(bert, 'moved', DELETE_ON_CLOSE), ['REMOVED moved'])
})

scene('what is not of interest', async (t, { anna, bert }) => {
  await make(anna, 'folder', DIRECTORY_FILE)
  const shallow = await openFolder(anna, 'folder')
  const directories = await openFolder(anna, '')
  const one = anna.request(notifyRequest(shallow, NotifyFilter.FILE_NAME))
  const two = anna.request(notifyRequest(directories, NotifyFilter.DIR_NAME, WATCH_TREE))
  const [first, second] = [watch(one), watch(two)]
  await make(bert, 'beside')
  await make(bert, 'folder\\sub', DIRECTORY_FILE)
  await settled()
  t.notOk(first.done, 'beside it; a directory; not itself')
  t.same(changesIn(outputOf(await two).output), ['ADDED folder\\sub'])
  await make(bert, 'folder\\sub\\deep')
  await settled()
  t.notOk(first.done, 'deeper than asked')
  await make(bert, 'folder\\here')
  t.same(changesIn(outputOf(await one).output), ['ADDED here'])
  t.ok(second.done)
})

scene('watches', async (t, { anna, bert }) => {
  const root = await openFolder(anna, '')
  const again = () => anna.request(notifyRequest(root, NotifyFilter.FILE_NAME))
  const waiting = again()
  await settled()
  t.equal((await again()).status, Status.INSUFFICIENT_RESOURCES, 'a second one on the same open')
  await make(bert, 'one')
  t.equal((await waiting).status, SUCCESS)
  await make(bert, 'two')
  await make(bert, 'three')
  t.same(changesIn(outputOf(await again()).output), ['ADDED two', 'ADDED three'], 'kept between requests')
  const small = anna.request(notifyRequest(root, NotifyFilter.FILE_NAME, { outputBufferLength: 16 }))
  await make(bert, 'a name that does not fit')
  t.equal((await small).status, Status.NOTIFY_ENUM_DIR)
  for (let index = 0; index < 600; index++) await make(bert, `many-${index}`)
  t.equal((await again()).status, Status.NOTIFY_ENUM_DIR, 'too many to keep')
  const closing = again()
  await settled()
  t.equal(await anna.close(root), SUCCESS)
  t.equal((await closing).status, Status.NOTIFY_CLEANUP)

  const file = await anna.create({ name: 'file' })
  t.equal((await anna.request(notifyRequest(file.fileId, 1))).status, INVALID_PARAMETER)
  const blind = await anna.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.equal((await anna.request(notifyRequest(blind.fileId, 1))).status, Status.ACCESS_DENIED)
})

scene('a watched folder that is renamed', async (t, { anna, bert }) => {
  await make(bert, 'before', DIRECTORY_FILE)
  const folder = await openFolder(anna, 'before')
  const mover = await bert.create({ name: 'before', ...DIRECTORY })
  const waiting = anna.request(notifyRequest(folder, NOTIFY_FILTER_ALL))
  const rename = { fileInfoClass: FileInformationClass.Rename, input: renameTo('after') }
  t.equal(await bert.setInfo(mover.fileId, rename), SUCCESS)
  await make(bert, 'after\\new')
  t.same(changesIn(outputOf(await waiting).output), ['ADDED new'])
})
