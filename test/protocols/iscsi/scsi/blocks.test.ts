/** Reading, writing and giving back blocks (SBC-3 5). */

import t from 'tap'
import { MemoryDisk } from '../../../../storage/memory/block-device.ts'
import { BLOCK, BLOCKS, blockCdb, hex, type Initiator, scene } from './lab.ts'

const pattern = (blocks: number, seed = 1): Buffer =>
  Buffer.from(Array.from({ length: blocks * BLOCK }, (_, index) => (index * 11 + seed + (index >> 9)) & 0xff))

const READS = [0x28, 0xa8, 0x88]
const WRITES = [0x2a, 0xaa, 0x8a]
const VERIFIES = [0x2f, 0xaf, 0x8f]
const WRITE_VERIFIES = [0x2e, 0xae, 0x8e]

t.test('each CDB size reads what each wrote, at both ends of the disk', async (t) => {
  const { alice, lent } = await scene()
  for (const [index, opcode] of [0x0a, ...WRITES, ...WRITE_VERIFIES].entries()) {
    for (const [lba, blocks] of [
      [0, 1],
      [0, 255],
      [BLOCKS - 1, 1],
      [BLOCKS - 200, 200],
    ] as const) {
      const data = pattern(blocks, index)
      const written = await alice.run(blockCdb(opcode, lba, blocks), { out: data })
      t.same([written.status, written.dataOutLength], [0, data.length], `${hex(opcode, 2)} at ${lba}`)
      for (const read of [0x08, ...READS]) {
        const answer = await alice.run(blockCdb(read, lba, blocks))
        t.ok(answer.status === 0 && answer.data.equals(data), `${hex(read, 2)} at ${lba}`)
      }
      for (const verify of VERIFIES) t.equal(await alice.outcome(blockCdb(verify, lba, blocks)), 'good')
    }
  }
  t.equal((await alice.run('08 000000 00 00')).data.length, 256 * BLOCK, 'READ(6) of 0 blocks reads 256')
  t.equal(lent.size, 0, 'all buffers came back')
})

t.test('addresses beyond the end, also with length 0 and where 64 bits wrap', async (t) => {
  const { alice } = await scene()
  const data = pattern(2)
  for (const opcode of [...READS, ...WRITES, ...VERIFIES, ...WRITE_VERIFIES, 0x34, 0x90, 0x35, 0x91, 0x8b]) {
    const cases: (readonly [number | bigint, number])[] = [
      [BLOCKS, 1],
      [BLOCKS, 0],
      [BLOCKS - 1, 2],
      [0x8000_0000, 1],
      [0xffff_ffff, 1],
    ]
    if (opcode >> 5 === 4)
      cases.push([2n ** 63n, 1], [2n ** 64n - 1n, 1], [2n ** 64n - 1n, 2], [2n ** 63n, 0])
    for (const [lba, blocks] of cases) {
      const cdb = blockCdb(opcode, lba, blocks)
      t.equal(await alice.outcome(cdb, { out: data }), '05/2100', `${hex(opcode, 2)} ${lba} ${blocks}`)
    }
    t.equal(await alice.outcome(blockCdb(opcode, 0, 0)), 'good', `${hex(opcode, 2)}: nothing`)
    t.equal(await alice.outcome(blockCdb(opcode, BLOCKS - 1, 0)), 'good')
  }
  t.equal(await alice.outcome('08 1fffff 01 00'), '05/2100')
  t.equal(
    await alice.outcome(`${blockCdb(0x89, BLOCKS, 0).slice(0, 20)}00000001 0000`, { out: data }),
    '05/2100',
  )
})

t.test('protection is refused, DPO and FUA are taken, FUA is on the disk', async (t) => {
  const { alice, disk } = await scene()
  const data = pattern(1)
  const all = [...READS, ...WRITES, ...VERIFIES, ...WRITE_VERIFIES, 0x8b]
  for (const opcode of all) {
    for (const protect of [0x20, 0x60, 0xa0, 0xe0]) {
      t.equal(await alice.outcome(blockCdb(opcode, 0, 1, protect), { out: data }), '05/2400')
    }
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1, 0x10), { out: data }), 'good')
  }
  for (const opcode of WRITES) {
    const before = disk.syncs
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1), { out: data }), 'good')
    t.equal(disk.syncs, before, 'the cache keeps it')
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1, 0x18), { out: data }), 'good')
    t.equal(disk.syncs, before + 1, 'FUA')
  }
  await alice.write(0, data)
  const before = disk.syncs
  await alice.run(blockCdb(0x28, 0, 1, 0x08))
  t.equal(disk.syncs, before + 1, 'FUA of a READ writes the cache back')
  await alice.run(blockCdb(0x28, 0, 1, 0x08))
  t.equal(disk.syncs, before + 1, 'once')
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1, 0x08)), 'good')
})

t.test('residuals: as much as both sides want, and both lengths told', async (t) => {
  const { alice } = await scene()
  const data = pattern(2)
  await alice.write(0, data)
  for (const limit of [0, 200, 512, 10_000]) {
    const answer = await alice.run(blockCdb(0x28, 0, 2), { limit })
    t.same([answer.status, answer.data.length, answer.dataInLength], [0, Math.min(limit, 1024), 1024])
    t.ok(answer.data.equals(data.subarray(0, answer.data.length)))
  }
  const fresh = Buffer.alloc(10_000, 0x5a)
  for (const sent of [0, 200, 512, 10_000]) {
    await alice.write(0, data)
    const answer = await alice.run(blockCdb(0x2a, 0, 1), { out: fresh.subarray(0, sent) })
    t.same([answer.status, answer.dataOutLength], [0, 512])
    const changed = Math.min(sent, 512)
    const now = await alice.read(0, 2)
    t.ok(now.equals(Buffer.concat([fresh.subarray(0, changed), data.subarray(changed)])), `${sent} bytes`)
  }
})

t.test('VERIFY and WRITE AND VERIFY compare what they are told to', async (t) => {
  const { alice } = await scene()
  const data = pattern(4)
  await alice.write(8, data)
  const wrong = Buffer.from(data)
  wrong[700] = (wrong[700] ?? 0) ^ 1
  for (const opcode of VERIFIES) {
    t.equal(await alice.outcome(blockCdb(opcode, 8, 4, 0x02), { out: data }), 'good')
    t.equal(await alice.outcome(blockCdb(opcode, 8, 4), { out: wrong }), 'good', 'BYTCHK 0')
    t.equal(await alice.outcome(blockCdb(opcode, 8, 4, 0x04), { out: data }), '05/2400', 'BYTCHK 2')
    const answer = await alice.run(blockCdb(opcode, 8, 4, 0x02), { out: wrong })
    t.equal(answer.sense, '0e/1d00')
    t.equal(answer.senseBytes?.readUInt32BE(3), 700)
  }
  const one = pattern(1, 77)
  await alice.run(blockCdb(0x93, 100, 50), { out: one })
  t.equal(await alice.outcome(blockCdb(0x2f, 100, 50, 0x06), { out: one }), 'good', 'BYTCHK 3')
  t.equal(await alice.outcome(blockCdb(0x2f, 100, 51, 0x06), { out: one }), '0e/1d00')
  for (const opcode of WRITE_VERIFIES) {
    t.equal(await alice.outcome(blockCdb(opcode, 0, 4, 0x02), { out: wrong }), 'good')
    t.ok((await alice.read(0, 4)).equals(wrong))
  }
  t.equal(await alice.outcome(blockCdb(0x8b, 0, 4), { out: data }), 'good')
  const or = Buffer.from(wrong.map((byte, index) => byte | (data[index] ?? 0)))
  t.ok((await alice.read(0, 4)).equals(or), 'ORWRITE')
})

t.test('transfers past the limit are refused', async (t) => {
  const disk = new MemoryDisk({ size: 64 * 1024 * 1024 })
  const { alice } = await scene({ disk })
  const limits = (await alice.run('12 01 b0 00ff 00')).data
  const most = limits.readUInt32BE(8)
  t.ok(most > 0)
  t.equal((await alice.read(0, most)).length, most * BLOCK)
  for (const opcode of [0xa8, 0x88, 0xaa, 0x8a, 0xae, 0x8b]) {
    t.equal(await alice.outcome(blockCdb(opcode, 0, most + 1)), '05/2400')
  }
  t.equal(await alice.outcome(blockCdb(0xaf, 0, most + 1)), 'good', 'nothing is transferred')
})

t.test('WRITE SAME', async (t) => {
  const { alice } = await scene()
  const block = pattern(1, 5)
  const full = pattern(64, 9)
  for (const opcode of [0x41, 0x93]) {
    await alice.write(0, full)
    t.equal(await alice.outcome(blockCdb(opcode, 10, 20), { out: block }), 'good')
    const now = await alice.read(0, 64)
    for (let at = 0; at < 64; at++) {
      const wanted = at >= 10 && at < 30 ? block : full.subarray(at * BLOCK, (at + 1) * BLOCK)
      t.ok(now.subarray(at * BLOCK, (at + 1) * BLOCK).equals(wanted))
    }
    t.equal(await alice.outcome(blockCdb(opcode, 3, 5, 0x08), { out: Buffer.alloc(BLOCK) }), 'good', 'UNMAP')
    t.ok((await alice.read(3, 5)).every((byte) => byte === 0))
    t.ok((await alice.read(8, 1)).equals(full.subarray(8 * BLOCK, 9 * BLOCK)))
    t.equal(await alice.outcome(blockCdb(opcode, 8, 1, 0x08)), 'good', 'UNMAP without data')
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1, 0x10), { out: block }), '05/2400', 'ANCHOR')
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1, 0x18), { out: block }), '05/2400', 'ANCHOR, UNMAP')
    t.equal(await alice.outcome(blockCdb(opcode, 0, 1, 0x20), { out: block }), '05/2400', 'WRPROTECT')
    for (const size of [BLOCK / 2, 2 * BLOCK, 0]) {
      t.equal(await alice.outcome(blockCdb(opcode, 0, 1), { out: full.subarray(0, size) }), '05/2400')
    }
    t.equal(await alice.outcome(blockCdb(opcode, BLOCKS - 3, 0), { out: block }), '05/2400', 'WSNZ')
    t.equal(await alice.outcome(blockCdb(opcode, 0, 0, 0x08)), '05/2400')
    t.ok((await alice.read(10, 1)).equals(block), 'nothing was given back')
    t.equal(await alice.outcome(blockCdb(opcode, BLOCKS, 0), { out: block }), '05/2100')
  }
  await alice.write(0, full)
  t.equal(await alice.outcome(blockCdb(0x93, 0, 64, 0x01)), 'good', 'NDOB')
  t.ok((await alice.read(0, 64)).every((byte) => byte === 0))
  t.equal(await alice.outcome(blockCdb(0x41, 0, 1, 0x01), { out: block }), '05/2400', 'no NDOB in (10)')
  await alice.run(blockCdb(0x93, 0, 2, 0x08), { out: block })
  t.ok((await alice.read(0, 1)).equals(block), 'UNMAP of what is not zeros writes it')
})

function unmapList(...ranges: (readonly [number, number])[]): Buffer {
  const list = Buffer.alloc(8 + 16 * ranges.length)
  list.writeUInt16BE(list.length - 2, 0)
  list.writeUInt16BE(16 * ranges.length, 2)
  ranges.forEach(([lba, blocks], index) => {
    list.writeBigUInt64BE(BigInt(lba), 8 + 16 * index)
    list.writeUInt32BE(blocks, 16 + 16 * index)
  })
  return list
}

const unmap = (alice: Initiator, list: Buffer, length = list.length, flags = 0): Promise<string> =>
  alice.outcome(`42 ${hex(flags, 2)} 00000000 00 ${hex(length, 4)} 00`, { out: list })

t.test('UNMAP and GET LBA STATUS', async (t) => {
  const { alice } = await scene()
  const status = async (lba: number, length = 24 + 16 * 8) => {
    const { data, sense } = await alice.run(`9e 12 ${hex(lba, 16)} ${hex(length, 8)} 0000`)
    if (sense !== undefined) return sense
    const count = (data.readUInt32BE(0) - 4) / 16
    return Array.from({ length: count }, (_, index) => {
      const at = 8 + 16 * index
      return [Number(data.readBigUInt64BE(at)), data.readUInt32BE(at + 8), data[at + 12]]
    })
  }
  t.same(await status(0), [[0, BLOCKS, 1]])
  await alice.write(0, pattern(64))
  t.same(await status(0), [
    [0, 64, 0],
    [64, BLOCKS - 64, 1],
  ])
  t.equal(await unmap(alice, unmapList()), 'good')
  t.equal(await unmap(alice, unmapList([16, 8], [40, 0], [16, 16], [BLOCKS, 0])), 'good')
  t.same(await status(10), [
    [10, 6, 0],
    [16, 16, 1],
    [32, 32, 0],
    [64, BLOCKS - 64, 1],
  ])
  t.same(await status(10, 24), [[10, 6, 0]])
  t.ok((await alice.read(16, 16)).every((byte) => byte === 0))
  t.equal(await status(BLOCKS), '05/2100')
  t.equal(await unmap(alice, unmapList([0, 1], [BLOCKS - 1, 2])), '05/2100')
  t.notSame(await alice.read(0, 1), Buffer.alloc(BLOCK), 'all or nothing')
  t.equal(await unmap(alice, unmapList([0, 1]), 0), 'good', 'no list')
  t.equal(await unmap(alice, unmapList([0, 1]), 7), '05/1a00')
  t.equal(await unmap(alice, unmapList([0, 1]), 24, 1), '05/2400', 'ANCHOR')
  const many = Array.from({ length: 256 }, (_, index) => [index, 1] as const)
  t.equal(await unmap(alice, unmapList(...many)), 'good')
  t.equal(await unmap(alice, unmapList([0, 64])), 'good')
  t.same(await status(0), [[0, BLOCKS, 1]])
  t.equal(await unmap(alice, unmapList(...many, [0, 1])), '05/2600')

  const thick = await scene({ thin: false })
  t.equal(await unmap(thick.alice, unmapList([0, 1])), '05/2000')
  t.equal(await thick.alice.outcome(blockCdb(0x93, 0, 1, 0x08)), '05/2400')
  const capacity = (await thick.alice.run('9e 10 0000000000000000 00000020 0000')).data
  t.equal((capacity[14] ?? 0) & 0xc0, 0)
})

t.test('COMPARE AND WRITE', async (t) => {
  const { alice } = await scene()
  const old = pattern(1, 1)
  const next = pattern(1, 2)
  await alice.write(0, old)
  const caw = (blocks: number, out: Buffer, flags = 0) =>
    alice.run(`89 ${hex(flags, 2)} 0000000000000000 000000 ${hex(blocks, 2)} 00 00`, { out })
  t.equal((await caw(1, Buffer.concat([old, next]))).status, 0)
  t.ok((await alice.read(0, 1)).equals(next))
  const wrong = Buffer.from(next)
  wrong[300] = (wrong[300] ?? 0) ^ 0x10
  const missed = await caw(1, Buffer.concat([wrong, old]))
  t.equal(missed.sense, '0e/1d00')
  t.equal((missed.senseBytes?.[0] ?? 0) & 0x80, 0x80)
  t.equal(missed.senseBytes?.readUInt32BE(3), 300)
  t.ok((await alice.read(0, 1)).equals(next), 'nothing was written')
  t.equal((await caw(1, Buffer.concat([next, old, old, old]))).sense, '05/2400', 'more data than NLB says')
  t.equal((await caw(0, Buffer.alloc(512 * BLOCK))).sense, '05/2400')
  t.equal((await caw(2, Buffer.concat([next, pattern(3, 3)]))).sense, '05/2400', 'above the maximum')
  t.equal((await alice.run('12 01 b0 00ff 00')).data[5], 1)
  t.equal((await caw(0, Buffer.alloc(0))).status, 0)
  t.equal((await caw(1, Buffer.concat([next, old]), 0x20)).sense, '05/2400')
})

t.test('a thousand racing COMPARE AND WRITEs: each counts once', async (t) => {
  const { initiator } = await scene()
  const racers = await Promise.all(['a', 'b', 'c', 'd'].map(initiator))
  let won = 0
  const counter = (value: number) => {
    const block = Buffer.alloc(BLOCK)
    block.writeUInt32BE(value)
    return block
  }
  const race = async (racer: Initiator) => {
    for (let done = 0; done < 250; ) {
      const seen = (await racer.read(7, 1)).readUInt32BE(0)
      const out = Buffer.concat([counter(seen), counter(seen + 1)])
      const result = await racer.outcome('89 00 0000000000000007 000000 01 00 00', { out })
      if (result === 'good') {
        done++
        won++
      } else if (result !== '0e/1d00') throw new Error(result)
    }
  }
  await Promise.all(racers.map(race))
  t.equal(won, 1000)
  t.equal((await (racers[0] as Initiator).read(7, 1)).readUInt32BE(0), 1000)
})

t.test('write protection comes before addresses', async (t) => {
  const { alice, disk } = await scene({ readOnly: true })
  for (const opcode of [0x0a, ...WRITES, ...WRITE_VERIFIES, 0x8b, 0x41, 0x93, 0x42, 0x89]) {
    t.equal(
      await alice.outcome(blockCdb(opcode, 0x1f_ffff, 1), { out: pattern(1) }),
      '07/2700',
      hex(opcode, 2),
    )
  }
  t.equal(await alice.outcome(blockCdb(0x93, 0, 1, 0x08)), '07/2700')
  t.equal(await alice.outcome('48 82 0000000000 0000 00'), '07/2700')
  t.equal(((await alice.run('1a 08 3f 00 ff 00')).data[2] ?? 0) & 0x80, 0x80)
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1)), 'good')
  t.equal(disk.syncs, 0)
})

t.test('what storage cannot do is told', async (t) => {
  const { alice, disk, logged, lent } = await scene()
  const fails = async (operation: 'read' | 'write' | 'sync', code: 'io' | 'disk-full', cdb: string) => {
    disk.faults.failNext(operation, code)
    return await alice.outcome(cdb, { out: pattern(1) })
  }
  t.equal(await fails('read', 'io', blockCdb(0x28, 0, 1)), '03/1100')
  t.equal(await fails('write', 'io', blockCdb(0x2a, 0, 1)), '03/0c00')
  t.equal(await fails('write', 'disk-full', blockCdb(0x2a, 0, 1)), '07/2707')
  t.equal(await fails('sync', 'io', blockCdb(0x2a, 0, 1, 0x08)), '03/0c00')
  t.equal(await fails('sync', 'io', blockCdb(0x35, 0, 0)), '03/0c00')
  t.equal(await fails('sync', 'io', blockCdb(0x35, 0, 0, 0x02)), 'good', 'IMMED')
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(await alice.outcome('00 00000000 00'), '03/0c00!', 'the next command tells')
  t.equal(await alice.outcome('00 00000000 00'), 'good')
  t.equal(await alice.outcome(blockCdb(0x35, 0, 0)), 'good')
  t.equal(logged.length, 6)
  t.equal(lent.size, 0)
})

t.test('WRITE SAME has a limit, and wants a length', async (t) => {
  const { alice } = await scene({ disk: new MemoryDisk({ size: 64 * 1024 * 1024 }) })
  const most = Number((await alice.run('12 01 b0 00ff 00')).data.readBigUInt64BE(36))
  t.equal(await alice.outcome(blockCdb(0x93, 0, most, 0x08)), 'good')
  t.equal(await alice.outcome(blockCdb(0x93, 0, most + 1, 0x08)), '05/2400')
  t.equal(((await alice.run('12 01 b0 00ff 00')).data[4] ?? 0) & 1, 1, 'WSNZ')
})

t.test('many zeros are a hole of a thin disk: where nothing was, and where data were', async (t) => {
  const megabyte = 2048
  const zeros = Buffer.alloc(megabyte * BLOCK)
  const stored = async (disk: MemoryDisk) => {
    let bytes = 0
    for (let at = 0; at < disk.size; ) {
      const { isMapped, length } = await disk.extentAt(at, disk.size - at)
      if (isMapped) bytes += length
      at += length
    }
    return bytes
  }
  const { alice, disk } = await scene()
  const pieces = [zeros.subarray(0, 100_000), zeros.subarray(100_000)]
  t.equal(await alice.outcome(blockCdb(0x8a, 0, megabyte), { out: pieces }), 'good')
  t.equal(await alice.outcome(blockCdb(0x93, 0, BLOCKS), { out: zeros.subarray(0, BLOCK) }), 'good')
  t.equal(await alice.outcome(blockCdb(0x93, 0, BLOCKS, 0x01)), 'good', 'NDOB')
  t.equal(await stored(disk), 0, 'nothing was there')

  const data = pattern(megabyte)
  await alice.write(0, data)
  await alice.write(256, zeros.subarray(0, 128 * BLOCK))
  t.equal(await stored(disk), (megabyte - 128) * BLOCK)
  const wanted = Buffer.from(data).fill(0, 256 * BLOCK, 384 * BLOCK)
  t.ok((await alice.read(0, megabyte)).equals(wanted), 'what was there is gone, and nothing beside it')
  const before = disk.syncs
  t.equal(await alice.outcome(blockCdb(0x8a, 0, 128, 0x08), { out: zeros.subarray(0, 128 * BLOCK) }), 'good')
  t.equal(disk.syncs, before + 1, 'FUA')
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1, 0x08)), 'good')

  for (const index of [0, 77_777, 128 * BLOCK - 1]) {
    const nearly = Buffer.alloc(128 * BLOCK)
    nearly[index] = 1
    await alice.write(0, nearly)
    t.ok((await alice.read(0, 128)).equals(nearly), `a byte at ${index}`)
  }
  disk.faults.failNext('discard', 'io')
  t.equal(await alice.outcome(blockCdb(0x8a, 512, 128), { out: zeros.subarray(0, 128 * BLOCK) }), '03/0c00')

  const thick = await scene({ thin: false })
  await thick.alice.write(0, zeros)
  t.equal(await stored(thick.disk), zeros.length, 'a thick disk stores them')
  t.equal(
    await thick.alice.outcome(blockCdb(0x93, megabyte, megabyte), { out: zeros.subarray(0, BLOCK) }),
    'good',
  )
  t.equal(await stored(thick.disk), 2 * zeros.length)
  const little = await scene()
  await little.alice.write(0, zeros.subarray(0, 8 * BLOCK))
  t.ok((await stored(little.disk)) > 0, 'a few make no hole')
})
