/** RFC 7143 4.4.3, 6.3.4, 6.3.5, 7.1.5, 11.14: several connections of one session, and one in the place of another. */

import t from 'tap'
import { decodeReadyToTransfer, encodeDataOut } from '../../../protocols/iscsi/pdu/data.ts'
import { LoginStatus } from '../../../protocols/iscsi/pdu/login.ts'
import { encodeLogoutRequest, LogoutReason } from '../../../protocols/iscsi/pdu/logout.ts'
import { decodeScsiResponse } from '../../../protocols/iscsi/pdu/scsi-command.ts'
import { Opcode, type ReceivedPdu } from '../../../protocols/iscsi/pdu/segments.ts'
import { encodeTaskManagementRequest, TaskManagement } from '../../../protocols/iscsi/pdu/task-management.ts'
import type { Session } from '../../../protocols/iscsi/session/session.ts'
import { byHand, INITIATOR, loggedIn, NAMES, type Scene, scene, TARGET, type TestInitiator } from './lab.ts'

const SEVERAL = { MaxConnections: '4' }
const BLOCK = 512

const sessionOf = ({ server }: Scene): Session => [...server.sessions.values()][0] as Session
const join = (all: Scene, cid: number, keys: Readonly<Record<string, string>> = {}): Promise<TestInitiator> =>
  loggedIn(all, keys, { tsih: sessionOf(all).tsih, cid })

/** Two connections, CID 0 and 1, of one session. */
async function pair(all: Scene): Promise<[TestInitiator, TestInitiator]> {
  const first = await loggedIn(all, SEVERAL)
  return [first, await join(all, 1)]
}

function logOut(initiator: TestInitiator, reason: number, cid: number): void {
  initiator.send(
    encodeLogoutRequest({
      ...{ immediate: true, reason, initiatorTaskTag: initiator.newTag(), cid },
      ...{ cmdSN: initiator.cmdSN, expStatSN: 0 },
    }),
  )
}

const statusOf = (pdu: ReceivedPdu): number => decodeScsiResponse(pdu).status
const opcodes = (pdus: readonly ReceivedPdu[]): number[] => pdus.map(({ opcode }) => opcode)

t.test('who joins a session, and with what keys', async (t) => {
  const all = scene()
  const first = all.connect()
  const { keys: agreed } = await first.login({ ...NAMES, MaxConnections: '2', MaxBurstLength: '4096' })
  t.match(agreed, { MaxConnections: '2' })
  const { tsih } = sessionOf(all)
  const second = all.connect()
  const late = { MaxBurstLength: '8192', MaxConnections: '8', HeaderDigest: 'CRC32C' }
  const { response, keys } = await second.login({ ...NAMES, ...late }, { tsih, cid: 1 })
  t.match(response, { status: 0, tsih })
  t.match(
    keys,
    { MaxBurstLength: 'Reject', MaxConnections: 'Reject', HeaderDigest: 'CRC32C' },
    'what is of the session was agreed upon',
  )
  t.match(sessionOf(all).connection(1)?.parameters, { maxBurstLength: 4096, headerDigest: true })
  t.match(sessionOf(all).connection(0)?.parameters, { headerDigest: false })
  const refused = async (names: object, options: object): Promise<number> =>
    (await all.connect().login({ ...NAMES, ...names }, { tsih, cid: 2, ...options })).response.status
  t.equal(await refused({}, {}), LoginStatus.tooManyConnections)
  t.equal(await refused({}, { tsih: tsih ^ 1 }), LoginStatus.sessionDoesNotExist)
  t.equal(await refused({}, { isid: '400001370001' }), LoginStatus.sessionDoesNotExist)
  t.equal(await refused({ InitiatorName: `${INITIATOR}2` }, {}), LoginStatus.sessionDoesNotExist)
  const node = all.server.targets.get(TARGET)
  all.server.targets = new Map([
    ...all.server.targets,
    ['iqn.x:other', { ...(node as NonNullable<typeof node>), name: 'iqn.x:other' }],
  ])
  t.equal(await refused({ TargetName: 'iqn.x:other' }, {}), LoginStatus.cannotIncludeInSession)
  t.equal(sessionOf(all).size, 2)
  t.equal(all.scsi.story.length, 1, 'one nexus')
})

t.test('commands run in the order of the session, and are answered where they came', async (t) => {
  const all = scene()
  const [first, second] = await pair(all)
  const [, other] = [first.command({ cmdSN: 1 }), second.command({ cmdSN: 3 })]
  t.equal(all.scsi.tasks.length, 1, 'the third waits for the second')
  t.equal(statusOf(await first.answer()), 0)
  t.same(await second.answers(), [])
  first.command({ cmdSN: 2 })
  const [mine, others] = [await first.answer(), await second.answer()]
  t.match(decodeScsiResponse(mine), { statSN: 2, expCmdSN: 4 })
  t.match(decodeScsiResponse(others), { statSN: 1, expCmdSN: 4, initiatorTaskTag: other })
  const tag = second.command({ cmdSN: 4, write: true, expectedDataTransferLength: BLOCK })
  const ready = decodeReadyToTransfer(await second.answer())
  t.same(await first.answers(), [])
  const data = encodeDataOut({
    ...{ final: true, lun: 0n, initiatorTaskTag: tag, targetTransferTag: ready.targetTransferTag },
    ...{ expStatSN: 0, dataSN: 0, bufferOffset: 0 },
  })
  first.send(data, [Buffer.alloc(BLOCK)])
  t.same(
    [...(await first.answers()), ...(await second.answers())],
    [],
    'data of another connection are no data',
  )
  second.send(data, [Buffer.alloc(BLOCK)])
  t.equal(statusOf(await second.answer()), 0)
  t.equal(first.held + second.held, 0)
})

t.test('a task is aborted by another connection, also when it has not come yet', async (t) => {
  const all = scene()
  byHand(all)
  const [first, second] = await pair(all)
  const tag = first.command({ cmdSN: 1, write: true, expectedDataTransferLength: BLOCK })
  await first.answers()
  const abort = (referencedTaskTag: number, refCmdSN: number, cmdSN: number): void =>
    second.send(
      encodeTaskManagementRequest({
        ...{ immediate: true, function: TaskManagement.abortTask, lun: 0n, expStatSN: 0 },
        ...{ initiatorTaskTag: second.newTag(), referencedTaskTag, refCmdSN, cmdSN },
      }),
    )
  abort(tag, 1, 2)
  t.equal((await second.answer()).bhs[2], 0)
  t.equal(sessionOf(all).tasks.size, 0)
  abort(0x77, 2, 3)
  t.equal((await second.answer()).bhs[2], 0, 'it counts as received')
  first.command({ cmdSN: 2 })
  t.equal(all.scsi.tasks.length, 0, 'and is passed over when it comes')
  first.command({ cmdSN: 3 })
  t.equal(all.scsi.tasks.length, 1)
  abort(0x78, 9, 4)
  t.equal((await second.answer()).bhs[2], 1, 'one that could not come before the function')
})

t.test('logging out one connection, by itself or by another', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const [first, second] = await pair(all)
  const third = await join(all, 2)
  first.command({ cmdSN: 1 })
  second.command({ cmdSN: 2 })
  logOut(first, LogoutReason.closeConnection, 9)
  t.equal((await first.answer()).bhs[2], 1, 'there is no such connection')
  logOut(first, LogoutReason.closeConnection, 1)
  t.same(await first.answers(), [], 'not while the disk does something for it')
  finish()
  t.same(opcodes(await first.answers()), [Opcode.scsiResponse])
  finish()
  t.match(await first.answers(), [{ opcode: Opcode.logoutResponse }])
  t.type(second.disconnected, 'string')
  t.same(await second.answers(), [], 'what it carried is not answered')
  t.equal(first.disconnected, undefined)
  logOut(third, LogoutReason.closeConnection, 2)
  t.equal((await third.answer()).bhs[2], 0)
  t.equal(third.disconnected, 'logout')
  t.equal(sessionOf(all).size, 1)
  const fourth = await join(all, 1)
  fourth.command({ cmdSN: 3 })
  logOut(first, LogoutReason.closeSession, 0)
  finish()
  t.match(await first.answers(), [{ opcode: Opcode.logoutResponse }])
  t.same([first.disconnected, fourth.disconnected], ['logout', 'logout'])
  t.equal(all.server.sessions.size, 0)
  t.same(all.scsi.story.length, 2, 'one nexus came and went')
})

t.test('a connection in the place of another: what that carried is over', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const [first, second] = await pair(all)
  second.command({ cmdSN: 1 })
  second.command({ cmdSN: 3 })
  const again = all.connect()
  again.cmdSN = 2
  const login = again.login(NAMES, { tsih: sessionOf(all).tsih, cid: 1 })
  await t.rejects(login, { message: '0 PDUs came' }, 'not while the disk does something for it')
  t.type(second.disconnected, 'string')
  finish()
  t.equal((await again.answer()).opcode, Opcode.loginResponse)
  t.equal(first.disconnected, undefined)
  t.same(await second.answers(), [])
  again.command({ cmdSN: 2 })
  again.command({ cmdSN: 3 })
  finish()
  finish()
  t.same((await again.answers()).map(statusOf), [0, 0], 'what had not had its turn is sent once more')
  t.equal(all.scsi.tasks.length, 3)
  t.equal(second.held + again.held, 0)
  const only = scene()
  await loggedIn(only)
  const before = sessionOf(only)
  await join(only, 0)
  t.equal(sessionOf(only), before, "a session's only connection has its place taken, too")
  t.equal(only.scsi.story.length, 1)
})

t.test('who takes the place of the only connection, and vanishes, leaves no session behind', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const first = await loggedIn(all)
  first.command()
  const again = all.connect()
  await t.rejects(again.login(NAMES, { tsih: sessionOf(all).tsih }), { message: '0 PDUs came' })
  again.engine.closed()
  finish()
  await again.answers()
  t.equal(all.server.sessions.size, 0)
})

t.test('a connection that is lost ends its session, as there is no error recovery', async (t) => {
  const all = scene()
  const [first, second] = await pair(all)
  second.engine.closed()
  t.type(first.disconnected, 'string')
  t.equal(all.server.sessions.size, 0)
})
