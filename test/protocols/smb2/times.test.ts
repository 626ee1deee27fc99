/** MS-FSA 2.1.5.4, 2.1.5.15.2: the four times: set, frozen, and moving late; and FileModeInformation. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { SetTime } from '../../../protocols/smb2/fscc/file-information-set.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { filetimeOfMilliseconds } from '../../../protocols/wire/filetime.ts'
import { setBasic } from '../../sim/basic-information.ts'
import { scene } from '../../sim/scene.ts'
import type { SimClient } from '../../sim/smb2-client.ts'

const { INVALID_PARAMETER } = Status
const ALL_RIGHTS = FileAccess.MAXIMUM_ALLOWED
const LONG_AGO = filetimeOfMilliseconds(Date.UTC(1999, 1, 2))

interface Times {
  readonly creation: bigint
  readonly access: bigint
  readonly write: bigint
  readonly change: bigint
}

async function timesOf(client: SimClient, fileId: FileId): Promise<Times> {
  const { output } = await client.queryInfo(fileId, { fileInfoClass: FileInformationClass.Basic })
  const [creation, access, write, change] = [0, 8, 16, 24].map((at) => output.readBigInt64LE(at))
  return { creation, access, write, change } as Times
}

async function openTwice(anna: SimClient, bert: SimClient): Promise<[FileId, FileId]> {
  const one = await anna.create({ name: 'f', desiredAccess: ALL_RIGHTS })
  const other = await bert.create({ name: 'f', desiredAccess: ALL_RIGHTS })
  return [one.fileId, other.fileId]
}

scene('a write time that moves late', async (t, { sim, anna, bert }) => {
  const [one, other] = await openTwice(anna, bert)
  const { write: before } = await timesOf(bert, other)
  const isMoved = async (since: bigint) => (await timesOf(bert, other)).write > since
  await anna.write(one, 'x')
  t.notOk(await isMoved(before), 'not at once')
  await sim.environment.advance(1900)
  t.notOk(await isMoved(before))
  await sim.environment.advance(200)
  t.ok(await isMoved(before), 'after two seconds')
  const { write: first } = await timesOf(bert, other)
  await anna.write(one, 'x')
  await sim.environment.advance(9000)
  t.notOk(await isMoved(first), 'a later one even later')
  await sim.environment.advance(2000)
  t.ok(await isMoved(first))
  for (const [what, settles] of [
    ['FLUSH', () => anna.flush(one)],
    [
      'end of file',
      () => anna.setInfo(one, { fileInfoClass: FileInformationClass.EndOfFile, input: Buffer.alloc(8) }),
    ],
    ['any FileBasicInformation', () => setBasic(anna, one, {})],
    ['CLOSE', () => anna.close(one)],
  ] as const) {
    const { write: shown } = await timesOf(bert, other)
    await anna.write(one, 'x')
    t.notOk(await isMoved(shown), `before ${what}`)
    await settles()
    t.ok(await isMoved(shown), what)
  }
  t.equal(
    (await anna.create({ name: 'f' })).response?.lastWriteTime,
    (await timesOf(bert, other)).write,
    'and so CREATE sees it',
  )
})

scene('times that a client set', async (t, { anna, bert }) => {
  const [one, other] = await openTwice(anna, bert)
  await setBasic(anna, one, { write: LONG_AGO, change: LONG_AGO, access: LONG_AGO, creation: LONG_AGO })
  t.same(await timesOf(bert, other), {
    creation: LONG_AGO,
    access: LONG_AGO,
    write: LONG_AGO,
    change: LONG_AGO,
  })
  await anna.write(one, 'x')
  t.equal((await timesOf(bert, other)).write, LONG_AGO, 'its own WRITE leaves them')
  await anna.close(one)
  t.equal((await timesOf(bert, other)).write, LONG_AGO, 'and they last')
  t.equal((await timesOf(bert, other)).change, LONG_AGO)
  await bert.write(other, 'x')
  await bert.flush(other)
  const after = await timesOf(bert, other)
  t.ok(after.write > LONG_AGO && after.change > LONG_AGO, "another's does not")
  t.equal(after.creation, LONG_AGO)
})

scene('freezing and thawing', async (t, { anna, bert }) => {
  const { FREEZE, THAW } = SetTime
  const [one, other] = await openTwice(anna, bert)
  const before = await timesOf(bert, other)
  await setBasic(anna, one, { write: FREEZE, change: FREEZE, access: FREEZE, creation: FREEZE })
  await anna.write(one, 'x')
  await anna.flush(one)
  t.same(await timesOf(bert, other), before)
  await setBasic(anna, one, { write: THAW, change: THAW, access: THAW, creation: THAW })
  t.same(await timesOf(bert, other), before, 'thawing alone changes nothing')
  await anna.write(one, 'x')
  await anna.flush(one)
  t.ok((await timesOf(bert, other)).write > before.write)
  t.equal(await setBasic(anna, one, { write: -3n }), INVALID_PARAMETER)
})

scene('a client whose set times do not stay', async (t, { sim, anna, bert }) => {
  for (const connection of sim.server.connectionList) connection.keepsSetTimes = false
  const [one, other] = await openTwice(anna, bert)
  await setBasic(anna, one, { write: LONG_AGO })
  t.equal((await timesOf(bert, other)).write, LONG_AGO)
  await anna.write(one, 'x')
  await anna.flush(one)
  t.ok((await timesOf(bert, other)).write > LONG_AGO)
})

scene('the mode of an open', async (t, { anna }) => {
  const { fileId } = await anna.create({ name: 'f', desiredAccess: ALL_RIGHTS })
  const set = async (mode: number) => {
    const input = Buffer.alloc(4)
    input.writeUInt32LE(mode)
    return anna.setInfo(fileId, { fileInfoClass: FileInformationClass.Mode, input })
  }
  t.equal(await set(2), Status.SUCCESS)
  const { output } = await anna.queryInfo(fileId, { fileInfoClass: FileInformationClass.Mode })
  t.equal(output.readUInt32LE(), 2)
  for (const mode of [1, 0x1000, 0x8000_0000]) t.equal(await set(mode), INVALID_PARAMETER)
  t.equal(await set(0), Status.SUCCESS)
})
