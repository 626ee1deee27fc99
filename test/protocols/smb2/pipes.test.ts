/** MS-SMB2 3.3.5.9, 3.3.5.12, 3.3.5.13, 3.3.5.15.10: named pipes on IPC$, with srvsvc at their other end. */

import t from 'tap'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { Fsctl } from '../../../protocols/smb2/messages/ioctl/fsctl.ts'
import { encodePipeWaitRequest } from '../../../protocols/smb2/messages/ioctl/pipe-wait.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServerOptions } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import { flushRequest, notifyRequest, queryDirectoryRequest } from '../../sim/smb2-requests.ts'
import { bindBody, enumeration, FIRST, LAST, NDR_SYNTAX, pdu, request, SRVSVC_SYNTAX } from './rpc/client.ts'

const { SUCCESS, BUFFER_OVERFLOW, INVALID_PARAMETER, NOT_SUPPORTED } = Status
const BIND = 11
const BIND_ACK = 12
const NET_SHARE_ENUM = 15
const RESPONSE_HEADER_BYTES = 24

async function onPipes(options: SimServerOptions = {}) {
  const sim = createSimServer(options)
  return { sim, client: await SimClient.mount(sim, { share: 'ipc$' }) }
}

async function bind(client: SimClient): Promise<FileId> {
  const { fileId } = await client.create({ name: 'srvsvc' })
  const bindPdu = pdu(BIND, 3, bindBody([[0, SRVSVC_SYNTAX, [NDR_SYNTAX]]]))
  const { output } = await client.ioctl(Fsctl.PIPE_TRANSCEIVE, { fileId, input: bindPdu })
  if (output[2] !== BIND_ACK) throw new Error('the bind was refused')
  return fileId
}

t.test('which shares there are', async (t) => {
  const { sim, client } = await onPipes({
    shares: [
      { name: 'Backup', remark: 'of everyone' },
      { name: 'hidden', browseable: false },
      { name: 'berts', admit: () => undefined },
    ],
  })
  const fileId = await bind(client)
  const call = { fileId, input: request(NET_SHARE_ENUM, enumeration(1)) }
  const { status, output } = await client.ioctl(Fsctl.PIPE_TRANSCEIVE, call)
  t.equal(status, SUCCESS)
  const text = output.subarray(RESPONSE_HEADER_BYTES).toString('utf16le')
  for (const shown of ['share', 'Backup', 'of everyone', 'IPC$']) t.ok(text.includes(shown), shown)
  for (const kept of ['hidden', 'berts']) t.notOk(text.includes(kept), `${kept} is not shown`)

  t.equal(await client.write(fileId, call.input), SUCCESS, 'or by WRITE and READ')
  const half = await client.read(fileId, 100)
  t.equal(half.status, BUFFER_OVERFLOW, 'the message goes on')
  const rest = await client.read(fileId, 65536)
  t.equal(rest.status, SUCCESS)
  t.ok(Buffer.concat([half.output, rest.output]).equals(output))
  const part = await client.ioctl(Fsctl.PIPE_TRANSCEIVE, { ...call, maxOutputResponse: 64 })
  t.equal(part.status, BUFFER_OVERFLOW)
  t.ok(part.output.equals(output.subarray(0, 64)))
  t.equal((await client.read(fileId, 65536)).output.length, output.length - 64)
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('pipes that there are, and what they are asked', async (t) => {
  const { sim, client } = await onPipes()
  t.equal((await client.create({ name: 'spoolss' })).status, Status.OBJECT_NAME_NOT_FOUND)
  const { fileId, response } = await client.create({ name: 'WKSSVC' })
  t.match(response, { endOfFile: 0, createAction: 1, oplockLevel: 0 })
  const { Basic, Standard, Internal, Name, All, Pipe, PipeLocal, Stream, Position } = FileInformationClass
  for (const fileInfoClass of [Standard, Internal, Name, Pipe, PipeLocal]) {
    t.equal((await client.queryInfo(fileId, { fileInfoClass })).status, SUCCESS, `class ${fileInfoClass}`)
  }
  const all = await client.create({ name: 'srvsvc', desiredAccess: 0x0012_019f })
  for (const fileInfoClass of [Basic, All]) {
    t.equal((await client.queryInfo(all.fileId, { fileInfoClass })).status, SUCCESS, `class ${fileInfoClass}`)
  }
  for (const fileInfoClass of [Stream, Position]) {
    t.equal(
      (await client.queryInfo(fileId, { fileInfoClass })).status,
      INVALID_PARAMETER,
      `class ${fileInfoClass}`,
    )
  }
  const security = { infoType: InfoType.SECURITY, fileInfoClass: 0, additionalInformation: 4 }
  t.equal((await client.queryInfo(fileId, security)).status, NOT_SUPPORTED)
  const volume = { infoType: InfoType.FILESYSTEM, fileInfoClass: 1 }
  t.equal((await client.queryInfo(fileId, volume)).status, Status.INVALID_INFO_CLASS)
  t.equal(await client.setInfo(fileId, { fileInfoClass: 20, input: Buffer.alloc(8) }), NOT_SUPPORTED)
  t.equal(
    await client.setInfo(fileId, { infoType: InfoType.SECURITY, input: Buffer.alloc(20) }),
    NOT_SUPPORTED,
  )
  t.equal((await client.request(queryDirectoryRequest({ fileId }))).status, INVALID_PARAMETER)
  t.equal((await client.request(notifyRequest(fileId, 1))).status, INVALID_PARAMETER)
  t.equal(await client.lock(fileId, { offset: 0n, length: 1n, flags: 2 }), INVALID_PARAMETER)
  t.equal((await client.request(flushRequest(fileId))).status, SUCCESS)
  t.equal((await client.ioctl(Fsctl.SET_SPARSE, { fileId })).status, Status.INVALID_DEVICE_REQUEST)
  t.equal((await client.ioctl(0xdead_beef, { fileId })).status, Status.FS_DRIVER_REQUIRED)
  t.match(await client.closeQuerying(fileId), { flags: 0 }, 'a pipe has no attributes')

  const wait = (name: string) => {
    const writer = new Writer()
    encodePipeWaitRequest(writer, { timeout: undefined, name })
    return client.ioctl(Fsctl.PIPE_WAIT, { input: writer.finish() })
  }
  t.equal((await wait('srvsvc')).status, SUCCESS)
  t.equal((await wait('spoolss')).status, Status.OBJECT_NAME_NOT_FOUND)
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('what waits on a pipe', async (t) => {
  const { sim, client } = await onPipes()
  const fileId = await bind(client)
  const input = request(NET_SHARE_ENUM, enumeration(1))
  const transceive = (bytes: Buffer) => client.ioctl(Fsctl.PIPE_TRANSCEIVE, { fileId, input: bytes })

  const first = client.read(fileId, 65_536)
  const second = client.read(fileId, 65_536)
  await settled()
  t.same(client.arrivals.slice(-2), ['READ pending', 'READ pending'])
  t.equal((await transceive(input)).status, Status.PIPE_BUSY, 'someone else reads')
  t.equal(await client.write(fileId, input), SUCCESS)
  const { status, output } = await first
  t.equal(status, SUCCESS)
  t.equal(output[2], 2, 'the response')
  t.equal(await client.write(fileId, input), SUCCESS)
  t.ok((await second).output.equals(output), 'the next response is for the next reader')

  t.equal(await client.write(fileId, input), SUCCESS)
  t.equal((await transceive(input)).status, Status.PIPE_BUSY, 'with a response that was not read')
  const peek = (maxOutputResponse: number) => client.ioctl(Fsctl.PIPE_PEEK, { fileId, maxOutputResponse })
  t.equal((await peek(15)).status, INVALID_PARAMETER)
  const peeked = await peek(26)
  t.equal(peeked.status, BUFFER_OVERFLOW)
  const words = Array.from({ length: 4 }, (_, i) => peeked.output.readUInt32LE(4 * i))
  t.same(words, [3, output.length, 1, output.length], 'connected; bytes, messages, and those of the first')
  t.ok(peeked.output.subarray(16).equals(output.subarray(0, 10)))
  t.equal((await peek(65_536)).status, SUCCESS)
  t.ok((await client.read(fileId, 65_536)).output.equals(output), 'nothing was taken')
  t.same((await peek(16)).output, Buffer.from(`03${'00'.repeat(15)}`, 'hex'), 'an empty pipe')

  // The first of two fragments is answered by nothing; the second by WRITE.
  const [head, tail] = [input.subarray(24, 32), input.subarray(32)]
  const half = transceive(request(NET_SHARE_ENUM, head, FIRST))
  await settled()
  t.equal(client.arrivals.at(-1), 'IOCTL pending')
  t.equal(await client.write(fileId, request(NET_SHARE_ENUM, tail, LAST)), SUCCESS)
  t.ok((await half).output.equals(output))

  const given = client.read(fileId, 100)
  await settled()
  client.cancel(client.nextMessageId - 1n)
  t.equal((await given).status, Status.CANCELLED)
  const left = client.read(fileId, 100)
  await settled()
  t.equal(await client.close(fileId), SUCCESS)
  t.equal((await left).status, Status.PIPE_BROKEN)
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('how a pipe is read', async (t) => {
  const { sim, client } = await onPipes()
  const fileId = await bind(client)
  const set = (readMode: number, completionMode: number) => {
    const input = new Writer(8).u32(readMode).u32(completionMode).finish()
    return client.setInfo(fileId, { fileInfoClass: FileInformationClass.Pipe, input })
  }
  const mode = async () =>
    (await client.queryInfo(fileId, { fileInfoClass: FileInformationClass.Pipe })).output.toString('hex')
  t.equal(await mode(), '0100000000000000', 'by messages, waiting for them')
  t.equal(await set(2, 0), INVALID_PARAMETER)
  t.equal(await set(0, 2), INVALID_PARAMETER)
  t.equal(await set(0, 1), SUCCESS)
  t.equal(await mode(), '0000000001000000')
  t.equal((await client.read(fileId, 100)).status, Status.PIPE_EMPTY)
  t.equal(await client.write(fileId, request(NET_SHARE_ENUM, enumeration(1))), SUCCESS)
  t.equal((await client.read(fileId, 100)).status, SUCCESS, 'a stream of bytes has no messages to be cut')
  await isClean(t, sim)
})

t.test('a pipe that breaks', async (t) => {
  const { sim, client } = await onPipes()
  const fileId = await bind(client)
  await client.write(fileId, Buffer.alloc(64, 0xff))
  t.equal(await client.write(fileId, 'more'), Status.PIPE_DISCONNECTED)
  t.equal(
    (await client.ioctl(Fsctl.PIPE_TRANSCEIVE, { fileId, input: Buffer.alloc(16) })).status,
    Status.PIPE_DISCONNECTED,
  )
  t.equal(await client.close(fileId), SUCCESS)
  t.ok(await bind(client), 'the next one is whole')
  await isClean(t, sim)
})
