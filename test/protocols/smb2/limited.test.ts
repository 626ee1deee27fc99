/** MS-SMB2 3.3.5.7, MS-FSCC 2.5: shares with a size limit, and shares of which each user has an own tree. */

import t from 'tap'
import { restoreOpens, suspendOpens } from '../../../protocols/smb2/commands/restore-opens.ts'
import { FILE_GENERIC_READ } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { FileSystemInformationClass } from '../../../protocols/smb2/fscc/file-system-information.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { DurableRecord } from '../../../protocols/smb2/state/durable-store.ts'
import type { Principal, Share } from '../../../protocols/smb2/state/server.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import type { FileSystem } from '../../../storage/file-system.ts'
import { LimitedFileSystem } from '../../../storage/limited/file-system.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { comeBack, mount, open } from '../../sim/durable.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { createSimServer, SIM_SHARE } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, ACCESS_DENIED, DISK_FULL, OBJECT_NAME_NOT_FOUND } = Status
const KIB = 1024
/** The allocation unit of volumes with a limit. */
const UNIT = KIB
const ROOT = { name: '', desiredAccess: FILE_GENERIC_READ, createOptions: CreateOption.DIRECTORY_FILE }
const EXISTING = { createDisposition: CreateDisposition.OPEN }
const CLOCK = { now: () => 0, after: () => () => undefined }

async function limited(
  limit: number,
  inner: FileSystem = createMemoryFileSystem(),
): Promise<LimitedFileSystem> {
  const fileSystem = new LimitedFileSystem(inner, { clock: CLOCK, limit })
  await fileSystem.start()
  return fileSystem
}

/** Allocation units: total, for the caller, free. */
async function sizes(client: SimClient): Promise<number[]> {
  const { fileId } = await client.create(ROOT)
  const ask = async (fileInfoClass: number): Promise<Reader> =>
    new Reader((await client.queryInfo(fileId, { infoType: InfoType.FILESYSTEM, fileInfoClass })).output)
  const small = await ask(FileSystemInformationClass.Size)
  const full = await ask(FileSystemInformationClass.FullSize)
  await client.close(fileId)
  const [total, available] = [small.size64(), small.size64()]
  const [fullTotal, caller, free] = [full.size64(), full.size64(), full.size64()]
  return total === fullTotal && available === caller ? [total, caller, free] : []
}

t.test('the limit is the volume that clients see', async (t) => {
  const fileSystem = await limited(64 * KIB)
  const sim = createSimServer({ share: { fileSystem } })
  const anna = await SimClient.mount(sim)
  t.same(await sizes(anna), [64, 64, 64])
  const { fileId } = await anna.create({ name: 'file' })
  t.equal(await anna.write(fileId, Buffer.alloc(48 * KIB, 'x')), SUCCESS)
  t.same(await sizes(anna), [64, 16, 16])
  t.equal(await anna.write(fileId, Buffer.alloc(32 * KIB, 'y'), 48n * 1024n), DISK_FULL)
  t.equal(
    await anna.write(fileId, Buffer.alloc(48 * KIB, 'z')),
    SUCCESS,
    'what is there can be written again',
  )
  const endOfFile = (bytes: bigint) =>
    anna.setInfo(fileId, {
      fileInfoClass: FileInformationClass.EndOfFile,
      input: new Writer().u64(bytes).finish(),
    })
  t.equal(await endOfFile(65_536n), SUCCESS)
  t.equal(await endOfFile(65_537n), DISK_FULL)
  await fileSystem.setLimit(128 * KIB)
  t.same(await sizes(anna), [128, 80, 80], 'another limit, the same session')
  t.equal(await anna.write(fileId, Buffer.alloc(32 * KIB, 'y'), 48n * 1024n), SUCCESS)
  await anna.close(fileId)
  const again = await anna.create({ name: 'file', ...EXISTING, createOptions: CreateOption.DELETE_ON_CLOSE })
  await anna.close(again.fileId)
  t.same(await sizes(anna), [128, 128, 128], 'deleted')
  await isClean(t, sim)
})

/** A share of which each user has an own tree of as many units as given. */
function perUser(units: Readonly<Record<string, number>>): Partial<Share> {
  const trees = new Map<string, Promise<LimitedFileSystem>>()
  const admit = () => ({ identity: undefined, readOnly: false, administrator: false })
  const share: Partial<Share> = {
    admit,
    async own(principal: Principal) {
      const limit = units[principal.user]
      if (limit === undefined) throw new Error('no folder')
      const tree = trees.get(principal.user) ?? limited(limit * UNIT, createMemoryFileSystem())
      trees.set(principal.user, tree)
      const same = ({ user }: Principal) => (user === principal.user ? admit() : undefined)
      const base = { name: SIM_SHARE, path: `/${principal.user}`, type: 'disk', admit: same } as const
      return { ...PLAIN, ...base, fileSystem: await tree }
    },
  }
  return share
}

const PLAIN = {
  ...{ remark: '', browseable: true, encryptData: false, createMask: 0o644, directoryMask: 0o755 },
  ...{ forcedOwner: undefined, hideDotFiles: false, hidden: undefined, hideUnreadable: false },
  ...{ deleteReadonly: false, followLinks: false, zeroFileId: false, modesByDefault: false },
  netatalkLocking: false,
}

t.test('each user has an own tree under the same name', async (t) => {
  const users = { bert: 'secret', carl: 'secret' }
  const sim = createSimServer({ share: perUser({ anna: 16, bert: 32 }), users })
  const anna = await SimClient.mount(sim, 'anna')
  const bert = await SimClient.mount(sim, { address: 'bert', user: 'bert', password: 'secret' })
  t.same(await sizes(anna), [16, 16, 16])
  t.same(await sizes(bert), [32, 32, 32])
  const { fileId } = await anna.create({ name: 'file' })
  t.equal(await anna.write(fileId, Buffer.alloc(16 * UNIT)), SUCCESS)
  t.same(await sizes(bert), [32, 32, 32])
  t.equal((await bert.create({ name: 'file', ...EXISTING })).status, OBJECT_NAME_NOT_FOUND)
  await anna.close(fileId)
  const carl = await SimClient.logOn(sim, { address: 'carl', user: 'carl', password: 'secret' })
  t.equal(await carl.connectTree(SIM_SHARE), ACCESS_DENIED)
  t.match(sim.complaints, [/the folder of a user cannot be had/])
  await isClean(t, sim)
})

t.test('durable opens come back in the tree of their user', async (t) => {
  const records = new Map<string, DurableRecord>()
  const durableStore = {
    write(kept: readonly DurableRecord[], forgotten: readonly string[]) {
      for (const id of forgotten) records.delete(id)
      for (const record of kept) records.set(record.id, record)
    },
  }
  const share = perUser({ anna: 16 })
  const sim = createSimServer({ share, durableStore })
  const anna = await mount(sim)
  const { fileId } = await open(anna)
  t.equal(await anna.write(fileId, 'kept'), SUCCESS)
  await sim.environment.advance(100)
  sim.server.durables.end(sim.server)
  await suspendOpens(sim.server)
  const later = createSimServer({ share, durableStore, seed: 2 })
  t.equal(await restoreOpens(later.server, [...records.values()]), 1)
  const back = await mount(later)
  const again = await comeBack(back, fileId)
  t.equal(again.status, SUCCESS)
  t.equal((await back.read(again.fileId, 10)).output.toString(), 'kept')
})
