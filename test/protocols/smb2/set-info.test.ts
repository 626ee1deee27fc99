/** MS-SMB2 3.3.5.21, MS-FSA 2.1.5.15: SET_INFO: names, deletion, sizes, times and attributes. */

import { FILE_ALL_ACCESS, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import {
  FileInformationClass,
  SET_FILE_INFORMATION_MINIMUM_BYTES,
} from '../../../protocols/smb2/fscc/file-information.ts'
import { DispositionFlag, RenameFlag } from '../../../protocols/smb2/fscc/file-information-set.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { attempt, hex, make, scene } from '../../sim/scene.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, ACCESS_DENIED, CANNOT_DELETE, DELETE_PENDING, INVALID_PARAMETER } = Status
const { OBJECT_NAME_COLLISION, OBJECT_NAME_INVALID, OBJECT_NAME_NOT_FOUND, OBJECT_PATH_NOT_FOUND } = Status
const { Basic, Rename, RenameEx, Link, Disposition, DispositionEx, Allocation, EndOfFile } =
  FileInformationClass
const { Position, Mode, ValidDataLength, Standard } = FileInformationClass
const ALL = { desiredAccess: FILE_ALL_ACCESS }
const DIRECTORY = { createOptions: CreateOption.DIRECTORY_FILE }
const OPEN = { createDisposition: CreateDisposition.OPEN }

/** FileRenameInformation and FileLinkInformation. */
function nameInfo(fileName: string, replace = false, rootDirectory = 0n): Buffer {
  const writer = new Writer()
    .u8(replace ? 1 : 0)
    .zeros(7)
    .u64(rootDirectory)
  return writer
    .u32(fileName.length * 2)
    .utf16(fileName)
    .finish()
}

function renameEx(fileName: string, flags: number): Buffer {
  return new Writer()
    .u32(flags)
    .u32(0)
    .u64(0n)
    .u32(fileName.length * 2)
    .utf16(fileName)
    .finish()
}

/** FileBasicInformation; a time of 0 stays. */
function basicInfo(times: readonly bigint[], fileAttributes = 0): Buffer {
  const writer = new Writer()
  for (const time of times) writer.i64(time)
  return writer.u32(fileAttributes).u32(0).finish()
}

const number64 = (value: bigint): Buffer => new Writer().i64(value).finish()

async function rename(client: SimClient, fileId: FileId, to: string, replace = false): Promise<number> {
  return client.setInfo(fileId, { fileInfoClass: Rename, input: nameInfo(to, replace) })
}

async function exists(client: SimClient, name: string): Promise<boolean> {
  return (
    typeof (await attempt(client, { name, desiredAccess: FileAccess.READ_ATTRIBUTES, ...OPEN })) === 'number'
  )
}

scene('renaming', async (t, { sim, anna, bert }) => {
  await make(anna, 'folder', CreateOption.DIRECTORY_FILE)
  await make(anna, 'there')
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const cases: [to: string, status: number][] = [
    ['there', OBJECT_NAME_COLLISION],
    ['missing\\file', OBJECT_PATH_NOT_FOUND],
    ['bad*name', OBJECT_NAME_INVALID],
    ['..\\outside', Status.OBJECT_PATH_SYNTAX_BAD],
    ['', OBJECT_NAME_INVALID],
    ['name:stream', OBJECT_NAME_INVALID],
    [':stream', INVALID_PARAMETER],
    ['folder\\moved', SUCCESS],
    ['\\back', SUCCESS],
    ['BACK', SUCCESS],
  ]
  for (const [to, status] of cases) t.equal(await rename(anna, fileId, to), status, to)
  t.equal(sim.server.globalOpenTable.get(fileId.volatile)?.pathName, 'BACK')
  t.ok(await exists(anna, 'back'))
  t.notOk(await exists(anna, 'file'))
  t.notOk(await exists(anna, 'folder\\moved'))
  const elsewhere = { fileInfoClass: Rename, input: nameInfo('x', false, 1n) }
  t.equal(
    await anna.setInfo(fileId, elsewhere),
    INVALID_PARAMETER,
    'RootDirectory means nothing over a network',
  )

  const held = await bert.create({ name: 'there' })
  t.equal(await rename(anna, fileId, 'there', true), ACCESS_DENIED, 'over a file that is open')
  await bert.close(held.fileId)
  t.equal(await rename(anna, fileId, 'there', true), SUCCESS)
  const ex = (flags: number) =>
    anna.setInfo(fileId, { fileInfoClass: RenameEx, input: renameEx('folder\\there', flags) })
  await make(anna, 'folder\\there')
  t.equal(await ex(0), OBJECT_NAME_COLLISION)
  t.equal(await ex(RenameFlag.REPLACE_IF_EXISTS), SUCCESS)

  const reads = await bert.create({ name: 'folder\\there', desiredAccess: FileAccess.READ_DATA, ...OPEN })
  t.equal(await rename(bert, reads.fileId, 'mine'), ACCESS_DENIED)
  const root = await bert.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.equal(await rename(bert, root.fileId, 'root'), ACCESS_DENIED)
})

scene('renaming a directory', async (t, { sim, anna, bert }) => {
  await make(anna, 'folder', CreateOption.DIRECTORY_FILE)
  await make(anna, 'folder\\sub', CreateOption.DIRECTORY_FILE)
  const folder = await anna.create({ name: 'folder', ...DIRECTORY, ...ALL })
  const below = await bert.create({ name: 'folder\\sub\\file' })
  t.equal(await rename(anna, folder.fileId, 'renamed'), ACCESS_DENIED, 'with an open file below')
  await bert.close(below.fileId)
  t.equal(await rename(anna, folder.fileId, 'folder\\sub\\inside'), INVALID_PARAMETER, 'below itself')
  t.equal(await rename(anna, folder.fileId, 'renamed'), SUCCESS)
  t.ok(await exists(bert, 'renamed\\sub\\file'))
  await make(anna, 'other', CreateOption.DIRECTORY_FILE)
  t.equal(await rename(anna, folder.fileId, 'other', true), OBJECT_NAME_COLLISION, 'no directory is replaced')
  const neighbour = await bert.create({ name: 'renamed-not', ...DIRECTORY })
  t.equal(await rename(anna, folder.fileId, 'again'), SUCCESS, 'what only begins alike is not below')
  t.equal(neighbour.status, SUCCESS)
  t.equal(sim.server.globalOpenTable.get(folder.fileId.volatile)?.pathName, 'again')
})

scene(
  'streams and links',
  async (t, { sim, anna }) => {
    const stream = await anna.create({ name: 'file:one', ...ALL })
    await make(anna, 'file:two')
    t.equal(await rename(anna, stream.fileId, ':two'), OBJECT_NAME_COLLISION)
    t.equal(await rename(anna, stream.fileId, 'file2'), INVALID_PARAMETER)
    t.equal(await rename(anna, stream.fileId, ':three:$DATA'), SUCCESS)
    t.ok(await exists(anna, 'file:three'))
    t.notOk(await exists(anna, 'file:one'))

    const file = await anna.create({ name: 'file', ...ALL })
    const link = (to: string, replace = false) =>
      anna.setInfo(file.fileId, { fileInfoClass: Link, input: nameInfo(to, replace) })
    t.equal(await link('second'), SUCCESS)
    t.equal(await link('second'), OBJECT_NAME_COLLISION)
    t.equal(await link('no\\where'), OBJECT_PATH_NOT_FOUND)
    const { output } = await anna.queryInfo(file.fileId, { fileInfoClass: Standard })
    t.equal(output.readUInt32LE(16), 2)
    const folder = await anna.create({ name: 'dir', ...DIRECTORY, ...ALL })
    const ofFolder = { fileInfoClass: Link, input: nameInfo('dir2') }
    t.equal(await anna.setInfo(folder.fileId, ofFolder), Status.FILE_IS_A_DIRECTORY)
    const reader = await SimClient.mount(sim, { share: 'static' })
    const readable = await reader.create({ name: 'file', desiredAccess: FileAccess.READ_ATTRIBUTES, ...OPEN })
    const third = { fileInfoClass: Link, input: nameInfo('third') }
    t.equal(await reader.setInfo(readable.fileId, third), ACCESS_DENIED, 'not on a read-only share')
    t.notOk(await exists(anna, 'third'))
  },
  {
    shares: [
      { name: 'static', admit: () => ({ identity: undefined, readOnly: true, administrator: false }) },
    ],
  },
)

scene('deletion', async (t, { anna, bert }) => {
  const dispose = (client: SimClient, fileId: FileId, deletes: number) =>
    client.setInfo(fileId, { fileInfoClass: Disposition, input: Buffer.from([deletes]) })
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const other = await bert.create({ name: 'file' })
  t.equal(await dispose(anna, fileId, 1), SUCCESS)
  t.equal((await bert.create({ name: 'file' })).status, DELETE_PENDING)
  t.equal(await dispose(bert, other.fileId, 0), SUCCESS, 'anyone who may delete can take it back')
  t.ok(await exists(bert, 'file'))
  t.equal(await dispose(anna, fileId, 1), SUCCESS)
  await anna.close(fileId)
  await bert.close(other.fileId)
  t.notOk(await exists(bert, 'file'))

  const folder = await anna.create({ name: 'folder', ...DIRECTORY, ...ALL })
  await make(bert, 'folder\\file')
  t.equal(await dispose(anna, folder.fileId, 1), Status.DIRECTORY_NOT_EMPTY)
  await make(bert, 'folder\\file', CreateOption.DELETE_ON_CLOSE)
  t.equal(await dispose(anna, folder.fileId, 1), SUCCESS)
  t.equal(
    (await bert.create({ name: 'FOLDER\\late' })).status,
    DELETE_PENDING,
    'nothing is put there any more',
  )
  await anna.close(folder.fileId)
  t.notOk(await exists(bert, 'folder'))

  const readonly = await anna.create({ name: 'readonly', ...ALL, fileAttributes: FileAttribute.READONLY })
  t.equal(await dispose(anna, readonly.fileId, 1), CANNOT_DELETE)
  const ex = (flags: number) =>
    anna.setInfo(readonly.fileId, { fileInfoClass: DispositionEx, input: new Writer().u32(flags).finish() })
  t.equal(await ex(DispositionFlag.DELETE), CANNOT_DELETE)
  t.equal(await ex(DispositionFlag.DELETE | DispositionFlag.IGNORE_READONLY_ATTRIBUTE), SUCCESS)
  t.equal(await ex(0), SUCCESS, 'and back')
  const onClose = DispositionFlag.DELETE | DispositionFlag.ON_CLOSE
  t.equal(await ex(onClose), CANNOT_DELETE)
  t.equal(await ex(onClose | DispositionFlag.IGNORE_READONLY_ATTRIBUTE), SUCCESS)
  await anna.close(readonly.fileId)
  t.notOk(await exists(anna, 'readonly'))

  const writes = await anna.create({ name: 'kept', desiredAccess: FileAccess.WRITE_DATA })
  t.equal(await dispose(anna, writes.fileId, 1), ACCESS_DENIED)
  const root = await anna.create({ name: '', desiredAccess: FileAccess.MAXIMUM_ALLOWED })
  t.not(await dispose(anna, root.fileId, 1), SUCCESS)
})

scene('sizes', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  await anna.write(fileId, '0123456789')
  const set = (fileInfoClass: number, value: bigint) =>
    anna.setInfo(fileId, { fileInfoClass, input: number64(value) })
  const sizes = async () => {
    const reader = new Reader((await anna.queryInfo(fileId, { fileInfoClass: Standard })).output)
    return { allocation: reader.size64(), end: reader.size64() }
  }
  t.equal(await set(EndOfFile, 4n), SUCCESS)
  t.equal((await anna.read(fileId, 100)).output.toString(), '0123')
  t.equal(await set(EndOfFile, 6n), SUCCESS)
  t.equal((await anna.read(fileId, 100)).output.toString(), '0123\0\0')
  t.equal(await set(EndOfFile, -1n), INVALID_PARAMETER)
  t.equal(await set(EndOfFile, 1n << 60n), INVALID_PARAMETER)
  t.equal(await set(EndOfFile, 1n << 50n), Status.DISK_FULL)
  t.equal(await set(Allocation, 1n << 20n), SUCCESS)
  t.same(await sizes(), { allocation: 1 << 20, end: 6 })
  t.equal(await set(Allocation, 2n), SUCCESS)
  t.equal((await sizes()).end, 2, 'below the end of file it cuts')
  t.equal(await set(ValidDataLength, 2n), SUCCESS)
  t.equal(await set(ValidDataLength, 3n), INVALID_PARAMETER)
  const stream = await anna.create({ name: 'file:s', ...ALL })
  const large = { fileInfoClass: EndOfFile, input: number64(1n << 30n) }
  t.equal(await anna.setInfo(stream.fileId, large), Status.DISK_FULL, 'larger than a named stream can be')
  await anna.close(stream.fileId)
  sim.storage.faults.failNext('setSize', 'disk-full')
  t.equal(await set(EndOfFile, 100n), Status.DISK_FULL)
  const folder = await anna.create({ name: 'dir', ...DIRECTORY, ...ALL })
  for (const fileInfoClass of [EndOfFile, Allocation]) {
    t.equal(await anna.setInfo(folder.fileId, { fileInfoClass, input: number64(0n) }), INVALID_PARAMETER)
  }
})

scene('times and attributes', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const ask = async () => {
    const reader = new Reader((await anna.queryInfo(fileId, { fileInfoClass: Basic })).output)
    return { times: [reader.u64(), reader.u64(), reader.u64()], attributes: reader.seek(32).u32() }
  }
  const set = (times: readonly bigint[], attributes = 0) =>
    anna.setInfo(fileId, { fileInfoClass: Basic, input: basicInfo(times, attributes) })
  const [creation, access, write] = [
    131_000_000_000_000_000n,
    132_000_000_000_000_000n,
    133_000_000_000_000_001n,
  ]
  t.equal(await set([creation, access, write, 0n]), SUCCESS)
  t.same(await ask(), { times: [creation, access, write], attributes: FileAttribute.ARCHIVE })
  for (const special of [0n, -1n, -2n]) {
    t.equal(await set([special, special, special, special]), SUCCESS, `${special}`)
    t.same((await ask()).times, [creation, access, write], 'stay')
  }
  t.equal(await set([-3n, 0n, 0n, 0n]), INVALID_PARAMETER)
  t.equal(await set([0n, 0n, 0n, 0n], FileAttribute.HIDDEN | FileAttribute.SPARSE_FILE), SUCCESS)
  t.equal((await ask()).attributes, FileAttribute.HIDDEN, 'SPARSE is set by its control alone')
  t.equal(await set([0n, 0n, 0n, 0n], FileAttribute.NORMAL), SUCCESS)
  t.equal((await ask()).attributes, FileAttribute.NORMAL, 'none')
  t.equal(await set([0n, 0n, 0n, 0n], FileAttribute.DIRECTORY), INVALID_PARAMETER)
  const folder = await anna.create({ name: 'dir', ...DIRECTORY, ...ALL })
  const temporary = { fileInfoClass: Basic, input: basicInfo([0n, 0n, 0n, 0n], FileAttribute.TEMPORARY) }
  t.equal(await anna.setInfo(folder.fileId, temporary), INVALID_PARAMETER)
})

scene('position and mode', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  t.equal(await anna.setInfo(fileId, { fileInfoClass: Position, input: number64(77n) }), SUCCESS)
  t.equal((await anna.queryInfo(fileId, { fileInfoClass: Position })).output.readBigUInt64LE(), 77n)
  t.equal(await anna.setInfo(fileId, { fileInfoClass: Position, input: number64(-1n) }), INVALID_PARAMETER)
  const { SEQUENTIAL_ONLY, WRITE_THROUGH } = CreateOption
  const input = new Writer().u32(SEQUENTIAL_ONLY).finish()
  t.equal(await anna.setInfo(fileId, { fileInfoClass: Mode, input }), SUCCESS)
  t.equal((await anna.queryInfo(fileId, { fileInfoClass: Mode })).output.readUInt32LE(), SEQUENTIAL_ONLY)
  const through = await anna.create({ name: 'file', ...ALL, createOptions: WRITE_THROUGH })
  t.equal(
    (await anna.queryInfo(through.fileId, { fileInfoClass: Mode })).output.readUInt32LE(),
    WRITE_THROUGH,
  )
})

scene('too short, unknown, not allowed', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const reads = await anna.create({ name: 'file', desiredAccess: FileAccess.READ_DATA })
  for (const [fileInfoClass, bytes] of SET_FILE_INFORMATION_MINIMUM_BYTES) {
    const short = await anna.setInfo(fileId, { fileInfoClass, input: Buffer.alloc(bytes - 1) })
    t.equal(short, Status.INFO_LENGTH_MISMATCH, `class ${fileInfoClass}`)
  }
  for (const fileInfoClass of [0, 5, 18, 99]) {
    const input = Buffer.alloc(100)
    t.equal(
      await anna.setInfo(fileId, { fileInfoClass, input }),
      Status.INVALID_INFO_CLASS,
      `class ${fileInfoClass}`,
    )
  }
  const { Pipe, ShortName, FullEa } = FileInformationClass
  for (const fileInfoClass of [Pipe, ShortName]) {
    t.equal(await anna.setInfo(fileId, { fileInfoClass, input: Buffer.alloc(64) }), Status.NOT_SUPPORTED)
  }
  for (const fileInfoClass of [
    Basic,
    Rename,
    RenameEx,
    Disposition,
    DispositionEx,
    Allocation,
    EndOfFile,
    FullEa,
  ]) {
    const input = Buffer.alloc(64)
    t.equal(
      await anna.setInfo(reads.fileId, { fileInfoClass, input }),
      ACCESS_DENIED,
      `class ${fileInfoClass}`,
    )
  }
  const cut = new Writer().u8(0).zeros(7).u64(0n).u32(100).utf16('short').finish()
  t.equal(await anna.setInfo(fileId, { fileInfoClass: Rename, input: cut }), INVALID_PARAMETER)
  t.equal(await attempt(anna, { name: 'file', ...OPEN }), 1)
  t.equal(await attempt(anna, { name: 'short', ...OPEN }), hex(OBJECT_NAME_NOT_FOUND))
})
