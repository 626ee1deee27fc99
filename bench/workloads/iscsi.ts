/** One disk over iSCSI: random and sequential, few and many commands at a time, by libiscsi's iscsi-perf and QEMU's driver. */

import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DISK, DISK_FILE, type RunningServer } from '../peers/peer.ts'
import { run } from '../programs.ts'
import { BYTES, type Ground, OPERATIONS, type Run, type Workload } from './workload.ts'

const RUN_SECONDS = 300
const DISK_BYTES = 1 << 30
const FILL_BYTES = 4 << 20
const BLOCK_BYTES = 512
const SMALL_BYTES = 4096
/** Blocks from one small write to the next: it wraps, and comes to every block once. qemu-img has no random mode. */
const STRIDE_BLOCKS = 9973
/** What is transferred in a sequential run. */
const SEQUENTIAL_BYTES = 2 * 1024 ** 3
const RANDOM_SECONDS = 3
const PATTERN = 0x5a
const PATTERN_BYTES = 1 << 20

const RANDOM_MARK = 1
const SEQUENTIAL_MARK = 1.2

/** Operations in a run of small writes, by depth. */
const STRIDES: Readonly<Record<number, number>> = { 1: 15_000, 8: 40_000, 32: 60_000 }

export const iscsiWorkloads: readonly Workload[] = [
  ...[1, 8, 32].map(randomRead),
  ...[1, 8, 32].map(strideWrite),
  ...[128 << 10, 1 << 20].flatMap((size) =>
    [1, 8].flatMap((depth) => [
      sequential({ size, depth, isWrite: false }),
      sequential({ size, depth, isWrite: true }),
    ]),
  ),
]

function urlOf({ port }: RunningServer): string {
  return `iscsi://127.0.0.1:${port}/${DISK.target}/${DISK.lun}`
}

function randomRead(depth: number): Workload {
  return {
    ...{ name: `iscsi read 4 KiB random, depth ${depth}`, unit: OPERATIONS, mark: RANDOM_MARK },
    prepare,
    verify,
    async run(_ground, server) {
      const blocks = String(SMALL_BYTES / BLOCK_BYTES)
      const args = ['-r', '-b', blocks, '-m', String(depth), '-t', String(RANDOM_SECONDS), urlOf(server)]
      const { output } = await run('iscsi-perf', args, { seconds: RUN_SECONDS })
      const rate = Number(/iops average (\d+)/.exec(output)?.[1])
      if (!(rate > 0)) throw new Error(`iscsi-perf told no rate:\n${output}`)
      return { amount: rate * RANDOM_SECONDS, seconds: RANDOM_SECONDS }
    },
  }
}

function strideWrite(depth: number): Workload {
  const operations = STRIDES[depth] ?? 0
  return {
    ...{ name: `iscsi write 4 KiB random, depth ${depth}`, unit: OPERATIONS, mark: RANDOM_MARK },
    prepare,
    verify,
    async run(_ground, server) {
      const stride = ['-S', String(SMALL_BYTES * STRIDE_BLOCKS)]
      const bench = { size: SMALL_BYTES, depth, operations, more: ['-w', ...stride] }
      return { amount: operations, seconds: await qemuBench(server, bench) }
    },
  }
}

function sequential(of: { size: number; depth: number; isWrite: boolean }): Workload {
  const { size, depth, isWrite } = of
  const title = `${isWrite ? 'write' : 'read'} ${size >> 10} KiB sequential, depth ${depth}`
  return {
    ...{ name: `iscsi ${title}`, unit: BYTES, mark: SEQUENTIAL_MARK },
    prepare,
    verify,
    async run(_ground, server): Promise<Run> {
      const bench = { size, depth, operations: SEQUENTIAL_BYTES / size, more: isWrite ? ['-w'] : [] }
      return { amount: SEQUENTIAL_BYTES, seconds: await qemuBench(server, bench) }
    },
  }
}

interface QemuBench {
  readonly size: number
  readonly depth: number
  readonly operations: number
  readonly more: readonly string[]
}

/** @returns seconds by its own count, without the time to connect */
async function qemuBench(
  server: RunningServer,
  { size, depth, operations, more }: QemuBench,
): Promise<number> {
  const counts = ['-s', String(size), '-d', String(depth), '-c', String(operations)]
  const args = ['bench', '-f', 'raw', '-t', 'none', ...counts, ...more, urlOf(server)]
  const { output } = await run('qemu-img', args, { seconds: RUN_SECONDS })
  const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(output)?.[1])
  if (!(seconds > 0)) throw new Error(`qemu-img told no time:\n${output}`)
  return seconds
}

/** A file without holes: reading those would cost nothing. */
async function prepare({ data }: Ground): Promise<void> {
  const path = join(data, DISK_FILE)
  const known = await stat(path).catch(() => undefined)
  if (known?.size === DISK_BYTES) return
  const file = await open(path, 'w')
  const piece = Buffer.alloc(FILL_BYTES, 'filled')
  for (let at = 0; at < DISK_BYTES; at += FILL_BYTES) await file.write(piece)
  await file.sync()
  await file.close()
}

/** What is written is in the file, and comes back. */
async function verify(_ground: Ground, server: RunningServer): Promise<void> {
  const range = `-P ${PATTERN} 0 ${PATTERN_BYTES}`
  const args = ['-f', 'raw', '-t', 'none', '-c', `write ${range}`, '-c', `read ${range}`, urlOf(server)]
  const { output } = await run('qemu-io', args, { seconds: RUN_SECONDS })
  if (output.includes('verification failed'))
    throw new Error(`what was written did not come back:\n${output}`)
}
