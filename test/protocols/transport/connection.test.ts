/** Connections over the loopback address, with an engine that sends back what it gets. */

import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { BufferPool } from '../../../protocols/transport/buffer-pool.ts'
import { plainAddress } from '../../../protocols/transport/connection.ts'
import type { ConnectionEngine, Effect, Engine, Frame, Peer } from '../../../protocols/transport/engine.ts'
import { DIRECT_TCP } from '../../../protocols/transport/framer.ts'
import { type Listener, type ListenOptions, listen } from '../../../protocols/transport/listener.ts'

const MEBIBYTE = 1 << 20
const HEADER_BYTES = 4
const PATIENCE_MILLISECONDS = 10_000

type Sink = (effect: Effect) => void

/** One connection of the echo engine; a test may replace what it does with a frame. */
class Echo implements ConnectionEngine {
  readonly peer: Peer
  readonly sink: Sink
  readonly frames: number[] = []
  closings = 0
  releases = 0
  sends = 0
  idle = true

  constructor(peer: Peer, sink: Sink) {
    this.peer = peer
    this.sink = sink
  }

  receive(frame: Frame): void {
    this.frames.push(frame.bytes.length)
    this.send([frame.bytes.subarray(0, 1), frame.bytes.subarray(1)], () => frame.release())
  }

  send(chunks: readonly Buffer[], release: () => void = () => undefined): void {
    this.sends++
    let isReleased = false
    this.sink({
      kind: 'send',
      chunks,
      release: () => {
        if (isReleased) throw new Error('released twice')
        isReleased = true
        this.releases++
        release()
      },
    })
  }

  closed(): void {
    this.closings++
  }

  isIdle(): boolean {
    return this.idle
  }
}

interface Ground {
  readonly listener: Listener
  readonly port: number
  readonly connections: Echo[]
}

interface Choices extends Partial<ListenOptions> {
  readonly make?: (peer: Peer, sink: Sink) => Echo | undefined
}

async function start(t: Test, choices: Choices = {}): Promise<Ground> {
  const connections: Echo[] = []
  const { make = (peer, sink) => new Echo(peer, sink), ...options } = choices
  const engine: Engine = {
    connect(peer, sink) {
      const echo = make(peer, sink)
      if (echo !== undefined) connections.push(echo)
      return echo
    },
  }
  const listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    engine,
    format: DIRECT_TCP,
    pool: new BufferPool(),
    maximumConnections: 20,
    maximumConnectionsPerAddress: 10,
    onError: (message) => t.fail(message),
    ...options,
  })
  t.teardown(() => listener.close())
  return { listener, port: portOf(listener.addresses[0]), connections }
}

function portOf(address = ''): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

class Client {
  readonly socket: Socket
  readonly gone: Promise<void>
  #bytes: Buffer[] = []

  constructor(t: Test, port: number, host = '127.0.0.1') {
    this.socket = connect(port, host)
    this.socket.on('error', () => undefined)
    this.socket.on('data', (bytes) => this.#bytes.push(bytes))
    this.gone = new Promise((resolve) => this.socket.on('close', () => resolve()))
    t.teardown(() => this.socket.destroy())
  }

  received(): Buffer {
    this.#bytes = [Buffer.concat(this.#bytes)]
    return this.#bytes[0] as Buffer
  }

  get receivedBytes(): number {
    return this.#bytes.reduce((total, bytes) => total + bytes.length, 0)
  }
}

function framed(...messages: Buffer[]): Buffer {
  return Buffer.concat(messages.flatMap((bytes) => [DIRECT_TCP.header(bytes.length) as Buffer, bytes]))
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MILLISECONDS
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await pause(2)
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

for (const receive of ['direct', 'copied'] as const) {
  t.test(`frames come back whole, received ${receive}`, async (t) => {
    const { port, connections } = await start(t, { receive })
    const client = new Client(t, port)
    const sizes = [1, 0, 2, 100, 16_000, 70_000, MEBIBYTE, 0, 3, 8 * MEBIBYTE, 300_000, 2]
    const sent = framed(...sizes.map((size, index) => Buffer.alloc(size, index + 1)))
    client.socket.write(sent)
    await until('all came back', () => client.receivedBytes === sent.length)
    t.ok(client.received().equals(sent), 'many frames in one write')
    t.strictSame(connections[0]?.frames, sizes)

    const small = framed(Buffer.from('one'), Buffer.from('two'))
    for (const byte of small) {
      client.socket.write(Buffer.from([byte]))
      await pause(1)
    }
    await until('both came back', () => client.receivedBytes === sent.length + small.length)
    t.ok(client.received().subarray(sent.length).equals(small), 'a byte at a time')
    await until('all was released', () => connections[0]?.releases === sizes.length + 2)

    client.socket.destroy()
    await until('the engine knows', () => connections[0]?.closings === 1)
  })

  t.test(`what is no frame is disconnected, received ${receive}`, async (t) => {
    const { port, connections } = await start(t, { receive })
    const tooLong = new Client(t, port)
    tooLong.socket.write(
      Buffer.concat([framed(Buffer.from('first')), Buffer.from([0, 0xff, 0xff, 0xff, 1, 2, 3])]),
    )
    const other = new Client(t, port)
    await tooLong.gone
    t.ok(tooLong.received().equals(framed(Buffer.from('first'))), 'what came before is answered')
    await until('the engine knows', () => connections.some((one) => one.closings === 1))
    other.socket.write(framed(Buffer.from('still here')))
    await until('the other is served', () => other.receivedBytes === 10 + HEADER_BYTES)
  })

  t.test(`an engine holds its peer back, received ${receive}`, async (t) => {
    class Choosy extends Echo {
      override receive(frame: Frame): void {
        super.receive(frame)
        this.sink({ kind: 'reading', enabled: false })
      }
    }
    const { port, connections } = await start(t, { receive, make: (peer, sink) => new Choosy(peer, sink) })
    const client = new Client(t, port)
    for (let count = 1; count <= 3; count++) {
      client.socket.write(framed(Buffer.alloc(MEBIBYTE, count)))
      await until('a frame is there', () => connections[0]?.frames.length === count)
      client.socket.write(framed(Buffer.alloc(MEBIBYTE, count)))
      await pause(30)
      t.equal(connections[0]?.frames.length, count, 'nothing is read while it does not want it')
      connections[0]?.sink({ kind: 'reading', enabled: true })
      await until('reading goes on', () => connections[0]?.frames.length === count + 1)
      connections[0]?.frames.pop()
      connections[0]?.sink({ kind: 'reading', enabled: true })
    }
  })
}

t.test('a peer that takes nothing is not read from, and costs a bounded amount', async (t) => {
  const { port, connections } = await start(t)
  const client = new Client(t, port)
  client.socket.pause()
  const frames = 100
  const frame = framed(Buffer.alloc(MEBIBYTE, 1))
  for (let count = 0; count < frames; count++) client.socket.write(frame)
  const echo = () => connections[0] as Echo
  await until('frames arrive', () => connections[0] !== undefined && echo().frames.length > 16)
  let last = -1
  while (last !== echo().frames.length) {
    last = echo().frames.length
    await pause(200)
  }
  // What the kernel buffers between the two comes on top of the 16 MiB that may be queued here.
  t.ok(echo().frames.length - echo().releases <= 18, 'queued frames are bounded')
  t.ok(last < frames / 2, `${last} of ${frames} were read`)
  client.socket.resume()
  await until('all came back', () => client.receivedBytes === frames * frame.length)
  await until('all was released', () => echo().releases === frames)
})

t.test('release is called once, whatever becomes of the connection', async (t) => {
  const { port, connections } = await start(t)
  const client = new Client(t, port)
  client.socket.pause()
  await until('it is there', () => connections.length === 1)
  const echo = connections[0] as Echo
  echo.send([])
  for (let count = 0; count < 12; count++) echo.send([Buffer.alloc(10), Buffer.alloc(MEBIBYTE)])
  await pause(50)
  t.ok(echo.releases < 13, 'some are still queued')
  client.socket.destroy()
  await until('the engine knows', () => echo.closings === 1)
  await until('all was released', () => echo.releases === 13)
  echo.send([Buffer.from('late')])
  t.equal(echo.releases, 14, 'also what comes too late')
  await pause(20)
  t.equal(echo.closings, 1)
})

t.test('disconnect sends what is queued, and nothing after it', async (t) => {
  class Last extends Echo {
    override receive(frame: Frame): void {
      super.receive(frame)
      this.sink({ kind: 'disconnect', reason: 'enough' })
      this.send([Buffer.from('never')])
    }
  }
  const { port, connections } = await start(t, { make: (peer, sink) => new Last(peer, sink) })
  const client = new Client(t, port)
  const large = framed(Buffer.alloc(5 * MEBIBYTE, 3))
  client.socket.write(Buffer.concat([large, framed(Buffer.from('another'))]))
  await client.gone
  t.ok(client.received().equals(large))
  t.strictSame(connections[0]?.frames, [5 * MEBIBYTE])
  t.equal(connections[0]?.releases, 2)
})

t.test('a peer that closes its half gets what is queued', async (t) => {
  const { port, connections } = await start(t)
  const client = new Client(t, port)
  const large = framed(Buffer.alloc(5 * MEBIBYTE, 3))
  client.socket.end(large)
  await client.gone
  t.ok(client.received().equals(large))
  await until('the engine knows', () => connections[0]?.closings === 1)
})

t.test('limits: refused peers, connections in total and per address, silence', async (t) => {
  let refuse = true
  const { port, connections } = await start(t, {
    make: (peer, sink) => (refuse ? undefined : new Echo(peer, sink)),
    maximumConnections: 5,
    maximumConnectionsPerAddress: 3,
    firstFrameMilliseconds: 1500,
  })
  const refused = new Client(t, port)
  await refused.gone
  t.equal(connections.length, 0)

  refuse = false
  const open = [1, 2, 3].map(() => new Client(t, port))
  await until('three are there', () => connections.length === 3)
  await new Client(t, port).gone
  t.equal(connections.length, 3, 'a fourth of one address is closed')

  const speaks = open[0] as Client
  speaks.socket.write(framed(Buffer.from('hello')))
  await Promise.all([open[1]?.gone, open[2]?.gone])
  t.pass('who says nothing is closed')
  await until('their places are free', () => connections.filter((one) => one.closings === 1).length === 2)
  await pause(200)
  t.equal(speaks.socket.closed, false, 'who spoke once may be silent')
  const next = new Client(t, port)
  next.socket.write(framed(Buffer.from('hello')))
  await until('it is served', () => next.receivedBytes > 0)
})

t.test('several addresses, and IPv4 addresses plain', async (t) => {
  const addresses = [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.2', port: 0 },
  ]
  const { listener, connections } = await start(t, { addresses, maximumConnections: 2 })
  t.equal(listener.addresses.length, 2)
  new Client(t, portOf(listener.addresses[1]), '127.0.0.2')
  await until('it is there', () => connections.length === 1)
  t.equal(connections[0]?.peer.localAddress, '127.0.0.2')
  t.equal(connections[0]?.peer.remoteAddress, '127.0.0.1')
  new Client(t, portOf(listener.addresses[0]))
  await until('it is there', () => connections.length === 2)
  await new Client(t, portOf(listener.addresses[0])).gone
  t.equal(connections.length, 2, 'the limit counts over all of them')

  t.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(plainAddress('2001:db8::1'), '2001:db8::1')

  const taken = { host: '127.0.0.1', port: portOf(listener.addresses[0]) }
  await t.rejects(start(t, { addresses: [{ host: '127.0.0.3', port: 0 }, taken] }), { code: 'EADDRINUSE' })
})

t.test('close waits for requests under way, then for the queue, and no longer than it may', async (t) => {
  class Slow extends Echo {
    override receive(frame: Frame): void {
      this.idle = false
      this.frames.push(frame.bytes.length)
      setTimeout(() => {
        this.send([frame.bytes], () => frame.release())
        this.idle = true
      }, 100)
    }
  }
  const { listener, port, connections } = await start(t, { make: (peer, sink) => new Slow(peer, sink) })
  const [busy, idle] = [new Client(t, port), new Client(t, port)]
  const request = framed(Buffer.alloc(2 * MEBIBYTE, 1))
  busy.socket.write(request)
  await until('it is under way', () => connections.some((one) => one.frames.length === 1))
  const closing = listener.close()
  await idle.gone
  t.equal(busy.receivedBytes, 0, 'an idle connection does not wait')
  await closing
  await busy.gone
  t.ok(busy.received().equals(request), 'the answer was sent')
  t.strictSame(
    connections.map((one) => one.closings),
    [1, 1],
  )
  const late = new Client(t, port)
  await late.gone
  t.equal(connections.length, 2, 'nobody is accepted any longer')

  const stuck = await start(t, {
    make: (peer, sink) => Object.assign(new Echo(peer, sink), { idle: false }),
    drainMilliseconds: 50,
  })
  const client = new Client(t, stuck.port)
  await until('it is there', () => stuck.connections.length === 1)
  await stuck.listener.close()
  await client.gone
  await until('the engine knows', () => stuck.connections[0]?.closings === 1)
})
