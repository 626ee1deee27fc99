/** MS-SMB2 2.2: contexts, error data, names of codes, and the frames that are no SMB2 message. */

import t from 'tap'
import { commandName } from '../../../../protocols/smb2/messages/commands.ts'
import { decodeCreateRequest, decodeCreateResponse } from '../../../../protocols/smb2/messages/create.ts'
import * as contextData from '../../../../protocols/smb2/messages/create-context-data.ts'
import * as durable from '../../../../protocols/smb2/messages/create-context-durable.ts'
import * as lease from '../../../../protocols/smb2/messages/create-context-lease.ts'
import {
  type CreateContext,
  CreateContextName,
  findCreateContext,
} from '../../../../protocols/smb2/messages/create-contexts.ts'
import * as error from '../../../../protocols/smb2/messages/error.ts'
import { HEADER_BYTES } from '../../../../protocols/smb2/messages/header.ts'
import { decodeNegotiateRequest } from '../../../../protocols/smb2/messages/negotiate.ts'
import {
  decodeNegotiateContexts,
  encodeNegotiateContexts,
  type NegotiateContext,
} from '../../../../protocols/smb2/messages/negotiate-contexts.ts'
import * as smb1 from '../../../../protocols/smb2/messages/smb1-negotiate.ts'
import * as transform from '../../../../protocols/smb2/messages/transform-header.ts'
import { isError, Status, statusName } from '../../../../protocols/smb2/status.ts'
import { DecodeError } from '../../../../protocols/wire/errors.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { Writer } from '../../../../protocols/wire/writer.ts'
import { findFrame, readFrames } from './frames.ts'

const frames = readFrames()

function body(codec: string, label: string): Reader {
  return new Reader(findFrame(frames, codec, label).bytes).seek(HEADER_BYTES)
}

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer(1)
  write(writer)
  return writer.finish()
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

/** The data of a captured context. */
function requestContext(label: string, name: string): Buffer {
  return contextOf(decodeCreateRequest(body('CreateRequest', label)).createContexts, name)
}

function responseContext(label: string, name: string): Buffer {
  return contextOf(decodeCreateResponse(body('CreateResponse', label)).createContexts, name)
}

function contextOf(contexts: CreateContext[], name: string): Buffer {
  const data = findCreateContext(contexts, name)
  if (data === undefined) throw new Error(`no context ${name}`)
  return data
}

const LEASE_KEY = hex('0df0dde0fe0fdcbaf20f221f01f02345')

t.test('create contexts', async (t) => {
  const many = decodeCreateRequest(body('CreateRequest', 'many contexts')).createContexts
  t.same(
    many.map((context) => context.name),
    ['MxAc', 'AlSi', 'DHnQ', 'TWrp'],
  )
  t.equal(findCreateContext(many, CreateContextName.AAPL), undefined)
  t.equal(CreateContextName.POSIX.length, 16)

  const maximal = responseContext('maximal access', CreateContextName.MAXIMAL_ACCESS)
  const maximalFields = { queryStatus: 0, maximalAccess: 0x001f_01ff }
  t.same(contextData.decodeQueryMaximalAccessResponse(maximal), maximalFields)
  t.same(contextData.encodeQueryMaximalAccessResponse(maximalFields), maximal)
  t.equal(contextData.decodeQueryMaximalAccessRequest(Buffer.alloc(0)), undefined)
  t.equal(contextData.decodeQueryMaximalAccessRequest(hex('0100000000000080')), 0x8000_0000_0000_0001n)
  t.throws(() => contextData.decodeQueryMaximalAccessRequest(Buffer.alloc(7)), DecodeError)

  const onDisk = responseContext('on-disk id', CreateContextName.ON_DISK_ID)
  const onDiskFields = { diskFileId: 0x20_c46an, volumeId: 0xfe00n }
  t.same(contextData.decodeQueryOnDiskIdResponse(onDisk), onDiskFields)
  t.same(contextData.encodeQueryOnDiskIdResponse(onDiskFields), onDisk)

  const allocation = requestContext('many contexts', CreateContextName.ALLOCATION_SIZE)
  t.equal(contextData.decodeAllocationSize(allocation), 1_048_576)
  t.same(contextData.encodeAllocationSize(1_048_576), allocation)
  t.throws(() => contextData.decodeAllocationSize(Buffer.alloc(8, 0xff)), DecodeError)

  const timewarp = requestContext('snapshot', CreateContextName.TIMEWARP_TOKEN)
  // 2024-02-03 04:05:06 UTC
  t.equal(contextData.decodeTimewarpToken(timewarp), (1_706_933_106n + 11_644_473_600n) * 10_000_000n)
  t.same(contextData.encodeTimewarpToken(contextData.decodeTimewarpToken(timewarp)), timewarp)
})

t.test('lease contexts', async (t) => {
  const v1 = requestContext('lease v1', CreateContextName.LEASE)
  const v1Fields: lease.LeaseContext = {
    version: 1,
    leaseKey: LEASE_KEY,
    leaseState: 1,
    leaseFlags: 0,
    parentLeaseKey: Buffer.alloc(0),
    epoch: 0,
  }
  t.same(lease.decodeLeaseContext(v1), v1Fields)
  t.same(lease.encodeLeaseContext(v1Fields), v1)
  const v2 = responseContext('lease v2', CreateContextName.LEASE)
  const v2Fields: lease.LeaseContext = {
    version: 2,
    leaseKey: LEASE_KEY,
    leaseState: 7,
    leaseFlags: 0,
    parentLeaseKey: Buffer.alloc(16),
    epoch: 0x12,
  }
  t.same(lease.decodeLeaseContext(v2), v2Fields)
  t.same(lease.encodeLeaseContext(v2Fields), v2)
  for (const length of [0, 31, 33, 51, 53]) {
    t.throws(() => lease.decodeLeaseContext(Buffer.alloc(length)), DecodeError, `${length} bytes`)
  }
})

t.test('durable handle contexts', async (t) => {
  const request = requestContext('durable v1', CreateContextName.DURABLE_HANDLE_REQUEST)
  durable.checkDurableHandleRequest(request)
  t.same(durable.encodeDurableHandleRequest(), request)
  t.throws(() => durable.checkDurableHandleRequest(Buffer.alloc(15)), DecodeError)
  t.same(
    durable.encodeDurableHandleResponse(),
    responseContext('durable v1', CreateContextName.DURABLE_HANDLE_REQUEST),
  )

  const reconnect = requestContext('durable v1 reconnect', CreateContextName.DURABLE_HANDLE_RECONNECT)
  const fileId = { persistent: 1782000812n, volatile: 1425116493n }
  t.same(durable.decodeDurableHandleReconnect(reconnect), fileId, 'the handle of the response before')
  t.same(durable.encodeDurableHandleReconnect(fileId), reconnect)

  const v2 = requestContext('durable v2 with lease', CreateContextName.DURABLE_HANDLE_REQUEST_V2)
  const v2Fields = { timeout: 0xffff_ffff, flags: 0, createGuid: hex('c178ca6ae88f9b49adbaae333157e2e8') }
  t.same(durable.decodeDurableHandleRequestV2(v2), v2Fields)
  t.same(durable.encodeDurableHandleRequestV2(v2Fields), v2)
  const v2Response = responseContext('durable v2 with lease', CreateContextName.DURABLE_HANDLE_REQUEST_V2)
  t.same(durable.decodeDurableHandleResponseV2(v2Response), { timeout: 300_000, flags: 0 })
  t.same(durable.encodeDurableHandleResponseV2({ timeout: 300_000, flags: 0 }), v2Response)
  const v2Reconnect = requestContext('durable v2 reconnect', CreateContextName.DURABLE_HANDLE_RECONNECT_V2)
  const reconnectFields = {
    fileId: { persistent: 2052622777n, volatile: 4043225481n },
    createGuid: Buffer.alloc(16),
    flags: 0,
  }
  t.same(durable.decodeDurableHandleReconnectV2(v2Reconnect), reconnectFields)
  t.same(durable.encodeDurableHandleReconnectV2(reconnectFields), v2Reconnect)
})

/** What the Linux kernel offers of the POSIX extensions. */
const POSIX_VERSION = Buffer.from('93ad25509cb411e7b42383de968bcd7c', 'hex')

t.test('negotiate contexts', async (t) => {
  const linux = decodeNegotiateRequest(body('NegotiateRequest', 'of Linux')).negotiateContexts
  t.same(
    linux.map((context) => context.kind),
    ['preauthIntegrity', 'encryption', 'netName', 'posix'],
  )
  t.match(linux, [
    { hashAlgorithms: [1] },
    { ciphers: [2, 4, 1] },
    { netName: '10.0.2.2' },
    { versions: [POSIX_VERSION] },
  ])
  const smbclient = decodeNegotiateRequest(body('NegotiateRequest', '3.1.1')).negotiateContexts
  t.match(smbclient[2], { kind: 'signing', algorithms: [2, 1, 0] })

  const all: NegotiateContext[] = [
    { kind: 'preauthIntegrity', hashAlgorithms: [1], salt: hex('aabbcc') },
    { kind: 'compression', flags: 1, algorithms: [4, 3] },
    { kind: 'transport', flags: 1 },
    { kind: 'raw', type: 7, data: hex('0100000000000000') },
    { kind: 'netName', netName: 'ocean' },
    { kind: 'signing', algorithms: [2] },
  ]
  const bytes = written((writer) => encodeNegotiateContexts(writer, all))
  t.equal(
    bytes.subarray(0, 48).toString('hex'),
    '0100090000000000' +
      '01000300' +
      '0100' +
      'aabbcc' +
      '00'.repeat(7) +
      '03000c0000000000' +
      '0200000001000000' +
      '04000300' +
      '00000000',
  )
  t.same(decodeNegotiateContexts(new Reader(bytes), 0, all.length), all)
  t.throws(() => decodeNegotiateContexts(new Reader(bytes), 4, 1), DecodeError, 'a wrong alignment')
  t.throws(() => decodeNegotiateContexts(new Reader(bytes), 0, 7), DecodeError, 'one more than there are')
  t.throws(
    () => decodeNegotiateContexts(new Reader(Buffer.alloc(4096)), 0, 33),
    DecodeError,
    'past the limit',
  )
  const tooMany = hex('0200 4200 00000000 2000 0100') // 32 ciphers said, one there
  t.throws(() => decodeNegotiateContexts(new Reader(tooMany), 0, 1), DecodeError)
})

t.test('error data', async (t) => {
  const link = {
    unparsedPathLength: 8,
    substituteName: '..\\a',
    printName: 'b',
    flags: error.SYMLINK_FLAG_RELATIVE,
  }
  const linkBytes = hex(
    '22000000 53594d4c' + '0c0000a0 1600 0800 0000 0800 0800 0200 01000000 2e002e005c006100 6200',
  )
  t.same(error.symbolicLinkErrorData(link), linkBytes)
  t.same(error.decodeSymbolicLinkError(new Reader(linkBytes)), link)
  t.throws(() => error.decodeSymbolicLinkError(new Reader(linkBytes.subarray(0, 30))), DecodeError)

  const inContext = {
    errorContexts: [
      { errorId: 0, errorData: linkBytes },
      { errorId: 1, errorData: hex('aa') },
    ],
    errorData: Buffer.alloc(0),
  }
  const bytes = written((writer) => {
    writer.zeros(HEADER_BYTES)
    error.encodeErrorResponse(writer, inContext)
  })
  t.equal(bytes.subarray(64, 80).toString('hex'), '0900 0200 39000000 26000000 00000000'.replaceAll(' ', ''))
  t.same(error.decodeErrorResponse(new Reader(bytes).seek(HEADER_BYTES)), inContext)

  const tooSmall = error.bufferTooSmallErrorData(0x1234)
  t.equal(tooSmall.toString('hex'), '34120000')
  const plain = written((writer) => error.encodeErrorResponse(writer, error.PLAIN_ERROR))
  t.equal(plain.toString('hex'), '090000000000000000')
})

t.test('frames that are no SMB2 message', async (t) => {
  const { bytes } = findFrame(frames, 'Smb1NegotiateRequest', 'SMB1 negotiate')
  const request = smb1.decodeSmb1NegotiateRequest(new Reader(bytes))
  t.same(request.dialects, [
    'NT LANMAN 1.0',
    'NT LM 0.12',
    smb1.SMB1_DIALECT_2_002,
    smb1.SMB1_DIALECT_2_WILDCARD,
  ])
  const again = written((writer) => smb1.encodeSmb1NegotiateRequest(writer, request))
  t.same(smb1.decodeSmb1NegotiateRequest(new Reader(again)), request)
  t.same(again.subarray(32), bytes.subarray(32), 'everything behind the SMB1 header')
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => smb1.decodeSmb1NegotiateRequest(new Reader(bytes.subarray(0, length))), DecodeError)
  }

  for (const label of ['client', 'server']) {
    const header = findFrame(frames, 'TransformHeader', label).bytes
    const fields = transform.decodeTransformHeader(new Reader(header))
    t.equal(fields.flags, transform.TRANSFORM_FLAG_ENCRYPTED)
    t.equal(fields.originalMessageSize, 68)
    t.equal(fields.sessionId, 0x4f66_662dn)
    t.same(
      written((writer) => transform.encodeTransformHeader(writer, fields)),
      header,
    )
    t.equal(header.length, transform.TRANSFORM_HEADER_BYTES)
    t.same(fields.nonce, header.subarray(transform.TRANSFORM_NONCE_OFFSET, 36))
    for (let length = 0; length < header.length; length++) {
      t.throws(() => transform.decodeTransformHeader(new Reader(header.subarray(0, length))), DecodeError)
    }
  }
})

t.test('names of codes', async (t) => {
  t.equal(statusName(Status.OBJECT_NAME_NOT_FOUND), 'OBJECT_NAME_NOT_FOUND')
  t.equal(statusName(0xc123_4567), '0xc1234567')
  t.equal(new Set(Object.values(Status)).size, Object.keys(Status).length, 'no status stands twice')
  t.same(
    [
      Status.SUCCESS,
      Status.PENDING,
      Status.BUFFER_OVERFLOW,
      Status.STOPPED_ON_SYMLINK,
      Status.ACCESS_DENIED,
    ].map(isError),
    [false, false, false, false, true],
  )
  t.equal(commandName(0x12), 'OPLOCK_BREAK')
  t.equal(commandName(0x13), '0x0013')
})
