/** RFC 7143 4.2.5 and 11.7: data both ways: bursts, residuals, faults, digests, memory. */

import t from 'tap'
import { decodeDataIn, decodeReadyToTransfer, encodeDataOut } from '../../../protocols/iscsi/pdu/data.ts'
import { RejectReason } from '../../../protocols/iscsi/pdu/reject.ts'
import { decodeScsiResponse, decodeSense } from '../../../protocols/iscsi/pdu/scsi-command.ts'
import { Opcode, RESERVED_TAG, type ReceivedPdu } from '../../../protocols/iscsi/pdu/segments.ts'
import type { TaskResult } from '../../../protocols/iscsi/scsi/task.ts'
import { byHand, GOOD, loggedIn, scene, type TestInitiator } from './lab.ts'

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
  t.equal(initiator.held, 0, 'small pieces are copied, and do not keep their frames')
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

t.test('FirstBurstLength holds for immediate data and what follows unasked, together', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { InitialR2T: 'No', FirstBurstLength: '1024' })
  initiator.command({ write: true, expectedDataTransferLength: 4096 }, [bytes(1025)])
  t.equal(codeOf(await initiator.answer()), 'b/c0c', 'immediate')
  const write = { write: true, final: false, expectedDataTransferLength: 4096 } as const
  const tag = initiator.command(write, [bytes(512)])
  dataOut(initiator, { tag, offset: 512, final: false }, bytes(512))
  t.same(await initiator.answers(), [])
  dataOut(initiator, { tag, offset: 1024, dataSN: 1 }, bytes(1))
  t.equal(codeOf(await initiator.answer()), 'b/c0d', 'unsolicited')
  const less = initiator.command(write, [bytes(512)])
  dataOut(initiator, { tag: less, offset: 512 }, bytes(100))
  const ready = decodeReadyToTransfer(await initiator.answer())
  t.match(ready, { bufferOffset: 612, desiredDataTransferLength: 3484 }, 'less is no error')
  t.same([all.scsi.tasks.length, initiator.held], [0, 0])
})

t.test('MaxOutstandingR2T: several bursts are asked for at a time, and come in order', async (t) => {
  const all = scene()
  let written = Buffer.alloc(0)
  all.scsi.answer = (task) => {
    written = Buffer.concat(task.dataOut)
    return { ...GOOD, dataOutLength: 4096 }
  }
  const keys = { MaxOutstandingR2T: '2', MaxBurstLength: '1024' }
  const begin = async (): Promise<[TestInitiator, number, number[]]> => {
    const initiator = await loggedIn(all, keys)
    const tag = initiator.command({ write: true, expectedDataTransferLength: 4096 })
    const ready = (await initiator.answers()).map(decodeReadyToTransfer)
    t.same(
      ready.map(({ r2tSN, bufferOffset }) => [r2tSN, bufferOffset]),
      [
        [0, 0],
        [1, 1024],
      ],
    )
    return [initiator, tag, ready.map(({ targetTransferTag }) => targetTransferTag)]
  }
  const [initiator, tag, tags] = await begin()
  for (let burst = 0; burst < 4; burst++) {
    dataOut(initiator, { tag, ttt: tags[burst] ?? 0, offset: burst * 1024 }, bytes(1024, burst))
    const answer = await initiator.answers()
    if (burst < 2) tags.push(decodeReadyToTransfer(answer[0] as ReceivedPdu).targetTransferTag)
    else if (burst === 2) t.same(answer, [], 'the last was asked for')
    else t.match(decodeScsiResponse(answer[0] as ReceivedPdu), { status: 0, expDataSN: 4 })
  }
  t.ok(written.equals(Buffer.concat([0, 1, 2, 3].map((value) => bytes(1024, value)))))
  const [hasty, wrong, [first, second]] = await begin()
  dataOut(hasty, { tag: wrong, ttt: second ?? 0, offset: 1024 }, bytes(1024))
  t.same(await hasty.answers(), [], 'not before all that was asked for has come')
  dataOut(hasty, { tag: wrong, ttt: first ?? 0 }, bytes(1024))
  t.equal(codeOf(await hasty.answer()), 'b/4705')
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
