/** POSIX-SMB2, POSIX-FSCC, POSIX-FSA: the POSIX extensions of 3.1.1, for clients that ask for them, and only for opens that do. */

import t from 'tap'
import { FILE_ALL_ACCESS } from '../../../protocols/smb2/fscc/access.ts'
import { AceType, makeAcl } from '../../../protocols/smb2/fscc/acl.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { FileSystemInformationClass } from '../../../protocols/smb2/fscc/file-system-information.ts'
import {
  encodeSecurityDescriptor,
  SecurityInformation,
} from '../../../protocols/smb2/fscc/security-descriptor.ts'
import {
  decodePosixCreateRequest,
  encodePosixCreateResponse,
} from '../../../protocols/smb2/messages/create-context-posix.ts'
import {
  CreateContextName,
  decodeCreateContexts,
  findCreateContext,
} from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import {
  decodeNegotiateContexts,
  encodeNegotiateContexts,
} from '../../../protocols/smb2/messages/negotiate-contexts.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { DecodeError } from '../../../protocols/wire/errors.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { scene } from '../../sim/scene.ts'
import type { SimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, OBJECT_NAME_NOT_FOUND, INVALID_INFO_CLASS, ACCESS_DENIED } = Status
const { OPEN, CREATE } = CreateDisposition
/** Sent by Linux 6.1 that mounts with `posix`. */
const NEGOTIATE_CONTEXT = '000110000000000093ad25509cb411e7b42383de968bcd7c'
const CREATE_CONTEXTS =
  '2800000010001000000020000400000093ad25509cb411e7b42383de968bcd7ca081000000000000' +
  '000000001000040000000000000000005146696400000000'
const NO_MODE_CONTEXT = '0000000010001000000020000400000093ad25509cb411e7b42383de968bcd7cffff0000'
/** What Linux takes apart: links, tag, mode, S-1-22-1-1000 and S-1-22-2-100. */
const CREATE_RESPONSE =
  '0200000000000000a0010000' + '010200000000001601000000e8030000' + '01020000000000160200000064000000'

t.test('as Linux sends and reads it', async (t) => {
  const bytes = Buffer.from(NEGOTIATE_CONTEXT, 'hex')
  const [context] = decodeNegotiateContexts(new Reader(bytes), 0, 1)
  t.same(context, { kind: 'posix', versions: [Buffer.from(CreateContextName.POSIX, 'latin1')] })
  const writer = new Writer()
  if (context !== undefined) encodeNegotiateContexts(writer, [context])
  t.ok(writer.finish().equals(bytes))
  const cut = Buffer.from(bytes)
  cut.writeUInt16LE(15, 2)
  t.throws(() => decodeNegotiateContexts(new Reader(cut), 0, 1), DecodeError, 'no whole version')
  const modeIn = (hex: string) => {
    const list = Buffer.from(hex, 'hex')
    const data = findCreateContext(
      decodeCreateContexts(new Reader(list), 0, list.length),
      CreateContextName.POSIX,
    )
    return decodePosixCreateRequest(data ?? Buffer.alloc(0))
  }
  t.equal(modeIn(CREATE_CONTEXTS), 0o640)
  t.equal(modeIn(NO_MODE_CONTEXT), undefined)
  t.throws(() => decodePosixCreateRequest(Buffer.alloc(5)), DecodeError)
  const facts = { links: 2, reparseTag: 0, mode: 0o640, uid: 1000, gid: 100, device: 7 }
  t.equal(encodePosixCreateResponse(facts).toString('hex'), CREATE_RESPONSE)
})

/** A client that asked for the extensions. */
const mount = (sim: SimServer, address: string) =>
  SimClient.mount(sim, { address, dialects: [Dialect.SMB_3_1_1], posix: true })

function posixContext(mode: number) {
  const data = Buffer.alloc(4)
  data.writeUInt32LE(mode)
  return [{ name: CreateContextName.POSIX, data }]
}

/** CREATE with POSIX' rules. */
function create(
  client: SimClient,
  name: string,
  createDisposition: number,
  mode = 0xffff,
  createOptions = 0,
) {
  const createContexts = posixContext(mode)
  const desiredAccess = FILE_ALL_ACCESS
  return client.create({ name, createDisposition, createOptions, createContexts, desiredAccess })
}

async function made(client: SimClient, name: string, mode = 0o644, createOptions = 0): Promise<FileId> {
  const { status, fileId } = await create(client, name, CREATE, mode, createOptions)
  if (status !== SUCCESS) throw new Error(`the CREATE of ${name} failed`)
  return fileId
}

const statusOf = async (client: SimClient, name: string) => {
  const { status, response } = await create(client, name, OPEN)
  if (response !== undefined) await client.close(response.fileId)
  return status
}

function renameTo(name: string): Buffer {
  const text = Buffer.from(name, 'utf16le')
  const input = Buffer.alloc(20 + text.length)
  input.writeUInt8(1, 0)
  input.writeUInt32LE(text.length, 16)
  text.copy(input, 20)
  return input
}

scene('asked for, and not', async (t, { sim }) => {
  const plain = await SimClient.mount(sim, { address: 'plain', dialects: [Dialect.SMB_3_1_1] })
  const unheard = await plain.create({ name: 'Plain', createContexts: posixContext(0o600) })
  t.equal(unheard.status, SUCCESS)
  t.same(unheard.response?.createContexts, [], 'a context that was not negotiated is not known')
  const client = await mount(sim, 'posix')
  const { fileId, response } = await client.create({ name: 'plain' })
  t.same(response?.createContexts, [], 'case does not count for an open that does not ask')
  for (const infoType of [InfoType.FILE, InfoType.FILESYSTEM]) {
    const { status } = await client.queryInfo(fileId, { infoType, fileInfoClass: FileInformationClass.Posix })
    t.equal(status, INVALID_INFO_CLASS)
  }
  const wrong = await client.create({
    name: 'x',
    createContexts: [{ name: CreateContextName.POSIX, data: Buffer.alloc(5) }],
  })
  t.equal(wrong.status, Status.INVALID_PARAMETER)
  await client.close(fileId)
  await plain.close(unheard.fileId)
})

scene('names, modes and what is told of them', async (t, { sim }) => {
  const client = await mount(sim, 'posix')
  const folder = await made(client, 'Folder', 0o750, CreateOption.DIRECTORY_FILE)
  const answered = await create(client, 'Folder/a:b*?\\.', CREATE, 0o100640)
  const data = findCreateContext(answered.response?.createContexts ?? [], CreateContextName.POSIX)
  t.equal(data?.readUInt32LE(8), 0o640)
  t.equal(data?.readUInt32LE(0), 1)
  t.equal(await statusOf(client, 'folder'), OBJECT_NAME_NOT_FOUND, 'only the exact name')
  await client.close(await made(client, 'Folder/A:B*?\\.'))
  t.equal(await statusOf(client, 'Folder/../x'), Status.OBJECT_PATH_SYNTAX_BAD)
  t.equal(await statusOf(client, '/Folder'), Status.INVALID_PARAMETER)
  await client.write(answered.fileId, 'data')
  const one = await client.queryInfo(answered.fileId, { fileInfoClass: FileInformationClass.Posix })
  t.equal(one.output.length, 112)
  t.equal(one.output.readBigUInt64LE(32), 4n, 'EndOfFile')
  t.equal(one.output.readUInt32LE(48), FileAttribute.ARCHIVE)
  t.equal(one.output.readUInt32LE(76), 0o640, 'Mode')
  const space = await client.queryInfo(folder, {
    infoType: InfoType.FILESYSTEM,
    fileInfoClass: FileSystemInformationClass.Posix,
  })
  t.equal(space.output.length, 56)
  t.ok(space.output.readBigUInt64LE(8) >= space.output.readBigUInt64LE(16), 'TotalBlocks, BlocksAvail')
  const request = { fileId: folder, fileInformationClass: FileInformationClass.Posix }
  const { output } = await client.list(folder, request)
  const names: string[] = []
  for (let at = 0, next = -1; next !== 0; at += next) {
    next = output.readUInt32LE(at)
    const nameBytes = output.readUInt32LE(at + 120)
    names.push(output.toString('utf16le', at + 124, at + 124 + nameBytes))
  }
  t.same(names.sort(), ['.', '..', 'A:B*?\\.', 'a:b*?\\.'])
  await client.close(answered.fileId)
  await client.close(folder)
})

scene('chmod by an ACE', async (t, { sim }) => {
  const client = await mount(sim, 'posix')
  const file = await made(client, 'file')
  const chmod = (mode: number) => {
    const ace = { type: AceType.ACCESS_DENIED, flags: 0, mask: 0, sid: `S-1-5-88-3-${mode}` }
    const input = encodeSecurityDescriptor({ control: 0, dacl: makeAcl([ace]) })
    const additionalInformation = SecurityInformation.DACL
    return client.setInfo(file, {
      infoType: InfoType.SECURITY,
      fileInfoClass: 0,
      additionalInformation,
      input,
    })
  }
  t.equal(await chmod(0o106751), SUCCESS)
  const { output } = await client.queryInfo(file, { fileInfoClass: FileInformationClass.Posix })
  t.equal(output.readUInt32LE(76), 0o751, 'no set-id bits')
  await client.close(file)
})

scene('files that are removed and replaced while they are open', async (t, { sim, anna }) => {
  const [one, two] = [await mount(sim, 'one'), await mount(sim, 'two')]
  const held = await made(one, 'gone')
  await one.write(held, 'still here')
  const deletion = await create(two, 'gone', OPEN, 0xffff, CreateOption.DELETE_ON_CLOSE)
  await two.close(deletion.fileId)
  t.equal(await statusOf(two, 'gone'), OBJECT_NAME_NOT_FOUND, 'the name goes at once')
  t.equal((await one.read(held, 10)).output.toString(), 'still here')
  const again = await made(two, 'gone')
  const source = await made(two, 'source')
  const rename = (client: SimClient, fileId: FileId, name: string) =>
    client.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input: renameTo(name) })
  t.equal(await rename(two, source, 'gone'), SUCCESS, 'over an open file')
  t.equal(await rename(two, source, 'Gone'), SUCCESS, 'to another case')
  t.equal(await statusOf(two, 'gone'), OBJECT_NAME_NOT_FOUND)
  const others = await anna.create({ name: 'plain' })
  t.equal(await rename(two, source, 'plain'), ACCESS_DENIED, 'but not over one of an open with other rules')
  const kept = await create(two, 'plain', OPEN, 0xffff, CreateOption.DELETE_ON_CLOSE)
  await two.close(kept.fileId)
  t.equal(await statusOf(two, 'plain'), Status.DELETE_PENDING, 'which also keeps the name')
  await anna.close(others.fileId)
  t.equal(await statusOf(two, 'plain'), OBJECT_NAME_NOT_FOUND)
  for (const [client, fileId] of [
    [one, held],
    [two, again],
    [two, source],
  ] as const)
    await client.close(fileId)
})

scene('folders that move with open files below', async (t, { sim }) => {
  const client = await mount(sim, 'posix')
  await client.close(await made(client, 'empty', 0o755, CreateOption.DIRECTORY_FILE))
  const folder = await made(client, 'folder', 0o755, CreateOption.DIRECTORY_FILE)
  const file = await made(client, 'folder/file')
  const input = renameTo('empty')
  t.equal(await client.setInfo(folder, { fileInfoClass: FileInformationClass.Rename, input }), SUCCESS)
  t.equal(await statusOf(client, 'empty/file'), SUCCESS)
  t.equal(await client.write(file, 'x'), SUCCESS)
  await client.close(file)
  await client.close(folder)
})
