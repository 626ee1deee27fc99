/** The contract of storage/block-device.ts, run by the tests of every backend. */

import type { Test } from 'tap'
import type { BlockDevice } from '../../storage/block-device.ts'

/** All zeros, of `size` bytes, and how to dispose of it. */
export interface DiskFixture {
  readonly disk: BlockDevice
  /** Whether it knows its holes; block devices don't. Default: true. */
  readonly knowsHoles?: boolean
  cleanup(): Promise<void>
}

export const CONTRACT_DISK_BYTES = 8 * 1024 * 1024
const KIB = 1024

async function contents(disk: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const into = Buffer.alloc(length, 0xaa)
  await disk.read(into, offset)
  return into
}

const pattern = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff))

/** @param create a disk of CONTRACT_DISK_BYTES */
export async function blockDeviceContract(
  t: Test,
  name: string,
  create: () => Promise<DiskFixture>,
): Promise<void> {
  const part = (what: string, run: (t: Test, disk: BlockDevice, knowsHoles: boolean) => Promise<void>) =>
    t.test(`${name}: ${what}`, async (t) => {
      const { disk, knowsHoles = true, cleanup } = await create()
      try {
        await run(t, disk, knowsHoles)
      } finally {
        await cleanup()
      }
    })

  await part('reads what was written, anywhere and in any pieces', async (t, disk) => {
    t.equal(disk.size, CONTRACT_DISK_BYTES)
    t.ok((await contents(disk, 0, 4096)).every((byte) => byte === 0))
    const data = pattern(300 * KIB, 3)
    const pieces = [
      data.subarray(0, 1),
      data.subarray(1, 1),
      data.subarray(1, 100_000),
      data.subarray(100_000),
    ]
    for (const at of [0, 513, 4 * 1024 * KIB - 100 * KIB - 1, disk.size - data.length]) {
      await disk.write(pieces, at)
      t.ok((await contents(disk, at, data.length)).equals(data), `at ${at}`)
    }
    await disk.write([], 0)
    await disk.read(Buffer.alloc(0), disk.size)
    await Promise.all([disk.sync(), disk.sync(), disk.sync()])
  })

  await part('many calls beside each other do not mix', async (t, disk) => {
    const blocks = Array.from({ length: 64 }, (_, index) => pattern(4096, index))
    await Promise.all(blocks.map((block, index) => disk.write([block], index * 4096)))
    const read = await Promise.all(blocks.map((_, index) => contents(disk, index * 4096, 4096)))
    t.ok(read.every((block, index) => block.equals(blocks[index] as Buffer)))
  })

  await part('what is discarded reads as zeros, and nothing beside it', async (t, disk) => {
    const data = pattern(1024 * KIB, 9)
    await disk.write([data], 0)
    await disk.discard(1000, 500_000)
    t.ok((await contents(disk, 0, 1000)).equals(data.subarray(0, 1000)))
    t.ok((await contents(disk, 1000, 500_000)).every((byte) => byte === 0))
    t.ok((await contents(disk, 501_000, 1000)).equals(data.subarray(501_000, 502_000)))
    await disk.discard(0, 0)
    await disk.discard(0, disk.size)
    t.ok((await contents(disk, 0, disk.size)).every((byte) => byte === 0))
    t.ok(Number.isInteger(Math.log2(disk.discardGranularity)))
  })

  await part('extents cover the disk and say what is stored', async (t, disk, knowsHoles) => {
    const step = Math.max(disk.discardGranularity, 64 * KIB)
    await disk.write([pattern(step, 1)], 2 * step)
    await disk.sync()
    let stored = 0
    for (let at = 0; at < disk.size; ) {
      const extent = await disk.extentAt(at, disk.size - at)
      t.ok(extent.length >= 1 && extent.length <= disk.size - at)
      if (!extent.isMapped)
        t.ok(
          (await contents(disk, at, extent.length)).every((byte) => byte === 0),
          `hole at ${at}`,
        )
      else stored += extent.length
      at += extent.length
    }
    t.ok(stored >= step)
    if (knowsHoles) t.ok(stored < disk.size, 'there are holes')
    t.same(await disk.extentAt(2 * step, 1), { isMapped: true, length: 1 })
  })
}
