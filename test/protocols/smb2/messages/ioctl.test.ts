/** MS-SMB2 2.2.31 and 2.2.32: the structures that IOCTL carries, captured and by the book. */

import t from 'tap'
import { HEADER_BYTES } from '../../../../protocols/smb2/messages/header.ts'
import * as compression from '../../../../protocols/smb2/messages/ioctl/compression.ts'
import * as copychunk from '../../../../protocols/smb2/messages/ioctl/copychunk.ts'
import * as ranges from '../../../../protocols/smb2/messages/ioctl/file-ranges.ts'
import { Fsctl, fsctlName } from '../../../../protocols/smb2/messages/ioctl/fsctl.ts'
import * as networkInterface from '../../../../protocols/smb2/messages/ioctl/network-interface-info.ts'
import * as pipeWait from '../../../../protocols/smb2/messages/ioctl/pipe-wait.ts'
import * as snapshots from '../../../../protocols/smb2/messages/ioctl/snapshots.ts'
import * as validate from '../../../../protocols/smb2/messages/ioctl/validate-negotiate-info.ts'
import { decodeIoctlRequest, decodeIoctlResponse } from '../../../../protocols/smb2/messages/ioctl.ts'
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

t.test('IOCTL structures that were captured', async (t) => {
  const input = (label: string) => decodeIoctlRequest(body('IoctlRequest', label)).input
  const output = (label: string) => decodeIoctlResponse(body('IoctlResponse', label)).output

  const validateInput = input('VALIDATE_NEGOTIATE_INFO')
  const request = { capabilities: 0, guid: Buffer.alloc(16), securityMode: 1, dialects: [0x0202] }
  t.same(validate.decodeValidateNegotiateInfoRequest(new Reader(validateInput)), request)
  t.same(
    written((writer) => validate.encodeValidateNegotiateInfoRequest(writer, request)),
    validateInput,
  )
  const validateOutput = output('VALIDATE_NEGOTIATE_INFO')
  const response = validate.decodeValidateNegotiateInfoResponse(new Reader(validateOutput))
  t.match(response, { capabilities: 1, securityMode: 1, dialect: 0x0202 })
  t.same(
    written((writer) => validate.encodeValidateNegotiateInfoResponse(writer, response)),
    validateOutput,
  )
  t.equal(validateOutput.length, validate.VALIDATE_NEGOTIATE_INFO_RESPONSE_BYTES)

  const keyOutput = output('SRV_REQUEST_RESUME_KEY')
  const key = copychunk.decodeSrvRequestResumeKeyResponse(new Reader(keyOutput))
  t.same(
    written((writer) => copychunk.encodeSrvRequestResumeKeyResponse(writer, key)),
    keyOutput,
  )
  const copyInput = input('SRV_COPYCHUNK_WRITE')
  const copy = { sourceKey: key, chunks: [{ sourceOffset: 0n, targetOffset: 0n, length: 12 }] }
  t.same(copychunk.decodeSrvCopychunkCopy(new Reader(copyInput)), copy)
  t.same(
    written((writer) => copychunk.encodeSrvCopychunkCopy(writer, copy)),
    copyInput,
  )
  const copyOutput = output('SRV_COPYCHUNK_WRITE')
  const copied = { chunksWritten: 1, chunkBytesWritten: 0, totalBytesWritten: 12 }
  t.same(copychunk.decodeSrvCopychunkResponse(new Reader(copyOutput)), copied)
  t.same(
    written((writer) => copychunk.encodeSrvCopychunkResponse(writer, copied)),
    copyOutput,
  )

  const rangeInput = input('QUERY_ALLOCATED_RANGES')
  t.same(ranges.decodeAllocatedRange(new Reader(rangeInput)), { fileOffset: 0n, length: 0n })
  const rangeOutput = output('QUERY_ALLOCATED_RANGES')
  const range = { fileOffset: 0x1000n, length: 0x400n }
  t.same(ranges.decodeAllocatedRanges(new Reader(rangeOutput)), [range])
  t.same(
    written((writer) => ranges.encodeAllocatedRange(writer, range)),
    rangeOutput,
  )
  const zeroInput = input('SET_ZERO_DATA')
  const zero = { fileOffset: 0n, beyondFinalZero: 0x1000n }
  t.same(ranges.decodeZeroData(new Reader(zeroInput)), zero)
  t.same(
    written((writer) => ranges.encodeZeroData(writer, zero)),
    zeroInput,
  )
  t.equal(ranges.decodeSetSparse(new Reader(input('SET_SPARSE'))), true)
})

t.test('network interfaces', async (t) => {
  const captured = decodeIoctlResponse(body('IoctlResponse', 'QUERY_NETWORK_INTERFACE_INFO')).output
  const loopback: networkInterface.NetworkInterfaceInfo = {
    ifIndex: 0xffff_ffff,
    capability: 0,
    linkSpeed: 1_000_000_000n,
    family: 'IPv4',
    address: hex('7f000001'),
  }
  t.same(networkInterface.decodeNetworkInterfaceInfo(new Reader(captured)), [loopback])
  t.same(
    written((writer) => networkInterface.encodeNetworkInterfaceInfo(writer, [loopback])),
    captured,
  )

  const second: networkInterface.NetworkInterfaceInfo = {
    ifIndex: 2,
    capability: 1,
    linkSpeed: 10_000_000_000n,
    family: 'IPv6',
    address: hex('fd00 0000 0000 0000 0000 0000 0000 0001'),
  }
  const both = written((writer) => networkInterface.encodeNetworkInterfaceInfo(writer, [loopback, second]))
  t.equal(both.length, 304)
  t.equal(both.readUInt32LE(0), 152)
  t.equal(
    both.subarray(152 + 24, 152 + 52).toString('hex'),
    `17000000${'00000000'}fd000000000000000000000000000001${'00000000'}`,
  )
  t.same(networkInterface.decodeNetworkInterfaceInfo(new Reader(both)), [loopback, second])
  both.writeUInt32LE(8, 0)
  t.throws(
    () => networkInterface.decodeNetworkInterfaceInfo(new Reader(both)),
    DecodeError,
    'a Next too small',
  )
  const unknown = Buffer.from(captured)
  unknown.writeUInt16LE(1, 24)
  t.throws(
    () => networkInterface.decodeNetworkInterfaceInfo(new Reader(unknown)),
    DecodeError,
    'a family of neither',
  )
})

t.test('snapshots', async (t) => {
  const tokens = ['@GMT-2024.02.03-04.05.06', '@GMT-2024.01.02-03.04.05']
  const full = decodeIoctlResponse(body('IoctlResponse', 'SRV_ENUMERATE_SNAPSHOTS with room')).output
  const array = { numberOfSnapShots: 2, snapshots: tokens, snapShotArraySize: 102 }
  t.same(snapshots.decodeSrvSnapshotArray(new Reader(full)), array)
  t.same(snapshots.snapshotArrayFor(tokens, 65_535), array)
  t.same(
    written((writer) => snapshots.encodeSrvSnapshotArray(writer, array)),
    full,
  )

  const numbers = decodeIoctlResponse(body('IoctlResponse', 'SRV_ENUMERATE_SNAPSHOTS')).output
  const short = { ...array, snapshots: [] }
  t.same(snapshots.decodeSrvSnapshotArray(new Reader(numbers)), short)
  t.same(snapshots.snapshotArrayFor(tokens, 16), short)
  t.same(snapshots.snapshotArrayFor(tokens, 113), short, 'one byte less than all take')
  t.same(snapshots.snapshotArrayFor(tokens, 114), array)
  t.same(
    written((writer) => snapshots.encodeSrvSnapshotArray(writer, short)),
    numbers,
  )
  t.throws(() => snapshots.decodeSrvSnapshotArray(new Reader(full.subarray(0, 100))), DecodeError)
})

t.test('IOCTL structures by the book', async (t) => {
  const duplicate = {
    sourceFileId: { persistent: 1n, volatile: 2n },
    sourceFileOffset: 0x1000n,
    targetFileOffset: -1n,
    byteCount: 0x2000n,
  }
  const duplicateBytes = hex(
    '0100000000000000 0200000000000000 0010000000000000 ffffffffffffffff 0020000000000000',
  )
  t.same(
    written((writer) => ranges.encodeDuplicateExtents(writer, duplicate)),
    duplicateBytes,
  )
  t.same(ranges.decodeDuplicateExtents(new Reader(duplicateBytes)), duplicate)
  t.throws(() => ranges.decodeDuplicateExtents(new Reader(duplicateBytes.subarray(1))), DecodeError)

  t.equal(ranges.decodeSetSparse(new Reader(Buffer.alloc(0))), true, 'no buffer sets it')
  t.equal(ranges.decodeSetSparse(new Reader(hex('00'))), false)
  t.same(
    written((writer) => ranges.encodeSetSparse(writer, true)),
    hex('01'),
  )
  t.throws(() => ranges.decodeAllocatedRanges(new Reader(Buffer.alloc(17))), DecodeError)

  t.equal(compression.decodeCompressionState(new Reader(hex('0200'))), compression.CompressionFormat.LZNT1)
  t.same(
    written((writer) => compression.encodeCompressionState(writer, 0)),
    hex('0000'),
  )

  const wait = hex('e803000000000000 0c000000 01 00 730072007600730076006300')
  t.same(pipeWait.decodePipeWaitRequest(new Reader(wait)), { timeout: 1000n, name: 'srvsvc' })
  t.same(
    written((writer) => pipeWait.encodePipeWaitRequest(writer, { timeout: 1000n, name: 'srvsvc' })),
    wait,
  )
  const forever = written((writer) =>
    pipeWait.encodePipeWaitRequest(writer, { timeout: undefined, name: 'x' }),
  )
  t.same(pipeWait.decodePipeWaitRequest(new Reader(forever)), { timeout: undefined, name: 'x' })

  const wholeFile = Buffer.alloc(32)
  t.same(
    copychunk.decodeSrvCopychunkCopy(new Reader(wholeFile)).chunks,
    [],
    'no chunks: the whole file, says a Mac',
  )
  const chunks = (count: number) => {
    const bytes = Buffer.alloc(32 + count * 24)
    bytes.writeUInt32LE(count, 24)
    return bytes
  }
  t.equal(copychunk.decodeSrvCopychunkCopy(new Reader(chunks(1024))).chunks.length, 1024)
  t.throws(() => copychunk.decodeSrvCopychunkCopy(new Reader(chunks(1025))), DecodeError)
  t.throws(() => copychunk.decodeSrvCopychunkCopy(new Reader(chunks(2).subarray(0, 79))), DecodeError)

  t.equal(fsctlName(Fsctl.SET_SPARSE), 'SET_SPARSE')
  t.equal(fsctlName(0x1234), '0x00001234')
  t.equal(new Set(Object.values(Fsctl)).size, Object.keys(Fsctl).length, 'no code stands twice')
})
