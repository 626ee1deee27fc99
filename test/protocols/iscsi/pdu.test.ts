/** RFC 7143 11: each PDU there and back, whole bytes, and cut at every length. */

import t, { type Test } from 'tap'
import * as async from '../../../protocols/iscsi/pdu/async-message.ts'
import { crc32c, digestOf } from '../../../protocols/iscsi/pdu/crc32c.ts'
import * as data from '../../../protocols/iscsi/pdu/data.ts'
import * as login from '../../../protocols/iscsi/pdu/login.ts'
import * as logout from '../../../protocols/iscsi/pdu/logout.ts'
import * as nop from '../../../protocols/iscsi/pdu/nop.ts'
import * as reject from '../../../protocols/iscsi/pdu/reject.ts'
import * as scsi from '../../../protocols/iscsi/pdu/scsi-command.ts'
import {
  BHS_BYTES,
  bytesBehind,
  joinPdu,
  NO_DIGESTS,
  type Pdu,
  splitPdu,
} from '../../../protocols/iscsi/pdu/segments.ts'
import { isBefore, next } from '../../../protocols/iscsi/pdu/sequence.ts'
import * as management from '../../../protocols/iscsi/pdu/task-management.ts'
import * as text from '../../../protocols/iscsi/pdu/text.ts'
import { decodeTextKeys, encodeTextKeys } from '../../../protocols/iscsi/pdu/text-keys.ts'

/** RFC 3720 B.4: a READ(10), whose CRC32C is printed there. */
const READ_10 = hex(
  ['01c00000 00000000 00000000 00000000', '14000000 00000400 00000014 00000018'],
  '28000000 00000000 02000000 00000000',
)
const CUT = { name: 'DecodeError' }
const BOTH = { header: true, data: true }

function hex(...lines: (string | string[])[]): Buffer {
  return Buffer.from(lines.flat().join('').replaceAll(' ', ''), 'hex')
}

/** A header as written by hand: some bytes at some places, zeros elsewhere. */
function header(bytes: Readonly<Record<number, string>>): Buffer {
  const bhs = Buffer.alloc(BHS_BYTES)
  for (const [at, value] of Object.entries(bytes)) hex(value).copy(bhs, Number(at))
  return bhs
}

/** Decodes, encodes, and compares with what it was. */
function bothWays<T>(t: Test, bytes: Buffer, decode: (pdu: Pdu) => T, encode: (value: T) => Buffer): T {
  const value = decode(splitPdu(bytes, NO_DIGESTS))
  t.equal(encode(value).toString('hex'), bytes.toString('hex'))
  return value
}

const numbers = { 24: '00000007', 28: '00000008', 32: '00000047' }
const requestNumbers = { 24: '00000007', 28: '00000008' }

t.test('CRC32C', async (t) => {
  const vectors: readonly [name: string, bytes: Buffer, digest: string][] = [
    ['zeros', Buffer.alloc(32), 'aa36918a'],
    ['ones', Buffer.alloc(32, 0xff), '43aba862'],
    ['incrementing', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), '4e79dd46'],
    ['decrementing', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), '5cdb3f11'],
    ['a READ(10)', READ_10, '563a96d9'],
  ]
  for (const [name, bytes, digest] of vectors) {
    t.test(`of ${name} is the one of RFC 3720 B.4, in one piece and in two`, async (t) => {
      t.equal(digestOf([bytes]).toString('hex'), digest)
      for (let cut = 0; cut <= bytes.length; cut++) {
        t.equal(
          crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))),
          hex(digest).readUInt32LE(),
          `cut at ${cut}`,
        )
      }
    })
  }
})

t.test('segments', async (t) => {
  t.test('are taken apart as they were joined, with each choice of digests', async (t) => {
    for (const digests of [NO_DIGESTS, { header: true, data: false }, { header: false, data: true }, BOTH]) {
      for (let length = 0; length < 9; length++) {
        const ahs = Buffer.from('0002010061620000', 'hex')
        const pieces = [Buffer.alloc(length, 0x61), Buffer.from('bc')]
        const frame = Buffer.concat(joinPdu(Buffer.from(READ_10), pieces, digests, ahs))
        t.equal(frame.length, BHS_BYTES + bytesBehind(frame.subarray(0, BHS_BYTES), digests))
        const pdu = splitPdu(frame, digests)
        t.equal(pdu.data.toString(), `${'a'.repeat(length)}bc`)
        t.equal(pdu.ahs.toString('hex'), ahs.toString('hex'))
        t.equal(pdu.dataDigestOk, true)
      }
    }
  })

  t.test('cut at any length throw', async (t) => {
    const frame = Buffer.concat(
      joinPdu(Buffer.from(READ_10), [Buffer.from('hello')], BOTH, hex('0002010000000000')),
    )
    for (let length = 0; length < frame.length; length++) {
      t.throws(() => splitPdu(frame.subarray(0, length), BOTH), CUT, `${length} bytes`)
    }
    t.throws(() => splitPdu(Buffer.concat([frame, Buffer.alloc(4)]), BOTH), CUT)
  })

  t.test('with one bit changed are found by their digests', async (t) => {
    const frame = Buffer.concat(joinPdu(Buffer.from(READ_10), [Buffer.from('hello')], BOTH))
    frame[33] = 0xff
    t.throws(() => splitPdu(frame, BOTH), { message: /header digest/ })
    frame[33] = 0
    frame[54] = 0xff
    t.equal(splitPdu(frame, BOTH).dataDigestOk, false)
  })
})

t.test('serial numbers', async (t) => {
  t.test('wrap', async (t) => {
    t.equal(next(0xffff_ffff), 0)
    t.equal(isBefore(0xffff_ffff, 0), true)
    t.equal(isBefore(0, 0xffff_ffff), false)
    t.equal(isBefore(5, 5), false)
  })
})

t.test('SCSI Command and Response', async (t) => {
  t.test('READ(10) of RFC 3720 B.4', async (t) => {
    const command = bothWays(t, READ_10, scsi.decodeScsiCommand, (value) => scsi.encodeScsiCommand(value).bhs)
    t.same(command, {
      ...{ cmdSN: 0x14, expStatSN: 0x18, immediate: false, final: true, read: true, write: false },
      ...{ attribute: 0, lun: 0n, initiatorTaskTag: 0x14000000, expectedDataTransferLength: 0x400 },
      ...{ cdb: READ_10.subarray(32), bidirectionalReadLength: 0 },
    })
  })

  t.test(
    'long CDBs and bidirectional lengths are in additional segments, which throw when cut',
    async (t) => {
      const command: scsi.ScsiCommand = {
        ...{ cmdSN: 1, expStatSN: 2, immediate: true, final: false, read: true, write: true },
        ...{
          attribute: 1,
          lun: 0x0001_0000_0000_0000n,
          initiatorTaskTag: 9,
          expectedDataTransferLength: 512,
        },
        ...{ cdb: Buffer.alloc(33, 0x7f), bidirectionalReadLength: 1024 },
      }
      const { bhs, ahs } = scsi.encodeScsiCommand(command)
      const frame = Buffer.concat(joinPdu(bhs, [], NO_DIGESTS, ahs))
      const pdu = splitPdu(frame, NO_DIGESTS)
      t.same(scsi.decodeScsiCommand(pdu), command)
      t.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: ahs.subarray(0, 2) }), CUT)
      t.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: ahs.subarray(0, 12) }), CUT)
      t.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: hex('0000010000000000') }), CUT)
    },
  )

  t.test('Response with residual and sense data', async (t) => {
    const bytes = header({ 0: '21820002', 16: '0000000a', ...numbers, 36: '00000003', 44: '00000200' })
    const response = bothWays(t, bytes, scsi.decodeScsiResponse, scsi.encodeScsiResponse)
    t.same(response.residual, { kind: 'underflow', count: 512 })
    t.equal(response.status, 2)
    const sense = Buffer.concat(scsi.encodeSense(hex('700005')))
    t.equal(sense.toString('hex'), '0003700005')
    t.equal(scsi.decodeSense(sense).toString('hex'), '700005')
    for (let length = 1; length < sense.length; length++) {
      t.throws(() => scsi.decodeSense(sense.subarray(0, length)), CUT)
    }
  })
})

t.test('the other PDUs, by their bytes', async (t) => {
  t.test('Data-Out', async (t) => {
    const bytes = header({
      ...{ 0: '05800000', 8: '0001', 16: '0000000a', 20: '0000000b', 28: '00000008' },
      ...{ 36: '00000002', 40: '00004000' },
    })
    t.equal(bothWays(t, bytes, data.decodeDataOut, data.encodeDataOut).bufferOffset, 0x4000)
  })
  t.test('Data-In with and without status', async (t) => {
    const fields = { 16: '0000000a', 20: 'ffffffff', ...numbers, 36: '00000002', 40: '00004000' }
    const plain = bothWays(t, header({ 0: '25800000', ...fields }), data.decodeDataIn, data.encodeDataIn)
    t.equal(plain.status, undefined)
    const last = header({ 0: '25850000', ...fields, 44: '00000010' })
    t.same(bothWays(t, last, data.decodeDataIn, data.encodeDataIn).status, {
      status: 0,
      residual: { kind: 'overflow', count: 16 },
    })
  })
  t.test('R2T', async (t) => {
    const bytes = header({
      ...{ 0: '31800000', 8: '0001', 16: '0000000a', 20: '0000000b', ...numbers },
      ...{ 36: '00000001', 40: '00010000', 44: '00020000' },
    })
    const ready = bothWays(t, bytes, data.decodeReadyToTransfer, data.encodeReadyToTransfer)
    t.equal(ready.desiredDataTransferLength, 0x20000)
  })
  t.test('Asynchronous Message', async (t) => {
    const bytes = header({
      ...{ 0: '32800000', 8: '0001', 16: 'ffffffff', ...numbers },
      ...{ 36: '0301', 38: '0002', 40: '0003', 42: '0004' },
    })
    const message = bothWays(t, bytes, async.decodeAsyncMessage, async.encodeAsyncMessage)
    t.equal(message.event, async.AsyncEvent.dropsSession)
    t.match(message, { vendorCode: 1, parameter1: 2, parameter2: 3, parameter3: 4 })
  })
  t.test('Task Management', async (t) => {
    const bytes = header({
      ...{ 0: '42810000', 8: '0001', 16: '0000000a', 20: '00000009', ...requestNumbers, 32: '00000006' },
    })
    const { decodeTaskManagementRequest, encodeTaskManagementRequest } = management
    const request = bothWays(t, bytes, decodeTaskManagementRequest, encodeTaskManagementRequest)
    t.equal(request.function, management.TaskManagement.abortTask)
    t.equal(request.immediate, true)
    const answer = header({ 0: '22800100', 16: '0000000a', ...numbers })
    const { decodeTaskManagementResponse, encodeTaskManagementResponse } = management
    t.equal(bothWays(t, answer, decodeTaskManagementResponse, encodeTaskManagementResponse).response, 1)
  })
  t.test('Login', async (t) => {
    const bytes = header({ 0: '43870000', 8: '400001370000', 16: '0000000a', 20: '0001', ...requestNumbers })
    const request = bothWays(t, bytes, login.decodeLoginRequest, login.encodeLoginRequest)
    t.equal(request.transit, true)
    t.equal(request.currentStage, login.Stage.operational)
    t.equal(request.nextStage, login.Stage.fullFeature)
    const answer = header({ 0: '23040000', 8: '400001370000', 14: '0005', 16: '0a', ...numbers, 36: '0201' })
    const response = bothWays(t, answer, login.decodeLoginResponse, login.encodeLoginResponse)
    t.equal(response.status, login.LoginStatus.authenticationFailure)
    t.equal(response.tsih, 5)
  })
  t.test('Text', async (t) => {
    const bytes = header({ 0: '44400000', 16: '0000000a', 20: 'ffffffff', ...requestNumbers })
    t.equal(bothWays(t, bytes, text.decodeTextRequest, text.encodeTextRequest).continues, true)
    const answer = header({ 0: '24800000', 16: '0000000a', 20: 'ffffffff', ...numbers })
    t.equal(bothWays(t, answer, text.decodeTextResponse, text.encodeTextResponse).final, true)
  })
  t.test('Logout', async (t) => {
    const bytes = header({ 0: '46810000', 16: '0000000a', 20: '0001', ...requestNumbers })
    const request = bothWays(t, bytes, logout.decodeLogoutRequest, logout.encodeLogoutRequest)
    t.equal(request.reason, logout.LogoutReason.closeConnection)
    const answer = header({ 0: '26800100', 16: '0000000a', ...numbers, 40: '00020000' })
    t.equal(bothWays(t, answer, logout.decodeLogoutResponse, logout.encodeLogoutResponse).time2Wait, 2)
  })
  t.test('NOP', async (t) => {
    const bytes = header({ 0: '40800000', 16: '0000000a', 20: 'ffffffff', ...requestNumbers })
    t.equal(bothWays(t, bytes, nop.decodeNopOut, nop.encodeNopOut).initiatorTaskTag, 10)
    const answer = header({ 0: '20800000', 16: 'ffffffff', 20: '00000003', ...numbers })
    t.equal(bothWays(t, answer, nop.decodeNopIn, nop.encodeNopIn).targetTransferTag, 3)
  })
  t.test('Reject', async (t) => {
    const bytes = header({ 0: '3f800400', 16: 'ffffffff', ...numbers })
    t.equal(bothWays(t, bytes, reject.decodeReject, reject.encodeReject).reason, 4)
  })
})

t.test('text keys', async (t) => {
  t.test('go both ways', async (t) => {
    const pairs = [
      ['InitiatorName', 'iqn.2026-11.test:a'],
      ['AuthMethod', 'CHAP,None'],
      ['SendTargets', ''],
      ['CHAP_R', '0x0a=b'],
    ] as const
    const bytes = Buffer.from(
      'InitiatorName=iqn.2026-11.test:a\0AuthMethod=CHAP,None\0SendTargets=\0CHAP_R=0x0a=b\0',
    )
    t.same(decodeTextKeys(bytes), pairs)
    t.same(encodeTextKeys(pairs), bytes)
    t.same(decodeTextKeys(Buffer.from('A=b\0\0\0')), [['A', 'b']])
  })
  t.test('that are none throw', async (t) => {
    const wrong = [
      'A=b',
      'A\0',
      '=b\0',
      `${'A'.repeat(64)}=b\0`,
      `A=${'b'.repeat(8193)}\0`,
      'A=b\0'.repeat(65),
    ]
    for (const one of wrong) t.throws(() => decodeTextKeys(Buffer.from(one)), CUT)
  })
})
