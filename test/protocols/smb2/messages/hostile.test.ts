/** MS-SMB2 2.2: lying numbers, limits, what is ignored, random bytes: only DecodeError may come of them. */

import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { decodeCreateRequest } from '../../../../protocols/smb2/messages/create.ts'
import {
  decodeCreateContexts,
  encodeCreateContexts,
} from '../../../../protocols/smb2/messages/create-contexts.ts'
import { decodeErrorResponse, decodeSymbolicLinkError } from '../../../../protocols/smb2/messages/error.ts'
import { HEADER_BYTES } from '../../../../protocols/smb2/messages/header.ts'
import { decodeSrvCopychunkCopy } from '../../../../protocols/smb2/messages/ioctl/copychunk.ts'
import { decodeNetworkInterfaceInfo } from '../../../../protocols/smb2/messages/ioctl/network-interface-info.ts'
import { decodePipeWaitRequest } from '../../../../protocols/smb2/messages/ioctl/pipe-wait.ts'
import { decodeSrvSnapshotArray } from '../../../../protocols/smb2/messages/ioctl/snapshots.ts'
import { decodeValidateNegotiateInfoRequest } from '../../../../protocols/smb2/messages/ioctl/validate-negotiate-info.ts'
import { decodeLockRequest } from '../../../../protocols/smb2/messages/lock.ts'
import { decodeNegotiateRequest } from '../../../../protocols/smb2/messages/negotiate.ts'
import { decodeQueryInfoRequest } from '../../../../protocols/smb2/messages/query-info.ts'
import { decodeReadRequest } from '../../../../protocols/smb2/messages/read.ts'
import { decodeSmb1NegotiateRequest } from '../../../../protocols/smb2/messages/smb1-negotiate.ts'
import { decodeWriteRequest } from '../../../../protocols/smb2/messages/write.ts'
import { DecodeError } from '../../../../protocols/wire/errors.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { Writer } from '../../../../protocols/wire/writer.ts'
import { codecs } from './codecs.ts'
import { findFrame, readFrames } from './frames.ts'

const frames = readFrames()
const messages = frames.filter((frame) => frame.codec in codecs)

/** A captured message with some of its bytes changed; positions count from the header. */
function changed(codec: string, label: string, change: (bytes: Buffer) => void): Reader {
  const bytes = Buffer.from(findFrame(frames, codec, label).bytes)
  change(bytes)
  return new Reader(bytes).seek(HEADER_BYTES)
}

t.test('offsets and lengths that lie', async (t) => {
  const name = (offset: number, length: number) =>
    changed('CreateRequest', 'plain', (bytes) => {
      bytes.writeUInt16LE(offset, 64 + 44)
      bytes.writeUInt16LE(length, 64 + 46)
    })
  t.equal(decodeCreateRequest(name(120, 12)).name, 'nosuch')
  t.throws(() => decodeCreateRequest(name(120, 11)), DecodeError, 'an odd length')
  t.throws(() => decodeCreateRequest(name(118, 12)), DecodeError, 'inside the fixed part')
  t.throws(() => decodeCreateRequest(name(0, 12)), DecodeError, 'inside the header')
  t.throws(() => decodeCreateRequest(name(120, 0xfffe)), DecodeError, 'past the end')
  t.throws(() => decodeCreateRequest(name(0xffff, 2)), DecodeError, 'behind the end')
  t.equal(decodeCreateRequest(name(0xffff, 0)).name, '', 'an empty name may point anywhere')
  t.equal(decodeCreateRequest(name(0, 0)).name, '')

  const data = (offset: number, length: number) =>
    changed('WriteRequest', 'data', (bytes) => {
      bytes.writeUInt16LE(offset, 64 + 2)
      bytes.writeUInt32LE(length, 64 + 4)
    })
  t.equal(decodeWriteRequest(data(112, 7)).data.length, 7)
  t.throws(() => decodeWriteRequest(data(112, 8)), DecodeError)
  t.throws(() => decodeWriteRequest(data(112, 0xffff_ffff)), DecodeError)
  t.throws(() => decodeWriteRequest(data(64, 7)), DecodeError)
  t.equal(decodeWriteRequest(data(0, 0)).data.length, 0)

  const wrongSize = changed('ReadRequest', 'plain', (bytes) => bytes.writeUInt16LE(48, 64))
  t.throws(() => decodeReadRequest(wrongSize), DecodeError, 'StructureSize')
})

t.test('views, not copies', async (t) => {
  const { bytes } = findFrame(frames, 'WriteRequest', 'data')
  const { data } = decodeWriteRequest(new Reader(bytes).seek(HEADER_BYTES))
  t.equal(data.buffer, bytes.buffer)
  t.equal(data.byteOffset, bytes.byteOffset + 112)
})

t.test('full 64-bit numbers', async (t) => {
  const read = changed('ReadRequest', 'plain', (bytes) => bytes.fill(0xff, 64 + 8, 64 + 16))
  t.equal(decodeReadRequest(read).offset, 0xffff_ffff_ffff_ffffn)
  const write = changed('WriteRequest', 'data', (bytes) => bytes.fill(0xff, 64 + 8, 64 + 16))
  t.equal(decodeWriteRequest(write).offset, 0xffff_ffff_ffff_ffffn)
})

t.test('what must be ignored is', async (t) => {
  const { bytes } = findFrame(frames, 'ReadRequest', 'plain')
  const whole = decodeReadRequest(new Reader(bytes).seek(HEADER_BYTES))
  const withoutLastByte = new Reader(bytes.subarray(0, 64 + 48)).seek(HEADER_BYTES)
  t.ok(isDeepStrictEqual(decodeReadRequest(withoutLastByte), whole), 'READ without the byte of its buffer')
  const junkChannel = changed('ReadRequest', 'plain', (copy) => copy.writeUInt32LE(0x1234_5678, 64 + 44))
  t.ok(isDeepStrictEqual(decodeReadRequest(junkChannel), whole), 'channel information without a channel')

  const old = changed('NegotiateRequest', 'to 3.0.2', (copy) => copy.fill(0xff, 64 + 28, 64 + 36))
  t.same(decodeNegotiateRequest(old).negotiateContexts, [], 'ClientStartTime of a client without 3.1.1')
  const info = changed('QueryInfoRequest', 'type 3', (copy) => copy.writeUInt16LE(0xffff, 64 + 8))
  t.equal(decodeQueryInfoRequest(info).input.length, 0)
})

t.test('counts past their limit', async (t) => {
  const dialects = (count: number) => {
    const bytes = Buffer.alloc(64 + 36 + 2 * count)
    bytes.writeUInt16LE(36, 64)
    bytes.writeUInt16LE(count, 66)
    return new Reader(bytes).seek(HEADER_BYTES)
  }
  t.equal(decodeNegotiateRequest(dialects(0)).dialects.length, 0)
  t.equal(decodeNegotiateRequest(dialects(64)).dialects.length, 64)
  t.throws(() => decodeNegotiateRequest(dialects(65)), DecodeError)

  const locks = (count: number) => {
    const bytes = Buffer.alloc(64 + 24 + 24 * count)
    bytes.writeUInt16LE(48, 64)
    bytes.writeUInt16LE(count, 66)
    bytes.writeUInt32LE(0x123, 68)
    return new Reader(bytes).seek(HEADER_BYTES)
  }
  t.match(decodeLockRequest(locks(64)), { lockSequenceNumber: 3, lockSequenceIndex: 0x12 })
  t.throws(() => decodeLockRequest(locks(65)), DecodeError)

  const smb1 = (count: number) => {
    const bytes = Buffer.alloc(35 + 2 * count)
    bytes.write('ff534d4272', 'hex')
    bytes.writeUInt16LE(2 * count, 33)
    for (let index = 0; index < count; index++) bytes[35 + 2 * index] = 2
    return new Reader(bytes)
  }
  t.equal(decodeSmb1NegotiateRequest(smb1(64)).dialects.length, 64)
  t.throws(() => decodeSmb1NegotiateRequest(smb1(65)), DecodeError)
})

t.test('lists of create contexts', async (t) => {
  const list = (count: number) => {
    const writer = new Writer()
    const contexts = Array.from({ length: count }, (_, index) => ({
      name: 'MxAc',
      data: Buffer.alloc(index % 9, index),
    }))
    encodeCreateContexts(writer, contexts)
    return { contexts, bytes: Buffer.from(writer.finish()) }
  }
  const full = list(32)
  t.same(decodeCreateContexts(new Reader(full.bytes), 0, full.bytes.length), full.contexts)
  const tooLong = list(33)
  t.throws(() => decodeCreateContexts(new Reader(tooLong.bytes), 0, tooLong.bytes.length), DecodeError)

  const broken = (change: (bytes: Buffer) => void) => {
    const { bytes } = list(3)
    change(bytes)
    return () => decodeCreateContexts(new Reader(bytes), 0, bytes.length)
  }
  t.throws(
    broken((bytes) => bytes.writeUInt32LE(8, 0)),
    DecodeError,
    'a Next inside the context',
  )
  t.throws(
    broken((bytes) => bytes.writeUInt32LE(25, 0)),
    DecodeError,
    'a Next that is not aligned',
  )
  t.throws(
    broken((bytes) => bytes.writeUInt32LE(0xffff_fff8, 0)),
    DecodeError,
    'a Next far outside',
  )
  t.throws(
    broken((bytes) => bytes.writeUInt16LE(0, 6)),
    DecodeError,
    'no name',
  )
  t.throws(
    broken((bytes) => bytes.writeUInt16LE(4, 4)),
    DecodeError,
    'a name inside the header',
  )
  t.throws(
    broken((bytes) => bytes.writeUInt32LE(9, 12)),
    DecodeError,
    'data past the next context',
  )
  t.throws(
    () => decodeCreateContexts(new Reader(full.bytes), 4, 24),
    DecodeError,
    'a list that is not aligned',
  )
})

/** What `run` does apart from throwing DecodeError. */
function harmless<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

const otherDecoders: readonly ((reader: Reader) => unknown)[] = [
  decodeNetworkInterfaceInfo,
  decodeSrvSnapshotArray,
  decodeSrvCopychunkCopy,
  decodePipeWaitRequest,
  decodeValidateNegotiateInfoRequest,
  decodeSymbolicLinkError,
  decodeErrorResponse,
  decodeSmb1NegotiateRequest,
]

t.test('random bytes', async (t) => {
  const structureSizes = [...new Set(messages.map((frame) => frame.bytes.readUInt16LE(64)))]
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(...structureSizes),
      (random, structureSize) => {
        const bytes = Buffer.concat([
          Buffer.alloc(64),
          Buffer.from([structureSize & 0xff, structureSize >> 8]),
          random,
        ])
        for (const codec of Object.values(codecs)) {
          harmless(() => codec.decode(new Reader(bytes).seek(HEADER_BYTES)))
        }
        for (const decode of otherDecoders) harmless(() => decode(new Reader(Buffer.from(random))))
      },
    ),
    { numRuns: 300 },
  )
  t.pass('nothing but DecodeError came of them')
})

t.test('captured messages with bytes changed', async (t) => {
  const change = fc.tuple(fc.nat({ max: 500 }), fc.constantFrom(0, 1, 7, 8, 0x40, 0x7f, 0x80, 0xff))
  fc.assert(
    fc.property(
      fc.constantFrom(...messages),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (frame, changes) => {
        const bytes = Buffer.from(frame.bytes)
        for (const [at, value] of changes) bytes[HEADER_BYTES + (at % (bytes.length - HEADER_BYTES))] = value
        const codec = codecs[frame.codec]
        const body = harmless(() => codec?.decode(new Reader(bytes).seek(HEADER_BYTES)))
        // A READ response is written by its head, and its data where the caller said: nothing to compare.
        if (codec === undefined || body === undefined || frame.codec === 'ReadResponse') return
        const writer = new Writer().zeros(HEADER_BYTES)
        codec.encode(writer, body)
        const again = codec.decode(new Reader(writer.finish()).seek(HEADER_BYTES))
        if (!isDeepStrictEqual(again, body))
          throw new Error(`[${frame.codec}] ${frame.label} reads differently`)
      },
    ),
    { numRuns: 4000 },
  )
  t.pass('each is refused, or says the same when it is written and read again')
})
