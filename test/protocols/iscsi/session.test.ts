/** RFC 7143 4 and 11: sessions in the full feature phase, PDU by PDU. */

import t from 'tap'
import { AsyncEvent, decodeAsyncMessage } from '../../../protocols/iscsi/pdu/async-message.ts'
import { encodeLogoutRequest } from '../../../protocols/iscsi/pdu/logout.ts'
import { decodeNopIn, encodeNopOut } from '../../../protocols/iscsi/pdu/nop.ts'
import { RejectReason } from '../../../protocols/iscsi/pdu/reject.ts'
import { decodeScsiResponse } from '../../../protocols/iscsi/pdu/scsi-command.ts'
import { newHeader, Opcode, RESERVED_TAG, type ReceivedPdu } from '../../../protocols/iscsi/pdu/segments.ts'
import { encodeTaskManagementRequest, TaskManagement } from '../../../protocols/iscsi/pdu/task-management.ts'
import { decodeTextResponse, encodeTextRequest } from '../../../protocols/iscsi/pdu/text.ts'
import { encodeTextKeys } from '../../../protocols/iscsi/pdu/text-keys.ts'
import { CommandWindow, WINDOW_COMMANDS } from '../../../protocols/iscsi/session/command-window.ts'
import { MAXIMUM_FUNCTIONS } from '../../../protocols/iscsi/session/task-management.ts'
import { byHand, INITIATOR, loggedIn, scene, TARGET, type TestInitiator } from './lab.ts'

const bytes = (length: number, value = 0x5a): Buffer => Buffer.alloc(length, value)
t.test('the window: order, what is outside of it, immediate commands beside it', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all)
  const cdbs = (): (number | undefined)[] => all.scsi.tasks.map(({ cdb }) => cdb[0])
  const cdb = (opcode: number): Buffer => Buffer.alloc(16, opcode)
  initiator.command({ cmdSN: 2, cdb: cdb(2) })
  initiator.command({ cmdSN: 3, cdb: cdb(3) })
  initiator.command({ cmdSN: 0, cdb: cdb(9) })
  initiator.command({ cmdSN: 1 + WINDOW_COMMANDS, cdb: cdb(9) })
  initiator.command({ cmdSN: 2, cdb: cdb(9) })
  t.same(await initiator.answers(), [])
  initiator.command({ cmdSN: 1, immediate: true, cdb: cdb(7) })
  t.equal(decodeScsiResponse(await initiator.answer()).expCmdSN, 1, 'nothing is used up')
  initiator.command({ cmdSN: 1, cdb: cdb(1) })
  t.same(
    (await initiator.answers()).map((pdu) => decodeScsiResponse(pdu).status),
    [0, 0, 0],
  )
  t.same(cdbs(), [7, 1, 2, 3])
  t.equal(initiator.disconnected, undefined)
  t.equal(initiator.held, 0)
})

t.test('the window is as wide as there is room, and never closes behind itself', async (t) => {
  const window = new CommandWindow(0xffff_fff0)
  t.equal(window.maxCmdSN, 0xffff_fff0 - 0x1_0000_0000 + WINDOW_COMMANDS - 1)
  const told = window.maxCmdSN
  let ran = 0
  for (let count = 0; count < 20; count++) {
    window.admit(
      t,
      (0xffff_fff0 + count) >>> 0,
      () => {
        ran++
        window.enter()
      },
      () => t.fail('dropped'),
    )
  }
  t.equal(ran, 20)
  t.equal(window.expCmdSN, 4)
  t.equal(window.maxCmdSN, told)
  for (let count = 0; count < 20; count++) window.leave()
  t.equal(window.maxCmdSN, 4 + WINDOW_COMMANDS - 1)
})

t.test('more than the window holds is not begun, nor too many immediate commands', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const initiator = await loggedIn(all)
  for (let count = 0; count < WINDOW_COMMANDS + 5; count++) initiator.command()
  t.same(await initiator.answers(), [])
  t.equal(all.scsi.tasks.length, WINDOW_COMMANDS)
  finish()
  const { maxCmdSN } = decodeScsiResponse(await initiator.answer())
  t.equal(maxCmdSN, WINDOW_COMMANDS + 1)
  for (let count = 0; count < 17; count++) initiator.command({ immediate: true, cmdSN: WINDOW_COMMANDS + 1 })
  const refused = await initiator.answer()
  t.same([refused.opcode, refused.bhs[2]], [Opcode.reject, RejectReason.tooManyImmediateCommands])
  t.equal(refused.data.length, 48)
})

t.test('NOP, both ways', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all)
  const nop = (initiatorTaskTag: number, targetTransferTag = RESERVED_TAG): Buffer =>
    encodeNopOut({ immediate: true, lun: 0n, initiatorTaskTag, targetTransferTag, cmdSN: 1, expStatSN: 0 })
  initiator.send(nop(5), [Buffer.from('hello')])
  const echo = await initiator.answer()
  t.match(decodeNopIn(echo), { initiatorTaskTag: 5, targetTransferTag: RESERVED_TAG, statSN: 1, expCmdSN: 1 })
  t.equal(echo.data.toString(), 'hello')
  await all.environment.advance(all.server.limits.silenceMilliseconds)
  const ping = decodeNopIn(await initiator.answer())
  t.match(ping, { initiatorTaskTag: RESERVED_TAG, statSN: 2 })
  t.not(ping.targetTransferTag, RESERVED_TAG)
  initiator.send(nop(RESERVED_TAG, ping.targetTransferTag))
  t.same(await initiator.answers(), [])
  await all.environment.advance(all.server.limits.silenceMilliseconds)
  t.equal(initiator.disconnected, undefined)
  await all.environment.advance(2 * all.server.limits.silenceMilliseconds)
  t.match(initiator.disconnected, /does not answer/)
  t.equal(all.server.sessions.size, 0)
})

t.test('what is not understood is rejected, with its header', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all)
  const finish = byHand(all)
  const cases: [Buffer, number][] = [
    [newHeader(0x1c), RejectReason.commandNotSupported],
    [newHeader(Opcode.snackRequest), RejectReason.snack],
    [newHeader(Opcode.loginRequest, true), RejectReason.commandNotSupported],
  ]
  for (const [bhs, reason] of cases) {
    initiator.send(bhs)
    const rejected = await initiator.answer()
    t.same([rejected.opcode, rejected.bhs[2]], [Opcode.reject, reason])
    t.equal(rejected.data.toString('hex'), bhs.toString('hex'))
  }
  const initiatorTaskTag = initiator.command()
  initiator.command({ initiatorTaskTag })
  t.equal((await initiator.answer()).bhs[2], RejectReason.taskInProgress)
  finish()
  t.equal(decodeScsiResponse(await initiator.answer()).expCmdSN, 3)
  initiator.sendRaw(bytes(47))
  t.type(initiator.disconnected, 'string', 'what is no PDU ends the connection')
  t.equal(initiator.held, 0)
})

function sendFunction(initiator: TestInitiator, fn: number, tag = RESERVED_TAG, lun = 0n): void {
  initiator.send(
    encodeTaskManagementRequest({
      ...{ immediate: true, function: fn, lun, initiatorTaskTag: initiator.newTag() },
      ...{ referencedTaskTag: tag, refCmdSN: 0, cmdSN: initiator.cmdSN, expStatSN: 0 },
    }),
  )
}

/** The response codes of functions. */
async function manage(initiator: TestInitiator, fn: number, tag = RESERVED_TAG, lun = 0n): Promise<number> {
  sendFunction(initiator, fn, tag, lun)
  return (await initiator.answer()).bhs[2] ?? -1
}

t.test('task management', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const alice = await loggedIn(all)
  const bob = await loggedIn(all, { InitiatorName: `${INITIATOR}2` })
  const tag = alice.command()
  t.equal(await manage(alice, TaskManagement.abortTask, 0xdead), 1)
  await t.rejects(manage(alice, TaskManagement.abortTask, tag), { message: '0 PDUs came' }, 'it still runs')
  finish()
  t.equal((await alice.answer()).bhs[2], 0)
  t.same(await alice.answers(), [], 'and its status is not told')
  const waiting = alice.command({ write: true, expectedDataTransferLength: 512 })
  await alice.answers()
  t.equal(await manage(alice, TaskManagement.abortTask, waiting), 0, 'one that waits for its data')
  bob.command({ write: true, expectedDataTransferLength: 512 })
  bob.command({ write: true, expectedDataTransferLength: 512, lun: 1n })
  await bob.answers()
  t.equal(await manage(alice, TaskManagement.abortTaskSet), 0)
  const [, session] = all.server.sessions.values()
  t.equal(session?.tasks.size, 2, "another's tasks stay")
  t.equal(await manage(alice, TaskManagement.logicalUnitReset), 0)
  t.equal(session?.tasks.size, 1)
  t.equal(await manage(alice, TaskManagement.logicalUnitReset, RESERVED_TAG, 5n), 2)
  t.equal(await manage(alice, TaskManagement.targetWarmReset), 0)
  t.equal(session?.tasks.size, 0)
  t.equal(await manage(alice, TaskManagement.taskReassign), 4)
  t.equal(await manage(alice, TaskManagement.clearAca), 5)
  const stuck = alice.command()
  await t.rejects(manage(alice, TaskManagement.abortTask, stuck), { message: '0 PDUs came' })
  await all.environment.advance(5000)
  t.equal((await alice.answer()).bhs[2], 255, 'what the disk does not end is not said to be aborted')
  await t.rejects(manage(alice, TaskManagement.targetWarmReset), { message: '0 PDUs came' })
  await all.environment.advance(5000)
  t.equal((await alice.answer()).bhs[2], 255)
  finish()
  sendFunction(alice, TaskManagement.targetColdReset)
  const [done, dropped] = await alice.answers()
  t.same([done?.opcode, done?.bhs[2]], [Opcode.taskManagementResponse, 0])
  t.equal(decodeAsyncMessage(dropped as ReceivedPdu).event, AsyncEvent.dropsSession)
  t.same([typeof alice.disconnected, typeof bob.disconnected], ['string', 'string'])
  t.same(
    all.scsi.story.filter((line) => line.startsWith('reset')),
    ['reset 0', 'reset 5', 'reset all', 'reset all', 'reset all'],
  )
  t.equal(alice.held + bob.held, 0)
})

t.test('an initiator is asked to log out before its target goes away', async (t) => {
  const all = scene()
  const [polite, deaf] = [await loggedIn(all), await loggedIn(all, { InitiatorName: `${INITIATOR}2` })]
  const sessions = [...all.server.sessions.values()]
  let gone = 0
  for (const session of sessions) void session.dismiss('the end').then(() => gone++)
  for (const initiator of [polite, deaf]) {
    const message = decodeAsyncMessage(await initiator.answer())
    t.match(message, { event: AsyncEvent.logoutRequest, parameter3: 2, statSN: 1, expCmdSN: 1 })
  }
  polite.command()
  t.equal(decodeScsiResponse(await polite.answer()).statSN, 2, 'until then it is served')
  const tags = { initiatorTaskTag: 9, cid: 0, cmdSN: 2, expStatSN: 0 }
  polite.send(encodeLogoutRequest({ immediate: true, reason: 0, ...tags }))
  t.same([(await polite.answer()).opcode, polite.disconnected], [Opcode.logoutResponse, 'logout'])
  t.equal(gone, 1)
  await all.environment.advance(2000)
  t.match(decodeAsyncMessage(await deaf.answer()), { event: AsyncEvent.dropsSession, parameter2: 2 })
  t.equal(deaf.disconnected, 'the end')
  t.same([gone, all.server.sessions.size], [2, 0])
  await sessions[0]?.dismiss('again')
  t.same(await polite.answers(), [])
})

t.test('only so many task management functions wait for the disk', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const initiator = await loggedIn(all)
  const tag = initiator.command()
  await initiator.answers()
  for (let count = 0; count <= MAXIMUM_FUNCTIONS; count++)
    sendFunction(initiator, TaskManagement.targetWarmReset, tag)
  const refused = await initiator.answer()
  t.same([refused.opcode, refused.bhs[2]], [Opcode.reject, RejectReason.tooManyImmediateCommands])
  finish()
  t.equal((await initiator.answers()).length, MAXIMUM_FUNCTIONS)
  t.equal(await manage(initiator, TaskManagement.targetWarmReset), 0)
})

t.test('logout gives up what the session holds before it answers', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, {}, { cid: 3 })
  const logout = (reason: number, cid = 3): void =>
    initiator.send(
      encodeLogoutRequest({ immediate: true, reason, initiatorTaskTag: 9, cid, cmdSN: 1, expStatSN: 0 }),
    )
  logout(2)
  t.equal((await initiator.answer()).bhs[2], 2)
  logout(1, 4)
  t.equal((await initiator.answer()).bhs[2], 1)
  t.equal(all.scsi.story.length, 1)
  logout(1)
  t.match(all.scsi.story[1], /^detach/)
  t.equal((await initiator.answer()).bhs[2], 0)
  t.equal(initiator.disconnected, 'logout')
  initiator.command()
  t.same(await initiator.answers(), [])
  initiator.engine.closed()
  t.equal(all.scsi.story.length, 2)
})

t.test('SendTargets and other text, in discovery and in a session', async (t) => {
  const all = scene()
  const text = async (initiator: TestInitiator, pairs: [string, string][], ttt = RESERVED_TAG) => {
    const fields = { initiatorTaskTag: 7, targetTransferTag: ttt, cmdSN: 1, expStatSN: 0 }
    const bhs = encodeTextRequest({ immediate: true, final: true, continues: false, lun: 0n, ...fields })
    initiator.send(bhs, [encodeTextKeys(pairs)])
    return initiator.answer()
  }
  const found = `TargetName=${TARGET}\0TargetAddress=192.0.2.1:3260,1\0`
  const discovery = all.connect()
  const { keys } = await discovery.login({ InitiatorName: INITIATOR, SessionType: 'Discovery' })
  t.equal(keys['TargetPortalGroupTag'], undefined)
  t.equal(all.server.sessions.size, 0)
  t.equal((await text(discovery, [['SendTargets', 'All']])).data.toString(), found)
  discovery.command()
  t.equal((await discovery.answer()).bhs[2], RejectReason.protocolError)
  const session = await loggedIn(all)
  for (const value of ['All', '', TARGET]) {
    const answer = await text(session, [['SendTargets', value]])
    t.equal(answer.data.toString(), found, `SendTargets=${value}`)
    t.match(decodeTextResponse(answer), { final: true, targetTransferTag: RESERVED_TAG })
  }
  const others: [string, string, string][] = [
    ['SendTargets', 'Alle', 'SendTargets=Reject\0'],
    ['SendTargets', 'iqn.2026-11.test:none', ''],
    ['sENDtARGETS', 'aLL', 'sENDtARGETS=NotUnderstood\0'],
    ['SendTargetsPlease', 'All', 'SendTargetsPlease=NotUnderstood\0'],
    ['HeaderDigest', 'CRC32C', 'HeaderDigest=Reject\0'],
  ]
  for (const [key, value, answer] of others) {
    t.equal((await text(session, [[key, value]])).data.toString(), answer, `${key}=${value}`)
  }
  const part = await text(session, [
    ['MaxRecvDataSegmentLength', '512'],
    ['X-a', 'b'],
  ])
  t.equal(part.data.toString(), 'X-a=NotUnderstood\0')
  const names = Array.from({ length: 30 }, (_, index): [string, string] => [`X-${index}`, 'b'])
  const first = await text(session, names)
  t.match(decodeTextResponse(first), { final: false, continues: true })
  const rest = await text(session, [], decodeTextResponse(first).targetTransferTag)
  t.match(decodeTextResponse(rest), { final: true, continues: false })
  const whole = names.map(([key]) => `${key}=NotUnderstood\0`).join('')
  t.equal(first.data.toString() + rest.data.toString(), whole)
  const pieces = ['SendTar', 'gets=A', 'll\0']
  let ttt: number = RESERVED_TAG
  for (const [index, piece] of pieces.entries()) {
    const isLast = index === pieces.length - 1
    const fields = { initiatorTaskTag: 7, targetTransferTag: ttt, cmdSN: 1, expStatSN: 0, lun: 0n }
    const flags = { immediate: true, final: isLast, continues: !isLast }
    session.send(encodeTextRequest({ ...flags, ...fields }), [Buffer.from(piece)])
    const answer = await session.answer()
    ttt = decodeTextResponse(answer).targetTransferTag
    t.equal(answer.data.toString(), isLast ? found : '', 'nothing is answered before the end')
    t.equal(ttt === RESERVED_TAG, isLast)
  }
})

t.test('a connection that is lost ends its session', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const initiator = await loggedIn(all)
  initiator.command({ write: true, expectedDataTransferLength: 4 }, [bytes(4)])
  initiator.engine.closed()
  t.equal(all.server.sessions.size, 0)
  t.match(all.scsi.story[1], /^detach/)
  t.equal(initiator.held, 1, 'the disk still has it')
  finish()
  await initiator.answers()
  t.equal(initiator.held, 0)
})
