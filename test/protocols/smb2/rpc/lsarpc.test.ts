/** lsarpc: calls captured from rpcclient, answered with the same bytes, and what it does not ask. */

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { RpcHost } from '../../../../protocols/smb2/rpc/host.ts'
import type { NdrReader, NdrWriter } from '../../../../protocols/smb2/rpc/ndr.ts'
import { createPipe, type NamedPipe } from '../../../../protocols/smb2/rpc/pipe.ts'
import { simAccounts } from '../../../sim/sim-accounts.ts'
import {
  bindBody,
  call,
  FIRST,
  faultOf,
  LAST,
  NDR_SYNTAX,
  parameters,
  pdu,
  request,
  testHost,
  transceive,
} from './client.ts'

const LSARPC_SYNTAX = '785734123412cdabef000123456789ab00000000'
const DSSETUP_SYNTAX = '6a2819390cb1d0119ba800c04fd92ef500000000'
const BIND = 11
const BIND_ACK = 12
const FAULT = 3
const BAD_STUB_DATA = 0x6f7
const CONTEXT_MISMATCH = 0x1c00_001a
const OPERATION_RANGE = 0x1c01_0002
const SUCCESS = 0
const SOME_NOT_MAPPED = 0x107
const NONE_MAPPED = 0xc000_0073
const INVALID_PARAMETER = 0xc000_000d
const ACCESS_DENIED = 0xc000_0022
const MAXIMUM_ALLOWED = 0x0200_0000
const UNKNOWN = 8
const DOMAIN = 'S-1-5-21-1-2-3'

/** The server of the fixture, or another with the same accounts. */
function lsaHost(user: RpcHost['user'], domainSid = DOMAIN): RpcHost {
  const sid = (kind: number) => (id: number) => `${domainSid}-${1000 + 2 * id + kind}`
  const users = { alice: 5001, bob: 5002, nasadmin: 5003 }
  return {
    ...testHost(),
    serverName: 'TT',
    user,
    accountDomainSid: domainSid,
    accounts: () => simAccounts({ userSid: sid(0), groupSid: sid(1) }, users, { nasusers: 5001 }),
    isAdministrator: user.name === 'nasadmin',
  }
}

function userNamed(name: string): RpcHost['user'] {
  return name === 'anonymous'
    ? { kind: 'anonymous', name: 'ANONYMOUS LOGON', domain: 'NT AUTHORITY' }
    : { kind: 'user', name, domain: 'TT' }
}

function open(host: RpcHost, name = 'lsarpc'): NamedPipe {
  const pipe = createPipe(name, host)
  if (pipe === undefined) throw new Error(`no ${name}`)
  return pipe
}

t.test('what rpcclient asks', async (t) => {
  const lines = readFileSync('test/fixtures/rpc/lsarpc.txt', 'utf8').trim().split('\n')
  const domainSid = lines.find((line) => line.startsWith('# domain '))?.slice(9)
  let host = lsaHost(userNamed('alice'), domainSid)
  let pipe = open(host)
  let calls = 0
  for (const line of lines) {
    if (line.startsWith('# user ')) host = lsaHost(userNamed(line.slice(7)), domainSid)
    const bytes = Buffer.from(line.slice(2), 'hex')
    if (line.startsWith('> ')) {
      if (bytes[2] === BIND) pipe = open(host)
      t.ok(pipe.write(bytes))
    } else if (line.startsWith('< ')) {
      calls++
      t.equal(pipe.read(65_536)?.data.toString('hex'), line.slice(2), `line ${lines.indexOf(line) + 1}`)
    }
  }
  t.equal(calls, 61)
})

/** A bound pipe and a policy handle on it. */
function policy(
  t: Test,
  host: RpcHost,
  options: { pipe?: string; access?: number; opnum?: number } = {},
): { pipe: NamedPipe; handle: Buffer; status: number } {
  const pipe = open(host, options.pipe)
  const ack = transceive(pipe, pdu(BIND, 3, bindBody([[0, LSARPC_SYNTAX, [NDR_SYNTAX]]])), 4280)?.data
  t.equal(ack?.[2], BIND_ACK)
  const opnum = options.opnum ?? 44
  const reader = call(t, pipe, opnum, openPolicy(opnum, options.access ?? MAXIMUM_ALLOWED))
  if (opnum === 130) t.same([reader.u32(), reader.u32(), reader.u32(), reader.u32()], [1, 1, 1, 0])
  return { pipe, handle: Buffer.from(reader.contextHandle()), status: reader.u32() }
}

function openPolicy(opnum: number, access: number, rootDirectory = 0): Buffer {
  return parameters((output) => {
    output.u32(0).u32(24).u32(rootDirectory).u32(0).u32(0).u32(0).u32(1)
    output.u32(12).u32(0x0001_0002).u32(access)
    if (opnum === 130) output.u32(1).u32(1).u32(1).u32(0)
  })
}

/** Parameters of the lookups behind what is to be looked up. */
function scope(output: NdrWriter, level = 1): void {
  output.u32(0).u32(0).u16(level).u32(0).u32(0).u32(2)
}

function names(handle: Buffer, list: readonly string[], level = 1): Buffer {
  return parameters((output) => {
    output.aligned(handle).u32(list.length)
    output.construct(() => {
      output.u32(list.length)
      for (const name of list) output.unicodeString(name)
    })
    scope(output, level)
  })
}

function sids(handle: Buffer, list: readonly string[]): Buffer {
  return parameters((output) => {
    output.aligned(handle)
    output.construct(() => output.u32(list.length).arrayPointer(list, (sid) => output.sidPointer(sid)))
    scope(output)
  })
}

/** A conformant array of RPC_UNICODE_STRINGs and SIDs: the referenced domains, as `name sid`. */
function referencedDomains(reader: NdrReader): string[] {
  reader.pointer()
  const count = reader.u32()
  reader.pointer()
  reader.u32()
  reader.conformance(count)
  for (let i = 0; i < count; i++) {
    reader.unicodeString()
    reader.pointer()
  }
  return Array.from({ length: count }, () => `${reader.string()} ${reader.sid()}`)
}

/** The answer of LsarLookupNames3. */
function translated(reader: NdrReader) {
  const domains = referencedDomains(reader)
  const count = reader.u32()
  reader.pointer()
  reader.conformance(count)
  const entries = Array.from({ length: count }, () => ({
    use: reader.u16(),
    hasSid: reader.pointer(),
    domain: domains[reader.u32()] ?? '-',
    flags: reader.u32(),
  }))
  const answers = entries.map(({ use, hasSid, domain }) => `${use} ${hasSid ? reader.sid() : '-'} ${domain}`)
  return { answers, mapped: reader.u32(), status: reader.u32() }
}

/** The status of a lookup that gives nothing back. */
function refusal(reader: NdrReader): number | undefined {
  const words = Array.from({ length: 5 }, () => reader.u32())
  return words.slice(0, 4).every((word) => word === 0) ? words[4] : undefined
}

t.test('names in all their forms', async (t) => {
  const { pipe, handle } = policy(t, lsaHost(userNamed('bob')))
  const alice = `1 ${DOMAIN}-11002 TT ${DOMAIN}`
  const cases: [string, string][] = [
    ...['alice', 'ALICE', 'TT\\alice', 'tt\\Alice', '\\alice', 'alice@tt'].map((name): [string, string] => [
      name,
      alice,
    ]),
    ['nasusers', `4 ${DOMAIN}-11003 TT ${DOMAIN}`],
    ['Unix User\\bob', '1 S-1-22-1-5002 Unix User S-1-22-1'],
    ['unix group\\5001', '4 S-1-22-2-5001 Unix Group S-1-22-2'],
    ['everyone', '5 S-1-1-0  S-1-1'],
    ['Creator Owner', '5 S-1-3-0  S-1-3'],
    ['NT Authority\\system', '5 S-1-5-18 NT AUTHORITY S-1-5'],
    ['BUILTIN\\Users', '4 S-1-5-32-545 BUILTIN S-1-5-32'],
    ['BUILTIN\\', '3 S-1-5-32 BUILTIN S-1-5-32'],
    ['', '3 S-1-5-32 BUILTIN S-1-5-32'],
    ['TT', `3 ${DOMAIN} TT ${DOMAIN}`],
    ...[
      'alice (group)',
      'OTHER\\alice',
      'TT\\Everyone',
      'Unix User\\nasusers',
      'Unix User\\7',
      'alice@else',
      'x',
    ].map((name): [string, string] => [name, `${UNKNOWN} - -`]),
  ]
  const { answers, mapped, status } = translated(
    call(
      t,
      pipe,
      68,
      names(
        handle,
        cases.map(([name]) => name),
      ),
    ),
  )
  for (const [index, [name, expected]] of cases.entries()) t.equal(answers[index], expected, name)
  t.same([mapped, status], [cases.length - 7, SOME_NOT_MAPPED])
  t.same(translated(call(t, pipe, 68, names(handle, ['x']))), {
    answers: [`${UNKNOWN} - -`],
    mapped: 0,
    status: NONE_MAPPED,
  })
  t.equal(translated(call(t, pipe, 68, names(handle, []))).status, SUCCESS)
  t.equal(translated(call(t, pipe, 68, names(handle, ['alice'], 7))).status, SUCCESS)
  for (const level of [0, 8]) {
    t.equal(refusal(call(t, pipe, 68, names(handle, ['alice'], level))), INVALID_PARAMETER, `level ${level}`)
  }
})

t.test('limits and refusals', async (t) => {
  const host = lsaHost(userNamed('bob'))
  const { pipe, handle } = policy(t, host)
  const fault = (opnum: number, stub: Buffer) => {
    for (let at = 0; at < stub.length || at === 0; at += 4000) {
      const flags = (at === 0 ? FIRST : 0) | (at + 4000 >= stub.length ? LAST : 0)
      pipe.write(request(opnum, stub.subarray(at, at + 4000), flags))
    }
    return faultOf(pipe.read(100))
  }
  t.equal(fault(68, names(handle, Array(1001).fill('x'))), BAD_STUB_DATA, 'more than 1000 names')
  t.equal(fault(57, sids(handle, Array(20_481).fill('S-1-1-0'))), BAD_STUB_DATA, 'more than 20480 SIDs')
  const wrong = Buffer.from(handle)
  wrong[19] = 9
  for (const opnum of [0, 7, 11, 14, 15, 46, 50, 57, 58, 68]) {
    t.equal(fault(opnum, names(wrong, ['x'])), CONTEXT_MISMATCH, `opnum ${opnum} on a wrong handle`)
  }
  for (const opnum of [1, 2, 10, 19, 59, 131]) t.equal(fault(opnum, handle), OPERATION_RANGE)
  for (const opnum of [76, 77]) t.equal(fault(opnum, handle), 5, 'a domain controller alone answers these')
  for (const [opnum, valid] of [
    [44, openPolicy(44, 1)],
    [58, names(handle, ['x'])],
    [57, sids(handle, [DOMAIN])],
  ] as const) {
    for (let length = 0; length < valid.length - 8; length++) {
      t.equal(fault(opnum, valid.subarray(0, length)), BAD_STUB_DATA, `opnum ${opnum} cut at ${length}`)
    }
  }

  // 20,480 SIDs, in many fragments both ways.
  const many = Array.from({ length: 20_480 }, (_, i) => (i % 2 === 0 ? `${DOMAIN}-${i}` : 'S-1-1-0'))
  const stub = sids(handle, many)
  for (let at = 0; at < stub.length; at += 4000) {
    const flags = (at === 0 ? FIRST : 0) | (at + 4000 >= stub.length ? LAST : 0)
    t.ok(pipe.write(request(57, stub.subarray(at, at + 4000), flags)))
  }
  let bytes = 0
  let last: Buffer = Buffer.alloc(0)
  for (let message = pipe.read(65_536); message !== undefined; message = pipe.read(65_536)) {
    last = message.data
    bytes += last.length - 24
  }
  t.ok(bytes > 1_000_000)
  t.same([last.readUInt32LE(last.length - 8), last.readUInt32LE(last.length - 4)], [10_243, SOME_NOT_MAPPED])

  const close = call(t, pipe, 0, handle)
  t.ok(close.contextHandle().equals(Buffer.alloc(20)))
  t.equal(fault(0, handle), CONTEXT_MISMATCH, 'closed twice')
  let opened = 0
  while (opened < 1000 && call(t, pipe, 44, openPolicy(44, 1)).contextHandle()[16] !== 0) opened++
  t.equal(opened, 128, 'so many handles on one pipe')
})

t.test('who may open what', async (t) => {
  const { READ, WRITE, EXECUTE, ALL } = {
    READ: 0x8000_0000,
    WRITE: 0x4000_0000,
    EXECUTE: 0x2000_0000,
    ALL: 0x1000_0000,
  }
  const cases = [
    ...[MAXIMUM_ALLOWED, EXECUTE, 0x801, 0].map((access) => ['bob', access, SUCCESS] as const),
    ...[READ, WRITE, ALL, 0x10].map((access) => ['bob', access, ACCESS_DENIED] as const),
    ...[MAXIMUM_ALLOWED, READ, WRITE, EXECUTE, ALL].map((access) => ['nasadmin', access, SUCCESS] as const),
    ['anonymous', MAXIMUM_ALLOWED, ACCESS_DENIED] as const,
  ]
  for (const [name, access, status] of cases) {
    for (const opnum of [44, 130]) {
      const opened = policy(t, lsaHost(userNamed(name)), { access, opnum })
      t.equal(opened.status, status, `${name} ${access.toString(16)}`)
      t.equal(opened.handle.equals(Buffer.alloc(20)), status !== SUCCESS)
    }
  }
  const { pipe, handle } = policy(t, lsaHost(userNamed('bob')), { access: 1 })
  t.equal(refusal(call(t, pipe, 68, names(handle, []))), ACCESS_DENIED, 'without LOOKUP_NAMES')
  const other = policy(t, lsaHost(userNamed('bob')), { access: 0x800 })
  const query = call(
    t,
    other.pipe,
    7,
    parameters((output) => output.aligned(other.handle).u16(5)),
  )
  t.same([query.u32(), query.u32()], [0, ACCESS_DENIED], 'without VIEW_LOCAL_INFORMATION')
  const nested = call(t, pipe, 44, openPolicy(44, 1, 7))
  t.ok(nested.contextHandle().equals(Buffer.alloc(20)))
  t.equal(nested.u32(), INVALID_PARAMETER, 'below another object')
})

t.test('where it is served', async (t) => {
  const host = lsaHost(userNamed('bob'))
  for (const name of ['LSARPC', 'lsass', 'NetLogon']) policy(t, host, { pipe: name })
  const bind = (name: string, syntax: string) =>
    transceive(open(host, name), pdu(BIND, 3, bindBody([[0, syntax, [NDR_SYNTAX]]])), 4280)?.data
  for (const name of ['samr', 'winreg', 'srvsvc']) {
    const ack = bind(name, LSARPC_SYNTAX)
    t.equal(ack?.[2], BIND_ACK)
    t.equal(ack?.subarray(-24, -20).toString('hex'), '02000100', `not at ${name}`)
  }

  // Two interfaces on one association.
  const pipe = open(host)
  const both = bindBody([
    [0, LSARPC_SYNTAX, [NDR_SYNTAX]],
    [1, DSSETUP_SYNTAX, [NDR_SYNTAX]],
  ])
  t.equal(transceive(pipe, pdu(BIND, 3, both), 4280)?.data[2], BIND_ACK)
  const role = (level: number) => {
    const stub = parameters((output) => output.u16(level))
    return transceive(pipe, request(0, stub, FIRST | LAST, 1), 4280)?.data ?? Buffer.alloc(0)
  }
  const basic = role(1)
  t.equal(basic.readUInt32LE(32), 2, 'a server of its own')
  t.ok(basic.toString('utf16le', 24).includes('WORKGROUP'))
  for (const level of [2, 3]) t.equal(role(level).readUInt32LE(role(level).length - 4), 0)
  t.equal(role(4).readUInt32LE(28), 87)
  t.equal(transceive(pipe, request(0, Buffer.alloc(20)), 4280)?.data[2], FAULT, 'opnum 0 of the other one')
})

t.test('anything at all', async (t) => {
  const { pipe, handle } = policy(t, lsaHost(userNamed('bob')))
  const opnums = fc.constantFrom(0, 6, 7, 11, 14, 15, 44, 45, 46, 57, 58, 68, 130)
  const words = fc.array(fc.constantFrom(0, 1, 2, 3, 0x2_0000, 0xffff_ffff), { maxLength: 40 })
  fc.assert(
    fc.property(opnums, fc.boolean(), words, (opnum, withHandle, list) => {
      const bytes = Buffer.alloc(list.length * 4)
      for (const [index, word] of list.entries()) bytes.writeUInt32LE(word, index * 4)
      const stub = opnum !== 0 && withHandle ? Buffer.concat([handle, bytes]) : bytes
      const type = transceive(pipe, request(opnum, stub), 65_536)?.data[2]
      return (type === 2 || type === FAULT) && !pipe.broken
    }),
    { numRuns: 1000 },
  )
})
