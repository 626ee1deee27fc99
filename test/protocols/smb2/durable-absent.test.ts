/** MS-SMB2 3.3.7.1, 3.3.5.22.2: handles of clients that are away, and others of the same lease. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { comeBack, LEASE_KEY, mount, openLeased } from '../../sim/durable.ts'
import { durableTest as test } from '../../sim/durable-test.ts'
import { watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { leaseBits, SimClient, type SimCreated } from '../../sim/smb2-client.ts'
import { leaseRequest } from '../../sim/world/wire.ts'

/** One more open under the same lease. */
function openBeside(client: SimClient): Promise<SimCreated> {
  const createContexts = [leaseRequest(LEASE_KEY, leaseBits('RH'))]
  return client.create({ name: 'file', requestedOplockLevel: OplockLevel.LEASE, createContexts })
}

test('what an absent client has locked stays locked for a while', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RH')
  const range = { offset: 0n, length: 1n }
  const now = { ...range, flags: LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY }
  t.equal(await before.lock(fileId, now), Status.SUCCESS)
  // The same machine with the same lease: nothing of it is broken by the lock.
  const bert = await mount(sim)
  const his = await openBeside(bert)
  before.drop()
  await sim.environment.advance(29_000)
  t.equal(await bert.lock(his.fileId, now), Status.LOCK_NOT_GRANTED, 'it may come back')
  await sim.environment.advance(2_000)
  t.equal(await bert.lock(his.fileId, now), Status.SUCCESS, 'it has had its time')
  const after = await mount(sim)
  t.equal((await comeBack(after, fileId, leaseRequest(LEASE_KEY, 0))).status, Status.OBJECT_NAME_NOT_FOUND)
})

test('who waits for the lock of an absent client gets it after a while', async (t, sim) => {
  const before = await mount(sim)
  const { fileId } = await openLeased(before, 'RH')
  const flags = LockFlag.EXCLUSIVE_LOCK
  const range = { offset: 0n, length: 1n }
  t.equal(await before.lock(fileId, { ...range, flags: flags | LockFlag.FAIL_IMMEDIATELY }), Status.SUCCESS)
  const bert = await mount(sim)
  const his = await openBeside(bert)
  const waiting = bert.lock(his.fileId, { ...range, flags })
  const granted = watch(waiting)
  before.drop()
  await sim.environment.advance(29_000)
  t.equal(granted.done, false)
  await sim.environment.advance(2_000)
  t.equal(await waiting, Status.SUCCESS)
})

test('a handle that its client forgot goes when the client answers a break for others of its lease', async (t, sim) => {
  const before = await mount(sim)
  await openLeased(before, 'RH')
  before.drop()
  // As Linux does for a file that is still open elsewhere: a new handle, the same lease.
  const after = await mount(sim)
  const { fileId } = await openBeside(after)
  t.equal(sim.server.absentOpens.size, 1)
  const bert = await SimClient.mount(sim, 'bert')
  const removing = await bert.create({ name: 'file', desiredAccess: FileAccess.DELETE })
  const disposition = { fileInfoClass: FileInformationClass.Disposition, input: Buffer.from([1]) }
  const removed = bert.setInfo(removing.fileId, disposition)
  await settled()
  t.match(after.breaks, [{ leaseKey: LEASE_KEY, newLeaseState: leaseBits('R') }])
  t.equal(await after.acknowledgeLease(LEASE_KEY, 'R'), Status.SUCCESS)
  t.equal(await removed, Status.SUCCESS)
  t.equal(sim.server.absentOpens.size, 0)
  t.equal(await bert.close(removing.fileId), Status.SUCCESS)
  t.equal(await after.close(fileId), Status.SUCCESS)
  const look = await bert.create({ name: 'file', createDisposition: CreateDisposition.OPEN })
  t.equal(look.status, Status.OBJECT_NAME_NOT_FOUND, 'nobody keeps the name')
})
