/** MS-SMB2 3.3.5.2: whatever a client sends, the server goes on, others notice nothing, and nothing of it is left. */

import fc from 'fast-check'
import t from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { encodeFullEaList } from '../../../protocols/smb2/fscc/ea.ts'
import {
  FileInformationClass,
  QUERY_FILE_INFORMATION_SIZES,
} from '../../../protocols/smb2/fscc/file-information.ts'
import { encodeSecurityDescriptor } from '../../../protocols/smb2/fscc/security-descriptor.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import { CreateContextName } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { HEADER_BYTES } from '../../../protocols/smb2/messages/header.ts'
import { encodeSrvCopychunkCopy } from '../../../protocols/smb2/messages/ioctl/copychunk.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import { encodeNegotiateRequest } from '../../../protocols/smb2/messages/negotiate.ts'
import { encodeOplockBreakRequest } from '../../../protocols/smb2/messages/oplock-break.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import { encodeSessionSetupRequest } from '../../../protocols/smb2/messages/session-setup.ts'
import { type FileId, RELATED_FILE_ID } from '../../../protocols/smb2/messages/structure.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { isClean, works } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, SIM_SHARE, type SimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import type { SimRequest } from '../../sim/smb2-connection.ts'
import * as requests from '../../sim/smb2-requests.ts'
import { negotiateContexts } from '../../sim/smb2-session.ts'

/** Longer than any oplock break waits. */
const LONG_MILLISECONDS = 120_000
const FRAMES = 10
const RUNS = 120
/** Logged for a client's own mistakes. */
const EXPECTED_WARNING = 'login failed'

interface Opens {
  readonly file: FileId
  readonly folder: FileId
}

function bytesOf(encode: (writer: Writer) => void): Buffer {
  const writer = new Writer()
  encode(writer)
  return writer.finish()
}

const name = (text: string) =>
  new Writer()
    .u8(1)
    .zeros(7)
    .u64(0n)
    .u32(text.length * 2)
    .utf16(text)
    .finish()
const EA = encodeFullEaList([
  { flags: 0, name: 'COLOR', value: Buffer.from('red') },
  { flags: 0, name: 'SIZE', value: Buffer.from('large') },
]).bytes

function creates(): SimRequest[] {
  const { EXTENDED_ATTRIBUTES, SECURITY_DESCRIPTOR, MAXIMAL_ACCESS, ALLOCATION_SIZE } = CreateContextName
  const contexts = [
    { name: EXTENDED_ATTRIBUTES, data: EA },
    { name: SECURITY_DESCRIPTOR, data: encodeSecurityDescriptor({ control: 0, dacl: null }) },
    { name: MAXIMAL_ACCESS, data: Buffer.alloc(0) },
    { name: ALLOCATION_SIZE, data: Buffer.from([0, 16, 0, 0, 0, 0, 0, 0]) },
  ]
  return [
    requests.createRequest({ name: 'other', requestedOplockLevel: OplockLevel.BATCH }),
    requests.createRequest({ name: 'folder\\deep:stream', desiredAccess: FileAccess.MAXIMUM_ALLOWED }),
    requests.createRequest({ name: 'new', createContexts: contexts }),
    requests.createRequest({ name: 'gone', createOptions: CreateOption.DELETE_ON_CLOSE }),
    requests.createRequest({ name: 'folder', createOptions: CreateOption.DIRECTORY_FILE }),
  ]
}

function dataRequests(fileId: FileId): SimRequest[] {
  const lock = (flags: number) => ({ offset: 5n, length: 10n, flags })
  return [
    requests.readRequest({ fileId }),
    requests.readRequest({ fileId, length: 100_000, minimumCount: 1 }),
    requests.writeRequest({ fileId, data: Buffer.alloc(3000, 5), offset: 100n }),
    requests.flushRequest(fileId),
    requests.lockRequest(fileId, lock(2), lock(0x12)),
    requests.lockRequest(fileId, lock(2)),
    requests.lockRequest(fileId, lock(4)),
    requests.closeRequest(fileId, 1),
  ]
}

function infoRequests(fileId: FileId): SimRequest[] {
  const { Basic, Rename, Link, Disposition, EndOfFile, Allocation, FullEa, Position } = FileInformationClass
  const set = (fileInfoClass: number, input: Buffer) =>
    requests.setInfoRequest({ fileId, fileInfoClass, input })
  const security = { infoType: InfoType.SECURITY, fileInfoClass: 0, additionalInformation: 7 }
  return [
    ...[...QUERY_FILE_INFORMATION_SIZES.keys()].map((fileInfoClass) =>
      requests.queryInfoRequest({ fileId, fileInfoClass }),
    ),
    ...[1, 3, 5, 7].map((fileInfoClass) => requests.queryInfoRequest({ fileId, fileInfoClass, infoType: 2 })),
    requests.queryInfoRequest({ fileId, ...security }),
    requests.setInfoRequest({
      fileId,
      ...security,
      input: encodeSecurityDescriptor({ control: 0, dacl: null }),
    }),
    set(Basic, Buffer.alloc(40, 1)),
    set(Rename, name('renamed')),
    set(Link, name('linked')),
    set(Disposition, Buffer.from([1])),
    set(EndOfFile, Buffer.from([1, 2, 3, 0, 0, 0, 0, 0])),
    set(Allocation, Buffer.from([1, 2, 3, 0, 0, 0, 0, 0])),
    set(Position, Buffer.from([1, 2, 3, 0, 0, 0, 0, 0])),
    set(FullEa, EA),
  ]
}

function controls(fileId: FileId): SimRequest[] {
  const chunks = [{ sourceOffset: 0n, targetOffset: 10n, length: 5 }]
  const copy = bytesOf((writer) => encodeSrvCopychunkCopy(writer, { sourceKey: Buffer.alloc(24), chunks }))
  const control = (code: number, input: Buffer = Buffer.alloc(0)) =>
    requests.ioctlRequest(code, { fileId, input })
  return [
    control(Fsctl.SRV_REQUEST_RESUME_KEY),
    control(Fsctl.SRV_COPYCHUNK, copy),
    control(Fsctl.SET_SPARSE),
    control(Fsctl.SET_ZERO_DATA, Buffer.alloc(16)),
    control(Fsctl.QUERY_ALLOCATED_RANGES, Buffer.from('0000000000000000ffffff0000000000', 'hex')),
    control(Fsctl.DUPLICATE_EXTENTS_TO_FILE, Buffer.alloc(40)),
    control(Fsctl.SET_COMPRESSION, Buffer.from([1, 0])),
    control(Fsctl.SRV_ENUMERATE_SNAPSHOTS),
    requests.ioctlRequest(Fsctl.QUERY_NETWORK_INTERFACE_INFO),
    requests.ioctlRequest(Fsctl.VALIDATE_NEGOTIATE_INFO, { input: Buffer.alloc(30, 2) }),
  ]
}

function otherRequests({ file, folder }: Opens): SimRequest[] {
  return [
    requests.queryDirectoryRequest({ fileId: folder }),
    requests.queryDirectoryRequest({ fileId: folder, fileName: 'f*', outputBufferLength: 150, flags: 1 }),
    requests.notifyRequest(folder, 0xfff, { flags: 1 }),
    requests.echoRequest(),
    requests.treeConnectRequest(SIM_SHARE),
    requests.emptyRequest(Command.TREE_DISCONNECT),
    requests.emptyRequest(Command.LOGOFF),
    requests.emptyRequest(Command.CANCEL),
    {
      command: Command.OPLOCK_BREAK,
      write: (writer) => encodeOplockBreakRequest(writer, { kind: 'oplock', oplockLevel: 1, fileId: file }),
    },
    {
      ...{ command: Command.SESSION_SETUP, sessionId: 0n },
      write: (writer) =>
        encodeSessionSetupRequest(writer, {
          ...{ flags: 0, securityMode: 1, capabilities: 0, previousSessionId: 0n },
          securityBuffer: Buffer.from('4e544c4d535350000100000007820800', 'hex'),
        }),
    },
  ]
}

/** Valid frames of every kind. */
function framesOf(opens: Opens): SimRequest[][] {
  const { related, createRequest, closeRequest } = requests
  const alone = [
    ...creates(),
    ...dataRequests(opens.file),
    ...infoRequests(opens.file),
    ...controls(opens.file),
    ...otherRequests(opens),
  ]
  const chain = (name: string, ...middle: SimRequest[]) => [
    createRequest({ name }),
    ...middle.map(related),
    related(closeRequest()),
  ]
  return [
    ...alone.map((request) => [request]),
    chain('file', requests.readRequest(), requests.queryInfoRequest()),
    chain('', requests.queryDirectoryRequest({ fileId: RELATED_FILE_ID })),
    chain('made', requests.writeRequest({ data: Buffer.from('data') }), requests.flushRequest()),
    [createRequest({ name: '', desiredAccess: 1 }), related(requests.notifyRequest(RELATED_FILE_ID, 0xfff))],
  ]
}

interface Change {
  readonly at: number
  readonly bytes: Uint8Array
  /** In the header: seldom, as most of that ends the connection. */
  readonly inHeader: boolean
}

interface Move {
  readonly frame: number
  readonly changes: readonly Change[]
  /** Bytes at the end that are missing, or added when negative. */
  readonly cut: number
  readonly milliseconds: number
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(4000),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 8 }),
    fc.constantFrom(
      ...['00', 'ff', 'ffffffff', 'ffffffffffffff7f', '00000000', '0000000000000080'].map((hex) =>
        Buffer.from(hex, 'hex'),
      ),
    ),
  ),
  inHeader: fc.integer({ min: 0, max: 11 }).map((value) => value === 0),
})

const move: fc.Arbitrary<Move> = fc.record({
  frame: fc.nat(10_000),
  changes: fc.array(change, { maxLength: 3 }),
  cut: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -9, max: 60 }) },
  ),
  milliseconds: fc.constantFrom(0, 0, 0, 6000),
})

function mutation({ changes, cut }: Move): (frame: Buffer) => Buffer {
  return (frame) => {
    const mutated = Buffer.concat([frame, Buffer.alloc(Math.max(0, -cut))])
    for (const { at, bytes, inHeader } of changes) {
      const [start, room] = inHeader
        ? [4, HEADER_BYTES - 4]
        : [HEADER_BYTES, Math.max(1, frame.length - HEADER_BYTES)]
      mutated.set(bytes.subarray(0, Math.max(0, mutated.length - start - (at % room))), start + (at % room))
    }
    return mutated.subarray(0, Math.max(0, mutated.length - Math.max(0, cut)))
  }
}

/** One hostile client from its first frame to its end. */
async function attack(
  sim: SimServer,
  options: Parameters<typeof SimClient.mount>[1],
  moves: readonly Move[],
): Promise<void> {
  const client = await SimClient.mount(sim, options)
  const file = (await client.create({ name: 'file', requestedOplockLevel: OplockLevel.EXCLUSIVE })).fileId
  await client.write(file, Buffer.alloc(5000, 7))
  const folder = (await client.create({ name: '', desiredAccess: 0x81 })).fileId
  const frames = framesOf({ file, folder })
  for (const each of moves) {
    if (client.disconnected) break
    const frame = frames[each.frame % frames.length] as SimRequest[]
    client.send(frame, { mutate: mutation(each) })
    if (each.milliseconds > 0) await sim.environment.advance(each.milliseconds)
    else await new Promise((resolve) => setImmediate(resolve))
  }
  client.drop()
  await settled()
}

const variants: [what: string, options: Parameters<typeof SimClient.mount>[1]][] = [
  ['2.1', { dialects: [Dialect.SMB_2_1] }],
  ['3.1.1, encrypted', { dialects: [Dialect.SMB_3_1_1], ciphers: [2], share: 'secret' }],
]

for (const [what, options] of variants) {
  t.test(`frames that were changed: ${what}`, async (t) => {
    const sim = createSimServer({ shares: [{ name: 'secret', encryptData: true }] })
    const bystander = await SimClient.mount(sim)
    await bystander.create({ name: 'bystander', shareAccess: 0 })
    const opens = sim.server.globalOpenTable.size
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: FRAMES }), async (moves) => {
        await attack(sim, options, moves)
        await sim.environment.advance(LONG_MILLISECONDS)
        const bugs = sim.complaints.filter((complaint) => !complaint.startsWith(EXPECTED_WARNING))
        if (bugs.length > 0) throw new Error(bugs.join('\n'))
        const { frames, payloads } = sim.leases
        if (frames + payloads > 0)
          throw new Error(`${frames} frames and ${payloads} payloads were not given back`)
        const left = [...sim.server.nodes.opens()].length
        if (sim.server.globalOpenTable.size !== opens || left !== opens)
          throw new Error(`${left} opens are left`)
        if (!(await works(bystander))) throw new Error('another client is not served any longer')
      }),
      { numRuns: RUNS },
    )
    await isClean(t, sim)
  })
}

t.test('before a session: any bytes at all', async (t) => {
  const sim = createSimServer()
  const negotiation = bytesOf((writer) =>
    encodeNegotiateRequest(writer, {
      ...{
        securityMode: 1,
        capabilities: 0x7f,
        clientGuid: Buffer.alloc(16),
        dialects: [Dialect.SMB_2_1, Dialect.SMB_3_1_1],
      },
      negotiateContexts: negotiateContexts((bytes) => Buffer.alloc(bytes), [1, 2], [1, 2]),
    }),
  )
  const first = { command: Command.NEGOTIATE, write: (writer: Writer) => writer.bytes(negotiation) }
  const magic = fc.constantFrom('', 'fe534d42', 'ff534d4272', 'fd534d42', 'fc534d42', 'fe534d4240000000')
  const bytes = fc
    .tuple(magic, fc.uint8Array({ maxLength: 200 }))
    .map(([start, rest]) => Buffer.concat([Buffer.from(start, 'hex'), rest]))
  await fc.assert(
    fc.asyncProperty(
      fc.array(bytes, { maxLength: 4 }),
      fc.array(move, { maxLength: 3 }),
      async (frames, moves) => {
        const client = new SimClient(sim)
        for (const each of moves) if (!client.disconnected) client.send([first], { mutate: mutation(each) })
        for (const frame of frames) client.sendRaw(frame)
        client.drop()
        await sim.environment.advance(1)
        if (sim.leases.frames > 0) throw new Error('frames were not given back')
        const bugs = sim.complaints.filter((complaint) => !complaint.startsWith(EXPECTED_WARNING))
        if (bugs.length > 0) throw new Error(bugs.join('\n'))
      },
    ),
    { numRuns: 400 },
  )
  t.ok(await works(await SimClient.mount(sim)))
  await isClean(t, sim)
})
