/** One disk over iSCSI: random and sequential, few and many commands at a time, one and several sessions, by libiscsi's iscsi-perf, QEMU's driver and fio. */

import type { RunningServer } from '../peers/peer.ts'
import { run } from '../programs.ts'
import { blockdevOf, prepareDisk, qemuBench, RUN_SECONDS, urlOf, verifyDisk } from './iscsi-client.ts'
import { mixed } from './iscsi-mixed.ts'
import { unmap } from './iscsi-unmap.ts'
import { BYTES, OPERATIONS, type Run, type Workload } from './workload.ts'

const BLOCK_BYTES = 512
const SMALL_BYTES = 4096
/** Blocks from one small write to the next: it wraps, and comes to every block once. qemu-img has no random mode. */
const STRIDE_BLOCKS = 9973
/** What is transferred in a sequential run. */
const SEQUENTIAL_BYTES = 1024 ** 3
const RANDOM_SECONDS = 2
/** Commands that each of several sessions has under way. */
const DEPTH_OF_SESSION = 8

const RANDOM_MARK = 1
const SEQUENTIAL_MARK = 1.2

/** Operations in a run of small writes, by depth. */
const STRIDES: Readonly<Record<number, number>> = { 1: 15_000, 8: 40_000, 32: 60_000 }

const DEPTHS = [1, 8, 32]
const SIZES = [128 << 10, 1 << 20]

export const iscsiWorkloads: readonly Workload[] = [
  ...DEPTHS.map((depth) => randomRead(`depth ${depth}`, depth, 1)),
  ...DEPTHS.map(strideWrite),
  ...DEPTHS.map((depth) => mixed(depth, RANDOM_MARK)),
  ...[4, 16].map((sessions) => randomRead(`${sessions} sessions`, DEPTH_OF_SESSION, sessions)),
  ...SIZES.flatMap((size) =>
    [1, 8].flatMap((depth) => [
      sequential({ size, depth, isWrite: false }),
      sequential({ size, depth, isWrite: true }),
    ]),
  ),
  ...SIZES.flatMap((size) => [
    sequential({ size, depth: 8, isWrite: false, digests: true }),
    sequential({ size, depth: 8, isWrite: true, digests: true }),
  ]),
  unmap(RANDOM_MARK),
]

/** @param sessions each of a process of its own */
function randomRead(title: string, depth: number, sessions: number): Workload {
  return {
    ...{ name: `iscsi read 4 KiB random, ${title}`, unit: OPERATIONS, mark: RANDOM_MARK },
    prepare: prepareDisk,
    verify: verifyDisk,
    async run(_ground, server) {
      const rates = await Promise.all(Array.from({ length: sessions }, () => readRate(server, depth)))
      const rate = rates.reduce((sum, one) => sum + one, 0)
      return { amount: rate * RANDOM_SECONDS, seconds: RANDOM_SECONDS }
    },
  }
}

/** @returns operations per second */
async function readRate(server: RunningServer, depth: number): Promise<number> {
  const blocks = String(SMALL_BYTES / BLOCK_BYTES)
  const args = ['-r', '-b', blocks, '-m', String(depth), '-t', String(RANDOM_SECONDS), urlOf(server)]
  const { output } = await run('iscsi-perf', args, { seconds: RUN_SECONDS })
  const rate = Number(/iops average (\d+)/.exec(output)?.[1])
  if (!(rate > 0)) throw new Error(`iscsi-perf told no rate:\n${output}`)
  return rate
}

function strideWrite(depth: number): Workload {
  const operations = STRIDES[depth] ?? 0
  return {
    ...{ name: `iscsi write 4 KiB random, depth ${depth}`, unit: OPERATIONS, mark: RANDOM_MARK },
    prepare: prepareDisk,
    verify: verifyDisk,
    async run(_ground, server) {
      const more = ['-w', '-S', String(SMALL_BYTES * STRIDE_BLOCKS)]
      const image = ['-f', 'raw', urlOf(server)]
      return {
        amount: operations,
        seconds: await qemuBench({ image, size: SMALL_BYTES, depth, operations, more }),
      }
    },
  }
}

interface Sequential {
  readonly size: number
  readonly depth: number
  readonly isWrite: boolean
  readonly digests?: boolean
}

function sequential({ size, depth, isWrite, digests = false }: Sequential): Workload {
  const title = `${isWrite ? 'write' : 'read'} ${size >> 10} KiB sequential, depth ${depth}`
  return {
    ...{ name: `iscsi ${title}${digests ? ', digests' : ''}`, unit: BYTES, mark: SEQUENTIAL_MARK },
    prepare: prepareDisk,
    verify: verifyDisk,
    async run(_ground, server): Promise<Run> {
      const image = digests ? ['--image-opts', withDigests(server)] : ['-f', 'raw', urlOf(server)]
      const operations = SEQUENTIAL_BYTES / size
      const more = isWrite ? ['-w'] : []
      return { amount: SEQUENTIAL_BYTES, seconds: await qemuBench({ image, size, depth, operations, more }) }
    },
  }
}

/** CRC32C over headers: libiscsi has no data digests. */
function withDigests(server: RunningServer): string {
  return blockdevOf(server, { 'header-digest': 'crc32c' })
}
