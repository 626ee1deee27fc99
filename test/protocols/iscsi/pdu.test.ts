/** RFC 7143 11: each PDU there and back, whole bytes, and cut at every length. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
import { DecodeError } from '../../../protocols/wire/errors.ts'

/** RFC 3720 B.4: a READ(10), whose CRC32C is printed there. */
const READ_10 = hex(
  ['01c00000 00000000 00000000 00000000', '14000000 00000400 00000014 00000018'],
  '28000000 00000000 02000000 00000000',
)
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
function bothWays<T>(bytes: Buffer, decode: (pdu: Pdu) => T, encode: (value: T) => Buffer): T {
  const value = decode(splitPdu(bytes, NO_DIGESTS))
  assert.equal(encode(value).toString('hex'), bytes.toString('hex'))
  return value
}

const numbers = { 24: '00000007', 28: '00000008', 32: '00000047' }
const requestNumbers = { 24: '00000007', 28: '00000008' }

describe('CRC32C', () => {
  const vectors: readonly [name: string, bytes: Buffer, digest: string][] = [
    ['zeros', Buffer.alloc(32), 'aa36918a'],
    ['ones', Buffer.alloc(32, 0xff), '43aba862'],
    ['incrementing', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), '4e79dd46'],
    ['decrementing', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), '5cdb3f11'],
    ['a READ(10)', READ_10, '563a96d9'],
  ]
  for (const [name, bytes, digest] of vectors) {
    it(`of ${name} is the one of RFC 3720 B.4, in one piece and in two`, () => {
      assert.equal(digestOf([bytes]).toString('hex'), digest)
      for (let cut = 0; cut <= bytes.length; cut++) {
        assert.equal(
          crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))),
          hex(digest).readUInt32LE(),
          `cut at ${cut}`,
        )
      }
    })
  }
})

describe('segments', () => {
  it('are taken apart as they were joined, with each choice of digests', () => {
    for (const digests of [NO_DIGESTS, { header: true, data: false }, { header: false, data: true }, BOTH]) {
      for (let length = 0; length < 9; length++) {
        const ahs = Buffer.from('0002010061620000', 'hex')
        const pieces = [Buffer.alloc(length, 0x61), Buffer.from('bc')]
        const frame = Buffer.concat(joinPdu(Buffer.from(READ_10), pieces, digests, ahs))
        assert.equal(frame.length, BHS_BYTES + bytesBehind(frame.subarray(0, BHS_BYTES), digests))
        const pdu = splitPdu(frame, digests)
        assert.equal(pdu.data.toString(), `${'a'.repeat(length)}bc`)
        assert.equal(pdu.ahs.toString('hex'), ahs.toString('hex'))
        assert.equal(pdu.dataDigestOk, true)
      }
    }
  })

  it('cut at any length throw', () => {
    const frame = Buffer.concat(
      joinPdu(Buffer.from(READ_10), [Buffer.from('hello')], BOTH, hex('0002010000000000')),
    )
    for (let length = 0; length < frame.length; length++) {
      assert.throws(() => splitPdu(frame.subarray(0, length), BOTH), DecodeError, `${length} bytes`)
    }
    assert.throws(() => splitPdu(Buffer.concat([frame, Buffer.alloc(4)]), BOTH), DecodeError)
  })

  it('with one bit changed are found by their digests', () => {
    const frame = Buffer.concat(joinPdu(Buffer.from(READ_10), [Buffer.from('hello')], BOTH))
    frame[33] = 0xff
    assert.throws(() => splitPdu(frame, BOTH), /header digest/)
    frame[33] = 0
    frame[54] = 0xff
    assert.equal(splitPdu(frame, BOTH).dataDigestOk, false)
  })
})

describe('serial numbers', () => {
  it('wrap', () => {
    assert.equal(next(0xffff_ffff), 0)
    assert.equal(isBefore(0xffff_ffff, 0), true)
    assert.equal(isBefore(0, 0xffff_ffff), false)
    assert.equal(isBefore(5, 5), false)
  })
})

describe('SCSI Command and Response', () => {
  it('READ(10) of RFC 3720 B.4', () => {
    const command = bothWays(READ_10, scsi.decodeScsiCommand, (value) => scsi.encodeScsiCommand(value).bhs)
    assert.deepEqual(command, {
      ...{ cmdSN: 0x14, expStatSN: 0x18, immediate: false, final: true, read: true, write: false },
      ...{ attribute: 0, lun: 0n, initiatorTaskTag: 0x14000000, expectedDataTransferLength: 0x400 },
      ...{ cdb: READ_10.subarray(32), bidirectionalReadLength: 0 },
    })
  })

  it('long CDBs and bidirectional lengths are in additional segments, which throw when cut', () => {
    const command: scsi.ScsiCommand = {
      ...{ cmdSN: 1, expStatSN: 2, immediate: true, final: false, read: true, write: true },
      ...{ attribute: 1, lun: 0x0001_0000_0000_0000n, initiatorTaskTag: 9, expectedDataTransferLength: 512 },
      ...{ cdb: Buffer.alloc(33, 0x7f), bidirectionalReadLength: 1024 },
    }
    const { bhs, ahs } = scsi.encodeScsiCommand(command)
    const frame = Buffer.concat(joinPdu(bhs, [], NO_DIGESTS, ahs))
    const pdu = splitPdu(frame, NO_DIGESTS)
    assert.deepEqual(scsi.decodeScsiCommand(pdu), command)
    assert.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: ahs.subarray(0, 2) }), DecodeError)
    assert.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: ahs.subarray(0, 12) }), DecodeError)
    assert.throws(() => scsi.decodeScsiCommand({ ...pdu, ahs: hex('0000010000000000') }), DecodeError)
  })

  it('Response with residual and sense data', () => {
    const bytes = header({ 0: '21820002', 16: '0000000a', ...numbers, 36: '00000003', 44: '00000200' })
    const response = bothWays(bytes, scsi.decodeScsiResponse, scsi.encodeScsiResponse)
    assert.deepEqual(response.residual, { kind: 'underflow', count: 512 })
    assert.equal(response.status, 2)
    const sense = Buffer.concat(scsi.encodeSense(hex('700005')))
    assert.equal(sense.toString('hex'), '0003700005')
    assert.equal(scsi.decodeSense(sense).toString('hex'), '700005')
    for (let length = 1; length < sense.length; length++) {
      assert.throws(() => scsi.decodeSense(sense.subarray(0, length)), DecodeError)
    }
  })
})

describe('the other PDUs, by their bytes', () => {
  it('Data-Out', () => {
    const bytes = header({
      ...{ 0: '05800000', 8: '0001', 16: '0000000a', 20: '0000000b', 28: '00000008' },
      ...{ 36: '00000002', 40: '00004000' },
    })
    assert.equal(bothWays(bytes, data.decodeDataOut, data.encodeDataOut).bufferOffset, 0x4000)
  })
  it('Data-In with and without status', () => {
    const fields = { 16: '0000000a', 20: 'ffffffff', ...numbers, 36: '00000002', 40: '00004000' }
    const plain = bothWays(header({ 0: '25800000', ...fields }), data.decodeDataIn, data.encodeDataIn)
    assert.equal(plain.status, undefined)
    const last = header({ 0: '25850000', ...fields, 44: '00000010' })
    assert.deepEqual(bothWays(last, data.decodeDataIn, data.encodeDataIn).status, {
      status: 0,
      residual: { kind: 'overflow', count: 16 },
    })
  })
  it('R2T', () => {
    const bytes = header({
      ...{ 0: '31800000', 8: '0001', 16: '0000000a', 20: '0000000b', ...numbers },
      ...{ 36: '00000001', 40: '00010000', 44: '00020000' },
    })
    const ready = bothWays(bytes, data.decodeReadyToTransfer, data.encodeReadyToTransfer)
    assert.equal(ready.desiredDataTransferLength, 0x20000)
  })
  it('Task Management', () => {
    const bytes = header({
      ...{ 0: '42810000', 8: '0001', 16: '0000000a', 20: '00000009', ...requestNumbers, 32: '00000006' },
    })
    const { decodeTaskManagementRequest, encodeTaskManagementRequest } = management
    const request = bothWays(bytes, decodeTaskManagementRequest, encodeTaskManagementRequest)
    assert.equal(request.function, management.TaskManagement.abortTask)
    assert.equal(request.immediate, true)
    const answer = header({ 0: '22800100', 16: '0000000a', ...numbers })
    const { decodeTaskManagementResponse, encodeTaskManagementResponse } = management
    assert.equal(bothWays(answer, decodeTaskManagementResponse, encodeTaskManagementResponse).response, 1)
  })
  it('Login', () => {
    const bytes = header({ 0: '43870000', 8: '400001370000', 16: '0000000a', 20: '0001', ...requestNumbers })
    const request = bothWays(bytes, login.decodeLoginRequest, login.encodeLoginRequest)
    assert.equal(request.transit, true)
    assert.equal(request.currentStage, login.Stage.operational)
    assert.equal(request.nextStage, login.Stage.fullFeature)
    const answer = header({ 0: '23040000', 8: '400001370000', 14: '0005', 16: '0a', ...numbers, 36: '0201' })
    const response = bothWays(answer, login.decodeLoginResponse, login.encodeLoginResponse)
    assert.equal(response.status, login.LoginStatus.authenticationFailure)
    assert.equal(response.tsih, 5)
  })
  it('Text', () => {
    const bytes = header({ 0: '44400000', 16: '0000000a', 20: 'ffffffff', ...requestNumbers })
    assert.equal(bothWays(bytes, text.decodeTextRequest, text.encodeTextRequest).continues, true)
    const answer = header({ 0: '24800000', 16: '0000000a', 20: 'ffffffff', ...numbers })
    assert.equal(bothWays(answer, text.decodeTextResponse, text.encodeTextResponse).final, true)
  })
  it('Logout', () => {
    const bytes = header({ 0: '46810000', 16: '0000000a', 20: '0001', ...requestNumbers })
    const request = bothWays(bytes, logout.decodeLogoutRequest, logout.encodeLogoutRequest)
    assert.equal(request.reason, logout.LogoutReason.closeConnection)
    const answer = header({ 0: '26800100', 16: '0000000a', ...numbers, 40: '00020000' })
    assert.equal(bothWays(answer, logout.decodeLogoutResponse, logout.encodeLogoutResponse).time2Wait, 2)
  })
  it('NOP', () => {
    const bytes = header({ 0: '40800000', 16: '0000000a', 20: 'ffffffff', ...requestNumbers })
    assert.equal(bothWays(bytes, nop.decodeNopOut, nop.encodeNopOut).initiatorTaskTag, 10)
    const answer = header({ 0: '20800000', 16: 'ffffffff', 20: '00000003', ...numbers })
    assert.equal(bothWays(answer, nop.decodeNopIn, nop.encodeNopIn).targetTransferTag, 3)
  })
  it('Reject', () => {
    const bytes = header({ 0: '3f800400', 16: 'ffffffff', ...numbers })
    assert.equal(bothWays(bytes, reject.decodeReject, reject.encodeReject).reason, 4)
  })
})

describe('text keys', () => {
  it('go both ways', () => {
    const pairs = [
      ['InitiatorName', 'iqn.2026-11.test:a'],
      ['AuthMethod', 'CHAP,None'],
      ['SendTargets', ''],
      ['CHAP_R', '0x0a=b'],
    ] as const
    const bytes = Buffer.from(
      'InitiatorName=iqn.2026-11.test:a\0AuthMethod=CHAP,None\0SendTargets=\0CHAP_R=0x0a=b\0',
    )
    assert.deepEqual(decodeTextKeys(bytes), pairs)
    assert.deepEqual(encodeTextKeys(pairs), bytes)
    assert.deepEqual(decodeTextKeys(Buffer.from('A=b\0\0\0')), [['A', 'b']])
  })
  it('that are none throw', () => {
    const wrong = [
      'A=b',
      'A\0',
      '=b\0',
      `${'A'.repeat(64)}=b\0`,
      `A=${'b'.repeat(8193)}\0`,
      'A=b\0'.repeat(65),
    ]
    for (const one of wrong) assert.throws(() => decodeTextKeys(Buffer.from(one)), DecodeError)
  })
})
