/** MS-SMB2 3.3.5.15, MS-FSCC 2.3: IOCTL: copies, sparse files, clones, compression, links, interfaces, snapshots. */

import t from 'tap'
import { FILE_ALL_ACCESS, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { encodeSymbolicLink, SYMLINK_FLAG_RELATIVE } from '../../../protocols/smb2/fscc/reparse.ts'
import { HEADER_BYTES } from '../../../protocols/smb2/messages/header.ts'
import {
  decodeSrvCopychunkResponse,
  decodeSrvRequestResumeKeyResponse,
  encodeSrvCopychunkCopy,
  type SrvCopychunk,
} from '../../../protocols/smb2/messages/ioctl/copychunk.ts'
import {
  decodeAllocatedRanges,
  encodeAllocatedRange,
  encodeDuplicateExtents,
  encodeZeroData,
} from '../../../protocols/smb2/messages/ioctl/file-ranges.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import { decodeNetworkInterfaceInfo } from '../../../protocols/smb2/messages/ioctl/network-interface-info.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { make, scene } from '../../sim/scene.ts'
import { isClean, watch } from '../../sim/sim-checks.ts'
import { createSimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, ACCESS_DENIED, BUFFER_TOO_SMALL, INVALID_DEVICE_REQUEST, INVALID_PARAMETER } = Status
const { FILE_LOCK_CONFLICT, NOT_SUPPORTED } = Status
const ALL = { desiredAccess: FILE_ALL_ACCESS }
const DIRECTORY = { createOptions: CreateOption.DIRECTORY_FILE }
const NEVER_WAIT = LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY

/** What an `encode` function writes. */
function bytesOf(encode: (writer: Writer) => void): Buffer {
  const writer = new Writer()
  encode(writer)
  return writer.finish()
}

/** A file with this content, open for everything. */
async function fileWith(client: SimClient, name: string, content: string | Buffer): Promise<FileId> {
  const { fileId } = await client.create({ name, ...ALL })
  await client.write(fileId, content)
  return fileId
}

async function resumeKey(client: SimClient, fileId: FileId): Promise<Buffer> {
  const { output } = await client.ioctl(Fsctl.SRV_REQUEST_RESUME_KEY, { fileId })
  return decodeSrvRequestResumeKeyResponse(new Reader(output))
}

const chunk = (sourceOffset: number, targetOffset: number, length: number): SrvCopychunk => ({
  ...{ sourceOffset: BigInt(sourceOffset), targetOffset: BigInt(targetOffset), length },
})

async function copy(
  client: SimClient,
  fileId: FileId,
  sourceKey: Buffer,
  chunks: SrvCopychunk[],
  code: number = Fsctl.SRV_COPYCHUNK,
) {
  const input = bytesOf((writer) => encodeSrvCopychunkCopy(writer, { sourceKey, chunks }))
  const { status, output } = await client.ioctl(code, { fileId, input })
  return { status, result: output.length === 0 ? undefined : decodeSrvCopychunkResponse(new Reader(output)) }
}

scene('copies on the server', async (t, { anna, bert }) => {
  const source = await fileWith(anna, 'source', '0123456789')
  const target = await fileWith(anna, 'target', '')
  const key = await resumeKey(anna, source)
  t.same(await resumeKey(anna, source), key, 'the key stays')
  const done = await copy(anna, target, key, [chunk(0, 5, 5), chunk(5, 0, 5)])
  t.same(done, { status: SUCCESS, result: { chunksWritten: 2, chunkBytesWritten: 0, totalBytesWritten: 10 } })
  t.equal((await anna.read(target, 100)).output.toString(), '5678901234')

  const beyond = await copy(anna, target, key, [chunk(0, 0, 2), chunk(8, 0, 3)])
  t.same(beyond, {
    status: Status.INVALID_VIEW_SIZE,
    result: { chunksWritten: 1, chunkBytesWritten: 0, totalBytesWritten: 2 },
  })
  const limits = { chunksWritten: 256, chunkBytesWritten: 1 << 20, totalBytesWritten: 16 << 20 }
  const tooMuch: [what: string, chunks: SrvCopychunk[]][] = [
    ['too many', Array.from({ length: 257 }, () => chunk(0, 0, 1))],
    ['too long', [chunk(0, 0, (1 << 20) + 1)]],
    ['nothing', [chunk(0, 0, 0)]],
    ['in all', Array.from({ length: 17 }, () => chunk(0, 0, 1 << 20))],
  ]
  for (const [what, chunks] of tooMuch) {
    t.same(await copy(anna, target, key, chunks), { status: INVALID_PARAMETER, result: limits }, what)
  }
  const wrong = Buffer.from(key)
  wrong[20] = (wrong[20] ?? 0) ^ 1
  t.equal(
    (await copy(anna, target, wrong, [chunk(0, 0, 1)])).status,
    Status.OBJECT_NAME_NOT_FOUND,
    'a key that was guessed',
  )
  const berts = await fileWith(bert, 'berts', 'x')
  t.equal(
    (await copy(bert, berts, key, [chunk(0, 0, 1)])).status,
    Status.OBJECT_NAME_NOT_FOUND,
    "another session's",
  )
  const blind = await anna.create({ name: 'target', desiredAccess: FileAccess.WRITE_DATA })
  t.equal(
    (await copy(anna, blind.fileId, key, [chunk(0, 0, 1)])).status,
    ACCESS_DENIED,
    'the target cannot be read',
  )
  t.equal((await copy(anna, blind.fileId, key, [chunk(0, 0, 1)], Fsctl.SRV_COPYCHUNK_WRITE)).status, SUCCESS)
  const sourceOfBert = await bert.create({ name: 'source' })
  await bert.lock(sourceOfBert.fileId, { offset: 3n, length: 1n, flags: NEVER_WAIT })
  t.equal((await copy(anna, target, key, [chunk(0, 0, 5)])).status, FILE_LOCK_CONFLICT)
  await anna.close(source)
  t.equal(
    (await copy(anna, target, key, [chunk(0, 0, 1)])).status,
    Status.OBJECT_NAME_NOT_FOUND,
    'a source that is closed',
  )
  const small = { fileId: target, maxOutputResponse: 8 }
  t.equal((await anna.ioctl(Fsctl.SRV_REQUEST_RESUME_KEY, small)).status, INVALID_PARAMETER)
  t.equal((await anna.ioctl(Fsctl.SRV_COPYCHUNK, small)).status, INVALID_PARAMETER)
  t.equal(
    (await anna.ioctl(Fsctl.SRV_COPYCHUNK, { fileId: target, input: Buffer.alloc(10) })).status,
    INVALID_PARAMETER,
  )
})

scene('sparse files', async (t, { anna, bert }) => {
  const fileId = await fileWith(anna, 'file', Buffer.alloc(65536, 1))
  const ranges = async (offset: number, length: number, maxOutputResponse = 1024) => {
    const range = { fileOffset: BigInt(offset), length: BigInt(length) }
    const input = bytesOf((writer) => encodeAllocatedRange(writer, range))
    const { status, output } = await anna.ioctl(Fsctl.QUERY_ALLOCATED_RANGES, {
      fileId,
      input,
      maxOutputResponse,
    })
    const list = decodeAllocatedRanges(new Reader(output)).map((each) => [
      Number(each.fileOffset),
      Number(each.length),
    ])
    return { status, list }
  }
  const zero = (from: number, to: number) => {
    const input = bytesOf((writer) =>
      encodeZeroData(writer, { fileOffset: BigInt(from), beyondFinalZero: BigInt(to) }),
    )
    return anna.ioctl(Fsctl.SET_ZERO_DATA, { fileId, input })
  }
  const attributes = async () =>
    (await anna.queryInfo(fileId, { fileInfoClass: FileInformationClass.Basic })).output.readUInt32LE(32)
  t.equal((await zero(8192, 16384)).status, SUCCESS)
  t.same(
    await ranges(0, 65536),
    { status: SUCCESS, list: [[0, 65536]] },
    'no hole is shown in a file that is not sparse',
  )
  t.equal((await anna.ioctl(Fsctl.SET_SPARSE, { fileId })).status, SUCCESS)
  t.ok((await attributes()) & FileAttribute.SPARSE_FILE)
  t.same(await ranges(0, 65536), {
    status: SUCCESS,
    list: [
      [0, 8192],
      [16384, 49152],
    ],
  })
  t.same(await ranges(4096, 8192), { status: SUCCESS, list: [[4096, 4096]] })
  t.same(await ranges(60000, 1 << 20), { status: SUCCESS, list: [[60000, 5536]] }, 'up to the end of file')
  t.same(await ranges(1 << 20, 5), { status: SUCCESS, list: [] })
  t.same(await ranges(0, 65536, 16), { status: Status.BUFFER_OVERFLOW, list: [[0, 8192]] }, 'what fits')
  t.equal((await ranges(0, 65536, 15)).status, BUFFER_TOO_SMALL)
  t.equal((await ranges(-1, 5)).status, INVALID_PARAMETER)
  t.equal((await ranges(0, -1)).status, INVALID_PARAMETER)
  t.equal((await zero(-1, 5)).status, INVALID_PARAMETER)
  t.equal((await zero(5, 4)).status, INVALID_PARAMETER)
  t.equal((await zero(5, 5)).status, SUCCESS)
  t.equal(
    (await anna.ioctl(Fsctl.SET_ZERO_DATA, { fileId, input: Buffer.alloc(15) })).status,
    INVALID_PARAMETER,
  )
  const other = await bert.create({ name: 'file' })
  await bert.lock(other.fileId, { offset: 100n, length: 1n, flags: NEVER_WAIT })
  t.equal((await zero(0, 200)).status, FILE_LOCK_CONFLICT)
  t.equal((await anna.ioctl(Fsctl.SET_SPARSE, { fileId, input: Buffer.from([0]) })).status, SUCCESS)
  t.equal((await attributes()) & FileAttribute.SPARSE_FILE, 0)
  const reads = await bert.create({ name: 'file', desiredAccess: FileAccess.READ_DATA })
  for (const code of [Fsctl.SET_SPARSE, Fsctl.SET_ZERO_DATA]) {
    t.equal((await bert.ioctl(code, { fileId: reads.fileId })).status, ACCESS_DENIED)
  }
})

scene('clones', async (t, { anna }) => {
  const page = 4096
  const source = await fileWith(anna, 'source', Buffer.alloc(2 * page, 7))
  const target = await fileWith(anna, 'target', Buffer.alloc(2 * page, 1))
  const clone = (from: FileId, sourceFileOffset: number, targetFileOffset: number, byteCount: number) => {
    const fields = { sourceFileOffset: BigInt(sourceFileOffset), targetFileOffset: BigInt(targetFileOffset) }
    const input = bytesOf((writer) =>
      encodeDuplicateExtents(writer, { sourceFileId: from, ...fields, byteCount: BigInt(byteCount) }),
    )
    return anna.ioctl(Fsctl.DUPLICATE_EXTENTS_TO_FILE, { fileId: target, input })
  }
  t.equal((await clone(source, 0, page, page)).status, SUCCESS)
  const { output } = await anna.read(target, 2 * page)
  t.same([output[0], output[page - 1], output[page], output[2 * page - 1]], [1, 1, 7, 7])
  t.equal((await clone(source, page, 0, 2 * page)).status, NOT_SUPPORTED, 'past the end of the source')
  t.equal((await clone({ persistent: 1n, volatile: 1n }, 0, 0, page)).status, Status.INVALID_HANDLE)
  t.equal((await clone(target, 0, page / 2, page)).status, NOT_SUPPORTED, 'over itself')
  t.equal((await clone(source, -1, 0, page)).status, INVALID_PARAMETER)
  t.equal((await clone(source, 0, 0, -1)).status, INVALID_PARAMETER)
})

scene('compression and object ids', async (t, { anna }) => {
  const fileId = await fileWith(anna, 'file', 'x')
  const get = async () => (await anna.ioctl(Fsctl.GET_COMPRESSION, { fileId })).output.readUInt16LE()
  const set = async (state: number) =>
    (await anna.ioctl(Fsctl.SET_COMPRESSION, { fileId, input: new Writer().u16(state).finish() })).status
  t.equal(await get(), 0)
  t.equal(await set(1), SUCCESS)
  t.equal(await get(), 2, 'the default is LZNT1')
  t.equal(await set(0), SUCCESS)
  t.equal(await get(), 0)
  t.equal(await set(77), INVALID_PARAMETER)
  const [one, two] = [
    await anna.ioctl(Fsctl.CREATE_OR_GET_OBJECT_ID, { fileId }),
    await anna.ioctl(Fsctl.CREATE_OR_GET_OBJECT_ID, { fileId }),
  ]
  t.equal(one.output.length, 64)
  t.same(one, two)
})

scene('symbolic links', async (t, { anna }) => {
  await make(anna, 'target')
  const { fileId } = await anna.create({ name: 'link', ...ALL })
  t.equal((await anna.ioctl(Fsctl.GET_REPARSE_POINT, { fileId })).status, Status.NOT_A_REPARSE_POINT)
  const link = (name: string, flags: number) =>
    encodeSymbolicLink({ substituteName: name, printName: name, flags })
  const set = (input: Buffer) => anna.ioctl(Fsctl.SET_REPARSE_POINT, { fileId, input })
  t.equal((await set(link('\\??\\C:\\secret', 0))).status, ACCESS_DENIED, 'one that leads out')
  t.equal((await set(Buffer.alloc(5))).status, INVALID_PARAMETER)
  t.equal(
    (await set(new Writer().u32(0xa000_0003).u16(0).u16(0).finish())).status,
    Status.IO_REPARSE_TAG_NOT_HANDLED,
  )
  t.equal((await set(link('target', SYMLINK_FLAG_RELATIVE))).status, SUCCESS)
  await anna.close(fileId)
  const opened = await anna.create({
    ...{ name: 'link', desiredAccess: FileAccess.READ_ATTRIBUTES, createDisposition: CreateDisposition.OPEN },
    createOptions: CreateOption.OPEN_REPARSE_POINT,
  })
  t.ok((opened.response?.fileAttributes ?? 0) & FileAttribute.REPARSE_POINT)
  const got = await anna.ioctl(Fsctl.GET_REPARSE_POINT, { fileId: opened.fileId })
  t.same(got.output, link('target', SYMLINK_FLAG_RELATIVE))
  const short = { fileId: opened.fileId, maxOutputResponse: got.output.length - 1 }
  t.equal((await anna.ioctl(Fsctl.GET_REPARSE_POINT, short)).status, BUFFER_TOO_SMALL)
})

scene('controls that name no open', async (t, { sim, anna }) => {
  const file = await anna.create({ name: 'file' })
  const address = Buffer.from([192, 0, 2, 5])
  const facts = { index: 3, address, family: 4 as const, linkSpeedBitsPerSecond: 1e9 }
  const interfaces = [
    { ...facts, receiveSideScaling: true },
    { ...facts, receiveSideScaling: false },
  ]
  Object.assign(sim.server, { networkInterfaces: () => interfaces })
  const { output } = await anna.ioctl(Fsctl.QUERY_NETWORK_INTERFACE_INFO)
  t.match(decodeNetworkInterfaceInfo(new Reader(output)), [
    { ifIndex: 3, capability: 1, family: 'IPv4', address, linkSpeed: 1_000_000_000n },
    { ifIndex: 3, capability: 0 },
  ])
  const withOpen = await anna.ioctl(Fsctl.QUERY_NETWORK_INTERFACE_INFO, { fileId: file.fileId })
  t.equal(withOpen.status, INVALID_PARAMETER, 'nor may they')
  const small = await anna.ioctl(Fsctl.QUERY_NETWORK_INTERFACE_INFO, { maxOutputResponse: 10 })
  t.equal(small.status, BUFFER_TOO_SMALL)
  t.equal((await anna.ioctl(Fsctl.DFS_GET_REFERRALS)).status, Status.FS_DRIVER_REQUIRED)
  t.equal((await anna.ioctl(Fsctl.PIPE_WAIT)).status, INVALID_DEVICE_REQUEST, 'not on a disk')
})

scene('the rest', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const snapshots = await anna.ioctl(Fsctl.SRV_ENUMERATE_SNAPSHOTS, { fileId })
  t.equal(snapshots.output.readUInt32LE(), 0)
  const small = { fileId, maxOutputResponse: 15 }
  t.equal((await anna.ioctl(Fsctl.SRV_ENUMERATE_SNAPSHOTS, small)).status, INVALID_PARAMETER)
  t.equal((await anna.ioctl(Fsctl.FILE_LEVEL_TRIM, { fileId })).status, INVALID_DEVICE_REQUEST, 'not served')
  t.equal((await anna.ioctl(0xdead_beef, { fileId })).status, INVALID_DEVICE_REQUEST, 'unknown')
  t.equal(
    (await anna.ioctl(Fsctl.GET_COMPRESSION, { fileId, flags: 0 })).status,
    NOT_SUPPORTED,
    'an IOCTL, no FSCTL',
  )
  t.equal((await anna.ioctl(Fsctl.PIPE_TRANSCEIVE, { fileId })).status, INVALID_DEVICE_REQUEST)
  t.equal((await anna.ioctl(Fsctl.GET_COMPRESSION)).status, Status.FILE_CLOSED, 'without its open')
  const folder = await anna.create({ name: 'dir', ...DIRECTORY, ...ALL })
  for (const code of [Fsctl.SET_SPARSE, Fsctl.SET_ZERO_DATA]) {
    t.equal((await anna.ioctl(code, { fileId: folder.fileId })).status, INVALID_PARAMETER)
  }
})

t.test("smbtorture's controls, where they are configured", async (t) => {
  const off = await SimClient.mount(createSimServer())
  const codes = [
    Fsctl.SMBTORTURE_IOCTL_RESPONSE_BODY_PADDING8,
    Fsctl.SMBTORTURE_GLOBAL_READ_RESPONSE_BODY_PADDING8,
    Fsctl.SMBTORTURE_FSP_ASYNC_SLEEP,
  ]
  const { fileId: offFile } = await off.create({ name: 'file' })
  for (const code of codes) {
    const { status } = await off.ioctl(code, { fileId: offFile, input: Buffer.from([1]) })
    t.equal(status, INVALID_DEVICE_REQUEST)
  }
  const sim = createSimServer({ settings: { smbtortureFsctls: true } })
  const client = await SimClient.mount(sim)
  const { fileId } = await client.create({ name: 'file' })
  const padded = await client.ioctl(Fsctl.SMBTORTURE_IOCTL_RESPONSE_BODY_PADDING8, { maxOutputResponse: 3 })
  t.same(padded.output, Buffer.alloc(3, 8))
  t.equal(client.messages.at(-1)?.message.length, HEADER_BYTES + 48 + 8 + 3)
  t.equal(await client.write(fileId, 'data'), SUCCESS)
  t.equal((await client.ioctl(Fsctl.SMBTORTURE_GLOBAL_READ_RESPONSE_BODY_PADDING8)).status, SUCCESS)
  t.equal((await client.read(fileId, 4)).output.toString(), 'data')
  t.equal(client.messages.at(-1)?.message.length, HEADER_BYTES + 16 + 8 + 4)
  t.equal((await client.read(fileId, 0)).status, SUCCESS)

  const sleeps = client.ioctl(Fsctl.SMBTORTURE_FSP_ASYNC_SLEEP, { fileId, input: Buffer.from([200]) })
  const closes = client.close(fileId)
  const closed = watch(closes)
  await sim.environment.advance(199)
  t.notOk(closed.done, 'the CLOSE waits')
  await sim.environment.advance(1)
  t.equal((await sleeps).status, SUCCESS)
  t.equal(await closes, SUCCESS)
  for (const input of [Buffer.alloc(0), Buffer.alloc(2)]) {
    const { fileId: again } = await client.create({ name: 'file' })
    const { status } = await client.ioctl(Fsctl.SMBTORTURE_FSP_ASYNC_SLEEP, { fileId: again, input })
    t.equal(status, INVALID_PARAMETER)
  }
  await isClean(t, sim)
})
