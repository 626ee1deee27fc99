/** The pipe and its RPC server: fragments, refusals, limits, and what the procedures answer beyond the captured calls. */

import fc from 'fast-check'
import t from 'tap'
import { NdrReader } from '../../../../protocols/smb2/rpc/ndr.ts'
import { createPipe } from '../../../../protocols/smb2/rpc/pipe.ts'
import { DecodeError } from '../../../../protocols/wire/errors.ts'
import {
  bindBody,
  bound,
  call,
  enumeration,
  FEATURES_SYNTAX,
  FIRST,
  faultOf,
  LAST,
  NDR_SYNTAX,
  NDR64_SYNTAX,
  parameters,
  pdu,
  request,
  SRVSVC_SYNTAX,
  share,
  srvsvc,
  testHost,
  transceive,
} from './client.ts'

t.test('binding', async (t) => {
  const host = testHost()
  t.equal(createPipe('spoolss', host), undefined)
  t.equal(createPipe('pipe\\srvsvc', host), undefined)
  t.equal(createPipe('\\srvsvc', host), undefined)
  t.equal(createPipe('SrvSvc', host)?.name, 'srvsvc')

  const bind = bindBody([
    [0, SRVSVC_SYNTAX, [NDR_SYNTAX, NDR64_SYNTAX]],
    [1, SRVSVC_SYNTAX, [NDR64_SYNTAX]],
    [2, SRVSVC_SYNTAX, [FEATURES_SYNTAX]],
    [3, NDR_SYNTAX, [NDR_SYNTAX]],
  ])
  const pipe = srvsvc(host)
  const ack = transceive(pipe, pdu(11, 3, bind, { callId: 77 }), 4280)?.data
  t.equal(
    ack?.toString('hex'),
    [
      '05000c03100000008c0000004d000000',
      'b810b810f05300000d00',
      Buffer.from('\\PIPE\\srvsvc\0').toString('hex'),
      '0004000000',
      `00000000${NDR_SYNTAX}`,
      `02000200${'00'.repeat(20)}`,
      `03000000${'00'.repeat(20)}`,
      `02000100${'00'.repeat(20)}`,
    ].join(''),
  )
  t.equal(
    faultOf(transceive(pipe, request(21, Buffer.alloc(8), 3, 1), 4280)),
    0x1c01_0003,
    'a refused context',
  )

  const altered = transceive(pipe, pdu(14, 3, bindBody([[1, SRVSVC_SYNTAX, [NDR_SYNTAX]]])), 4280)?.data
  t.equal(
    altered?.subarray(16).toString('hex'),
    `b810b810f0530000${'0000'}0000${'01000000'}00000000${NDR_SYNTAX}`,
    'alter_context',
  )
  const info = transceive(pipe, request(21, Buffer.from('0000000064000000', 'hex'), 3, 1), 4280)
  t.equal(info?.data[2], 2, 'the altered context works')
  t.equal(pipe.broken, false)
  t.equal(faultOf(transceive(pipe, pdu(11, 3, bind), 4280)), 0x1c01_000b, 'a second bind')
  t.ok(pipe.broken)
  t.notOk(pipe.write(pdu(11, 3, bind)))

  const secured = srvsvc(host)
  const trailer = Buffer.concat([bindBody([[0, SRVSVC_SYNTAX, [NDR_SYNTAX]]]), Buffer.alloc(16)])
  const nak = transceive(secured, pdu(11, 3, trailer, { authLength: 8 }), 4280)?.data
  t.equal(nak?.toString('hex'), '05000d03100000001500000001000000' + '0800010500')
  t.equal(transceive(secured, pdu(11, 3, bindBody([[0, SRVSVC_SYNTAX, [NDR_SYNTAX]]])), 4280)?.data[2], 12)
})

t.test('fragments and messages', async (t) => {
  const host = testHost()
  host.list = Array.from({ length: 200 }, (_, i) => share(`share-${i}`))
  const small = bound(host, 16)
  const reader = call(t, small, 15, enumeration(1), 1432)
  t.same(
    [reader.u32(), reader.u32(), reader.pointer(), reader.u32()],
    [1, 1, true, 200],
    'in fragments of 1432 bytes',
  )

  const pipe = bound(host)
  pipe.write(request(21, Buffer.from('0000000064000000', 'hex')))
  const total = pipe.available
  const head = pipe.read(10)
  t.same([head?.data.length, head?.more], [10, true])
  const tail = pipe.read(4280)
  t.same([tail?.data.length, tail?.more], [total - 10, false])
  t.equal(pipe.read(10), undefined)

  // One call in three fragments, its bytes in writes of one.
  const name = 'n'.repeat(80)
  const stub = parameters((output) => output.u32(0).string(name).u32(9).u32(0))
  const cut = [stub.subarray(0, 64), stub.subarray(64, 128), stub.subarray(128)] as const
  const fragments = [request(33, cut[0], FIRST), request(33, cut[1], 0), request(33, cut[2], LAST)]
  for (const byte of Buffer.concat(fragments)) t.ok(pipe.write(Buffer.from([byte])))
  t.equal(pipe.read(4280)?.data.subarray(24).toString('hex'), '00000000')
  // Two calls in one write are answered in order.
  const tod = (callId: number) => request(28, Buffer.alloc(4), 3, 0, callId)
  pipe.write(Buffer.concat([tod(5), tod(6)]))
  t.same([pipe.read(4280)?.data[12], pipe.read(4280)?.data[12]], [5, 6])

  pipe.write(request(33, cut[0], FIRST, 0, 9))
  t.equal(transceive(pipe, pdu(18, 3, Buffer.alloc(0), { callId: 9 }), 100), undefined, 'cancel is ignored')
  t.equal(
    transceive(pipe, pdu(19, 3, Buffer.alloc(0), { callId: 9 }), 100),
    undefined,
    'orphaned drops the call',
  )
  t.equal(faultOf(transceive(pipe, request(33, cut[1], LAST, 0, 9), 100)), 0x1c01_000b)
  t.ok(pipe.broken)
})

t.test('refusals and limits', async (t) => {
  const host = testHost()
  const pipe = bound(host)
  t.equal(faultOf(transceive(pipe, request(0, Buffer.alloc(0)), 100)), 0x1c01_0002, 'no such procedure')
  t.equal(faultOf(transceive(pipe, request(999, Buffer.alloc(0)), 100)), 0x1c01_0002)
  const valid = enumeration(1, { resume: 0 })
  for (let length = 0; length < valid.length; length++) {
    t.equal(faultOf(transceive(pipe, request(15, valid.subarray(0, length)), 100)), 0x6f7, `cut at ${length}`)
  }
  t.notOk(pipe.broken)
  t.equal(faultOf(transceive(srvsvc(host), request(15, valid), 100)), 0x1c01_000b, 'a call before bind')

  const large = bound(host)
  const chunk = Buffer.alloc(4000)
  large.write(request(33, chunk, FIRST))
  for (let i = 0; i < 300 && !large.broken; i++) large.write(request(33, chunk, 0))
  t.ok(large.broken, 'a call of more than 1 MiB')
  t.equal(faultOf(large.read(100)), 0x1c01_000b)

  const greedy = bound(host)
  host.list = Array.from({ length: 500 }, (_, i) => share(`share-${i}`))
  greedy.write(Buffer.concat(Array.from({ length: 200 }, () => request(15, valid))))
  t.ok(greedy.broken, 'who does not read is cut off')
  t.ok(greedy.available < 5 * 1024 * 1024)

  const wrong = [
    Buffer.from('05000b0300000000' + '1000000001000000', 'hex'),
    Buffer.from('04000b0310000000' + '1000000001000000', 'hex'),
    Buffer.from('05000b0310000000' + '0f00000001000000', 'hex'),
    Buffer.from('05000b0310000000' + 'ffff000001000000', 'hex'),
    pdu(11, 3, Buffer.alloc(3)),
  ]
  for (const bytes of wrong) {
    const other = srvsvc(host)
    t.equal(transceive(other, bytes, 100), undefined)
    t.ok(other.broken)
  }
})

t.test('procedures', async (t) => {
  const host = testHost()
  const pipe = bound(host)
  const page = (level: number, opnum: number, options: Parameters<typeof enumeration>[1]) => {
    const reader = call(t, pipe, opnum, enumeration(level, options))
    t.same([reader.u32(), reader.u32(), reader.pointer()], [level, level, true])
    return reader
  }
  const ids = (reader: NdrReader): { count: number; ids: number[]; result: number } => {
    const count = reader.u32()
    const list = reader.pointer() ? Array.from({ length: reader.u32() }, () => reader.u32()) : []
    reader.u32()
    reader.uniqueU32()
    return { count, ids: list, result: reader.u32() }
  }
  t.same(ids(page(0, 8, { filters: ['media'] })), { count: 1, ids: [2], result: 0 }, 'connections of a share')
  t.same(ids(page(0, 8, { filters: ['\\\\10.0.0.7'] })), { count: 1, ids: [1], result: 0 }, 'of a computer')
  t.same(
    ids(page(2, 9, { filters: [undefined, undefined] })),
    { count: 2, ids: [11, 12], result: 0 },
    'files',
  )
  t.same(ids(page(2, 9, { filters: ['C:\\tank\\media', undefined] })), { count: 1, ids: [12], result: 0 })
  t.same(ids(page(2, 9, { filters: [undefined, 'ANN'] })), { count: 1, ids: [11], result: 0 })
  const sessions = page(10, 12, { filters: ['\\\\10.0.0.8', undefined] })
  t.same([sessions.u32(), sessions.pointer(), sessions.u32()], [1, true, 1])
  t.same([sessions.pointer(), sessions.pointer(), sessions.u32(), sessions.u32()], [true, true, 9, 9])
  t.same([sessions.string(), sessions.string()], ['10.0.0.8', 'ben'])
  for (const level of [0, 1, 2, 10, 502]) page(level, 12, { filters: [undefined, undefined] })
  for (const level of [0, 1]) page(level, 8, { filters: ['IPC$'] })
  for (const level of [2, 3]) page(level, 9, { filters: [undefined, undefined], length: 4096 })

  // A resume handle and a small buffer: one share at a time.
  const names: string[] = []
  let resume = 0
  do {
    const reader = page(0, 15, { length: 1, resume })
    t.same([reader.u32(), reader.pointer(), reader.u32(), reader.pointer()], [1, true, 1, true])
    names.push(reader.string())
    t.equal(reader.u32(), 4 - names.length, 'TotalEntries')
    resume = reader.uniqueU32() ?? -1
    t.equal(reader.u32(), names.length < 3 ? 234 : 0)
  } while (resume > 0 && names.length < 9)
  t.same(names, ['backup', 'media', 'IPC$'])

  const getInfo = (name: string, level: number) =>
    call(
      t,
      pipe,
      16,
      parameters((output) => output.u32(0).string(name).u32(level)),
    )
  const unknown = getInfo('nowhere', 1)
  t.same([unknown.u32(), unknown.pointer(), unknown.u32()], [1, false, 2310])
  const noLevel = getInfo('backup', 7)
  t.same([noLevel.u32(), noLevel.u32()], [7, 124])
  const pathOf = () => {
    const reader = getInfo('BACKUP', 2)
    for (let i = 0; i < 9; i++) reader.u32()
    reader.u32()
    return [reader.string(), reader.string(), reader.string()]
  }
  t.same(pathOf(), ['backup', 'the backup', 'C:\\tank\\backup'])
  const check = (path: string) => {
    const reader = call(
      t,
      pipe,
      20,
      parameters((output) => output.u32(0).string(path)),
    )
    return [reader.u32(), reader.u32()]
  }
  t.same(check('c:\\TANK\\media'), [0, 0])
  t.same(check(''), [0x8000_0003, 0])
  t.same(check('C:\\tank'), [0, 2311])
  const validate = (name: string, type: number, flags: number) =>
    call(
      t,
      pipe,
      33,
      parameters((output) => output.u32(0).string(name).u32(type).u32(flags)),
    ).u32()
  t.same([validate('a b', 9, 0), validate('a'.repeat(80), 9, 0), validate('a'.repeat(81), 9, 0)], [0, 0, 123])
  t.same(
    [validate('', 9, 0), validate('a?b', 9, 0), validate('x', 1, 0), validate('x', 9, 1)],
    [123, 123, 124, 87],
  )
  t.equal(validate('a'.repeat(13), 9, 0x8000_0000), 123)
  const srv502 = call(
    t,
    pipe,
    21,
    parameters((output) => output.u32(0).u32(502)),
  )
  t.same([srv502.u32(), srv502.pointer(), srv502.u32()], [502, false, 124])
  const tod = call(t, pipe, 28, Buffer.alloc(4))
  t.ok(tod.pointer())
  const fields = Array.from({ length: 12 }, () => tod.u32())
  t.same([fields[0], ...fields.slice(2)], [1_795_402_665, 2, 57, 45, 67, 0, 10_000, 23, 11, 2026, 1])

  host.isAdministrator = false
  t.same(pathOf(), ['backup', 'the backup', ''], 'paths are for administrators')
  host.user = { kind: 'anonymous', name: 'ANONYMOUS LOGON', domain: 'NT AUTHORITY' }
  for (const level of [2, 502, 503, 1501]) {
    const reader = getInfo('backup', level)
    t.same([reader.u32(), reader.pointer(), reader.u32()], [level, false, 5], 'not for everybody')
  }
  t.same(ids(page(502, 15, { resume: 0 })), { count: 0, ids: [], result: 5 })
  for (const [opnum, level, filters] of [
    [8, 1, 1],
    [9, 3, 2],
    [12, 0, 2],
  ] as const) {
    const reader = page(level, opnum, { filters: new Array<undefined>(filters).fill(undefined), resume: 0 })
    t.same([reader.u32(), reader.pointer(), reader.u32()], [0, false, 0])
    t.same([reader.uniqueU32(), reader.u32()], [0, 5], 'as are connections, files and sessions')
  }
})

t.test('anything at all', async (t) => {
  const host = testHost()
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (writes) => {
      const pipe = srvsvc(host)
      for (const bytes of writes) pipe.write(Buffer.from(bytes))
    }),
  )
  const stub = fc.uint8Array({ maxLength: 200 })
  fc.assert(
    fc.property(fc.constantFrom(8, 9, 12, 15, 16, 20, 21, 23, 28, 33, 36), stub, (opnum, bytes) => {
      const pipe = bound(host)
      const type = transceive(pipe, request(opnum, Buffer.from(bytes)), 65_536)?.data[2]
      return (type === 2 || type === 3) && !pipe.broken
    }),
    { numRuns: 500 },
  )
  t.throws(() => new NdrReader(Buffer.from('020000000100000001000000410041', 'hex')).string(), DecodeError)
})
