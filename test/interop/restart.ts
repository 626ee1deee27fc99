/** Durable opens over a restart of the server: killed, and stopped; the client is the simulations' own, over a socket. */

import { once } from 'node:events'
import { rename, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { OplockLevel } from '../../protocols/smb2/messages/create.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { LockFlag } from '../../protocols/smb2/messages/lock.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import { Status } from '../../protocols/smb2/status.ts'
import type { ConnectionEngine, Effect, Engine } from '../../protocols/transport/engine.ts'
import { createEnvironment } from '../../protocols/transport/environment.ts'
import type { SimServer } from '../sim/sim-server.ts'
import { leaseBits, SimClient, type SimCreated } from '../sim/smb2-client.ts'
import { durableReconnect, durableRequest, leaseRequest } from '../sim/world/wire.ts'
import { alice, makeAccounts, makeShareDirectory } from './environment.ts'
import { expect, type Report } from './report.ts'
import { against, startServer } from './server.ts'
import { delay, type Server } from './server-process.ts'
import type { Suite } from './suite.ts'

const shareName = 'share'
const clientGuid = Buffer.alloc(16, 'c')
const leaseKey = Buffer.alloc(16, 'k')
const createGuid = Buffer.alloc(16, 'g')
const timeoutMilliseconds = 60_000
/** After so long the server's journal is written. */
const writtenMilliseconds = 500
const frameHeaderBytes = 4

export const restartSuite: Suite = {
  name: 'restart',
  about: 'durable opens outlive the server, killed or stopped',
  needs: [],
  limitSeconds: 120,
  run: restart,
}

async function restart(report: Report, directory: string): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone: smbd is not killed here')
    return
  }
  const owner = await makeAccounts(directory)
  const path = join(directory, shareName)
  await makeShareDirectory(path, owner)
  const shares = [{ name: shareName, path, valid_users: [alice.name] }]
  const start = (accounts = [] as (typeof alice)[]): Promise<Server> =>
    startServer({ directory: join(directory, 'server'), accounts, shares })
  let server = await start([alice])
  let client = await mount(server)
  const { fileId } = await open(client)
  await report.check('a client comes back to a server that was killed', async () => {
    expect((await client.write(fileId, 'kept')) === Status.SUCCESS, 'the WRITE failed')
    expect((await client.lock(fileId, lock(LockFlag.EXCLUSIVE_LOCK))) === Status.SUCCESS, 'the LOCK failed')
    await delay(writtenMilliseconds, undefined)
    process.kill(server.pid, 'SIGKILL')
    server = await start()
    client = await mount(server)
    await takesUp(client, fileId)
  })
  await report.check('to one that was stopped', async () => {
    await server.stop()
    server = await start()
    client = await mount(server)
    await takesUp(client, fileId)
  })
  await report.check('its log is for the owner alone', async () => {
    const { mode } = await stat(join(directory, 'server', 'state', 'durable-handles.jsonl'))
    expect((mode & 0o777) === 0o600, mode.toString(8))
  })
  await report.check('not to a file that took the place of its own', async () => {
    process.kill(server.pid, 'SIGKILL')
    await rename(join(path, 'file'), join(path, 'moved'))
    await writeFile(join(path, 'file'), 'other')
    server = await start()
    client = await mount(server)
    const { status } = await comeBack(client, fileId)
    expect(status === Status.OBJECT_NAME_NOT_FOUND, `0x${status.toString(16)}`)
  })
  await report.check('the server stops at SIGTERM', () => server.stop())
}

const lock = (flags: number) => ({ offset: 0n, length: 4n, flags: flags | LockFlag.FAIL_IMMEDIATELY })

/** All is as it was. @throws CheckError when it is not */
async function takesUp(client: SimClient, fileId: FileId): Promise<void> {
  const back = await comeBack(client, fileId)
  expect(back.status === Status.SUCCESS, `the CREATE failed with 0x${back.status.toString(16)}`)
  const { output } = await client.read(back.fileId, 4)
  expect(output.toString() === 'kept', output.toString())
  expect((await client.write(back.fileId, 'kept')) === Status.SUCCESS, 'the WRITE failed')
  // Exclusive locks do not stack: it is still there, and can be taken anew.
  const again = await client.lock(back.fileId, lock(LockFlag.EXCLUSIVE_LOCK))
  expect(again === Status.LOCK_NOT_GRANTED, `the second LOCK ended with 0x${again.toString(16)}`)
}

function mount(server: Server): Promise<SimClient> {
  const { name: user, password } = alice
  const dialects = [Dialect.SMB_3_0_2]
  return SimClient.mount(remote(server), {
    user,
    password,
    share: shareName,
    clientGuid,
    dialects,
    signs: true,
  })
}

function open(client: SimClient): Promise<SimCreated> {
  return client.create({
    name: 'file',
    requestedOplockLevel: OplockLevel.LEASE,
    createContexts: [
      leaseRequest(leaseKey, leaseBits('RWH')),
      durableRequest(createGuid, timeoutMilliseconds),
    ],
  })
}

function comeBack(client: SimClient, fileId: FileId): Promise<SimCreated> {
  return client.create({
    name: 'file',
    requestedOplockLevel: OplockLevel.LEASE,
    createContexts: [leaseRequest(leaseKey, leaseBits('RWH')), durableReconnect(fileId, createGuid)],
  })
}

/** What a simulated client needs of its server, with a real one behind it. */
function remote({ port }: Server): SimServer {
  const environment = createEnvironment()
  const engine: Engine = { connect: (_peer, sink) => connectTo(port, sink) }
  const part = { environment, engine, leases: { frames: 0, payloads: 0 } }
  return part as unknown as SimServer
}

function connectTo(port: number, sink: (effect: Effect) => void): ConnectionEngine {
  const socket = connect(port, '127.0.0.1')
  const connected = once(socket, 'connect')
  let received = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('close', () => sink({ kind: 'disconnect', reason: 'the server has hung up' }))
  socket.on('data', (data) => {
    received = Buffer.concat([received, data])
    while (received.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + received.readUInt32BE()
      if (received.length < end) return
      const frame = Buffer.from(received.subarray(frameHeaderBytes, end))
      received = received.subarray(end)
      sink({ kind: 'send', chunks: [frame] })
    }
  })
  return {
    receive({ bytes, release }) {
      const header = Buffer.alloc(frameHeaderBytes)
      header.writeUInt32BE(bytes.length)
      const message = Buffer.concat([header, bytes])
      release()
      connected.then(() => socket.write(message)).catch(() => undefined)
    },
    closed: () => socket.destroy(),
  }
}
