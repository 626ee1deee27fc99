/** MS-SMB2 3.3.3, 3.3.1.10: durable opens over a restart of the server. */

import t, { type Test } from 'tap'
import { restoreOpens } from '../../../protocols/smb2/commands/restore-opens.ts'
import { CreateAction, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { DurableRecord, DurableStore } from '../../../protocols/smb2/state/durable-store.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { comeBack, LEASE_KEY, MINUTE, mount, open, openLeased } from '../../sim/durable.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { leaseText, SimClient } from '../../sim/smb2-client.ts'
import { durableRequest, grantedLease, leaseRequest } from '../../sim/world/wire.ts'

/** A store in memory, that keeps text as a file does. */
class TextStore implements DurableStore {
  readonly lines = new Map<string, string>()

  write(kept: readonly DurableRecord[], forgotten: readonly string[]): void {
    for (const id of forgotten) this.lines.delete(id)
    for (const record of kept) this.lines.set(record.id, JSON.stringify(record))
  }

  records(): DurableRecord[] {
    return Array.from(this.lines.values(), (line) => JSON.parse(line))
  }
}

/** More than the journal takes to write. */
const WRITTEN = 100

/** A test with a server that ends, and `restart`, which gives the next one, so many milliseconds later. */
function restartTest(
  name: string,
  play: (
    t: Test,
    sim: SimServer,
    store: TextStore,
    restart: (milliseconds?: number) => Promise<SimServer>,
  ) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const durableStore = new TextStore()
    const sim = createSimServer({ durableStore })
    const runs = [sim]
    await play(t, sim, durableStore, async (milliseconds = 0) => {
      const next = createSimServer({ durableStore, storage: sim.storage, seed: runs.length + 1 })
      // Wall-clock time goes on.
      await next.environment.advance(sim.environment.now() - next.environment.now() + milliseconds)
      runs.push(next)
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
    createContexts: [durableRequest(Buffer.alloc(16, 'h'), 0)],
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
