/** WRITE ATOMIC (SBC-4 4.29, 5.48): all or nothing for other commands, for failures, and over a power cut. */

import t from 'tap'
import {
  mendTornWrite,
  type UndoLog,
  type UndoRecord,
} from '../../../../protocols/iscsi/scsi/atomic-write.ts'
import { MemoryDisk } from '../../../../storage/memory/block-device.ts'
import { BLOCK, BLOCKS, hex, type Initiator, type SceneOptions, scene } from './lab.ts'

const pattern = (blocks: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length: blocks * BLOCK }, (_, index) => (index * 13 + seed + (index >> 9)) & 0xff))

const contents = async (disk: MemoryDisk, lba: number, blocks: number): Promise<Buffer> => {
  const into = Buffer.alloc(blocks * BLOCK)
  await disk.read(into, lba * BLOCK)
  return into
}

/** Notes what it is told, and how the disk is by then. */
class NotedLog implements UndoLog {
  record: UndoRecord | undefined
  readonly events: string[] = []
  onKeep: () => Promise<void> = async () => undefined
  onForget: () => Promise<void> = async () => undefined

  async keep({ offset, before, after }: UndoRecord): Promise<void> {
    this.events.push('keep')
    this.record = { offset, before: Buffer.from(before), after: Buffer.from(after) }
    await this.onKeep()
  }

  async forget(): Promise<void> {
    this.events.push('forget')
    await this.onForget()
    this.record = undefined
  }

  async close(): Promise<void> {}
}

const atomicScene = async (options: SceneOptions = {}) => {
  const log = new NotedLog()
  return { log, ...(await scene({ undoLog: log, ...options })) }
}

const atomicCdb = (lba: number | bigint, blocks: number, flags = 0, boundary = 0): string =>
  `9c${hex(flags, 2)}${hex(lba, 16)}${hex(boundary, 4)}${hex(blocks, 4)}0000`
const writeAtomic = (who: Initiator, lba: number | bigint, out: Buffer, flags = 0): Promise<string> =>
  who.outcome(atomicCdb(lba, out.length / BLOCK, flags), { out })

t.test('what may be written atomically, and what the limits page says of it', async (t) => {
  const { alice, lent } = await atomicScene({ disk: new MemoryDisk({ size: 16 * 1024 * 1024 }) })
  const last = (16 * 1024 * 1024) / BLOCK
  const limits = (await alice.run('12 01 b0 00ff 00')).data
  const [most, alignment, granularity] = [44, 48, 52].map((at) => limits.readUInt32BE(at)) as [
    number,
    number,
    number,
  ]
  t.same([most, alignment, granularity], [2048, 8, 8])
  t.ok(most <= limits.readUInt32BE(8))
  t.same([limits.readUInt32BE(56), limits.readUInt32BE(60)], [0, 0], 'no boundaries')
  for (const [lba, blocks] of [
    [0, 8],
    [8, 256],
    [0, most],
    [last - 8, 8],
    [last - 256, 256],
  ] as const) {
    const data = pattern(blocks, lba)
    t.equal(await writeAtomic(alice, lba, data), 'good', `${blocks} at ${lba}`)
    t.ok((await alice.read(lba, blocks)).equals(data))
  }
  const data = pattern(8, 1)
  for (const flags of [0x08, 0x10, 0x18]) t.equal(await writeAtomic(alice, 0, data, flags), 'good')
  for (const flags of [0x20, 0xe0]) t.equal(await writeAtomic(alice, 0, data, flags), '05/2400', 'WRPROTECT')
  t.equal(await writeAtomic(alice, 1, data), '05/2400', 'alignment')
  t.equal(await writeAtomic(alice, 0, pattern(1, 1)), '05/2400', 'granularity')
  t.equal(await writeAtomic(alice, 0, pattern(most + 8, 1)), '05/2400', 'too much')
  t.equal(await alice.outcome(atomicCdb(0, 8, 0, 8), { out: data }), '05/2400', 'ATOMIC BOUNDARY')
  t.equal(await alice.outcome(atomicCdb(0, 16), { out: data }), '05/2400', 'half of the data')
  t.equal(await writeAtomic(alice, 0, Buffer.alloc(0)), 'good', 'nothing')
  for (const lba of [last, last + 8, 2n ** 63n, 2n ** 64n - 8n]) {
    t.equal(await writeAtomic(alice, lba, Buffer.alloc(0)), '05/2100', `nothing at ${lba}`)
    t.equal(await writeAtomic(alice, lba, data), '05/2100')
  }
  t.equal(await writeAtomic(alice, last - 8, pattern(16, 1)), '05/2100')
  const usage = (await alice.run('a3 0c 01 9c 0000 000000ff 00 00')).data
  t.same(usage.subarray(1), Buffer.from('0300109c18ffffffffffffffffffffffff1f00', 'hex'))
  t.equal(lent.size, 0)

  const plain = await scene()
  t.equal(await writeAtomic(plain.alice, 0, data), '05/2000', 'nowhere to keep what was there')
  const none = (await plain.alice.run('12 01 b0 00ff 00')).data
  t.ok(none.subarray(44).every((byte) => byte === 0))
  const plainBlocks = await atomicScene({ physicalBlockSize: 512 })
  t.equal(await writeAtomic(plainBlocks.alice, 3, pattern(1, 1)), 'good', 'each block')
})

t.test('the note is kept before the disk is touched, and until all is on it', async (t) => {
  const { alice, log, disk, initiator } = await atomicScene()
  const bob = await initiator('bob')
  const before = pattern(8, 1)
  const after = pattern(8, 2)
  await alice.write(16, before)
  let whileKept: Promise<Buffer> | undefined
  log.onKeep = async () => {
    t.ok((await contents(disk, 16, 8)).equals(before))
    whileKept = bob.read(16, 8)
  }
  const { syncs } = disk
  log.onForget = async () => {
    t.ok((await contents(disk, 16, 8)).equals(after))
    t.equal(disk.syncs, syncs + 1)
  }
  t.equal(await writeAtomic(alice, 16, after), 'good')
  t.same(log.events, ['keep', 'forget'])
  t.ok((await whileKept)?.equals(after), 'a READ waits for it')

  log.events.length = 0
  log.onKeep = log.onForget = () => new Promise((resolve) => setImmediate(resolve))
  const many = Array.from({ length: 20 }, (_, index) => pattern(8, index))
  const places = many.map((_, index) => 8 * index)
  t.same(
    await Promise.all(many.map((data, index) => writeAtomic(alice, places[index] ?? 0, data))),
    many.map(() => 'good'),
  )
  t.same(
    log.events,
    many.flatMap(() => ['keep', 'forget']),
    'one at a time',
  )
})

t.test('what fails leaves what was there', async (t) => {
  const { alice, log, disk } = await atomicScene()
  const before = pattern(8, 1)
  const after = pattern(8, 2)
  await alice.write(0, before)
  for (const [operation, code, sense] of [
    ['write', 'disk-full', '07/2707'],
    ['sync', 'io', '03/0c00'],
  ] as const) {
    disk.faults.failNext(operation, code)
    t.equal(await writeAtomic(alice, 0, after), sense)
    t.ok((await contents(disk, 0, 8)).equals(before), operation)
    t.equal(log.record, undefined)
  }
  disk.faults.failNext('sync', 'io', 2)
  t.equal(await writeAtomic(alice, 0, after), '03/0c00')
  t.ok(log.record !== undefined, 'a disk that cannot be synced is looked at when it is opened again')
  log.onKeep = async () => {
    throw new Error('the state directory is full')
  }
  const { syncs } = disk
  t.equal(await writeAtomic(alice, 0, after), '04/4400')
  t.equal(disk.syncs, syncs, 'nothing was written')
  t.ok((await alice.read(0, 8)).equals(before))
})

t.test('after a power cut', async (t) => {
  const disk = new MemoryDisk({ size: BLOCKS * BLOCK })
  const before = pattern(64, 1)
  const after = pattern(64, 2)
  const record = { offset: 128 * BLOCK, before, after }
  const place = (from: Buffer, start: number, end: number) =>
    disk.write([from.subarray(start * BLOCK, end * BLOCK)], record.offset + start * BLOCK)
  await place(before, 0, 64)
  t.equal(await mendTornWrite(disk, record), 'whole', 'nothing was written')
  await place(after, 0, 64)
  t.equal(await mendTornWrite(disk, record), 'whole', 'all was')
  t.ok((await contents(disk, 128, 64)).equals(after))
  await place(before, 10, 20)
  await place(before, 63, 64)
  const { syncs } = disk
  t.equal(await mendTornWrite(disk, record), 'undone')
  t.ok((await contents(disk, 128, 64)).equals(before))
  t.equal(disk.syncs, syncs + 1)
  await place(after, 0, 32)
  await disk.write([Buffer.from('somebody else')], record.offset + 40 * BLOCK)
  const other = await contents(disk, 128, 64)
  t.equal(await mendTornWrite(disk, record), 'foreign')
  t.ok((await contents(disk, 128, 64)).equals(other), 'is left alone')
  t.equal(await mendTornWrite(disk, { ...record, offset: disk.size - BLOCK }), 'foreign', 'another disk')
})
