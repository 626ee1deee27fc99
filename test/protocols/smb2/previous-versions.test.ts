/** MS-SMB2 2.2.13.2.7, 3.3.5.9.4, 3.3.5.15.1: previous versions: their tokens, opens by TWrp and by name, and that nothing changes them. */

import { FILE_ALL_ACCESS, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeQueryOnDiskIdResponse,
  encodeTimewarpToken,
} from '../../../protocols/smb2/messages/create-context-data.ts'
import { type CreateContext, CreateContextName } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import { decodeSrvSnapshotArray, snapshotTokenOf } from '../../../protocols/smb2/messages/ioctl/snapshots.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { PreviousVersions } from '../../../protocols/smb2/state/server.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { filetimeOfMilliseconds } from '../../../protocols/wire/filetime.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import type { FileSystem } from '../../../storage/file-system.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { PreviousFileSystem } from '../../../storage/previous/file-system.ts'
import { OpenTrees } from '../../../storage/previous/open-trees.ts'
import { GUID, LEASE_KEY, mount } from '../../sim/durable.ts'
import { attempt, hex, make, scene } from '../../sim/scene.ts'
import { SIM_SHARE } from '../../sim/sim-server.ts'
import { leaseBits, SimClient } from '../../sim/smb2-client.ts'
import { durableRequest, leaseRequest } from '../../sim/world/wire.ts'

const OLD = Date.UTC(2024, 1, 3, 4, 5, 6)
const OLDER = Date.UTC(2023, 11, 31, 23, 59, 59)
const READING = { desiredAccess: FileAccess.READ_DATA, createDisposition: CreateDisposition.OPEN }
const { MEDIA_WRITE_PROTECTED, OBJECT_NAME_NOT_FOUND, SUCCESS } = Status

const twrp = (created: number): CreateContext => ({
  name: CreateContextName.TIMEWARP_TOKEN,
  data: encodeTimewarpToken(filetimeOfMilliseconds(created)),
})
const QFID: CreateContext = { name: CreateContextName.ON_DISK_ID, data: Buffer.alloc(0) }
const at = (created: number, ...more: CreateContext[]) => ({
  ...READING,
  createContexts: [twrp(created), ...more],
})

/** Two versions of an empty tree, which tests fill. */
const live = createMemoryFileSystem()
const older = createMemoryFileSystem()
const old = createMemoryFileSystem()
const trees = new OpenTrees(
  { after: () => () => undefined },
  (error) => {
    throw error
  },
  1,
)
const versionOf = (created: number, tree: FileSystem) =>
  new PreviousFileSystem({ live, created, trees, open: async () => ({ ...withoutClose(tree) }) })

/** A tree in memory would be gone. */
function withoutClose(tree: FileSystem): FileSystem {
  return {
    ...{ features: tree.features, volumeId: tree.volumeId, close: async () => undefined },
    ...{ open: (request) => tree.open(request), space: () => tree.space() },
    occupied: (goesOn) => tree.occupied(goesOn),
  }
}

const versions = new Map([
  [OLD, versionOf(OLD, old)],
  [OLDER, versionOf(OLDER, older)],
])
const previousVersions: PreviousVersions = {
  list: async () => [...versions.keys()],
  at: async (created) => versions.get(created),
}
const OPTIONS = {
  storage: live,
  share: { previousVersions },
  shares: [
    { name: 'old', fileSystem: old },
    { name: 'older', fileSystem: older },
    { name: 'bare' },
    { name: 'none', previousVersions: { list: async () => [], at: async () => undefined } },
  ],
}

async function snapshots(client: SimClient, name: string, maxOutputResponse = 65_536) {
  const { fileId } = await client.create({ name, ...READING })
  const { status, output } = await client.ioctl(Fsctl.SRV_ENUMERATE_SNAPSHOTS, { fileId, maxOutputResponse })
  await client.close(fileId)
  if (status !== SUCCESS) return hex(status)
  const { numberOfSnapShots, snapshots: tokens } = decodeSrvSnapshotArray(new Reader(output))
  return { numberOfSnapShots, tokens, bytes: output.length }
}

async function write(client: SimClient, share: string, name: string, content: string): Promise<void> {
  await client.connectTree(share)
  const { fileId } = await client.create({ name })
  await client.write(fileId, content)
  await client.close(fileId)
  await client.connectTree(SIM_SHARE)
}

scene(
  'what there is',
  async (t, { sim, anna }) => {
    const tokens = ['@GMT-2024.02.03-04.05.06', '@GMT-2023.12.31-23.59.59']
    t.same(await snapshots(anna, ''), { numberOfSnapShots: 2, tokens, bytes: 12 + 2 * 50 + 2 })
    t.same(await snapshots(anna, '', 16), { numberOfSnapShots: 2, tokens: [], bytes: 16 }, 'too little room')
    t.equal(await snapshots(anna, '', 15), hex(Status.INVALID_PARAMETER))
    for (const share of ['none', 'bare']) {
      const client = await SimClient.mount(sim, { address: 'carl', share })
      t.match(await snapshots(client, ''), { numberOfSnapShots: 0, tokens: [] }, 'an empty list is one')
      const name = 'file'
      t.equal(await attempt(client, { name, ...at(OLD) }), hex(OBJECT_NAME_NOT_FOUND))
    }
    const bare = await SimClient.mount(sim, { address: 'dora', share: 'bare' })
    await make(bare, '@GMT-2024.02.03-04.05.06')
    t.equal(await attempt(bare, { name: '@GMT-2024.02.03-04.05.06', ...READING }), 1, 'a name like others')
  },
  OPTIONS,
)

scene(
  'by TWrp, and by a component of the name',
  async (t, { anna }) => {
    await write(anna, SIM_SHARE, 'file', 'new')
    await write(anna, 'old', 'file', 'old')
    await write(anna, 'older', 'file', 'older')
    await write(anna, 'old', 'file:stream', 'text')
    await anna.connectTree('old')
    await make(anna, 'folder', CreateOption.DIRECTORY_FILE)
    await anna.connectTree(SIM_SHARE)
    await write(anna, 'old', 'folder\\below', 'deep')
    const contentOf = async (name: string, created?: number) => {
      const opened = await anna.create({ name, ...(created === undefined ? READING : at(created)) })
      if (opened.response === undefined) return hex(opened.status)
      const { output } = await anna.read(opened.fileId, 100)
      await anna.close(opened.fileId)
      return output.toString()
    }
    const token = snapshotTokenOf(OLD)
    t.equal(await contentOf('file'), 'new')
    t.equal(await contentOf('file', 0 - 11_644_473_600_000), 'new', 'a zero asks for nothing')
    t.equal(await contentOf('file', OLD), 'old')
    t.equal(await contentOf('file', OLD + 999), 'old', 'seconds count')
    t.equal(await contentOf('file', OLDER), 'older')
    t.equal(await contentOf('file:stream', OLD), 'text')
    for (const name of [`${token}\\folder\\below`, `folder\\${token}\\below`, `folder\\below\\${token}`]) {
      t.equal(await contentOf(name), 'deep')
    }
    t.equal(await contentOf('folder\\below'), hex(Status.OBJECT_PATH_NOT_FOUND))
    t.equal(await contentOf('file', OLD + 1000), hex(OBJECT_NAME_NOT_FOUND))
    t.equal(await contentOf(`${snapshotTokenOf(OLD + 1000)}\\file`), hex(OBJECT_NAME_NOT_FOUND))
    t.equal(await contentOf(`${token}\\${token}`), hex(OBJECT_NAME_NOT_FOUND))
    const { fileId } = await anna.create({ name: token, ...READING })
    t.same((await anna.list(fileId)).names, ['.', '..', 'file', 'folder'])
    t.equal(
      (await anna.ioctl(Fsctl.SRV_ENUMERATE_SNAPSHOTS, { fileId, maxOutputResponse: 4096 })).status,
      SUCCESS,
    )
    await anna.close(fileId)
  },
  OPTIONS,
)

scene(
  'ids of their own, so that nobody is in the way of the live file',
  async (t, { sim, anna, bert }) => {
    await write(anna, SIM_SHARE, 'file', 'new')
    await write(anna, 'old', 'file', 'old')
    await write(anna, 'older', 'file', 'older')
    const idOf = async (contexts: CreateContext[]) => {
      const fields = { name: 'file', ...READING, shareAccess: 0, createContexts: [QFID, ...contexts] }
      const { response } = await anna.create(fields)
      const data = response?.createContexts.find(({ name }) => name === QFID.name)?.data ?? Buffer.alloc(32)
      return decodeQueryOnDiskIdResponse(data)
    }
    const ids = [await idOf([]), await idOf([twrp(OLD)])]
    t.equal(new Set(ids.map(({ diskFileId }) => diskFileId)).size, 2, 'open at a time, sharing nothing')
    t.equal(new Set(ids.map(({ volumeId }) => volumeId)).size, 1)
    const busy = hex(Status.TOO_MANY_OPENED_FILES)
    t.equal(
      await attempt(bert, { name: 'file', ...at(OLDER) }),
      busy,
      'so many trees are open, and all in use',
    )
    t.equal([...sim.server.globalOpenTable.values()].filter(({ isPrevious }) => isPrevious).length, 1)
    await anna.connectTree(SIM_SHARE)
    for (const open of sim.server.globalOpenTable.values()) await anna.close(open.fileId)
    const folder = await bert.create({ name: '', ...at(OLD) })
    const { output } = await bert.list(folder.fileId, { fileName: 'file' })
    t.equal(output.readBigUInt64LE(96), ids[1]?.diskFileId, 'the same id in listings')
  },
  OPTIONS,
)

scene(
  'nothing is changed',
  async (t, { anna, bert }) => {
    await write(anna, SIM_SHARE, 'file', 'new')
    await write(anna, 'old', 'file', 'old')
    const refused = hex(MEDIA_WRITE_PROTECTED)
    const { CREATE, OPEN, OPEN_IF, OVERWRITE, OVERWRITE_IF, SUPERSEDE } = CreateDisposition
    for (const createDisposition of [CREATE, OVERWRITE, OVERWRITE_IF, SUPERSEDE]) {
      t.equal(await attempt(anna, { name: 'file', ...at(OLD), createDisposition }), refused)
    }
    t.equal(await attempt(anna, { name: 'missing', ...at(OLD), createDisposition: OPEN_IF }), refused)
    t.equal(await attempt(anna, { name: 'missing', ...at(OLD) }), hex(OBJECT_NAME_NOT_FOUND))
    const createOptions = CreateOption.DELETE_ON_CLOSE
    const desiredAccess = FILE_ALL_ACCESS
    t.equal(await attempt(anna, { name: 'file', ...at(OLD), desiredAccess, createOptions }), refused)
    const all = { name: 'file', ...at(OLD), desiredAccess, createDisposition: OPEN }
    const { fileId } = await anna.create(all)
    t.equal(await anna.write(fileId, 'x'), MEDIA_WRITE_PROTECTED)
    const size = { fileInfoClass: FileInformationClass.EndOfFile, input: Buffer.alloc(8) }
    const deletion = { fileInfoClass: FileInformationClass.Disposition, input: Buffer.from([1]) }
    const security = { infoType: InfoType.SECURITY, additionalInformation: 4, input: Buffer.alloc(20) }
    for (const fields of [size, deletion, security]) {
      t.equal(await anna.setInfo(fileId, fields), MEDIA_WRITE_PROTECTED)
    }
    const position = { fileInfoClass: FileInformationClass.Position, input: Buffer.alloc(8) }
    t.equal(await anna.setInfo(fileId, position), SUCCESS, 'of the open alone')
    t.equal(
      (await anna.ioctl(Fsctl.SET_SPARSE, { fileId, input: Buffer.from([1]) })).status,
      MEDIA_WRITE_PROTECTED,
    )
    t.equal(await anna.flush(fileId), SUCCESS)
    t.same((await anna.read(fileId, 10)).output.toString(), 'old')
    await anna.close(fileId)
    t.equal(await attempt(bert, { name: 'file', ...at(OLD) }), 1, 'it is still there')
  },
  OPTIONS,
)

scene(
  'without caching, and gone with the tree connect',
  async (t, { sim, anna }) => {
    await write(anna, 'old', 'file', 'old')
    const mac = await mount(sim)
    const requestedOplockLevel = OplockLevel.LEASE
    const contexts = [leaseRequest(LEASE_KEY, leaseBits('RH')), durableRequest(GUID, 0)]
    const { response } = await mac.create({
      name: 'file',
      ...at(OLD, ...contexts),
      requestedOplockLevel,
    })
    t.equal(response?.oplockLevel, OplockLevel.NONE)
    t.same(response?.createContexts, [], 'neither a lease nor a durable handle')
    const [open] = [...sim.server.globalOpenTable.values()]
    t.match(open, { isPrevious: true, pathName: 'file', durable: undefined })
    t.equal(
      open?.treeConnect?.share,
      sim.server.shareList.get(SIM_SHARE),
      'of the tree connect that there is',
    )
    t.not(open?.share.fileSystem, live)
    t.ok(versions.get(OLD)?.isInUse)
    mac.drop()
    await sim.environment.advance(0)
    t.notOk(versions.get(OLD)?.isInUse)
    const again = await SimClient.mount(sim, { dialects: [Dialect.SMB_3_1_1] })
    t.equal(await attempt(again, { name: 'file', ...at(OLD) }), 1)
  },
  OPTIONS,
)
