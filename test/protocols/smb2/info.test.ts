/** MS-SMB2 3.3.5.20: QUERY_INFO: every class, with buffers that are large enough, just so, and too small. */

import { FILE_ALL_ACCESS, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { encodeFullEaList } from '../../../protocols/smb2/fscc/ea.ts'
import {
  FileInformationClass,
  QUERY_FILE_INFORMATION_SIZES,
} from '../../../protocols/smb2/fscc/file-information.ts'
import {
  FILE_SYSTEM_INFORMATION_SIZES,
  FileSystemAttribute,
  FileSystemInformationClass,
} from '../../../protocols/smb2/fscc/file-system-information.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  SecurityInformation,
} from '../../../protocols/smb2/fscc/security-descriptor.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { decodeErrorResponse } from '../../../protocols/smb2/messages/error.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { make, scene } from '../../sim/scene.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import { queryInfoRequest } from '../../sim/smb2-requests.ts'

const { SUCCESS, ACCESS_DENIED, BUFFER_OVERFLOW, INFO_LENGTH_MISMATCH, INVALID_INFO_CLASS } = Status
const ALL = { desiredAccess: FILE_ALL_ACCESS }
const { DACL, GROUP, OWNER, SACL } = SecurityInformation
/** Classes that others answer: pipes, and opens with POSIX' rules. */
const OTHER_CLASSES: readonly number[] = [
  FileInformationClass.Pipe,
  FileInformationClass.PipeLocal,
  FileInformationClass.Posix,
]

scene('every class of a file', async (t, { sim }) => {
  const client = await SimClient.mount(sim, { dialects: [Dialect.SMB_3_1_1] })
  const { fileId } = await client.create({ name: 'a long file name', ...ALL })
  await client.write(fileId, 'data')
  const { bytes } = encodeFullEaList([{ flags: 0, name: 'COLOR', value: Buffer.from('red') }])
  await client.setInfo(fileId, { fileInfoClass: FileInformationClass.FullEa, input: bytes })
  for (const [fileInfoClass, size] of QUERY_FILE_INFORMATION_SIZES) {
    if (OTHER_CLASSES.includes(fileInfoClass)) continue
    const ask = (outputBufferLength: number) =>
      client.queryInfo(fileId, { fileInfoClass, outputBufferLength })
    const whole = await ask(65536)
    t.equal(whole.status, SUCCESS, `class ${fileInfoClass}`)
    t.ok(whole.output.length >= (size.variable ? 8 : size.minimumBytes))
    t.same(await ask(Math.max(size.minimumBytes, whole.output.length)), whole, 'a buffer that just fits')
    t.equal((await ask(size.minimumBytes - 1)).status, INFO_LENGTH_MISMATCH)
    if (size.variable !== true || fileInfoClass === FileInformationClass.FullEa) continue
    if (whole.output.length <= size.minimumBytes) continue
    const cut = await ask(whole.output.length - 1)
    t.equal(cut.status, BUFFER_OVERFLOW)
    t.ok(cut.output.equals(whole.output.subarray(0, -1)), 'what fits')
  }
  for (const fileInfoClass of [0, 1, 10, 13, 19, 37, 99, 255]) {
    t.equal(
      (await client.queryInfo(fileId, { fileInfoClass })).status,
      INVALID_INFO_CLASS,
      `class ${fileInfoClass}`,
    )
  }
  t.equal(
    (await client.queryInfo(fileId, { fileInfoClass: FileInformationClass.Pipe })).status,
    INVALID_INFO_CLASS,
  )
})

scene('what the classes say', async (t, { anna }) => {
  const { fileId, response } = await anna.create({ name: 'Folder name.txt', ...ALL })
  await anna.write(fileId, 'data')
  await make(anna, 'Folder name.txt:stream')
  const ask = async (fileInfoClass: number) =>
    new Reader((await anna.queryInfo(fileId, { fileInfoClass })).output)
  const standard = await ask(FileInformationClass.Standard)
  t.same(
    [standard.size64(), standard.size64(), standard.u32(), standard.u8(), standard.u8()],
    [4096, 4, 1, 0, 0],
  )
  const basic = await ask(FileInformationClass.Basic)
  t.equal(basic.u64(), response?.creationTime)
  t.equal(basic.seek(32).u32(), FileAttribute.ARCHIVE)
  const all = await ask(FileInformationClass.All)
  t.equal(all.seek(76).u32(), FILE_ALL_ACCESS, 'the access that was granted')
  t.equal(all.size64(), 4, 'the position after the WRITE')
  t.equal(all.seek(100).utf16(32), '\\Folder name.txt')
  const short = await ask(FileInformationClass.AlternateName)
  t.match(short.utf16(short.u32()), /^F~[A-Z0-9]+\.TXT$/)
  const streams = (await anna.queryInfo(fileId, { fileInfoClass: FileInformationClass.Stream })).output
  t.match(streams.toString('utf16le'), /::\$DATA.*:stream:\$DATA/)
  const internal = await ask(FileInformationClass.Internal)
  const id = await ask(FileInformationClass.Id)
  t.equal(internal.u64(), id.seek(8).u64())

  const directory = await anna.create({ name: 'dir', createOptions: CreateOption.DIRECTORY_FILE, ...ALL })
  const ofDirectory = await anna.queryInfo(directory.fileId, { fileInfoClass: FileInformationClass.Standard })
  t.equal(ofDirectory.output[21], 1)
  const none = await anna.queryInfo(directory.fileId, { fileInfoClass: FileInformationClass.Stream })
  t.same(none, { status: SUCCESS, output: Buffer.alloc(0) }, 'a directory without streams')
  const normalized = await anna.queryInfo(fileId, { fileInfoClass: FileInformationClass.NormalizedName })
  t.equal(normalized.status, Status.NOT_SUPPORTED, 'before 3.1.1')

  const disposition = { fileInfoClass: FileInformationClass.Disposition, input: Buffer.from([1]) }
  t.equal(await anna.setInfo(fileId, disposition), SUCCESS)
  const pending = await ask(FileInformationClass.Standard)
  t.same([pending.seek(16).u32(), pending.u8()], [0, 1], 'a file that is to be deleted has one link less')
})

scene('rights', async (t, { anna }) => {
  await make(anna, 'file')
  const open = async (desiredAccess: number) =>
    (await anna.create({ name: 'file', desiredAccess, createDisposition: CreateDisposition.OPEN })).fileId
  const reads = await open(FileAccess.READ_DATA)
  const { All, Basic, NetworkOpen, AttributeTag, FullEa, Standard, Internal } = FileInformationClass
  for (const fileInfoClass of [All, Basic, NetworkOpen, AttributeTag, FullEa]) {
    t.equal((await anna.queryInfo(reads, { fileInfoClass })).status, ACCESS_DENIED, `class ${fileInfoClass}`)
  }
  for (const fileInfoClass of [Standard, Internal]) {
    t.equal((await anna.queryInfo(reads, { fileInfoClass })).status, SUCCESS, `class ${fileInfoClass}`)
  }
  const security = { infoType: InfoType.SECURITY, fileInfoClass: 0 }
  const ask = async (fileId: typeof reads, additionalInformation: number) =>
    (await anna.queryInfo(fileId, { ...security, additionalInformation })).status
  t.equal(await ask(reads, OWNER), ACCESS_DENIED)
  const controls = await open(FileAccess.READ_CONTROL)
  t.equal(await ask(controls, OWNER | GROUP | DACL), SUCCESS)
  t.equal(await ask(controls, SACL), ACCESS_DENIED)
})

scene('extended attributes', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const { FullEa, Ea } = FileInformationClass
  const ask = (fields: object = {}) => anna.queryInfo(fileId, { fileInfoClass: FullEa, ...fields })
  t.equal((await ask()).status, Status.NO_EAS_ON_FILE)
  const eas = [
    { flags: 0, name: 'COLOR', value: Buffer.from('red') },
    { flags: 0, name: 'SIZE', value: Buffer.from('large') },
  ]
  const { bytes } = encodeFullEaList(eas)
  t.equal(await anna.setInfo(fileId, { fileInfoClass: FullEa, input: bytes }), SUCCESS)
  t.same((await ask()).output, bytes)
  t.equal((await anna.queryInfo(fileId, { fileInfoClass: Ea })).output.readUInt32LE(), bytes.length)
  const first = await ask({ outputBufferLength: bytes.length - 1 })
  t.equal(first.status, BUFFER_OVERFLOW)
  t.same(first.output, encodeFullEaList(eas.slice(0, 1)).bytes, 'whole ones only')
  t.equal((await ask({ outputBufferLength: 8 })).status, Status.BUFFER_TOO_SMALL)
  const wanted = new Writer().u32(0).u8(4).bytes(Buffer.from('size\0')).finish()
  t.same((await ask({ input: wanted })).output, encodeFullEaList(eas.slice(1)).bytes, 'those that are named')
  t.equal((await ask({ input: Buffer.from([1, 2, 3]) })).status, Status.INVALID_PARAMETER)
  const setEa = async (name: string, length: number) => {
    const input = encodeFullEaList([{ flags: 0, name, value: Buffer.alloc(length, name) }]).bytes
    return await anna.setInfo(fileId, { fileInfoClass: FullEa, input })
  }
  t.equal(await setEa('A', 40_000), SUCCESS)
  t.equal(await setEa('B', 40_000), Status.EA_TOO_LARGE)
  t.equal(await setEa('A', 0), SUCCESS)
  t.same((await ask()).output, bytes, 'what was too large is not there')
  const removal = encodeFullEaList([{ flags: 0, name: 'color', value: Buffer.alloc(0) }]).bytes
  t.equal(await anna.setInfo(fileId, { fileInfoClass: FullEa, input: removal }), SUCCESS)
  t.same((await ask()).output, encodeFullEaList(eas.slice(1)).bytes)
})

scene('every class of a file system', async (t, { anna }) => {
  const root = await anna.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  const ask = (fileInfoClass: number, outputBufferLength = 65536) =>
    anna.queryInfo(root.fileId, { infoType: InfoType.FILESYSTEM, fileInfoClass, outputBufferLength })
  for (const [fileInfoClass, { minimumBytes }] of FILE_SYSTEM_INFORMATION_SIZES) {
    const whole = await ask(fileInfoClass)
    if (whole.status === INVALID_INFO_CLASS) continue
    t.equal(whole.status, SUCCESS, `class ${fileInfoClass}`)
    t.same(await ask(fileInfoClass, Math.max(whole.output.length, minimumBytes)), whole)
    t.equal((await ask(fileInfoClass, minimumBytes - 1)).status, INFO_LENGTH_MISMATCH)
    if (whole.output.length <= minimumBytes) continue
    t.equal((await ask(fileInfoClass, whole.output.length - 1)).status, BUFFER_OVERFLOW)
  }
  const attributes = new Reader((await ask(FileSystemInformationClass.Attribute)).output)
  const bits = attributes.u32()
  t.ok(bits & FileSystemAttribute.NAMED_STREAMS)
  t.equal(bits & FileSystemAttribute.VOLUME_QUOTAS, 0, 'what is not there is not announced')
  t.equal(attributes.u32(), 255)
  t.equal(attributes.utf16(attributes.u32()), 'NTFS')
  const volume = (await ask(FileSystemInformationClass.Volume)).output
  t.equal(volume.toString('utf16le', 18), 'share')
  t.equal((await ask(99)).status, INVALID_INFO_CLASS)
  const size = new Reader((await ask(FileSystemInformationClass.Size)).output)
  t.same([size.size64(), size.size64() > 0, size.u32(), size.u32()], [2 ** 28, true, 8, 512])
})

scene('other kinds of information, and too much of it', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  t.equal((await anna.queryInfo(fileId, { infoType: InfoType.QUOTA })).status, Status.NOT_SUPPORTED)
  t.equal((await anna.queryInfo(fileId, { infoType: 9 })).status, Status.INVALID_PARAMETER)
  const large = { ...queryInfoRequest({ fileId, outputBufferLength: (8 << 20) + 1 }), creditCharge: 129 }
  await anna.request({ ...queryInfoRequest({ fileId }), credits: 200 })
  t.equal((await anna.request(large)).status, Status.INVALID_PARAMETER)
  t.equal(
    await anna.setInfo(fileId, { infoType: InfoType.QUOTA, input: Buffer.alloc(8) }),
    Status.NOT_SUPPORTED,
  )
  t.equal(
    await anna.setInfo(fileId, { infoType: InfoType.FILESYSTEM, input: Buffer.alloc(8) }),
    Status.NOT_SUPPORTED,
  )
  t.equal(await anna.setInfo(fileId, { infoType: 9, input: Buffer.alloc(8) }), Status.INVALID_PARAMETER)
})

scene('security descriptors', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file', ...ALL })
  const parts = OWNER | GROUP | DACL
  const ask = (outputBufferLength = 65536, additionalInformation: number = parts) => ({
    ...{ fileId, infoType: InfoType.SECURITY, fileInfoClass: 0, outputBufferLength, additionalInformation },
  })
  const whole = await anna.queryInfo(fileId, ask())
  const { identities, self } = sim.server
  const descriptor = decodeSecurityDescriptor(whole.output)
  t.equal(descriptor.owner, identities.userSid(self.uid))
  t.equal(descriptor.dacl?.aces.length, 4, 'owner, group, everyone and the system')
  t.same(await anna.queryInfo(fileId, ask(whole.output.length)), whole)
  const small = await anna.request(queryInfoRequest(ask(whole.output.length - 1)))
  t.equal(small.status, Status.BUFFER_TOO_SMALL)
  t.equal(
    decodeErrorResponse(small.body).errorData.readUInt32LE(),
    whole.output.length,
    'the client learns what it needs',
  )
  const newer = await SimClient.mount(sim, { dialects: [Dialect.SMB_3_1_1] })
  const file = await newer.create({ name: 'file', ...ALL })
  const inContext = await newer.request(queryInfoRequest({ ...ask(8), fileId: file.fileId }))
  const { errorContexts } = decodeErrorResponse(inContext.body)
  t.equal(errorContexts[0]?.errorData.readUInt32LE(), whole.output.length, 'in an error context on 3.1.1')

  const owner = decodeSecurityDescriptor((await anna.queryInfo(fileId, ask(65536, OWNER))).output)
  t.match(
    owner,
    { owner: descriptor.owner, group: undefined, dacl: undefined },
    'the parts that were asked for',
  )
  const set = (additionalInformation: number, input: Buffer) =>
    anna.setInfo(fileId, { infoType: InfoType.SECURITY, additionalInformation, input })
  const everyone = encodeSecurityDescriptor({ control: 0, dacl: null })
  t.equal(await set(DACL, everyone), SUCCESS)
  const after = decodeSecurityDescriptor((await anna.queryInfo(fileId, ask())).output)
  t.equal(after.dacl, null)
  t.equal(after.owner, descriptor.owner, 'what was not set stays')
  t.equal(await set(SACL, everyone), ACCESS_DENIED)
  t.equal(await set(DACL, Buffer.from('garbage')), Status.INVALID_PARAMETER)
  const limited = await anna.create({ name: 'file', desiredAccess: FileAccess.READ_CONTROL })
  for (const additionalInformation of [OWNER, GROUP, DACL]) {
    const fields = { infoType: InfoType.SECURITY, additionalInformation, input: everyone }
    t.equal(await anna.setInfo(limited.fileId, fields), ACCESS_DENIED)
  }
})
