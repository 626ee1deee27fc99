/** Requests captured from real clients against Samba's smbd, answered by our pipes: the answers must be the same bytes. */

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { RpcHost, RpcShare } from '../../../../protocols/smb2/rpc/host.ts'
import { decodeHeader, PduType } from '../../../../protocols/smb2/rpc/pdu.ts'
import { createPipe, type NamedPipe } from '../../../../protocols/smb2/rpc/pipe.ts'
import { Reader } from '../../../../protocols/wire/reader.ts'
import { createIdentityMap } from '../../../../server/serve/identity-map.ts'
import { simAccounts } from '../../../sim/sim-accounts.ts'
import { transceive } from './client.ts'

interface Pdu {
  readonly fromClient: boolean
  readonly bytes: Buffer
}

function conversation(name: string): Pdu[] {
  return readFileSync(`test/fixtures/rpc/${name}.txt`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('> ') || line.startsWith('< '))
    .map((line) => ({ fromClient: line[0] === '>', bytes: Buffer.from(line.slice(2), 'hex') }))
}

// DACL of one ACE that allows everyone 0x1f01ff, as smbd has it for a share without access rules.
const EVERYONE = Buffer.from(
  '010004800000000000000000000000001400000002001c000100000000001400ff011f00010100000000000100000000',
  'hex',
)
const WKSSVC_UUID = Buffer.from('98d0ff6b12a11036983346c3f87e345a', 'hex')
/** smbd denies these to root, who is not in BUILTIN\Administrators there. */
const DENIED_BY_SMBD = new Set([8, 9, 12])
const REMOTE_TOD = 28
const ENUM_STICKY = 36
const DISK_ENUM = 23

interface TestHost extends RpcHost {
  isAdministrator: boolean
  path: string
  now: () => number
}

function smbdHost(): TestHost {
  const share = (name: string, type: 'disk' | 'ipc', comment: string, path: string): RpcShare => ({
    name,
    type,
    comment,
    path,
    currentUsers: 1,
    securityDescriptor: EVERYONE,
  })
  return {
    user: { kind: 'user', name: 'root', domain: 'VM' },
    accountDomainSid: 'S-1-5-21-1-2-3',
    accounts: () => simAccounts(createIdentityMap(Buffer.alloc(16)), {}),
    serverName: 'VM',
    domainName: 'LAB',
    comment: 'Poolhouse reference',
    isAdministrator: true,
    path: '',
    shares() {
      return [
        share('share', 'disk', '', this.path),
        share('IPC$', 'ipc', 'IPC Service (Poolhouse reference)', '/tmp'),
      ]
    },
    sessions: () => [],
    files: () => [],
    connections: () => [],
    now: () => 0,
  }
}

/** Words that may differ: values of referent ids, the number of users, the server's type. */
function comparable(pdu: Buffer, opnum: number): string {
  const words: string[] = []
  let afterUnlimited = false
  for (let at = 24; at + 4 <= pdu.length; at += 4) {
    let word = pdu.readUInt32LE(at)
    if ((word & 0xffff_ff00) === 0x0002_0000) word = 0x0002_0000
    if (afterUnlimited) word = 0
    if (word === 0x0080_9a03) word = 0x9003
    // tod_msecs counts from where it likes, smbd leaves tod_hunds and the zone to its machine.
    if (opnum === REMOTE_TOD && [8, 24, 28].includes(at - 24)) word = 0
    // smbd's resume handle of a finished enumeration of disks is not 0.
    if (opnum === DISK_ENUM && at === pdu.length - 8) word = 0
    afterUnlimited = word === 0xffff_ffff
    words.push(word.toString(16))
  }
  return `${pdu.length} ${words.join(' ')}`
}

function open(bind: Buffer, host: RpcHost): NamedPipe {
  const pipe = createPipe(bind.includes(WKSSVC_UUID) ? 'wkssvc' : 'srvsvc', host)
  if (pipe === undefined) throw new Error('no such pipe')
  return pipe
}

function checkBind(t: Tap, pipe: NamedPipe, request: Buffer, expected: Buffer): void {
  const answer = transceive(pipe, request, 4280)
  t.ok(answer)
  const actual = answer?.data ?? Buffer.alloc(0)
  t.equal(actual.length, expected.length)
  t.equal(actual[2], PduType.BIND_ACK)
  t.equal(
    actual.subarray(16, 20).toString('hex'),
    expected.subarray(16, 20).toString('hex'),
    'fragment sizes',
  )
  const text = (pdu: Buffer) => pdu.toString('latin1', 24, 24 + pdu.readUInt16LE(24)).toLowerCase()
  t.equal(text(actual), text(expected), 'secondary address')
  const results = actual.subarray(40).toString('hex')
  // Of bind-time features we have none, where smbd has some: their bits stand where a reason does.
  const featureless = expected
    .subarray(40)
    .toString('hex')
    .replace(/^(.{56})0300..00/, '$103000000')
  t.equal(results, featureless, 'results')
}

type Tap = Test

function checkRequest(t: Tap, pipe: NamedPipe, host: TestHost, request: Buffer, expected: Buffer): void {
  const opnum = request.readUInt16LE(22)
  host.isAdministrator =
    !DENIED_BY_SMBD.has(opnum) && !request.subarray(-4).equals(Buffer.from('66000000', 'hex'))
  const path = /C:[^\0]*share/.exec(expected.toString('utf16le'))?.[0] ?? ''
  host.path = path.slice(2).replaceAll('\\', '/')
  if (opnum === REMOTE_TOD) host.now = () => expected.readUInt32LE(28) * 1000
  const answer = transceive(pipe, request, 65_536)
  t.ok(answer)
  const actual = answer?.data ?? Buffer.alloc(0)
  t.equal(answer?.more, false)
  if (opnum === ENUM_STICKY && request.includes(Buffer.from('f5010000f5010000', 'hex'))) {
    t.equal(actual.readUInt32LE(actual.length - 4), 124, 'level 501 is not for NetrShareEnumSticky')
    return
  }
  t.equal(comparable(actual, opnum), comparable(expected, opnum), `opnum ${opnum}`)
  const header = decodeHeader(new Reader(actual))
  t.equal(header.fragmentLength, actual.length)
  t.equal(header.callId, decodeHeader(new Reader(request)).callId)
  t.equal(pipe.available, 0)
}

for (const name of ['smbclient', 'rpcclient', 'wkssvc', 'impacket', 'smbtorture']) {
  t.test(name, async (t) => {
    const host = smbdHost()
    const pdus = conversation(name)
    t.ok(pdus.length >= 4)
    let pipe: NamedPipe | undefined
    for (let i = 0; i < pdus.length; i += 2) {
      const request = pdus[i]
      const expected = pdus[i + 1]
      if (!request?.fromClient || expected === undefined || expected.fromClient)
        throw new Error('a broken fixture')
      if (request.bytes[2] === PduType.BIND) {
        pipe = open(request.bytes, host)
        checkBind(t, pipe, request.bytes, expected.bytes)
      } else {
        if (pipe === undefined) throw new Error('no bind before a request')
        checkRequest(t, pipe, host, request.bytes, expected.bytes)
      }
    }
  })
}
