/** Frames out of a stream, the pool they are received into, and the outside world that engines get. */

import fc from 'fast-check'
import t from 'tap'
import { BufferPool } from '../../../protocols/transport/buffer-pool.ts'
import type { Frame, FrameFormat } from '../../../protocols/transport/engine.ts'
import { createEnvironment } from '../../../protocols/transport/environment.ts'
import { DIRECT_TCP, Framer } from '../../../protocols/transport/framer.ts'

const SCRATCH_BYTES = 64
const MEBIBYTE = 1 << 20

/** A frame whose bytes tell which one it is. */
function message(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff))
}

function wire(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((bytes) => [DIRECT_TCP.header(bytes.length) ?? Buffer.alloc(0), bytes]),
  )
}

class Harness {
  readonly received: Buffer[] = []
  readonly framer: Framer
  readonly pool = new BufferPool()

  constructor(format: FrameFormat = DIRECT_TCP) {
    this.framer = new Framer(
      () => format,
      this.pool,
      Buffer.alloc(SCRATCH_BYTES),
      (frame: Frame) => {
        this.received.push(Buffer.from(frame.bytes))
        frame.release()
      },
    )
  }

  /** As a socket does: at most `most` bytes at a time, to where the framer wants them. */
  feed(bytes: Buffer, most: number): boolean {
    for (let at = 0; at < bytes.length; ) {
      const count = bytes.copy(this.framer.target(), 0, at, at + most)
      if (!this.framer.received(count)) return false
      at += count
    }
    return true
  }
}

t.test('frames arrive whole wherever the stream is cut', async (t) => {
  const messages = [
    message(5, 1),
    message(0, 0),
    message(1, 2),
    message(SCRATCH_BYTES * 3, 3),
    message(17, 4),
  ]
  const stream = wire(messages)
  for (let cut = 1; cut < stream.length; cut++) {
    const { framer, received } = new Harness()
    t.ok(framer.take(stream.subarray(0, cut)))
    t.ok(framer.take(stream.subarray(cut)))
    t.strictSame(received, messages, `cut at ${cut}`)
  }
  for (const most of [1, 3, SCRATCH_BYTES, stream.length]) {
    const harness = new Harness()
    t.ok(harness.feed(stream, most))
    t.strictSame(harness.received, messages, `${most} bytes at a time`)
  }
})

t.test('any frames, in any pieces', async () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 12 })
  const pieces = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(lengths, pieces, (sizes, cuts) => {
      const messages = sizes.map((size, index) => message(size, index))
      const stream = wire(messages)
      const harness = new Harness()
      let at = 0
      for (let index = 0; at < stream.length; index++) {
        const piece = cuts[index % cuts.length] as number
        if (!harness.feed(stream.subarray(at, at + piece), piece)) return false
        at += piece
      }
      return Buffer.concat(harness.received).equals(Buffer.concat(messages))
    }),
  )
})

t.test('a large frame is filled in place', async (t) => {
  const whole = message(MEBIBYTE, 9)
  const { framer, received } = new Harness()
  framer.take(wire([whole]).subarray(0, 100))
  t.equal(framer.target().length, MEBIBYTE - 96, 'the rest is wanted at once')
  const target = framer.target()
  whole.copy(target, 0, 96)
  t.ok(framer.received(target.length))
  t.ok(received[0]?.equals(whole))
  t.equal(framer.target().length, SCRATCH_BYTES, 'then the shared buffer serves again')
})

t.test('what is no frame closes the connection before anything is allocated', async (t) => {
  const refused = (header: number[]) => {
    const { framer, received, pool } = new Harness()
    pool.acquire = () => t.fail('allocated') as never
    t.notOk(framer.take(Buffer.from(header)))
    t.equal(received.length, 0)
  }
  refused([0x00, 0xff, 0xff, 0xff])
  refused([0x00, 0x81, 0x00, 0x01])
  refused([0x01, 0x00, 0x00, 0x10])
  refused([0x47, 0x45, 0x54, 0x20])
  refused([0x85, 0x00, 0x00, 0x01])

  const largest = new Harness()
  t.ok(largest.framer.take(Buffer.from([0x00, 0x81, 0x00, 0x00])))
  t.equal(largest.framer.target().length, DIRECT_TCP.maximumPayloadBytes)
  largest.framer.abandon()
})

t.test('keep-alives of NetBIOS are passed over', async (t) => {
  const { framer, received } = new Harness()
  const keepAlive = Buffer.from([0x85, 0, 0, 0])
  t.ok(
    framer.take(
      Buffer.concat([keepAlive, wire([message(3, 1)]), keepAlive, keepAlive, wire([message(4, 2)])]),
    ),
  )
  t.strictSame(received, [message(3, 1), message(4, 2)])
})

t.test('a format may count its header as a part of the message', async (t) => {
  const toy: FrameFormat = {
    headerBytes: 3,
    deliversHeader: true,
    maximumPayloadBytes: 200,
    payloadBytes: (header) => header[2],
    header: () => undefined,
  }
  const harness = new Harness(toy)
  const first = Buffer.concat([Buffer.from([7, 8, 100]), message(100, 1)])
  const second = Buffer.from([9, 9, 0])
  t.ok(harness.feed(Buffer.concat([first, second]), 2))
  t.strictSame(harness.received, [first, second])
  t.notOk(harness.feed(Buffer.from([1, 1, 201]), 3))
})

t.test('a frame cut off gives its buffer back', async (t) => {
  const { framer, pool } = new Harness()
  framer.take(DIRECT_TCP.header(MEBIBYTE) as Buffer)
  t.equal(pool.keptBytes, 0)
  framer.abandon()
  t.ok(pool.keptBytes > MEBIBYTE)
  framer.abandon()
})

t.test('buffer pool', async (t) => {
  const pool = new BufferPool(3 * MEBIBYTE)
  for (const bytes of [0, 1, 4096, 65_536, 65_536 + 4096, 70_000, MEBIBYTE, 8 * MEBIBYTE + 65_536]) {
    const lease = pool.acquire(bytes)
    t.equal(lease.buffer.length, bytes, `exactly ${bytes} bytes`)
    lease.release()
    t.throws(() => lease.release(), /given back twice/)
  }
  t.ok(pool.keptBytes <= 3 * MEBIBYTE)

  const first = pool.acquire(MEBIBYTE)
  const memory = first.buffer.buffer
  first.release()
  const again = pool.acquire(MEBIBYTE - 5)
  t.equal(again.buffer.buffer, memory, 'the same memory serves a size of the same class')
  const other = pool.acquire(MEBIBYTE)
  t.not(other.buffer.buffer, memory, 'and nobody else while it is out')

  const many = Array.from({ length: 10 }, () => pool.acquire(MEBIBYTE))
  for (const lease of [again, other, ...many]) lease.release()
  t.ok(pool.keptBytes <= 3 * MEBIBYTE, 'what is beyond the bound is not kept')
  t.ok(pool.keptBytes >= 2 * MEBIBYTE)
})

t.test('environment', async (t) => {
  const environment = createEnvironment()
  const seen = new Set<string>()
  for (let index = 0; index < 1000; index++) seen.add(environment.random(16).toString('hex'))
  t.equal(seen.size, 1000, 'random bytes do not repeat')
  t.equal(environment.random(10_000).length, 10_000)
  t.equal(environment.random(0).length, 0)
  t.ok(Math.abs(environment.now() - Date.now()) < 1000)

  let early = 0
  const cancels = [2 ** 31, 2 ** 40].map((milliseconds) => environment.after(milliseconds, () => early++))
  environment.after(1, () => early++)()
  await new Promise<void>((resolve) => void environment.after(30, resolve))
  t.equal(early, 0, 'neither a cancelled timer fires nor one of more than 24.8 days')
  for (const cancel of cancels) cancel()
})
