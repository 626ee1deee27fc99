/** What Macs alone ask of a file: a copy of all of it (FSCTL_SRV_COPYCHUNK without chunks, MS-SMB2 3.3.5.15.6), modes in ACEs. */

import { nfsModeOf } from '../../../protocols/smb2/apple/nfs-aces.ts'
import { FILE_ALL_ACCESS, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { AceType, makeAcl } from '../../../protocols/smb2/fscc/acl.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  type SecurityDescriptor,
  SecurityInformation,
} from '../../../protocols/smb2/fscc/security-descriptor.ts'
import {
  decodeSrvCopychunkResponse,
  decodeSrvRequestResumeKeyResponse,
  encodeSrvCopychunkCopy,
} from '../../../protocols/smb2/messages/ioctl/copychunk.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { AFP_INFO, mountMac } from '../../sim/mac.ts'
import { make, scene } from '../../sim/scene.ts'
import type { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, FILE_LOCK_CONFLICT } = Status
const FORK = Buffer.alloc(50_000, 'fork')
const DATA = Buffer.alloc(200_000, 'data of the file')

async function write(client: SimClient, name: string, data: Buffer): Promise<void> {
  const { fileId } = await client.create({ name })
  await client.write(fileId, data)
  await client.close(fileId)
}

async function read(client: SimClient, name: string, length: number): Promise<Buffer> {
  const { fileId } = await client.create({ name })
  const { output } = await client.read(fileId, length)
  await client.close(fileId)
  return output
}

const { READ_DATA, READ_EA, WRITE_DATA, WRITE_ATTRIBUTES, WRITE_EA } = FileAccess

/** As smbfs opens what it copies, and what it copies to. */
async function openFrom(client: SimClient, name: string): Promise<FileId> {
  return (await client.create({ name, desiredAccess: READ_DATA | READ_EA })).fileId
}

async function openTo(
  client: SimClient,
  name: string,
  rights = WRITE_ATTRIBUTES | WRITE_EA,
): Promise<FileId> {
  return (await client.create({ name, desiredAccess: READ_DATA | WRITE_DATA | rights })).fileId
}

async function copyAll(client: SimClient, from: FileId, to: FileId) {
  const key = await client.ioctl(Fsctl.SRV_REQUEST_RESUME_KEY, { fileId: from, maxOutputResponse: 32 })
  const writer = new Writer()
  const sourceKey = decodeSrvRequestResumeKeyResponse(new Reader(key.output))
  encodeSrvCopychunkCopy(writer, { sourceKey, chunks: [] })
  const request = { fileId: to, input: writer.finish(), maxOutputResponse: 12 }
  const { status, output } = await client.ioctl(Fsctl.SRV_COPYCHUNK, request)
  return { status, result: output.length === 0 ? undefined : decodeSrvCopychunkResponse(new Reader(output)) }
}

scene('a whole file is copied with all that belongs to it', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  await write(mac, 'from', DATA)
  await write(mac, 'from:AFP_Resource', FORK)
  await write(mac, 'from:AFP_AfpInfo', AFP_INFO)
  await write(mac, 'from:note', Buffer.from('named'))
  await write(mac, 'to', Buffer.alloc(300_000, 'longer than the source'))
  const [from, to] = [await openFrom(mac, 'from'), await openTo(mac, 'to')]
  const told = { chunksWritten: 0, chunkBytesWritten: 0, totalBytesWritten: DATA.length }
  t.same(await copyAll(mac, from, to), { status: SUCCESS, result: told })
  await mac.close(to)
  t.ok(DATA.equals(await read(mac, 'to', 400_000)), 'the data, and no more')
  t.ok(FORK.equals(await read(mac, 'to:AFP_Resource', 100_000)))
  t.same((await read(mac, 'to:AFP_AfpInfo', 60)).toString('hex'), AFP_INFO.toString('hex'))
  t.equal((await read(mac, 'to:note', 100)).toString(), 'named')
  const locked = (await anna.create({ name: 'other' })).fileId
  const flags = LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY
  await anna.write(locked, Buffer.alloc(DATA.length + 2))
  // Behind the source's end: the copy would cut it off.
  t.equal(await anna.lock(locked, { offset: BigInt(DATA.length) + 1n, length: 1n, flags }), SUCCESS)
  const other = await openTo(mac, 'other')
  t.equal((await copyAll(mac, from, other)).status, FILE_LOCK_CONFLICT)
  await mac.close(other)
  await mac.close(from)
})

scene('a copy of a file onto itself leaves it as it is', async (t, { sim }) => {
  const mac = await mountMac(sim)
  await write(mac, 'file', DATA)
  const [one, two] = [await openFrom(mac, 'file'), await openTo(mac, 'file')]
  const { status, result } = await copyAll(mac, one, two)
  t.same({ status, bytes: result?.totalBytesWritten }, { status: SUCCESS, bytes: DATA.length })
  t.ok(DATA.equals((await mac.read(one, 400_000)).output))
})

scene('a copy sets no attributes through an open that may not', async (t, { sim }) => {
  const mac = await mountMac(sim)
  await mac.close((await mac.create({ name: 'from', fileAttributes: FileAttribute.HIDDEN })).fileId)
  await write(mac, 'from', DATA)
  await write(mac, 'to', Buffer.from('before'))
  const from = await openFrom(mac, 'from')
  for (const [rights, expected] of [
    [WRITE_EA, 0],
    [WRITE_EA | WRITE_ATTRIBUTES, FileAttribute.HIDDEN],
  ] as const) {
    const to = await openTo(mac, 'to', rights)
    t.equal((await copyAll(mac, from, to)).status, SUCCESS)
    await mac.close(to)
    t.ok(DATA.equals(await read(mac, 'to', 400_000)))
    const { response, fileId } = await mac.create({ name: 'to' })
    t.equal((response?.fileAttributes ?? 0) & FileAttribute.HIDDEN, expected)
    await mac.close(fileId)
  }
  await write(mac, 'to:note', Buffer.from('named'))
  const stream = await openTo(mac, 'to:note')
  t.equal((await copyAll(mac, from, stream)).status, Status.INVALID_PARAMETER)
})

const OF_DACL = {
  infoType: InfoType.SECURITY,
  fileInfoClass: 0,
  additionalInformation: SecurityInformation.DACL,
} as const

async function descriptorOf(client: SimClient, fileId: FileId): Promise<SecurityDescriptor> {
  const { output } = await client.queryInfo(fileId, { ...OF_DACL, outputBufferLength: 65_536 })
  return decodeSecurityDescriptor(output)
}

function sidsOf({ dacl }: SecurityDescriptor): string[] {
  return (dacl?.aces ?? []).flatMap((ace) =>
    'sid' in ace && ace.sid.startsWith('S-1-5-88') ? [ace.sid] : [],
  )
}

scene('modes and ids in ACEs', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  await make(mac, 'file')
  const { fileId } = await mac.create({ name: 'file', desiredAccess: FILE_ALL_ACCESS })
  const shown = await descriptorOf(mac, fileId)
  t.same(sidsOf(shown).slice(0, 1), [`S-1-5-88-3-${0o100644}`])
  t.equal(sidsOf(shown).length, 3, 'mode, uid and gid')
  t.ok(
    shown.dacl?.aces
      .slice(-3)
      .every((ace) => ace.type === AceType.ACCESS_DENIED && 'mask' in ace && ace.mask === 0),
  )
  const set = (sids: readonly string[]) => {
    const aces = sids.map((sid) => ({ type: AceType.ACCESS_DENIED, flags: 0, mask: 0, sid }))
    const input = encodeSecurityDescriptor({ control: 0, dacl: makeAcl(aces) })
    return mac.setInfo(fileId, { ...OF_DACL, input })
  }
  t.equal(await set(['S-1-5-88-3-384', 'S-1-5-88-1-27', 'S-1-5-88-1-27']), SUCCESS)
  const changed = await descriptorOf(mac, fileId)
  t.equal(nfsModeOf(changed), 0o600)
  t.equal(sidsOf(changed).length, 3, 'each once, whatever was set')
  t.equal(await set([`S-1-5-88-3-${0o777}`]), SUCCESS)
  t.equal(nfsModeOf(await descriptorOf(mac, fileId)), 0o644, 'no more than the share lets new files have')
  t.equal(await set(['S-1-5-88-3-384-5']), SUCCESS)
  t.equal(nfsModeOf(await descriptorOf(mac, fileId)), 0o644, 'more than a mode is none')
  t.equal(await set([]), SUCCESS)
  t.ok(((await descriptorOf(mac, fileId)).dacl?.aces.length ?? 0) > 3, 'an empty list locks nobody out')
  const others = await anna.create({ name: 'file', desiredAccess: FILE_ALL_ACCESS })
  t.same(sidsOf(await descriptorOf(anna, others.fileId)), [], 'others see none')
})
