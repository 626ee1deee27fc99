/** MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1: CREATE: dispositions, names, options, contexts, streams. */

import { FILE_ALL_ACCESS, FILE_GENERIC_READ, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { encodeFullEaList } from '../../../protocols/smb2/fscc/ea.ts'
import type { CreateRequest } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeQueryMaximalAccessResponse,
  decodeQueryOnDiskIdResponse,
  encodeAllocationSize,
  encodeTimewarpToken,
} from '../../../protocols/smb2/messages/create-context-data.ts'
import { CreateContextName, findCreateContext } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { attempt, hex, make, scene } from '../../sim/scene.ts'

const { SUCCESS, ACCESS_DENIED, DELETE_PENDING, INVALID_PARAMETER } = Status
const { OBJECT_NAME_COLLISION, OBJECT_NAME_INVALID, OBJECT_NAME_NOT_FOUND } = Status
const { SUPERSEDE, OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF } = CreateDisposition
const { SUPERSEDED, OPENED, CREATED, OVERWRITTEN } = CreateAction
const { DIRECTORY_FILE, NON_DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption

scene('dispositions', async (t, { anna }) => {
  const no = hex(INVALID_PARAMETER)
  const [exists, missing] = [hex(OBJECT_NAME_COLLISION), hex(OBJECT_NAME_NOT_FOUND)]
  const isDirectory = hex(Status.FILE_IS_A_DIRECTORY)
  const notDirectory = hex(Status.NOT_A_DIRECTORY)
  const denied = hex(ACCESS_DENIED)
  const dispositions = [SUPERSEDE, OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF]
  const cases: [there: 'nothing' | 'file' | 'directory', options: number, results: (number | string)[]][] = [
    ['nothing', 0, [CREATED, missing, CREATED, CREATED, missing, CREATED]],
    ['nothing', NON_DIRECTORY_FILE, [CREATED, missing, CREATED, CREATED, missing, CREATED]],
    ['nothing', DIRECTORY_FILE, [no, missing, CREATED, CREATED, no, no]],
    ['file', 0, [SUPERSEDED, OPENED, exists, OPENED, OVERWRITTEN, OVERWRITTEN]],
    ['file', NON_DIRECTORY_FILE, [SUPERSEDED, OPENED, exists, OPENED, OVERWRITTEN, OVERWRITTEN]],
    ['file', DIRECTORY_FILE, [no, notDirectory, exists, notDirectory, no, no]],
    ['directory', 0, [denied, OPENED, exists, OPENED, denied, denied]],
    [
      'directory',
      NON_DIRECTORY_FILE,
      [isDirectory, isDirectory, exists, isDirectory, isDirectory, isDirectory],
    ],
    ['directory', DIRECTORY_FILE, [no, OPENED, exists, OPENED, no, no]],
  ]
  for (const [there, createOptions, results] of cases) {
    for (const createDisposition of dispositions) {
      const name = `${there}-${createOptions}-${createDisposition}`
      if (there !== 'nothing') await make(anna, name, there === 'directory' ? DIRECTORY_FILE : 0)
      const result = await attempt(anna, { name, createOptions, createDisposition })
      t.equal(
        result,
        results[createDisposition],
        `${there}, options ${createOptions}, disposition ${createDisposition}`,
      )
    }
  }
})

scene('what overwriting leaves', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', fileAttributes: FileAttribute.HIDDEN })
  await anna.write(fileId, 'content')
  await make(anna, 'file:stream')
  await anna.close(fileId)
  const refused = await attempt(anna, { name: 'file', createDisposition: OVERWRITE })
  t.equal(refused, hex(ACCESS_DENIED), 'a hidden file is not overwritten by who does not say so')
  const again = await anna.create({
    name: 'file',
    createDisposition: OVERWRITE,
    fileAttributes: FileAttribute.HIDDEN,
  })
  t.equal(again.response?.endOfFile, 0)
  t.equal(again.response?.fileAttributes, FileAttribute.HIDDEN | FileAttribute.ARCHIVE)
  t.equal(await attempt(anna, { name: 'file:stream', createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
  await anna.close(again.fileId)
})

scene('names', async (t, { anna }) => {
  await make(anna, 'Folder', DIRECTORY_FILE)
  await make(anna, 'Folder\\File')
  const cases: [name: string, result: number | string][] = [
    ['folder\\FILE', OPENED],
    ['Folder\\File::$DATA', OPENED],
    ['Folder\\File::$data', OPENED],
    ['Folder::$INDEX_ALLOCATION', OPENED],
    ['Folder\\File::$INDEX_ALLOCATION', hex(Status.NOT_A_DIRECTORY)],
    ['Folder\\File:', hex(OBJECT_NAME_INVALID)],
    ['Folder\\File::$OTHER', hex(OBJECT_NAME_INVALID)],
    ['Folder\\File:s:$DATA:x', hex(OBJECT_NAME_INVALID)],
    ['Folder\\File:s:$INDEX_ALLOCATION', hex(OBJECT_NAME_INVALID)],
    ['Folder\\File:missing', hex(OBJECT_NAME_NOT_FOUND)],
    ['missing\\File', hex(Status.OBJECT_PATH_NOT_FOUND)],
    ['Folder\\File\\more', hex(Status.OBJECT_PATH_NOT_FOUND)],
    ['\\Folder', hex(INVALID_PARAMETER)],
    ['Folder\\', hex(OBJECT_NAME_INVALID)],
    ['Folder\\\\File', hex(OBJECT_NAME_INVALID)],
    ['Folder\\..\\Folder', OPENED],
    ['Folder\\..\\..\\Folder', hex(Status.OBJECT_PATH_SYNTAX_BAD)],
    ['..', hex(Status.OBJECT_PATH_SYNTAX_BAD)],
    ['.', hex(Status.OBJECT_PATH_SYNTAX_BAD)],
    ['Folder/File', OPENED],
    ['Fol*', hex(OBJECT_NAME_INVALID)],
    ['what?', hex(OBJECT_NAME_INVALID)],
    ['nul\0', hex(OBJECT_NAME_INVALID)],
    ['\ud800', hex(OBJECT_NAME_INVALID)],
    ['x'.repeat(256), hex(OBJECT_NAME_INVALID)],
    [`${'x\\'.repeat(16_380)}x`, hex(OBJECT_NAME_INVALID)],
  ]
  t.equal(await attempt(anna, { name: '', desiredAccess: FileAccess.READ_DATA }), OPENED, 'the root')
  t.equal(
    await attempt(anna, { name: '', desiredAccess: FileAccess.DELETE }),
    hex(ACCESS_DENIED),
    'which stays',
  )
  for (const [name, result] of cases) {
    t.equal(await attempt(anna, { name, createDisposition: OPEN }), result, JSON.stringify(name.slice(0, 40)))
  }
})

scene('requests that make no sense', async (t, { sim, anna }) => {
  const cases: [what: string, fields: Partial<CreateRequest>, status: number][] = [
    ['disposition', { createDisposition: 6 }, INVALID_PARAMETER],
    ['impersonation', { impersonationLevel: 4 }, Status.BAD_IMPERSONATION_LEVEL],
    ['share access', { shareAccess: 8 }, INVALID_PARAMETER],
    ['options', { createOptions: 0x0100_0000 }, INVALID_PARAMETER],
    ['file and directory', { createOptions: DIRECTORY_FILE | NON_DIRECTORY_FILE }, INVALID_PARAMETER],
    ['by file id', { createOptions: CreateOption.OPEN_BY_FILE_ID }, Status.NOT_SUPPORTED],
    ['tree connection', { createOptions: CreateOption.CREATE_TREE_CONNECTION }, Status.NOT_SUPPORTED],
    ['filter oplocks', { createOptions: CreateOption.RESERVE_OPFILTER }, Status.NOT_SUPPORTED],
    [
      'a temporary directory',
      { createOptions: DIRECTORY_FILE, fileAttributes: FileAttribute.TEMPORARY },
      INVALID_PARAMETER,
    ],
    ['attributes', { fileAttributes: 0x8000_0000 }, INVALID_PARAMETER],
    ['no access', { desiredAccess: 0 }, ACCESS_DENIED],
    ['undefined access', { desiredAccess: 0x0800_0000 }, ACCESS_DENIED],
    ['deletion without the right', { createOptions: DELETE_ON_CLOSE, desiredAccess: 1 }, INVALID_PARAMETER],
  ]
  for (const [what, fields, status] of cases) {
    t.equal((await anna.create({ name: 'file', ...fields })).status, status, what)
  }
  const missing = await anna.create({ name: 'file', createDisposition: OPEN })
  t.equal(missing.status, OBJECT_NAME_NOT_FOUND, 'nothing was made')
  t.equal(sim.server.globalOpenTable.size, 0)
})

scene(
  'what the response says',
  async (t, { sim, anna }) => {
    const { response } = await anna.create({
      name: 'file',
      fileAttributes: FileAttribute.HIDDEN | FileAttribute.NORMAL,
    })
    t.match(response, {
      ...{ oplockLevel: 0, flags: 0, createAction: CREATED, endOfFile: 0, allocationSize: 0 },
      fileAttributes: FileAttribute.HIDDEN | FileAttribute.ARCHIVE,
      createContexts: [],
    })
    t.ok(response?.creationTime)
    t.equal(response?.creationTime, response?.lastWriteTime)
    const directory = await anna.create({ name: 'dir', createOptions: DIRECTORY_FILE })
    t.equal(directory.response?.fileAttributes, FileAttribute.DIRECTORY)
    const dot = await anna.create({ name: '.hidden' })
    t.equal(
      dot.response?.fileAttributes,
      FileAttribute.HIDDEN | FileAttribute.ARCHIVE,
      'as the share shows them',
    )
    t.not(dot.fileId.volatile, directory.fileId.volatile)
    t.equal(sim.server.globalOpenTable.size, 3)
  },
  { share: { hideDotFiles: true } },
)

scene('contexts', async (t, { anna }) => {
  const none = Buffer.alloc(0)
  const ask = (name: string, contexts: { name: string; data: Buffer }[], more: Partial<CreateRequest> = {}) =>
    anna.create({ name, createContexts: contexts, ...more })
  const { MAXIMAL_ACCESS, ON_DISK_ID, ALLOCATION_SIZE, EXTENDED_ATTRIBUTES, TIMEWARP_TOKEN } =
    CreateContextName
  const both = await ask('file', [
    { name: MAXIMAL_ACCESS, data: none },
    { name: ON_DISK_ID, data: none },
  ])
  const answers = both.response?.createContexts ?? []
  t.equal(answers.length, 2)
  const maximal = findCreateContext(answers, MAXIMAL_ACCESS)
  t.same(maximal && decodeQueryMaximalAccessResponse(maximal), {
    queryStatus: 0,
    maximalAccess: FILE_ALL_ACCESS,
  })
  const id = findCreateContext(answers, ON_DISK_ID)
  t.ok(id && decodeQueryOnDiskIdResponse(id).diskFileId > 0n)
  const unknown = await ask('file', [{ name: 'ABCD', data: none }])
  t.same(unknown.response?.createContexts, [], 'one that no one knows is passed over')

  const allocated = await ask('large', [{ name: ALLOCATION_SIZE, data: encodeAllocationSize(1 << 20) }])
  t.equal(allocated.response?.allocationSize, 1 << 20)
  t.equal(allocated.response?.endOfFile, 0)
  const { bytes } = encodeFullEaList([{ flags: 0, name: 'COLOR', value: Buffer.from('red') }])
  const withEa = await ask('ea', [{ name: EXTENDED_ATTRIBUTES, data: bytes }], {
    desiredAccess: FILE_GENERIC_READ,
  })
  t.equal(withEa.status, SUCCESS)
  const eas = await anna.queryInfo(withEa.fileId, { fileInfoClass: 15 })
  t.same(eas.output, bytes)

  const snapshot = await ask('file', [{ name: TIMEWARP_TOKEN, data: encodeTimewarpToken(1n) }])
  t.equal(snapshot.status, OBJECT_NAME_NOT_FOUND, 'there are no snapshots')
  const malformed = [
    { name: ALLOCATION_SIZE, data: Buffer.alloc(7) },
    { name: EXTENDED_ATTRIBUTES, data: Buffer.alloc(5) },
    { name: TIMEWARP_TOKEN, data: none },
    { name: CreateContextName.SECURITY_DESCRIPTOR, data: Buffer.alloc(3) },
    { name: 'abc', data: none },
  ]
  for (const [index, context] of malformed.entries()) {
    t.equal((await ask(`new-${index}`, [context])).status, INVALID_PARAMETER, context.name)
  }
})

scene('named streams', async (t, { sim, anna, bert }) => {
  t.equal(await attempt(anna, { name: 'file:one', createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
  const stream = await anna.create({ name: 'file:One' })
  t.equal(stream.response?.createAction, CREATED, 'with the file, when that is missing')
  await anna.write(stream.fileId, 'stream')
  const file = await bert.create({ name: 'file', createDisposition: OPEN })
  t.equal(file.response?.endOfFile, 0)
  const again = await bert.create({ name: 'FILE:one:$DATA', createDisposition: OPEN })
  t.equal(again.response?.endOfFile, 6)
  await make(anna, 'dir', DIRECTORY_FILE)
  const onDirectory = await anna.create({ name: 'dir:note' })
  t.equal(onDirectory.response?.createAction, CREATED)
  t.equal(await anna.write(onDirectory.fileId, 'x'), SUCCESS, 'a directory has streams too')
  t.equal(await attempt(anna, { name: ':root', createDisposition: OPEN_IF }), CREATED, 'so has the root')
  t.equal(
    await attempt(anna, { name: 'dir:note', createOptions: DIRECTORY_FILE, createDisposition: OPEN }),
    hex(Status.NOT_A_DIRECTORY),
  )
  t.equal(await bert.close(again.fileId), SUCCESS)
  const gone = await bert.create({ name: 'file:one', createOptions: DELETE_ON_CLOSE })
  t.equal(await bert.close(gone.fileId), SUCCESS)
  t.equal((await bert.create({ name: 'file:one', createDisposition: OPEN })).status, DELETE_PENDING)
  await anna.close(stream.fileId)
  t.equal(
    await attempt(bert, { name: 'file:one', createDisposition: OPEN }),
    hex(OBJECT_NAME_NOT_FOUND),
    'the stream is gone',
  )
  t.equal(await attempt(bert, { name: 'file', createDisposition: OPEN }), OPENED, 'the file is not')
  t.equal([...sim.server.nodes.opens()].length, 2)
})
