/** Order among tasks (SAM-5 8), SANITIZE (SBC-3 4.11) and EXTENDED COPY (SPC-4 6.4). */

import t from 'tap'
import { BLOCK, BLOCKS, blockCdb, hex, type Initiator, scene } from './lab.ts'

const TEST_UNIT_READY = '00 00000000 00'
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

t.test('ordered tasks wait for all before them, and all after wait for them', async (t) => {
  const { alice, disk } = await scene()
  const finished: string[] = []
  let go: () => void = () => undefined
  disk.faults.delayNext('read', new Promise<void>((resolve) => (go = resolve)))
  const start = (name: string, attribute: 'simple' | 'ordered' | 'head-of-queue', lba: number) =>
    alice.run(blockCdb(0x28, lba, 1), { attribute }).then(() => finished.push(name))
  const all = [
    start('slow', 'simple', 0),
    start('beside', 'simple', 1),
    start('ordered', 'ordered', 2),
    start('after', 'simple', 3),
    start('head', 'head-of-queue', 4),
  ]
  await settle()
  t.same(finished, ['beside', 'head'])
  go()
  await Promise.all(all)
  t.same(finished, ['beside', 'head', 'slow', 'ordered', 'after'])

  const abort = new AbortController()
  disk.faults.delayNext('read', new Promise<void>((resolve) => (go = resolve)))
  const slow = alice.run(blockCdb(0x28, 0, 1))
  const waiting = alice.run(blockCdb(0x2a, 0, 1), {
    attribute: 'ordered',
    out: Buffer.alloc(BLOCK, 9),
    signal: abort.signal,
  })
  abort.abort()
  go()
  await slow
  t.equal((await waiting).status, 0x40, 'aborted before it began')
  t.equal((await alice.read(0, 1))[0], 0)
})

t.test('overlapping writes come one after the other, others pass', async (t) => {
  const { alice, disk } = await scene()
  let go: () => void = () => undefined
  disk.faults.delayNext('write', new Promise<void>((resolve) => (go = resolve)))
  const finished: string[] = []
  const write = (name: string, lba: number, byte: number) =>
    alice.run(blockCdb(0x2a, lba, 4), { out: Buffer.alloc(4 * BLOCK, byte) }).then(() => finished.push(name))
  const all = [write('first', 0, 1), write('overlapping', 2, 2), write('elsewhere', 100, 3)]
  await settle()
  t.same(finished, ['elsewhere'])
  go()
  await Promise.all(all)
  const now = await alice.read(0, 6)
  t.same([now[0], now[2 * BLOCK], now[5 * BLOCK]], [1, 2, 2])
})

const overwriteList = (count: number, pattern: Buffer, length = pattern.length): Buffer =>
  Buffer.concat([Buffer.from([count, 0, length >> 8, length & 0xff]), pattern])
const overwrite = (who: Initiator, list: Buffer, flags = 0x81) =>
  who.outcome(`48 ${hex(flags, 2)} 0000000000 ${hex(list.length, 4)} 00`, { out: list })

t.test('SANITIZE OVERWRITE goes on through resets', async (t) => {
  const { alice, initiator, target, timers, disk } = await scene()
  const bob = await initiator('bob')
  await alice.write(0, Buffer.alloc(64 * BLOCK, 7))
  t.equal(await overwrite(alice, overwriteList(2, Buffer.from('abcd'))), 'good', 'IMMED')
  await settle()
  for (const end of [
    () => undefined,
    () => target.resetLogicalUnit(0n),
    () => target.resetTarget(),
    () => alice.login(),
  ]) {
    end()
    t.equal(await alice.outcome('12 00 00 00ff 00'), 'good')
    while ((await alice.outcome(TEST_UNIT_READY)).startsWith('06'));
    const { sense, senseBytes } = await alice.run(TEST_UNIT_READY)
    t.equal(sense, '02/041b')
    t.equal(senseBytes?.[15], 0x80, 'with its progress')
    t.equal(await alice.outcome(blockCdb(0x28, 0, 1)), '02/041b')
    t.equal(await overwrite(alice, overwriteList(1, Buffer.from('abcd'))), '02/041b')
  }
  t.equal((await alice.run('03 00 0000 ff 00')).data.readUInt16BE(12), 0x041b)
  await bob.clear()
  while (timers.length > 0) {
    timers.shift()?.()
    await settle()
  }
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
  t.ok((await alice.read(0, BLOCKS)).equals(Buffer.alloc(BLOCKS * BLOCK, 'abcd')))
  t.ok(disk.syncs > 0)
})

t.test('SANITIZE: what is refused, BLOCK ERASE, and failure', async (t) => {
  const { alice, disk, timers } = await scene()
  const pattern = Buffer.from('abcd')
  t.equal(await overwrite(alice, overwriteList(1, pattern), 0xc1), '05/2400', 'a reserved bit')
  t.equal(await alice.outcome('48 82 0100000000 0000 00'), '05/2400', 'a reserved byte')
  t.equal(await alice.outcome('48 84 0000000000 0000 00'), '05/2400', 'a service action')
  t.equal(await alice.outcome('48 83 0000000000 0000 00'), '05/2400', 'nothing is encrypted')
  t.equal(await alice.outcome('48 82 0000000000 0008 00', { out: Buffer.alloc(8) }), '05/2400')
  t.equal(await alice.outcome('48 9f 0000000000 0008 00', { out: Buffer.alloc(8) }), '05/2400')
  t.equal(await alice.outcome('48 81 0000000000 0000 00'), '05/2400')
  t.equal(await overwrite(alice, overwriteList(0, pattern)), '05/2600', 'no pass')
  t.equal(await overwrite(alice, overwriteList(1, Buffer.alloc(4), 0)), '05/2600', 'no pattern')
  t.equal(await overwrite(alice, overwriteList(1, Buffer.alloc(BLOCK + 4))), '05/2600')
  t.equal(await alice.outcome('48 9f 0000000000 0000 00'), 'good', 'nothing has failed')

  await alice.write(5, Buffer.alloc(8 * BLOCK, 7))
  t.equal(await alice.outcome('48 02 0000000000 0000 00'), 'good', 'BLOCK ERASE')
  const { data } = await alice.run('9e 12 0000000000000000 00000100 0000')
  t.same(
    [data.readUInt32BE(0), Number(data.readBigUInt64BE(8)), data.readUInt32BE(16), data[20]],
    [20, 0, BLOCKS, 1],
  )

  disk.faults.failNext('write', 'io')
  t.equal(await overwrite(alice, overwriteList(1, pattern), 0xa1), 'good')
  await settle()
  t.equal(await alice.outcome(TEST_UNIT_READY), '03/3103')
  t.equal(await alice.outcome('48 9f 0000000000 0000 00'), 'good', 'EXIT FAILURE MODE')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
  t.equal(timers.length, 0)
})

async function naaOf(who: Initiator, lun: bigint): Promise<Buffer> {
  const { data } = await who.run('12 01 83 00ff 00', { lun })
  return data.subarray(8, 16)
}

function targetDescriptor(naa: Buffer, flags = 0, code = 0xe4): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.set([code, flags, 0, 0, 1, 3, 0, naa.length])
  naa.copy(bytes, 8)
  return bytes
}

function segment(from: number, to: number, source: number, destination: number, blocks: number): Buffer {
  const bytes = Buffer.alloc(28)
  bytes[0] = 2
  bytes.writeUInt16BE(24, 2)
  bytes.writeUInt16BE(from, 4)
  bytes.writeUInt16BE(to, 6)
  bytes.writeUInt16BE(blocks, 10)
  bytes.writeBigUInt64BE(BigInt(source), 12)
  bytes.writeBigUInt64BE(BigInt(destination), 20)
  return bytes
}

function copyList(targets: readonly Buffer[], segments: readonly Buffer[], list = 1): Buffer {
  const head = Buffer.alloc(16)
  head[0] = list
  head.writeUInt16BE(Buffer.concat(targets).length, 2)
  head.writeUInt32BE(Buffer.concat(segments).length, 8)
  return Buffer.concat([head, ...targets, ...segments])
}

t.test('EXTENDED COPY within and between units', async (t) => {
  const { alice, initiator, lent } = await scene()
  const copy = (list: Buffer, length = list.length) =>
    alice.outcome(`83 00 0000000000000000 ${hex(length, 8)} 0000`, { out: list })
  const targets = [targetDescriptor(await naaOf(alice, 0n)), targetDescriptor(await naaOf(alice, 3n))]
  const data = Buffer.from(
    Array.from({ length: 16 * BLOCK }, (_, index) => (index * 13 + (index >> 9)) & 0xff),
  )
  await alice.write(0, data)
  t.equal(await copy(copyList(targets, [segment(0, 0, 0, 100, 16), segment(0, 1, 0, 5, 16)])), 'good')
  t.ok((await alice.read(100, 16)).equals(data))
  const other = await alice.run(blockCdb(0x28, 5, 2), { lun: 3n })
  t.ok(other.data.equals(data))
  t.equal(await copy(copyList(targets, [segment(0, 0, 100, 108, 16)])), 'good', 'upwards over itself')
  t.ok((await alice.read(108, 16)).equals(data))
  t.equal(lent.size, 0)

  const parameters = (await alice.run('84 03 00 00000000000000 00000400 0000')).data
  t.equal(parameters.readUInt32BE(0), parameters.length - 4)
  t.same([...parameters.subarray(44)], [2, 0x0a, 0xe4])
  const [targetsMaximum, segmentsMaximum] = [parameters.readUInt16BE(8), parameters.readUInt16BE(10)]
  const status = (list: number) => alice.run(`84 00 ${hex(list, 2)} 00000000000000 00000400 0000`)
  t.same([(await status(1)).data[4], (await status(1)).data.readUInt16BE(5)], [1, 1])
  t.equal((await status(9)).sense, '05/2400')

  const one = [targets[0] as Buffer]
  const ok = [segment(0, 0, 0, 100, 1)]
  t.equal(await copy(copyList(one, ok), 0), 'good', 'no list')
  t.equal(await copy(copyList(one, ok), 10), '05/1a00')
  t.equal(await copy(copyList(one, ok), 60), '05/1a00')
  t.equal(await copy(copyList(Array(targetsMaximum + 1).fill(one[0]), ok)), '05/2606')
  t.equal(await copy(copyList(one, Array(segmentsMaximum + 1).fill(ok[0]))), '05/2608')
  t.equal(await copy(copyList([targetDescriptor(Buffer.alloc(8), 0, 0xe0)], ok)), '05/2607')
  t.equal(await copy(copyList(one, [Buffer.from([0xbe, ...Buffer.alloc(27)])])), '05/2609')
  t.equal(await copy(copyList(one, [segment(0, 1, 0, 0, 1)], 7)), '0a/0d02', 'an index that is not there')
  t.equal((await status(7)).data[4], 2)
  t.equal(await copy(copyList([targetDescriptor(await naaOf(alice, 0n), 0x20)], ok)), '0a/0d02', 'NUL')
  t.equal(await copy(copyList(one, [segment(0, 0, BLOCKS, 0, 1)])), '0a/0000')
  t.equal(await copy(copyList(targets, [segment(0, 1, 0, 0, 1)])), '0a/0000', 'half a block')
  const reported = (await alice.run('12 01 8f 00ff 00')).data
  t.ok(reported.includes(Buffer.from([3, 2, 0x0a, 0xe4])), 'the third-party copy page says the same')

  const bytes = (from: number, to: number, length: number, offsets: readonly [number, number] = [0, 0]) => {
    const descriptor = Buffer.concat([segment(0, 1, from, to, 0), Buffer.alloc(4)])
    descriptor[0] = 0x0a
    descriptor.writeUInt16BE(28, 2)
    descriptor.writeUInt32BE(length, 8)
    descriptor.writeUInt16BE(offsets[0], 28)
    descriptor.writeUInt16BE(offsets[1], 30)
    return descriptor
  }
  const largeBlocks = async () => (await alice.run(blockCdb(0x28, 5, 2), { lun: 3n })).data
  t.equal(await copy(copyList(targets, [bytes(0, 5, 8192)])), 'good', 'a number of bytes')
  const wanted = Buffer.from(data)
  t.ok((await largeBlocks()).equals(wanted))
  t.equal(await copy(copyList(targets, [bytes(2, 5, 1000, [3, 700]), ...ok])), 'good', 'at offsets')
  data.copy(wanted, 700, 2 * BLOCK + 3, 2 * BLOCK + 1003)
  t.ok((await largeBlocks()).equals(wanted))
  t.equal(await copy(copyList(targets, [bytes(BLOCKS - 1, 5, 512, [1, 0])])), '0a/0000', 'beyond the end')
  t.equal(await copy(copyList(targets, [bytes(0, 5, 0xffff_ffff)])), '0a/0000', 'too much')
  t.equal(await copy(copyList(targets, [bytes(0, 5, 512).subarray(0, 28)])), '05/1a00')
  const whole = segment(0, 1, 0, 6, 1)
  whole[1] = 0x02
  t.equal(await copy(copyList(targets, [whole])), 'good', "DC: the destination's blocks")
  t.ok((await largeBlocks()).subarray(4096).equals(data.subarray(0, 4096)))
  const bob = await initiator('bob')
  await bob.run('16 00 00 0000 00', { lun: 3n })
  t.equal(await copy(copyList(targets, [segment(0, 1, 0, 5, 16)])), '0a/0d01', 'reserved by another')
})
