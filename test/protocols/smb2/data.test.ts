/** MS-SMB2 3.3.5.10 to 3.3.5.14: CLOSE, FLUSH, READ, WRITE and LOCK. */

import t from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { encodeLockRequest, type LockElement, LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { WriteFlag } from '../../../protocols/smb2/messages/write.ts'
import { usageOf } from '../../../protocols/smb2/state/usage.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import type { Writer } from '../../../protocols/wire/writer.ts'
import { scene } from '../../sim/scene.ts'
import { isClean, watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import {
  closeRequest,
  emptyRequest,
  lockRequest,
  notifyRequest,
  writeRequest,
} from '../../sim/smb2-requests.ts'

const { SUCCESS, ACCESS_DENIED, END_OF_FILE, INVALID_PARAMETER } = Status
const { FILE_LOCK_CONFLICT, LOCK_NOT_GRANTED, RANGE_NOT_LOCKED, INVALID_DEVICE_REQUEST } = Status
const DIRECTORY = { createOptions: CreateOption.DIRECTORY_FILE }
const TIB = 1n << 40n
const LAST = 0x7fff_ffff_ffff_ffffn

const { EXCLUSIVE_LOCK, SHARED_LOCK, UNLOCK, FAIL_IMMEDIATELY } = LockFlag
const at = (offset: bigint, length: bigint, flags: number): LockElement => ({ offset, length, flags })
/** Locks that do not wait. */
const exclusive = (offset: number, length: number) =>
  at(BigInt(offset), BigInt(length), EXCLUSIVE_LOCK | FAIL_IMMEDIATELY)
const shared = (offset: number, length: number) =>
  at(BigInt(offset), BigInt(length), SHARED_LOCK | FAIL_IMMEDIATELY)
const unlock = (offset: number, length: number) => at(BigInt(offset), BigInt(length), UNLOCK)

scene('READ', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file' })
  await anna.write(fileId, '0123456789')
  const cases: [offset: bigint, length: number, minimum: number, result: string | number][] = [
    [0n, 10, 0, '0123456789'],
    [0n, 100, 0, '0123456789'],
    [4n, 2, 0, '45'],
    [9n, 1, 1, '9'],
    [9n, 2, 2, END_OF_FILE],
    [10n, 1, 0, END_OF_FILE],
    [10n, 0, 0, ''],
    [4n, 0, 0, ''],
    [4n, 0, 1, END_OF_FILE],
    [100n * TIB, 1, 0, END_OF_FILE],
    [LAST, 0, 0, ''],
    [LAST, 1, 0, INVALID_PARAMETER],
    [0xffff_ffff_ffff_ffffn, 1, 0, INVALID_PARAMETER],
  ]
  for (const [offset, length, minimum, result] of cases) {
    const { status, output } = await anna.read(fileId, length, offset, minimum)
    t.equal(
      status === SUCCESS ? output.toString() : status,
      result,
      `${length} at ${offset}, at least ${minimum}`,
    )
  }
  t.equal(sim.server.counters.bytesRead, 23)
  const writes = await anna.create({ name: 'file', desiredAccess: FileAccess.WRITE_DATA })
  t.equal((await anna.read(writes.fileId, 1)).status, ACCESS_DENIED)
  const runs = await anna.create({ name: 'file', desiredAccess: FileAccess.EXECUTE })
  t.equal((await anna.read(runs.fileId, 1)).output.toString(), '0', 'who may execute may read')
  const folder = await anna.create({ name: 'dir', ...DIRECTORY })
  t.equal((await anna.read(folder.fileId, 1)).status, INVALID_DEVICE_REQUEST)
  sim.storage.faults.failNext('read', 'io')
  t.equal((await anna.read(fileId, 1)).status, Status.UNEXPECTED_IO_ERROR)
})

scene('WRITE', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file' })
  const cases: [data: string, offset: bigint, status: number][] = [
    ['hello', 0n, SUCCESS],
    ['!', 9n, SUCCESS],
    ['', 3n, SUCCESS],
    ['', LAST, SUCCESS],
    ['', 0xffff_ffff_ffff_ffffn, INVALID_PARAMETER],
    ['x', LAST, INVALID_PARAMETER],
    ['x', 16n * TIB, INVALID_PARAMETER],
  ]
  for (const [data, offset, status] of cases)
    t.equal(await anna.write(fileId, data, offset), status, `${data} at ${offset}`)
  t.equal((await anna.read(fileId, 100)).output.toString(), 'hello\0\0\0\0!')
  t.equal(sim.server.counters.bytesWritten, 6)
  await anna.write(fileId, '', LAST)
  const position = await anna.queryInfo(fileId, { fileInfoClass: FileInformationClass.Position })
  t.equal(position.output.readBigUInt64LE(), 10n, 'a write of nothing does not move it')
  const appends = await anna.create({ name: 'file', desiredAccess: FileAccess.APPEND_DATA })
  t.equal(await anna.write(appends.fileId, 'x', 10n), SUCCESS)
  const reads = await anna.create({ name: 'file', desiredAccess: FileAccess.READ_DATA })
  t.equal(await anna.write(reads.fileId, 'x'), ACCESS_DENIED)
  const folder = await anna.create({ name: 'dir', ...DIRECTORY })
  t.equal(await anna.write(folder.fileId, 'x'), INVALID_DEVICE_REQUEST)
  sim.storage.faults.failNext('write', 'disk-full')
  t.equal(await anna.write(fileId, 'x'), Status.DISK_FULL)
  sim.storage.faults.failNext('write', 'quota-exceeded')
  t.equal(await anna.write(fileId, 'x'), Status.DISK_FULL)
})

scene('what must be on the disk', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file' })
  const through = await anna.create({ name: 'file', createOptions: CreateOption.WRITE_THROUGH })
  const fails = async (answer: () => Promise<number>): Promise<number> => {
    sim.storage.faults.failNext('flush', 'io')
    const status = await answer()
    // Takes the failure away when it was not met.
    await anna.flush(fileId)
    return status
  }
  t.equal(await fails(() => anna.write(fileId, 'x')), SUCCESS, 'an ordinary WRITE is not flushed')
  t.equal(await fails(() => anna.write(fileId, 'x', 0n, WriteFlag.WRITE_THROUGH)), Status.UNEXPECTED_IO_ERROR)
  t.equal(await fails(() => anna.write(through.fileId, 'x')), Status.UNEXPECTED_IO_ERROR, 'opened so')
  t.equal(await fails(() => anna.flush(fileId)), Status.UNEXPECTED_IO_ERROR)
  t.equal(await anna.flush(fileId), SUCCESS)
  const folder = await anna.create({ name: 'dir', ...DIRECTORY })
  t.equal(await anna.flush(folder.fileId), SUCCESS, 'a directory that may be added to')
  const reads = await anna.create({ name: 'file', desiredAccess: FileAccess.READ_DATA })
  t.equal(await anna.flush(reads.fileId), ACCESS_DENIED)
})

scene('CLOSE', async (t, { sim, anna }) => {
  const { fileId } = await anna.create({ name: 'file' })
  await anna.write(fileId, 'data')
  const silent = await anna.create({ name: 'file' })
  t.match(await anna.closeQuerying(fileId), { flags: 1, endOfFile: 4, fileAttributes: FileAttribute.ARCHIVE })
  const plain = await anna.request(closeRequest(silent.fileId))
  t.ok(
    plain.body.view(plain.body.offset + 2, 58).every((byte) => byte === 0),
    'nothing that was not asked for',
  )
  t.equal(await anna.close(fileId), Status.FILE_CLOSED)
  t.equal(await anna.close({ persistent: 1n, volatile: 1n }), Status.FILE_CLOSED)

  const last = await anna.create({ name: 'file' })
  const wrongHalf = { ...last.fileId, persistent: last.fileId.persistent ^ 1n }
  t.equal(await anna.close(wrongHalf), Status.FILE_CLOSED, 'both halves of the id count')
  sim.storage.faults.delayNext('write', settled())
  anna.send([writeRequest({ fileId: last.fileId, data: Buffer.from('longer') })])
  t.equal((await anna.closeQuerying(last.fileId)).endOfFile, 6, 'with the size after the last WRITE')
  const unknown = await anna.create({ name: 'file' })
  sim.storage.faults.failNext('stat', 'io')
  t.match(
    await anna.closeQuerying(unknown.fileId),
    { flags: 0, endOfFile: 0 },
    'closed, whatever is known of it',
  )
  t.equal(sim.server.globalOpenTable.size, 0)
})

scene('LOCK', async (t, { anna, bert }) => {
  const a = (await anna.create({ name: 'file' })).fileId
  const b = (await bert.create({ name: 'file' })).fileId
  await anna.write(a, '0123456789')
  t.equal(await anna.lock(a, exclusive(0, 5)), SUCCESS)
  t.equal(await bert.lock(b, exclusive(4, 1)), LOCK_NOT_GRANTED)
  t.equal(await bert.lock(b, shared(4, 1)), LOCK_NOT_GRANTED)
  t.equal(await bert.lock(b, exclusive(5, 1)), SUCCESS)
  t.equal((await bert.read(b, 1, 4n)).status, FILE_LOCK_CONFLICT)
  t.equal(await bert.write(b, 'x', 4n), FILE_LOCK_CONFLICT)
  t.equal(await bert.write(b, '', 4n), SUCCESS, 'nothing touches no lock')
  t.equal(await anna.write(a, 'x', 4n), SUCCESS, 'the owner may')
  t.equal((await anna.read(a, 10)).status, FILE_LOCK_CONFLICT, "across the other's")
  t.equal(await bert.lock(b, unlock(4, 1)), RANGE_NOT_LOCKED)
  t.equal(await anna.lock(a, unlock(0, 4)), RANGE_NOT_LOCKED, 'a part of it')
  t.equal(await anna.lock(a, unlock(0, 5)), SUCCESS)
  t.equal(await anna.lock(a, unlock(0, 5)), RANGE_NOT_LOCKED)

  t.equal(await anna.lock(a, shared(20, 5)), SUCCESS)
  t.equal(await bert.lock(b, shared(20, 5)), SUCCESS)
  t.equal(await anna.write(a, 'x', 20n), FILE_LOCK_CONFLICT, "another's shared lock")
  t.equal(await bert.lock(b, unlock(20, 5)), SUCCESS)
  t.equal(await anna.write(a, 'x', 20n), FILE_LOCK_CONFLICT, 'a shared lock of its own')

  t.equal(await bert.lock(b, exclusive(30, 1), exclusive(22, 1), exclusive(40, 1)), LOCK_NOT_GRANTED)
  t.equal(await anna.lock(a, exclusive(30, 1), exclusive(40, 1)), SUCCESS, 'all or none')
  t.equal(await anna.lock(a, unlock(30, 1), unlock(31, 1), unlock(40, 1)), RANGE_NOT_LOCKED)
  t.equal(await bert.lock(b, exclusive(30, 1)), SUCCESS, 'those before the one that failed are unlocked')
  t.equal(await bert.lock(b, exclusive(40, 1)), LOCK_NOT_GRANTED)
  t.equal(await anna.close(a), SUCCESS)
  t.equal(await bert.lock(b, exclusive(40, 1)), SUCCESS, 'CLOSE unlocks')
})

scene(
  'locks that make no sense',
  async (t, { sim, anna }) => {
    const { fileId } = await anna.create({ name: 'file' })
    const cases: [what: string, locks: LockElement[], status: number][] = [
      ['none', [], INVALID_PARAMETER],
      ['no kind', [at(0n, 1n, 0)], INVALID_PARAMETER],
      ['two kinds', [at(0n, 1n, SHARED_LOCK | EXCLUSIVE_LOCK)], INVALID_PARAMETER],
      ['unknown flags', [at(0n, 1n, EXCLUSIVE_LOCK | 0x20)], INVALID_PARAMETER],
      ['several that wait', [at(0n, 1n, EXCLUSIVE_LOCK), at(1n, 1n, EXCLUSIVE_LOCK)], INVALID_PARAMETER],
      ['unlocking after locking', [exclusive(0, 1), unlock(0, 1)], INVALID_PARAMETER],
      ['locking after unlocking', [unlock(0, 1), exclusive(0, 1)], RANGE_NOT_LOCKED],
      ['past the end of all', [at(0xffff_ffff_ffff_ffffn, 2n, EXCLUSIVE_LOCK)], Status.INVALID_LOCK_RANGE],
      ['at the end of all', [at(0xffff_ffff_ffff_ffffn, 1n, EXCLUSIVE_LOCK | FAIL_IMMEDIATELY)], SUCCESS],
      ['of nothing', [at(0n, 0n, EXCLUSIVE_LOCK | FAIL_IMMEDIATELY)], SUCCESS],
      ['more than may be held', [exclusive(10, 1), exclusive(11, 1)], Status.INSUFFICIENT_RESOURCES],
      [
        'more than one request takes',
        Array.from({ length: 65 }, (_, index) => exclusive(index, 1)),
        INVALID_PARAMETER,
      ],
    ]
    for (const [what, locks, status] of cases) t.equal(await anna.lock(fileId, ...locks), status, what)
    const [open] = [...sim.server.globalOpenTable.values()]
    t.equal(open?.file.node.locks.size, 2, 'what failed left nothing')
    const folder = await anna.create({ name: 'dir', ...DIRECTORY })
    t.equal(await anna.lock(folder.fileId, exclusive(0, 1)), INVALID_PARAMETER)
  },
  { limits: { locksPerOpen: 3 } },
)

scene('LOCK that waits', async (t, { anna, bert }) => {
  const a = (await anna.create({ name: 'file' })).fileId
  const b = (await bert.create({ name: 'file' })).fileId
  const waits = at(0n, 10n, EXCLUSIVE_LOCK)
  t.equal(await anna.lock(a, exclusive(0, 1), exclusive(9, 1)), SUCCESS)
  const first = bert.lock(b, waits)
  const state = watch(first)
  await settled()
  t.equal(bert.arrivals.at(-1), 'LOCK pending')
  t.equal(await anna.lock(a, unlock(0, 1)), SUCCESS)
  await settled()
  t.notOk(state.done, 'there is another one in its way')
  t.equal(await anna.lock(a, unlock(9, 1)), SUCCESS)
  t.equal(await first, SUCCESS)
  t.equal(await anna.lock(a, exclusive(5, 1)), LOCK_NOT_GRANTED)

  const second = anna.request(lockRequest(a, waits))
  await settled()
  anna.cancel(anna.nextMessageId - 1n)
  t.equal((await second).status, Status.CANCELLED)
  t.equal(await bert.lock(b, unlock(0, 10)), SUCCESS)
  t.equal(await bert.lock(b, exclusive(0, 10)), SUCCESS, 'the cancelled one got nothing')

  const third = anna.lock(a, waits)
  await settled()
  t.equal(await anna.close(a), SUCCESS)
  t.equal(await third, RANGE_NOT_LOCKED, 'closing ends it')
  const again = (await anna.create({ name: 'file' })).fileId
  const fourth = anna.lock(again, waits)
  await settled()
  bert.drop()
  t.equal(await fourth, SUCCESS, 'the holder is gone')
})

scene(
  'limits of locks, of a session and of all',
  async (t, { sim, anna, bert }) => {
    const a = (await anna.create({ name: 'file' })).fileId
    const other = (await anna.create({ name: 'file' })).fileId
    const b = (await bert.create({ name: 'file' })).fileId
    t.equal(await anna.lock(a, exclusive(0, 1), exclusive(1, 1)), SUCCESS)
    t.equal(await anna.lock(other, exclusive(5, 1), exclusive(6, 1)), Status.INSUFFICIENT_RESOURCES)
    t.equal(await anna.lock(other, exclusive(5, 1)), SUCCESS)
    t.equal(await bert.lock(b, exclusive(10, 1)), SUCCESS)
    t.equal(await bert.lock(b, exclusive(11, 1)), Status.INSUFFICIENT_RESOURCES, 'all have four')
    t.same(usageOf(sim.server, 'locks'), { used: 4, limit: 4 })
    t.equal(sim.server.usage.refused.get('locks'), 2)
    t.equal(await anna.close(a), SUCCESS)
    t.equal(await bert.lock(b, exclusive(11, 1)), SUCCESS, 'what was closed holds none')
    t.equal(await bert.lock(b, unlock(11, 1)), SUCCESS)
    t.equal(sim.server.usage.locks, 2)
  },
  { limits: { locksPerSession: 3, locks: 4 } },
)

t.test('a LOCK that is sent again', async (t) => {
  const sim = createSimServer()
  const request = (fileId: FileId, index: number, number: number, element: LockElement) => ({
    command: Command.LOCK,
    write: (writer: Writer) =>
      encodeLockRequest(writer, {
        ...{ lockSequenceIndex: index, lockSequenceNumber: number, fileId, locks: [element] },
      }),
  })
  for (const [dialect, isChecked] of [
    [Dialect.SMB_2_1, false],
    [Dialect.SMB_3_0, true],
  ] as const) {
    const client = await SimClient.mount(sim, { dialects: [dialect] })
    const { fileId } = await client.create({ name: 'file' })
    const send = async (index: number, number: number, element: LockElement) =>
      (await client.request(request(fileId, index, number, element))).status
    const again = isChecked ? SUCCESS : LOCK_NOT_GRANTED
    t.equal(await send(1, 1, exclusive(0, 10)), SUCCESS)
    t.equal(await send(1, 1, exclusive(0, 10)), again, 'the same number is the same request')
    t.equal(await send(1, 2, exclusive(0, 10)), LOCK_NOT_GRANTED, 'another one is not')
    t.equal(await send(1, 2, exclusive(0, 10)), LOCK_NOT_GRANTED, 'nor is one that failed')
    t.equal(await send(1, 1, exclusive(0, 10)), LOCK_NOT_GRANTED, 'and that is forgotten')
    for (const index of [0, 65]) {
      t.equal(await send(index, 1, exclusive(20, 1)), SUCCESS)
      t.equal(await send(index, 1, exclusive(20, 1)), LOCK_NOT_GRANTED, 'these are no indices')
      t.equal(await send(index, 1, unlock(20, 1)), SUCCESS)
    }
    t.equal(await send(64, 0, unlock(0, 10)), SUCCESS)
    t.equal(await send(64, 0, unlock(0, 10)), isChecked ? SUCCESS : RANGE_NOT_LOCKED, 'an unlock, too')

    const other = await SimClient.mount(sim)
    const theirs = (await other.create({ name: 'file' })).fileId
    t.equal(await other.lock(theirs, exclusive(0, 1)), SUCCESS)
    const waits = send(2, 3, at(0n, 1n, EXCLUSIVE_LOCK))
    await settled()
    t.equal(sim.server.usage.pendingRequests, 1)
    t.equal(await other.close(theirs), SUCCESS)
    t.equal(await waits, SUCCESS)
    t.equal(await send(2, 3, exclusive(0, 1)), again, 'one that had waited')
    client.drop()
    await settled()
  }
  await isClean(t, sim)
})

t.test('requests that wait are limited', async (t) => {
  const sim = createSimServer({ limits: { asyncCommands: 3 } })
  const [anna, bert] = [await SimClient.mount(sim), await SimClient.mount(sim)]
  const a = (await anna.create({ name: 'file' })).fileId
  const b = (await bert.create({ name: 'file' })).fileId
  await anna.lock(a, exclusive(0, 100))
  const waiting = Array.from({ length: 3 }, (_, index) => bert.lock(b, at(BigInt(index), 1n, EXCLUSIVE_LOCK)))
  await settled()
  t.equal(await bert.lock(b, at(50n, 1n, EXCLUSIVE_LOCK)), Status.INSUFFICIENT_RESOURCES)
  t.equal(await bert.write(b, 'x', 200n), SUCCESS, 'others are served')
  t.equal(await anna.lock(a, unlock(0, 100)), SUCCESS)
  t.same(await Promise.all(waiting), [SUCCESS, SUCCESS, SUCCESS])
  t.equal(sim.server.usage.refused.get('pendingRequests'), 1)
  t.equal(await anna.lock(a, exclusive(50, 1)), SUCCESS, 'the one that was refused does not wait')
  t.same(sim.complaints, [])
  await isClean(t, sim)

  for (const limits of [{ pendingRequestsPerSession: 1 }, { pendingRequests: 1 }]) {
    const few = createSimServer({ limits })
    const clients = [await SimClient.mount(few), await SimClient.mount(few)]
    const answers = clients.flatMap((client) =>
      [0, 1].map(async () => {
        const { fileId } = await client.create({ name: '', desiredAccess: 1 })
        return (await client.request(notifyRequest(fileId, 1))).status
      }),
    )
    await settled()
    const perSession = 'pendingRequestsPerSession' in limits
    t.equal(few.server.usage.pendingRequests, perSession ? 2 : 1)
    t.equal(few.server.usage.refused.get('pendingRequests'), perSession ? 2 : 3)
    for (const client of clients)
      t.equal((await client.request(emptyRequest(Command.LOGOFF))).status, SUCCESS)
    const statuses = await Promise.all(answers)
    t.equal(statuses.filter((status) => status === Status.INSUFFICIENT_RESOURCES).length, perSession ? 2 : 3)
    await isClean(t, few)
  }
})
