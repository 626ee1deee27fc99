/** The clients of the disk: what they call it, qemu-img's bench, the files behind it, and that they are right. */

import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DISK, DISK_FILE, type Disk, type RunningServer } from '../peers/peer.ts'
import { run } from '../programs.ts'
import type { Ground } from './workload.ts'

/** No client takes longer. */
export const RUN_SECONDS = 300

const DISK_BYTES = 1 << 30
const FILL_BYTES = 4 << 20
/** Of st_blocks. */
const BLOCK_BYTES = 512
const PATTERN = 0x5a
const PATTERN_BYTES = 1 << 20

/** As libiscsi's clients take it. */
export function urlOf({ port }: RunningServer, { target, lun }: Disk = DISK): string {
  return `iscsi://127.0.0.1:${port}/${target}/${lun}`
}

/** As QEMU's blockdev takes it. @param more of its options */
export function blockdevOf({ port }: RunningServer, more: Readonly<Record<string, string>> = {}): string {
  const { target, lun } = DISK
  const options = { driver: 'iscsi', transport: 'tcp', portal: `127.0.0.1:${port}`, target, lun, ...more }
  return Object.entries(options)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

export interface QemuBench {
  /** How qemu-img is told the disk. */
  readonly image: readonly string[]
  readonly size: number
  readonly depth: number
  readonly operations: number
  readonly more: readonly string[]
}

/** @returns seconds by its own count, without the time to connect */
export async function qemuBench({ image, size, depth, operations, more }: QemuBench): Promise<number> {
  const counts = ['-s', String(size), '-d', String(depth), '-c', String(operations)]
  const args = ['bench', '-t', 'none', ...counts, ...more, ...image]
  const { output } = await run('qemu-img', args, { seconds: RUN_SECONDS })
  const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(output)?.[1])
  if (!(seconds > 0)) throw new Error(`qemu-img told no time:\n${output}`)
  return seconds
}

/** A file without holes: reading those would cost nothing. */
export async function prepareDisk({ data }: Ground): Promise<void> {
  const path = join(data, DISK_FILE)
  const known = await stat(path).catch(() => undefined)
  if (known?.size === DISK_BYTES && known.blocks * BLOCK_BYTES >= DISK_BYTES) return
  const file = await open(path, 'w')
  const piece = Buffer.alloc(FILL_BYTES, 'filled')
  for (let at = 0; at < DISK_BYTES; at += FILL_BYTES) await file.write(piece)
  await file.sync()
  await file.close()
}

/** What is written is in the file, and comes back. */
export async function verifyDisk(_ground: Ground, server: RunningServer): Promise<void> {
  const range = `-P ${PATTERN} 0 ${PATTERN_BYTES}`
  const args = ['-f', 'raw', '-t', 'none', '-c', `write ${range}`, '-c', `read ${range}`, urlOf(server)]
  const { output } = await run('qemu-io', args, { seconds: RUN_SECONDS })
  if (output.includes('verification failed'))
    throw new Error(`what was written did not come back:\n${output}`)
}
