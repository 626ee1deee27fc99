/** MS-SMB2 3.3.3, 3.3.1.10: durable opens over a restart of the server. */

import t, { type Test } from 'tap'
import { restoreOpens, suspendOpens } from '../../../protocols/smb2/commands/restore-opens.ts'
import { FILE_ALL_ACCESS, FILE_GENERIC_READ } from '../../../protocols/smb2/fscc/access.ts'
import { CreateAction, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import type { DurableRecord, DurableStore } from '../../../protocols/smb2/state/durable-store.ts'
import type { Share } from '../../../protocols/smb2/state/server.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { filetimeOfMilliseconds } from '../../../protocols/wire/filetime.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { comeBack, LEASE_KEY, MINUTE, mount, open, openLeased } from '../../sim/durable.ts'
import { isClean, watch } from '../../sim/sim-checks.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { leaseBits, leaseText, SimClient } from '../../sim/smb2-client.ts'
import { durableReconnect, durableRequest, grantedLease, leaseRequest } from '../../sim/world/wire.ts'

/** A store in memory, that keeps text as a file does. */
class TextStore implements DurableStore {
  readonly lines = new Map<string, string>()
  /** Records that were written. */
  written = 0

  write(kept: readonly DurableRecord[], forgotten: readonly string[]): void {
    this.written += kept.length
    for (const id of forgotten) this.lines.delete(id)
    for (const record of kept) this.lines.set(record.id, JSON.stringify(record))
  }

  records(): DurableRecord[] {
    return Array.from(this.lines.values(), (line) => JSON.parse(line))
  }
}

/** More than the journal takes to write. */
const WRITTEN = 100
const OTHER_GUID = Buffer.alloc(16, 'h')

/** FileDispositionInformation */
function dispose(client: SimClient, fileId: FileId, deletes: boolean): Promise<number> {
  const input = new Writer().u8(deletes ? 1 : 0).finish()
  return client.setInfo(fileId, { fileInfoClass: FileInformationClass.Disposition, input })
}

/** FileRenameInformation */
function rename(client: SimClient, fileId: FileId, to: string): Promise<number> {
  const input = new Writer()
    .zeros(16)
    .u32(to.length * 2)
    .utf16(to)
    .finish()
  return client.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input })
}

/** One more durable open of "file" with the same lease. */
async function openAgain(client: SimClient): Promise<FileId> {
  const createContexts = [leaseRequest(LEASE_KEY, leaseBits('RWH')), durableRequest(OTHER_GUID, 0)]
  const requestedOplockLevel = OplockLevel.LEASE
  return (await client.create({ name: 'file', requestedOplockLevel, createContexts })).fileId
}

/** @returns the status */
async function comeBackAgain(client: SimClient, fileId: FileId): Promise<number> {
  const createContexts = [durableReconnect(fileId, OTHER_GUID), leaseRequest(LEASE_KEY, 0)]
  return (await client.create({ name: 'file', createContexts })).status
}

/** A test with a server that ends, and `restart`, which gives the next one, so many milliseconds later. */
function restartTest(
  name: string,
  play: (
    t: Test,
    sim: SimServer,
    store: TextStore,
    restart: (milliseconds?: number, configure?: (next: SimServer) => void) => Promise<SimServer>,
  ) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const durableStore = new TextStore()
    const sim = createSimServer({ durableStore })
    const runs = [sim]
    await play(t, sim, durableStore, async (milliseconds = 0, configure = () => undefined) => {
      const next = createSimServer({ durableStore, storage: sim.storage, seed: runs.length + 1 })
      // Wall-clock time goes on.
      await next.environment.advance(sim.environment.now() - next.environment.now() + milliseconds)
      runs.push(next)
      configure(next)
      await restoreOpens(next.server, durableStore.records())
      return next
    })
    const [last] = runs.slice(-1)
    if (last === undefined) return
    t.same(last.complaints, [])
    for (const connection of [...last.server.connectionList]) connection.disconnect('the test ends')
    await last.environment.advance(17 * MINUTE)
    await isClean(t, last)
    t.same(durableStore.lines.size, 0, 'nothing is kept of handles that ended')
  })
}

restartTest('a handle outlives the server', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RWH')
  t.equal(await before.write(fileId, 'kept'), Status.SUCCESS)
  const flags = LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY
  const lock = { offset: 0xffff_ffff_0000_0000n, length: 4n, flags }
  t.equal(await before.lock(fileId, lock), Status.SUCCESS)
  const closed = await open(before, {
    name: 'other',
    createContexts: [durableRequest(OTHER_GUID, 0)],
  })
  await sim.environment.advance(WRITTEN)
  t.equal(store.lines.size, 2)
  await before.close(closed.fileId)
  await sim.environment.advance(WRITTEN)
  const next = await restart()
  t.equal(next.server.absentOpens.size, 1)
  const bert = await mount(next, { clientGuid: Buffer.alloc(16, 'z') })
  t.equal((await comeBack(bert, fileId, leaseRequest(LEASE_KEY, 0))).status, Status.OBJECT_NAME_NOT_FOUND)
  const after = await mount(next)
  const back = await comeBack(after, fileId, leaseRequest(LEASE_KEY, 0))
  t.equal(back.status, Status.SUCCESS)
  const lease = back.response && grantedLease(back.response)
  t.equal(lease && leaseText(lease.leaseState), 'RWH')
  t.equal((await after.read(back.fileId, 4)).output.toString(), 'kept')
  t.equal(next.server.usage.locks, 1)
  t.equal(await after.lock(back.fileId, { ...lock, flags: LockFlag.UNLOCK }), Status.SUCCESS, 'with its lock')
  t.equal(await after.write(back.fileId, 'new'), Status.SUCCESS, 'with its access')
})

restartTest('for the rest of its time', async (t, sim, _store, restart) => {
  const before = await mount(sim)
  const { fileId } = await open(before, { createOptions: CreateOption.DELETE_ON_CLOSE }, 30_000)
  before.drop()
  await sim.environment.advance(20_000)
  const next = await restart(5000)
  t.equal(next.server.absentOpens.size, 1)
  const again = await restart(9999)
  await again.environment.advance(2)
  const after = await mount(again)
  t.equal((await comeBack(after, fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
  const gone = await after.create({ name: 'file' })
  t.equal(gone.response?.createAction, CreateAction.CREATED, 'it was deleted, as its client wanted')
})

restartTest('a handle of a file that is another one, or of nobody', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const { fileId } = await open(before)
  await sim.environment.advance(WRITTEN)
  const [record] = store.records()
  t.equal(record?.path, 'file')
  if (record === undefined) return
  const altered = (id: string, change: Partial<DurableRecord>) =>
    store.write([{ ...record, id, ...change }], [])
  altered('1', { fileId: String(BigInt(record.fileId) + 1n) })
  altered('2', { path: 'none' })
  altered('3', { share: 'none' })
  // The same place twice: neither would have been granted beside the other.
  altered('4', { shareAccess: 0 })
  const next = await restart()
  t.equal(next.server.absentOpens.size, 1)
  await next.environment.advance(WRITTEN)
  t.same([...store.lines.keys()], [fileId.persistent.toString(16)], 'the others are forgotten')
  const after = await mount(next)
  const stale = { persistent: 1n, volatile: 1n }
  t.equal((await comeBack(after, stale)).status, Status.OBJECT_NAME_NOT_FOUND)
  t.equal((await comeBack(after, fileId)).status, Status.SUCCESS)
})

restartTest('a restored handle is in the way as any other', async (t, sim, _store, restart) => {
  const before = await mount(sim)
  const { fileId } = await open(before, { shareAccess: 0 })
  await sim.environment.advance(WRITTEN)
  const next = await restart()
  const bert = await SimClient.mount(next, 'bert')
  t.equal((await bert.create({ name: 'file' })).status, Status.SUCCESS, 'nobody waits for its client')
  const after = await mount(next)
  t.equal((await comeBack(after, fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
})

restartTest('a handle has no more rights than the share grants by now', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const written = await open(before)
  const desiredAccess = FILE_GENERIC_READ
  const { fileId } = await open(before, {
    ...{ name: 'read', desiredAccess },
    createContexts: [durableRequest(OTHER_GUID, 0)],
  })
  await sim.environment.advance(WRITTEN)
  t.equal(store.lines.size, 2)
  const next = await restart(0, ({ server }) => {
    const shares = [...server.shareList].map(([name, share]): [string, Share] => [
      name,
      { ...share, admit: () => ({ identity: undefined, readOnly: true, administrator: false }) },
    ])
    server.shareList = new Map(shares)
  })
  t.same(
    [...next.server.absentOpens].map((open) => open.fileId),
    [fileId],
  )
  const after = await mount(next)
  t.equal((await comeBack(after, written.fileId)).status, Status.OBJECT_NAME_NOT_FOUND)
})

restartTest('a lease that grew for another open', async (t, sim, _store, restart) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RH')
  await sim.environment.advance(WRITTEN)
  const requestedOplockLevel = OplockLevel.LEASE
  const createContexts = [leaseRequest(LEASE_KEY, leaseBits('RWH'))]
  const second = await before.create({ name: 'file', requestedOplockLevel, createContexts })
  const grown = second.response && grantedLease(second.response)
  t.equal(grown && leaseText(grown.leaseState), 'RWH')
  await sim.environment.advance(WRITTEN)
  const after = await mount(await restart())
  const back = await comeBack(after, fileId, leaseRequest(LEASE_KEY, 0))
  t.same(back.response && grantedLease(back.response), grown, 'with its epoch')
})

restartTest('a file that is to be deleted is so for all its handles', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const first = await openLeased(before, 'RWH')
  const second = await openAgain(before)
  t.equal(await dispose(before, first.fileId, true), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  const next = await restart()
  t.equal(next.server.absentOpens.size, 2)
  const client = await mount(next)
  t.equal((await comeBack(client, first.fileId, leaseRequest(LEASE_KEY, 0))).status, Status.SUCCESS)
  await client.close(first.fileId)
  await next.environment.advance(WRITTEN)
  t.equal(store.lines.size, 1, 'whoever asked for that has gone')
  const last = await restart()
  const bert = await SimClient.mount(last, 'bert')
  t.equal((await bert.create({ name: 'file' })).status, Status.DELETE_PENDING)
  const after = await mount(last)
  t.equal(await comeBackAgain(after, second), Status.SUCCESS)
  await after.close(second)
  const { response } = await bert.create({ name: 'file' })
  t.equal(response?.createAction, CreateAction.CREATED)
})

restartTest('and is kept when any of them says so', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RWH')
  const second = await openAgain(before)
  t.equal(await dispose(before, fileId, true), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  t.equal(await dispose(before, second, false), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  const pending = store.records().map(({ deletePending }) => deletePending)
  t.same(pending, [false, false])
  const next = await restart()
  await next.environment.advance(17 * MINUTE)
  const after = await mount(next)
  t.equal((await after.create({ name: 'file' })).response?.createAction, CreateAction.OPENED)
})

restartTest('a rename tells only of what it moves', async (t, sim, store, restart) => {
  const before = await mount(sim)
  const { fileId } = await open(before)
  const other = await before.create({ name: 'other' })
  await sim.environment.advance(WRITTEN)
  const { written } = store
  t.equal(await rename(before, other.fileId, 'another'), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  t.equal(store.written, written)
  t.equal(await rename(before, fileId, 'moved'), Status.SUCCESS)
  const streamed = await open(before, {
    name: 'another:stream',
    createContexts: [durableRequest(OTHER_GUID, 0)],
  })
  await sim.environment.advance(WRITTEN)
  t.equal(await rename(before, streamed.fileId, ':renamed'), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  const next = await restart()
  t.same(
    [...next.server.absentOpens].map((open) => open.pathName),
    ['moved', 'another:renamed'],
  )
})

restartTest(
  'a server that stops deletes nothing, and keeps times that were set',
  async (t, sim, _store, restart) => {
    const before = await mount(sim)
    const createOptions = CreateOption.DELETE_ON_CLOSE
    const { fileId } = await open(before, { createOptions, desiredAccess: FILE_ALL_ACCESS })
    const setAt = filetimeOfMilliseconds(MINUTE)
    // FileBasicInformation with LastWriteTime alone.
    const input = new Writer().zeros(16).u64(setAt).zeros(16).finish()
    const fileInfoClass = FileInformationClass.Basic
    t.equal(await before.setInfo(fileId, { fileInfoClass, input }), Status.SUCCESS)
    t.equal(await before.write(fileId, 'kept'), Status.SUCCESS)
    before.drop()
    sim.server.durables.end(sim.server)
    await suspendOpens(sim.server)
    const after = await mount(await restart())
    const back = await comeBack(after, fileId)
    t.equal(back.status, Status.SUCCESS)
    t.equal(back.response?.lastWriteTime, setAt)
    t.equal((await after.read(back.fileId, 4)).output.toString(), 'kept')
  },
)

restartTest('who waits for what a handle of before has locked', async (t, sim, _store, restart) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RH')
  const range = { offset: 0n, length: 1n }
  const flags = LockFlag.EXCLUSIVE_LOCK
  t.equal(await before.lock(fileId, { ...range, flags: flags | LockFlag.FAIL_IMMEDIATELY }), Status.SUCCESS)
  await sim.environment.advance(WRITTEN)
  const next = await restart()
  const beside = await mount(next)
  const createContexts = [leaseRequest(LEASE_KEY, leaseBits('RH'))]
  const requestedOplockLevel = OplockLevel.LEASE
  const opened = await beside.create({ name: 'file', requestedOplockLevel, createContexts })
  const waiting = beside.lock(opened.fileId, { ...range, flags })
  const granted = watch(waiting)
  await next.environment.advance(29_000)
  t.equal(granted.done, false, 'its client may come back')
  await next.environment.advance(2_000)
  t.equal(granted.done, true)
  t.equal(await waiting, Status.SUCCESS)
})
