/** MS-SMB2 3.3.2.2 under Macs that sleep: the script of test/interop/mac against the engine, under a clock moved by hand. */

import t, { type Test } from 'tap'
import { Disposition, MacClient, MacError, type MacHandle } from '../../interop/mac/client.ts'
import { LinkLost } from '../../interop/mac/connection.ts'
import { sizeOf } from '../../interop/mac/gate.ts'
import type { MacTransport } from '../../interop/mac/transport.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, SIM_PASSWORD, SIM_SHARE, SIM_USER, type SimServer } from '../../sim/sim-server.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
/** The longest that a Mac asks for (macos.md 7.3). */
const LONGEST = 16 * MINUTE
const HOUR = 60 * MINUTE
const OBJECT_NAME_NOT_FOUND = 0xc000_0034
const HANDLES = ['lock', 'Info.plist', 'band']

/** @param noticed whether the server hears of it when the Mac ends the link */
function linkTo({ engine }: SimServer, noticed: boolean): MacTransport {
  const peer = { remoteAddress: 'mac', remotePort: 49_152, localAddress: 'server', localPort: 445 }
  let cut = false
  const transport: MacTransport = {
    onFrame: () => undefined,
    onEnd: () => undefined,
    send: (frame) => connection?.receive({ bytes: Buffer.from(frame), release: () => undefined }),
    destroy() {
      if (cut) return
      cut = true
      if (noticed) setImmediate(() => connection?.closed())
      transport.onEnd('cut')
    },
  }
  const connection = engine.connect(peer, (effect) => {
    if (effect.kind === 'disconnect') {
      setImmediate(() => connection?.closed())
      transport.destroy()
    }
    if (effect.kind !== 'send') return
    const frame = Buffer.concat(effect.chunks)
    effect.release?.()
    if (!cut) setImmediate(() => transport.onFrame(frame))
  })
  return transport
}

function mount(sim: SimServer, noticed = true): Promise<MacClient> {
  return MacClient.connect({
    ...{ host: 'server', port: 445, user: SIM_USER, password: SIM_PASSWORD, share: SIM_SHARE },
    durableTimeout: LONGEST,
    transport: () => Promise.resolve(linkTo(sim, noticed)),
  })
}

/** Opens as Time Machine has them, with something in each; the lock file is shared with nobody. */
async function openAll(client: MacClient): Promise<MacHandle[]> {
  const handles: MacHandle[] = []
  for (const name of HANDLES) {
    const handle = await client.create(name, Disposition.OPEN_IF, name === 'lock' ? { share: 0 } : {})
    await client.write(handle, 0, Buffer.from(name))
    handles.push(handle)
  }
  return handles
}

async function allRead(t: Test, client: MacClient, handles: readonly MacHandle[]): Promise<void> {
  for (const handle of handles) t.equal((await client.read(handle, 0, 64)).toString(), handle.path)
}

t.test('a Mac wakes within its timeout of 16 minutes: all handles are there', async (t) => {
  const sim = createSimServer()
  let client = await mount(sim)
  const handles = await openAll(client)
  for (const asleep of [30 * SECOND, LONGEST - SECOND]) {
    client.cut()
    await sim.environment.advance(asleep)
    client = await client.reconnect()
    await allRead(t, client, handles)
  }
  await client.disconnect()
  t.same(sim.complaints, [])
})

t.test(
  'a Mac wakes after an hour: no handle is there, and nothing is in the way of a new mount',
  async (t) => {
    const sim = createSimServer()
    const client = await mount(sim)
    await openAll(client)
    client.cut()
    await sim.environment.advance(LONGEST + SECOND)
    t.equal(sim.server.globalOpenTable.size, 0, 'all at once')
    await sim.environment.advance(HOUR)
    const refusal = await client.reconnect().catch((error: unknown) => error)
    t.equal(refusal instanceof MacError && refusal.status, OBJECT_NAME_NOT_FOUND)
    const woken = await mount(sim)
    await allRead(t, woken, await openAll(woken))
    await woken.disconnect()
    t.same(sim.complaints, [])
  },
)

t.test('a Mac wakes after an hour, and the server has not heard that the link is dead', async (t) => {
  const sim = createSimServer()
  let client = await mount(sim, false)
  const handles = await openAll(client)
  const waits = client.write(handles[0] as MacHandle, 0, Buffer.from('lost')).catch((error: unknown) => error)
  client.cut()
  t.ok((await waits) instanceof LinkLost)
  await sim.environment.advance(HOUR)
  client = await client.reconnect()
  const [lock] = handles
  if (lock !== undefined) await client.write(lock, 0, Buffer.from('lock'))
  await allRead(t, client, handles)
  await client.disconnect()
})

t.test('a link that is idle for an hour is of use', async (t) => {
  const sim = createSimServer()
  const client = await mount(sim)
  const handles = await openAll(client)
  await sim.environment.advance(HOUR)
  await settled()
  await allRead(t, client, handles)
  t.ok((await sizeOf(client))[0] > 0n)
  await client.disconnect()
})

t.test('a Mac mounts anew while the server has not heard that its old link is dead', async (t) => {
  const sim = createSimServer()
  const before = await mount(sim, false)
  await openAll(before)
  before.cut()
  const after = await mount(sim)
  const opened = after.open('lock', { share: 0 }).catch((error: unknown) => error)
  await sim.environment.advance(36 * SECOND)
  const result = await opened
  t.notOk(result instanceof Error, 'the old link is given up when its break is not answered')
  t.ok(before.connection.ended !== undefined)
  await after.disconnect()
})
