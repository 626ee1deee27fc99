/** RFC 7143 4 and 11: sessions in the full feature phase, PDU by PDU. */

import t from 'tap'
import { decodeDataIn, decodeReadyToTransfer, encodeDataOut } from '../../../protocols/iscsi/pdu/data.ts'
import { encodeLogoutRequest } from '../../../protocols/iscsi/pdu/logout.ts'
import { decodeNopIn, encodeNopOut } from '../../../protocols/iscsi/pdu/nop.ts'
import { RejectReason } from '../../../protocols/iscsi/pdu/reject.ts'
import { decodeScsiResponse, decodeSense } from '../../../protocols/iscsi/pdu/scsi-command.ts'
import { newHeader, Opcode, RESERVED_TAG, type ReceivedPdu } from '../../../protocols/iscsi/pdu/segments.ts'
import { encodeTaskManagementRequest, TaskManagement } from '../../../protocols/iscsi/pdu/task-management.ts'
import { decodeTextResponse, encodeTextRequest } from '../../../protocols/iscsi/pdu/text.ts'
import { encodeTextKeys } from '../../../protocols/iscsi/pdu/text-keys.ts'
import type { TaskResult } from '../../../protocols/iscsi/scsi/task.ts'
import { CommandWindow, WINDOW_COMMANDS } from '../../../protocols/iscsi/session/command-window.ts'
import { GOOD, INITIATOR, loggedIn, type Scene, scene, TARGET, type TestInitiator } from './lab.ts'

const bytes = (length: number, value = 0x5a): Buffer => Buffer.alloc(length, value)
const codeOf = (pdu: ReceivedPdu): string => {
  const sense = decodeSense(pdu.data)
  return `${sense[2]?.toString(16)}/${sense.readUInt16BE(12).toString(16)}`
}

function dataOut(
  initiator: TestInitiator,
  fields: { tag: number; ttt?: number; dataSN?: number; offset?: number; final?: boolean },
  data: Buffer,
): void {
  const bhs = encodeDataOut({
    final: fields.final ?? true,
    lun: 0n,
    initiatorTaskTag: fields.tag,
    targetTransferTag: fields.ttt ?? RESERVED_TAG,
    expStatSN: 0,
    dataSN: fields.dataSN ?? 0,
    bufferOffset: fields.offset ?? 0,
  })
  initiator.send(bhs, [data])
}

/** Answers come when the test says. */
function byHand({ scsi }: Scene): (result?: TaskResult) => void {
  const waiting: ((result: TaskResult) => void)[] = []
  scsi.answer = () => new Promise((resolve) => waiting.push(resolve))
  return (result = GOOD) => waiting.shift()?.(result)
}

t.test('Data-In is cut by segment and burst, and its last PDU tells the status', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { MaxRecvDataSegmentLength: '1024', MaxBurstLength: '1536' })
  let released = 0
  const data = Buffer.from(Array.from({ length: 4000 }, (_, index) => index & 0xff))
  all.scsi.answer = () => ({
    ...{ status: 0, dataIn: [data.subarray(0, 700), data.subarray(700)], release: () => void released++ },
    ...{ dataInLength: 4000, dataOutLength: 0 },
  })
  const tag = initiator.command({ read: true, expectedDataTransferLength: 4096 })
  const answers = await initiator.answers()
  const parts = answers.map((pdu) => decodeDataIn(pdu))
  t.same(
    parts.map(({ bufferOffset, dataSN, final }) => [bufferOffset, dataSN, final]),
    [
      [0, 0, false],
      [1024, 1, true],
      [1536, 2, false],
      [2560, 3, true],
      [3072, 4, true],
    ],
  )
  t.ok(Buffer.concat(answers.map((pdu) => pdu.data)).equals(data))
  t.same(
    parts.slice(0, -1).map(({ status }) => status),
    [undefined, undefined, undefined, undefined],
  )
  t.match(parts.at(-1), { initiatorTaskTag: tag, statSN: 1, expCmdSN: 2, maxCmdSN: 65 })
  t.same(parts.at(-1)?.status, { status: 0, residual: { kind: 'underflow', count: 96 } })
  t.equal(released, 1)
  t.equal(all.scsi.tasks[0]?.dataInLimit, 4096)
  t.equal(initiator.held, 0)
})

t.test('residuals, both ways and with sense data', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all)
  const ask = async (
    result: Partial<TaskResult>,
    fields: Parameters<TestInitiator['command']>[0],
    data: Buffer[] = [],
  ) => {
    all.scsi.answer = () => ({ ...GOOD, ...result })
    initiator.command(fields, data)
    return decodeScsiResponse(await initiator.answer())
  }
  const none = { kind: 'none', count: 0 }
  t.same((await ask({}, {})).residual, none)
  const over = await ask({ dataInLength: 512 }, { read: true, expectedDataTransferLength: 0 })
  t.same(over.residual, { kind: 'overflow', count: 512 })
  t.same((await ask({ dataInLength: 512 }, {})).residual, { kind: 'overflow', count: 512 }, 'neither R nor W')
  const write = { write: true, expectedDataTransferLength: 1024 }
  t.same((await ask({ dataOutLength: 512 }, write, [bytes(1024)])).residual, {
    kind: 'underflow',
    count: 512,
  })
  t.same((await ask({ dataOutLength: 2048 }, write, [bytes(1024)])).residual, {
    kind: 'overflow',
    count: 1024,
  })
  all.scsi.answer = () => ({ ...GOOD, status: 2, sense: Buffer.from('70000b', 'hex') })
  initiator.command({ read: true, expectedDataTransferLength: 512 })
  const failed = await initiator.answer()
  t.match(decodeScsiResponse(failed), { status: 2, response: 0, residual: { kind: 'underflow', count: 512 } })
  t.equal(decodeSense(failed.data).toString('hex'), '70000b')
})

t.test('Data-Out: immediate, unsolicited, then by R2T, burst by burst', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, {
    InitialR2T: 'No',
    MaxBurstLength: '1024',
    FirstBurstLength: '1024',
  })
  let written = Buffer.alloc(0)
  all.scsi.answer = (task) => {
    written = Buffer.concat(task.dataOut)
    return { ...GOOD, dataOutLength: 2560 }
  }
  const tag = initiator.command({ write: true, final: false, expectedDataTransferLength: 2560 }, [
    bytes(512, 1),
  ])
  t.same(await initiator.answers(), [], 'more is to come')
  dataOut(initiator, { tag, offset: 512 }, bytes(512, 2))
  const first = decodeReadyToTransfer(await initiator.answer())
  t.match(first, { initiatorTaskTag: tag, r2tSN: 0, bufferOffset: 1024, desiredDataTransferLength: 1024 })
  t.match(first, { statSN: 1 })
  const { targetTransferTag: ttt } = first
  dataOut(initiator, { tag, ttt, offset: 1024, final: false }, bytes(512, 3))
  dataOut(initiator, { tag, ttt, offset: 1536, dataSN: 1 }, bytes(512, 4))
  const second = decodeReadyToTransfer(await initiator.answer())
  t.match(second, { r2tSN: 1, bufferOffset: 2048, desiredDataTransferLength: 512, statSN: 1 })
  t.equal(initiator.held, 4, 'kept until the command has ended')
  dataOut(initiator, { tag, ttt, offset: 2048 }, bytes(1))
  dataOut(initiator, { tag, ttt: second.targetTransferTag, offset: 2048 }, bytes(512, 5))
  const response = decodeScsiResponse(await initiator.answer())
  t.match(response, { status: 0, expDataSN: 2, statSN: 1, residual: { kind: 'none' } })
  t.ok(written.equals(Buffer.concat([1, 2, 3, 4, 5].map((value) => bytes(512, value)))))
  t.equal(all.scsi.tasks.length, 1)
  t.equal(initiator.held, 0)
})

t.test('pieces of Data-Out reach the target in order, as views of the frames', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { InitialR2T: 'No' })
  let seen = ''
  all.scsi.answer = (task) => {
    seen = Buffer.concat(task.dataOut).toString()
    return { ...GOOD, dataOutLength: 9 }
  }
  const tag = initiator.command({ write: true, final: false, expectedDataTransferLength: 9 }, [
    Buffer.from('one'),
  ])
  dataOut(initiator, { tag, offset: 3, final: false }, Buffer.from('two'))
  dataOut(initiator, { tag, offset: 6, dataSN: 1 }, Buffer.from('six'))
  t.equal(decodeScsiResponse(await initiator.answer()).status, 0)
  t.equal(seen, 'onetwosix')
})

t.test('Data-Out that is wrong fails its command, after its burst, and nothing else', async (t) => {
  const wrong: [string, string, { dataSN?: number; offset?: number }[], number][] = [
    ['DataSN twice', 'b/4705', [{ dataSN: 0 }, { dataSN: 0, offset: 512 }], 512],
    ['DataSN 27', 'b/4705', [{ dataSN: 27 }], 1024],
    ['DataSN -1', 'b/4705', [{ dataSN: 0xffff_ffff }], 1024],
    ['a gap', 'b/4705', [{ dataSN: 0 }, { dataSN: 1, offset: 600 }], 256],
    ['too much', 'b/c0d', [{ dataSN: 0 }, { dataSN: 1, offset: 1024 }], 1024],
    ['too little', 'b/c0d', [{ dataSN: 0 }], 512],
  ]
  for (const [name, code, pieces, length] of wrong) {
    const all = scene()
    const initiator = await loggedIn(all)
    const tag = initiator.command({ write: true, expectedDataTransferLength: 1024 })
    const { targetTransferTag: ttt } = decodeReadyToTransfer(await initiator.answer())
    for (const [index, piece] of pieces.entries()) {
      t.same(await initiator.answers(), [], `${name}: not before the end`)
      dataOut(initiator, { tag, ttt, ...piece, final: index === pieces.length - 1 }, bytes(length))
    }
    const answer = await initiator.answer()
    t.equal(decodeScsiResponse(answer).status, 2, name)
    t.equal(codeOf(answer), code, name)
    t.equal(all.scsi.tasks.length, 0)
    initiator.command()
    t.equal(decodeScsiResponse(await initiator.answer()).status, 0, `${name}: the connection lives`)
    t.equal(initiator.held, 0)
  }
})

t.test('data that nobody asked for', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { ImmediateData: 'No' })
  initiator.command({ write: true, expectedDataTransferLength: 512 }, [bytes(512)])
  t.equal(codeOf(await initiator.answer()), 'b/c0c', 'immediate')
  const tag = initiator.command({ write: true, final: false, expectedDataTransferLength: 512 })
  t.same(await initiator.answers(), [])
  dataOut(initiator, { tag }, bytes(512))
  t.equal(codeOf(await initiator.answer()), 'b/c0c', 'unsolicited')
  dataOut(initiator, { tag: 0xdead }, bytes(512))
  t.same(await initiator.answers(), [], 'of no command')
  t.equal(all.scsi.tasks.length, 0)
  t.equal(initiator.held, 0)
})

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

t.test('memory: reads wait until others were sent, writes until others were done', async (t) => {
  const all = scene()
  const finish = byHand(all)
  const initiator = await loggedIn(all)
  const large = 8 << 20
  for (let count = 0; count < 5; count++) initiator.command({ read: true, expectedDataTransferLength: large })
  await initiator.answers()
  t.equal(all.scsi.tasks.length, 4)
  finish({ ...GOOD, dataIn: [bytes(512)], dataInLength: 512 })
  await initiator.answers()
  t.equal(all.scsi.tasks.length, 5)
  for (let count = 0; count < 5; count++)
    initiator.command({ write: true, expectedDataTransferLength: large })
  t.equal((await initiator.answers()).filter(({ opcode }) => opcode === Opcode.readyToTransfer).length, 4)
  const [session] = all.server.sessions.values()
  const ended = session?.end('test')
  for (let count = 0; count < 4; count++) finish()
  await ended
  t.equal(initiator.held, 0)
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
  await all.environment.advance(30_000)
  const ping = decodeNopIn(await initiator.answer())
  t.match(ping, { initiatorTaskTag: RESERVED_TAG, statSN: 2 })
  t.not(ping.targetTransferTag, RESERVED_TAG)
  initiator.send(nop(RESERVED_TAG, ping.targetTransferTag))
  t.same(await initiator.answers(), [])
  await all.environment.advance(30_000)
  t.equal(initiator.disconnected, undefined)
  await all.environment.advance(60_000)
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

t.test('digests: made, checked, and what a wrong one brings about', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' })
  initiator.digests = { header: true, data: true }
  all.scsi.answer = () => ({ ...GOOD, dataIn: [bytes(5)], dataInLength: 5 })
  initiator.command({ read: true, expectedDataTransferLength: 5 })
  const answer = await initiator.answer()
  t.same([answer.dataDigestOk, answer.data.length], [true, 5])
  const tag = initiator.command({ write: true, expectedDataTransferLength: 512 })
  const { targetTransferTag: ttt } = decodeReadyToTransfer(await initiator.answer())
  const sendRaw = initiator.sendRaw.bind(initiator)
  initiator.sendRaw = (frame) => {
    frame[60] = 0
    sendRaw(frame)
  }
  dataOut(initiator, { tag, ttt }, bytes(512))
  const [rejected, failed] = await initiator.answers()
  t.equal(rejected?.bhs[2], RejectReason.dataDigestError)
  t.equal(codeOf(failed as ReceivedPdu), 'b/4705')
  t.equal(initiator.disconnected, undefined)
  initiator.command({ write: true, expectedDataTransferLength: 512 }, [bytes(512)])
  t.match(initiator.disconnected, /data digest/)
  t.equal(initiator.held, 0)
})

/** The response codes of functions. */
async function manage(initiator: TestInitiator, fn: number, tag = RESERVED_TAG, lun = 0n): Promise<number> {
  initiator.send(
    encodeTaskManagementRequest({
      ...{ immediate: true, function: fn, lun, initiatorTaskTag: initiator.newTag() },
      ...{ referencedTaskTag: tag, refCmdSN: 0, cmdSN: initiator.cmdSN, expStatSN: 0 },
    }),
  )
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
  t.equal(await manage(alice, TaskManagement.targetColdReset), 0)
  t.same([typeof alice.disconnected, typeof bob.disconnected], ['string', 'string'])
  t.same(
    all.scsi.story.filter((line) => line.startsWith('reset')),
    ['reset 0', 'reset 5', 'reset all', 'reset all', 'reset all'],
  )
  t.equal(alice.held + bob.held, 0)
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
