/** MS-SMB2 2.2: captured messages read, written, read again at another base, and cut at every length. */

import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type Header,
  HeaderFlag,
  SIGNATURE_BYTES,
  SIGNATURE_OFFSET,
} from '../../../../protocols/smb2/messages/header.ts'
import { DecodeError } from '../../../../protocols/wire/errors.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { Writer } from '../../../../protocols/wire/writer.ts'
import { type BodyCodec, codecs } from './codecs.ts'
import { type Frame, findFrame, readFrames } from './frames.ts'

const BASE_BYTES = 8
const PROCESS_ID_OFFSET = 32
/** Padding that some senders add behind the last part. */
const MAX_TRAILING_BYTES = 8

/** Messages that their senders did not lay out as we do, with the reason; what they say is kept. */
const OTHER_LAYOUT: Readonly<Record<string, string>> = {
  '[CreateRequest] reserved fields set': 'SecurityFlags, SmbCreateFlags and Reserved are not zero',
  '[CreateRequest] on-disk id': 'a context without data has DataOffset 0',
  '[CreateRequest] first of a compound': 'a context without data has DataOffset 0, and the member is padded',
  '[IoctlRequest] VALIDATE_NEGOTIATE_INFO': 'OutputOffset is filled in',
  '[IoctlRequest] SRV_REQUEST_RESUME_KEY': 'the offset of an empty part is filled in',
  '[IoctlRequest] SRV_COPYCHUNK_WRITE': 'OutputOffset is filled in',
  '[IoctlRequest] PIPE_TRANSCEIVE': 'OutputOffset is filled in',
  '[QueryInfoRequest] type 1': 'the offset of an empty part is filled in, and the member is padded',
  '[QueryInfoRequest] type 2': 'the offset of an empty part is filled in, and the member is padded',
  '[QueryInfoRequest] type 3': 'the offset of an empty part is filled in',
  '[QueryInfoRequest] middle of a compound':
    'the offset of an empty part is filled in, and the member is padded',
  '[QueryInfoResponse] middle of a compound': 'the member is padded',
  '[TreeConnectRequest] of Linux, padded': 'two bytes of padding',
  '[ErrorResponse] pending': 'the byte of an empty ErrorData is 0x21',
  '[ErrorResponse] odd byte': 'the byte of an empty ErrorData is 0x21',
}

interface Message {
  header: Header
  body: object
}

const frames = readFrames().filter((frame) => frame.codec in codecs)

function codecOf(frame: Frame): BodyCodec {
  const codec = codecs[frame.codec]
  if (codec === undefined) throw new Error(`no codec ${frame.codec}`)
  return codec
}

function decode(codec: BodyCodec, reader: Reader): Message {
  return { header: decodeHeader(reader), body: codec.decode(reader) }
}

function encode(codec: BodyCodec, writer: Writer, message: Message): Buffer {
  const began = writer.length
  writer.rebase()
  encodeHeader(writer, message.header)
  codec.encode(writer, message.body)
  return writer.finish().subarray(began)
}

/** What the codec does not keep: the signature, and the process id that Linux puts in a reserved field. */
function withoutUnkeptFields(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy.fill(0, SIGNATURE_OFFSET, SIGNATURE_OFFSET + SIGNATURE_BYTES)
  const isAsync = (copy.readUInt32LE(16) & HeaderFlag.ASYNC_COMMAND) !== 0
  if (!isAsync) copy.writeUInt32LE(0, PROCESS_ID_OFFSET)
  return copy
}

t.test('every captured message', async (t) => {
  t.ok(frames.length > 100, 'the fixtures are there')
  for (const frame of frames) {
    const name = `[${frame.codec}] ${frame.label}`
    const codec = codecOf(frame)
    const message = decode(codec, new Reader(frame.bytes))

    const written = encode(codec, new Writer(), message)
    const canonical = withoutUnkeptFields(frame.bytes).equals(written)
    t.equal(canonical, !(name in OTHER_LAYOUT), `${name}: written as it was`)
    t.ok(
      isDeepStrictEqual(decode(codec, new Reader(written)), message),
      `${name}: written, it reads the same`,
    )

    const surrounded = Buffer.concat([
      Buffer.alloc(BASE_BYTES, 0xaa),
      frame.bytes,
      Buffer.alloc(BASE_BYTES, 0xbb),
    ])
    const inside = new Reader(surrounded, BASE_BYTES, BASE_BYTES + frame.bytes.length)
    t.ok(isDeepStrictEqual(decode(codec, inside), message), `${name}: reads the same at base 8`)
    const atBase = encode(codec, new Writer(1).bytes(Buffer.alloc(BASE_BYTES)), message)
    t.ok(atBase.equals(written), `${name}: is written the same at base 8`)

    t.equal(cutEverywhere(codec, frame, message), '', `${name}: cut at every length`)
  }
})

/** Empty, or what was wrong: every cut throws DecodeError, or loses padding only. */
function cutEverywhere(codec: BodyCodec, frame: Frame, message: Message): string {
  for (let length = 0; length < frame.bytes.length; length++) {
    // A copy, so that nothing behind the cut can be reached by mistake.
    const cut = Buffer.from(frame.bytes.subarray(0, length))
    let decoded: Message
    try {
      decoded = decode(codec, new Reader(cut))
    } catch (error) {
      if (error instanceof DecodeError) continue
      return `${length} bytes: ${error}`
    }
    if (!isDeepStrictEqual(decoded, message)) return `${length} bytes read differently`
    if (length < frame.bytes.length - MAX_TRAILING_BYTES) return `${length} bytes are taken for whole`
  }
  return ''
}

/** What the sender is known to have said, by the tool that sent it or by another dissector. */
const KNOWN: readonly (readonly [codec: string, label: string, header: object, body: object])[] = [
  [
    'NegotiateRequest',
    '3.1.1',
    { command: 0, credits: 31 },
    {
      dialects: [0x0202, 0x0210, 0x0300, 0x0302, 0x0311],
      securityMode: 1,
      capabilities: 0x7f,
    },
  ],
  ['NegotiateRequest', '2.0.2', {}, { dialects: [0x0202], negotiateContexts: [] }],
  ['NegotiateRequest', 'to 3.0.2', {}, { dialects: [0x0202, 0x0210, 0x0300, 0x0302], negotiateContexts: [] }],
  [
    'NegotiateResponse',
    '3.1.1',
    { flags: 1 },
    { dialectRevision: 0x0311, maxReadSize: 8_388_608, maxWriteSize: 8_388_608 },
  ],
  ['NegotiateResponse', '2.0.2', {}, { dialectRevision: 0x0202, maxReadSize: 65_536, negotiateContexts: [] }],
  ['NegotiateResponse', '2.FF', {}, { dialectRevision: 0x02ff, serverStartTime: 0n }],
  ['SessionSetupRequest', 'previous session', { messageId: 1n }, { previousSessionId: 439007249n, flags: 0 }],
  ['SessionSetupResponse', 'more processing', { status: 0xc000_0016 }, { sessionFlags: 0 }],
  ['TreeConnectRequest', 'share', {}, { path: '\\\\127.0.0.1\\share' }],
  ['TreeConnectRequest', 'of Linux, padded', {}, { path: '\\\\10.0.2.2\\share' }],
  ['TreeConnectResponse', 'disk', { treeId: 2184098174 }, { shareType: 1, maximalAccess: 0x001f_01ff }],
  ['TreeConnectResponse', 'pipe', {}, { shareType: 2 }],
  [
    'CreateRequest',
    'plain',
    { command: 5, messageId: 1113n },
    {
      name: 'nosuch',
      createDisposition: 1,
      createOptions: 0x40,
      shareAccess: 3,
      createContexts: [],
    },
  ],
  ['CreateRequest', 'empty name', {}, { name: '', createOptions: 1, createContexts: [] }],
  [
    'CreateRequest',
    'reserved fields set',
    {},
    { name: '__non_existing_fname__', createDisposition: 0x1234_5678 },
  ],
  ['CreateRequest', 'lease v1', {}, { name: 'lease_break.dat', requestedOplockLevel: 0xff }],
  ['CreateResponse', 'on-disk id', { status: 0 }, { createAction: 2, fileAttributes: 0x20 }],
  ['CreateResponse', 'maximal access', {}, { createAction: 3, allocationSize: 1_048_576 }],
  [
    'CloseRequest',
    'post-query',
    {},
    { flags: 1, fileId: { persistent: 2335375784n, volatile: 2200942750n } },
  ],
  [
    'CloseResponse',
    'post-query',
    {},
    { flags: 1, endOfFile: 65_536, allocationSize: 65_536, fileAttributes: 0x20 },
  ],
  ['CloseResponse', 'plain', {}, { flags: 0, creationTime: 0n, endOfFile: 0 }],
  ['FlushRequest', 'plain', {}, { reserved1: 0, fileId: { persistent: 2335375784n, volatile: 2200942750n } }],
  ['ReadRequest', 'minimum count', {}, { length: 10, offset: 0n, minimumCount: 1 }],
  ['ReadResponse', 'data', {}, { dataOffset: 80, dataLength: 4, data: Buffer.from('old\n') }],
  ['WriteRequest', 'data', {}, { offset: 0n, data: Buffer.from('abc\0\0\0\0') }],
  ['WriteResponse', 'plain', {}, { count: 12 }],
  [
    'LockRequest',
    'two',
    {},
    {
      locks: [
        { offset: 0n, length: 10n, flags: 4 },
        { offset: 10n, length: 10n, flags: 4 },
      ],
    },
  ],
  ['LockRequest', 'highest offset', {}, { locks: [{ offset: 1n << 63n, length: 1n, flags: 0x12 }] }],
  ['IoctlRequest', 'SRV_ENUMERATE_SNAPSHOTS', {}, { ctlCode: 0x0014_4064, maxOutputResponse: 16, flags: 1 }],
  [
    'IoctlResponse',
    'PIPE_TRANSCEIVE',
    { flags: 19, asyncId: 5n, treeId: 0, credits: 0 },
    { ctlCode: 0x0011_c017 },
  ],
  ['CancelRequest', 'async', { asyncId: 10n, flags: 18 }, {}],
  ['CancelRequest', 'sync', { messageId: 8n, asyncId: 0n }, {}],
  [
    'QueryDirectoryRequest',
    'star',
    {},
    { fileInformationClass: 37, fileName: '*', outputBufferLength: 8_388_608 },
  ],
  ['ChangeNotifyRequest', 'tree', {}, { flags: 1, completionFilter: 3, outputBufferLength: 1000 }],
  [
    'ChangeNotifyResponse',
    'async',
    { asyncId: 9n },
    { output: Buffer.from('00000000030000000c00000074006e0061006d0065003100', 'hex') },
  ],
  ['QueryInfoRequest', 'type 3', {}, { infoType: 3, additionalInformation: 7, outputBufferLength: 65_536 }],
  [
    'QueryInfoRequest',
    'middle of a compound',
    { flags: 4 },
    {
      fileInfoClass: 18,
      fileId: { persistent: 0xffff_ffff_ffff_ffffn, volatile: 0xffff_ffff_ffff_ffffn },
    },
  ],
  [
    'QueryInfoResponse',
    'overflow',
    { status: 0x8000_0005 },
    { output: Buffer.from('1600000062007500', 'hex') },
  ],
  ['SetInfoRequest', 'disposition', {}, { infoType: 1, fileInfoClass: 13, input: Buffer.from([1]) }],
  [
    'OplockBreakNotification',
    'oplock',
    { messageId: 0xffff_ffff_ffff_ffffn, treeId: 0 },
    { kind: 'oplock', oplockLevel: 1 },
  ],
  [
    'OplockBreakNotification',
    'lease',
    {},
    {
      kind: 'lease',
      flags: 1,
      currentLeaseState: 5,
      newLeaseState: 1,
      leaseKey: Buffer.from('0df0dde0fe0fdcbaf20f221f01f02345', 'hex'),
    },
  ],
  ['OplockBreakRequest', 'lease', {}, { kind: 'lease', leaseState: 1 }],
  ['ErrorResponse', 'pending', { status: 0x103, flags: 19, asyncId: 5n }, { errorContexts: [] }],
]

t.test('fields known from the sender', async (t) => {
  for (const [codecName, label, header, body] of KNOWN) {
    const frame = findFrame(frames, codecName, label)
    const message = decode(codecOf(frame), new Reader(frame.bytes))
    t.match(message.header, header, `[${codecName}] ${label}: header`)
    const picked = Object.fromEntries(
      Object.keys(body).map((key) => [key, (message.body as Record<string, unknown>)[key]]),
    )
    t.ok(isDeepStrictEqual(picked, body), `[${codecName}] ${label}: body`)
  }
})

t.test('every command has its messages in the fixtures', async (t) => {
  const seen = new Set(frames.map((frame) => frame.codec))
  t.same(
    Object.keys(codecs).filter((name) => !seen.has(name)),
    [],
  )
})

t.test('the header', async (t) => {
  const header: Header = {
    creditCharge: 16,
    status: 0x0000_0007,
    command: 9,
    credits: 512,
    flags: HeaderFlag.SIGNED,
    nextCommand: 136,
    messageId: 0x8000_0000_0000_0001n,
    asyncId: 0n,
    treeId: 0xffff_ffff,
    sessionId: 0xfedc_ba98_7654_3210n,
  }
  const writer = new Writer()
  encodeHeader(writer, header)
  const bytes = writer.finish()
  t.equal(
    bytes.toString('hex'),
    'fe534d4240001000070000000900000208000000880000000100000000000080' +
      '00000000ffffffff1032547698badcfe00000000000000000000000000000000',
  )
  t.same(decodeHeader(new Reader(bytes)), header)
  const async = { ...header, flags: HeaderFlag.ASYNC_COMMAND, asyncId: 0xffff_ffff_ffff_fffen, treeId: 0 }
  const asyncWriter = new Writer()
  encodeHeader(asyncWriter, async)
  t.same(decodeHeader(new Reader(asyncWriter.finish())), async)

  const wrongId = Buffer.from(bytes)
  wrongId[0] = 0xff
  t.throws(() => decodeHeader(new Reader(wrongId)), DecodeError)
  const wrongSize = Buffer.from(bytes)
  wrongSize[4] = 63
  t.throws(() => decodeHeader(new Reader(wrongSize)), DecodeError)
  t.throws(() => decodeHeader(new Reader(bytes.subarray(0, HEADER_BYTES - 1))), DecodeError)
})
