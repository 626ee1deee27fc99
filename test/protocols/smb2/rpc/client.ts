/** The client's side of a pipe for tests: PDUs (C706 12.6) and parameters of srvsvc, and a server to show. */

import type { Test } from 'tap'
import type { RpcHost, RpcShare } from '../../../../protocols/smb2/rpc/host.ts'
import { NdrReader, NdrWriter } from '../../../../protocols/smb2/rpc/ndr.ts'
import { createPipe, type NamedPipe } from '../../../../protocols/smb2/rpc/pipe.ts'
import { createIdentityMap } from '../../../../server/serve/identity-map.ts'
import { simAccounts } from '../../../sim/sim-accounts.ts'

export const SRVSVC_SYNTAX = 'c84f324b7016d30112785a47bf6ee18803000000'
export const NDR_SYNTAX = '045d888aeb1cc9119fe808002b10486002000000'
export const NDR64_SYNTAX = '33057171babe37498319b5dbef9ccc3601000000'
export const FEATURES_SYNTAX = '2c1cb76c12984045030000000000000001000000'
const REQUEST_TYPE = 0
export const FIRST = 1
export const LAST = 2

export interface TestHost extends RpcHost {
  user: RpcHost['user']
  isAdministrator: boolean
  list: RpcShare[]
}

export function share(name: string, more: Partial<RpcShare> = {}): RpcShare {
  return { name, type: 'disk', comment: `the ${name}`, path: `/tank/${name}`, currentUsers: 2, ...more }
}

export function testHost(): TestHost {
  return {
    user: { kind: 'user', name: 'ann', domain: 'OCEAN' },
    accountDomainSid: createIdentityMap(Buffer.alloc(16)).domainSid,
    accounts: () =>
      simAccounts(createIdentityMap(Buffer.alloc(16)), { ann: 1000, ben: 1001 }, { staff: 1000 }),
    serverName: 'OCEAN',
    domainName: 'WORKGROUP',
    comment: 'a box',
    isAdministrator: true,
    list: [share('backup'), share('media'), share('IPC$', { type: 'ipc', path: '' })],
    shares() {
      return this.list
    },
    sessions: () => [
      { client: '10.0.0.7', user: 'ann', openFiles: 3, activeSeconds: 60, idleSeconds: 5, guest: false },
      { client: '10.0.0.8', user: 'ben', openFiles: 0, activeSeconds: 9, idleSeconds: 9, guest: true },
    ],
    files: () => [
      { id: 11, permissions: 3, locks: 1, path: '/tank/backup/a', user: 'ann' },
      { id: 12, permissions: 1, locks: 0, path: '/tank/media/b', user: 'ben' },
    ],
    connections: () => [
      {
        id: 1,
        share: 'backup',
        shareType: 'disk',
        client: '10.0.0.7',
        user: 'ann',
        openFiles: 3,
        activeSeconds: 60,
      },
      {
        id: 2,
        share: 'media',
        shareType: 'disk',
        client: '10.0.0.8',
        user: 'ben',
        openFiles: 0,
        activeSeconds: 9,
      },
    ],
    now: () => Date.UTC(2026, 10, 23, 2, 57, 45, 670),
  }
}

export function pdu(
  type: number,
  flags: number,
  body: Buffer,
  options: { callId?: number; authLength?: number } = {},
): Buffer {
  const header = Buffer.from('0500000010000000000000000000000000', 'hex').subarray(0, 16)
  header[2] = type
  header[3] = flags
  header.writeUInt16LE(16 + body.length, 8)
  header.writeUInt16LE(options.authLength ?? 0, 10)
  header.writeUInt32LE(options.callId ?? 1, 12)
  return Buffer.concat([header, body])
}

export function bindBody(
  contexts: [id: number, abstract: string, transfers: string[]][],
  size = 4280,
): Buffer {
  const sizes = Buffer.alloc(12)
  sizes.writeUInt16LE(size, 0)
  sizes.writeUInt16LE(size, 2)
  sizes[8] = contexts.length
  const list = contexts.map(([id, abstract, transfers]) =>
    Buffer.concat([
      Buffer.from([id, 0, transfers.length, 0]),
      Buffer.from(abstract + transfers.join(''), 'hex'),
    ]),
  )
  return Buffer.concat([sizes, ...list])
}

export function request(
  opnum: number,
  stub: Buffer,
  flags = FIRST | LAST,
  contextId = 0,
  callId = 1,
): Buffer {
  const body = Buffer.alloc(8)
  body.writeUInt32LE(stub.length, 0)
  body.writeUInt16LE(contextId, 4)
  body.writeUInt16LE(opnum, 6)
  return pdu(REQUEST_TYPE, flags, Buffer.concat([body, stub]), { callId })
}

export function srvsvc(host: RpcHost): NamedPipe {
  const pipe = createPipe('srvsvc', host)
  if (pipe === undefined) throw new Error('no srvsvc')
  return pipe
}

/** FSCTL_PIPE_TRANSCEIVE of a fragment that is answered, if at all, at once. */
export function transceive(pipe: NamedPipe, bytes: Buffer, maxBytes: number) {
  return pipe.write(bytes) ? pipe.read(maxBytes) : undefined
}

export function bound(host: RpcHost, size = 4280): NamedPipe {
  const pipe = srvsvc(host)
  transceive(pipe, pdu(11, 3, bindBody([[0, SRVSVC_SYNTAX, [NDR_SYNTAX]]], size)), 4280)
  return pipe
}

/** The stub of a call's response, all fragments together. */
export function call(t: Test, pipe: NamedPipe, opnum: number, stub: Buffer, fragmentBytes = 4280): NdrReader {
  t.ok(pipe.write(request(opnum, stub)))
  const parts: Buffer[] = []
  for (;;) {
    const message = pipe.read(65_536)
    if (message === undefined) throw new Error('a response without its last fragment')
    t.equal(message.data[2], 2, 'a response')
    t.ok(message.data.length <= fragmentBytes)
    t.equal(message.data.readUInt16LE(8), message.data.length)
    parts.push(message.data.subarray(24))
    if (((message.data[3] ?? 0) & LAST) !== 0) break
    t.equal(message.data.subarray(24).length % 8, 0)
  }
  t.equal(pipe.available, 0)
  return new NdrReader(Buffer.concat(parts))
}

export function parameters(write: (output: NdrWriter) => void): Buffer {
  const output = new NdrWriter()
  write(output)
  return output.finish()
}

/** An enumeration's parameters: server, filters, empty container, length, resume handle. */
export function enumeration(
  level: number,
  options: { filters?: (string | undefined)[]; length?: number; resume?: number } = {},
) {
  return parameters((output) => {
    for (const text of ['\\\\ocean', ...(options.filters ?? [])])
      output.construct(() => output.stringPointer(text))
    output.construct(() =>
      output
        .u32(level)
        .u32(level)
        .pointer(() => output.u32(0).pointer()),
    )
    output.u32(options.length ?? 0xffff_ffff).uniqueU32(options.resume)
  })
}

export function faultOf(answer: { data: Buffer } | undefined): number | undefined {
  return answer?.data[2] === 3 ? answer.data.readUInt32LE(24) : undefined
}
