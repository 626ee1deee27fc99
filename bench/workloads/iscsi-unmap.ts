/** SBC-4 5.30 UNMAP of a disk of 100 GiB with data here and there, by QEMU's driver. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LARGE_DISK, LARGE_DISK_BYTES, LARGE_DISK_FILE, type RunningServer } from '../peers/peer.ts'
import { run } from '../programs.ts'
import { prepareDisk, RUN_SECONDS, urlOf } from './iscsi-client.ts'
import { BYTES, type Ground, type Run, type Workload } from './workload.ts'

const GIBIBYTE = 1024 ** 3
/** One request: QEMU's driver takes less than 2 GiB, and makes commands of what the disk says it takes. */
const STEP_BYTES = GIBIBYTE
/** Written into each step beforehand, so that there is something to give back. */
const DATA_BYTES = 1 << 20
const PATTERN = 0x5a
/** What metadata a file without data may occupy. */
const LEFT_BYTES = 16 << 20
/** Of st_blocks. */
const BLOCK_BYTES = 512

export function unmap(mark: number): Workload {
  return {
    ...{ name: 'iscsi unmap 100 GiB', unit: BYTES, mark },
    // The servers make it, but do not start without the other disk.
    prepare: prepareDisk,
    async verify(ground, server) {
      await once(ground, server)
      const { blocks } = await stat(join(ground.data, LARGE_DISK_FILE))
      const left = blocks * BLOCK_BYTES
      if (left > LEFT_BYTES) throw new Error(`${left} bytes are left of a disk that was unmapped`)
    },
    run: once,
  }
}

async function once(_ground: Ground, server: RunningServer): Promise<Run> {
  const steps = Array.from({ length: LARGE_DISK_BYTES / STEP_BYTES }, (_, step) => step * STEP_BYTES)
  await qemuIo(
    server,
    steps.map((at) => `write -P ${PATTERN} ${at} ${DATA_BYTES}`),
  )
  const seconds = await qemuIo(
    server,
    steps.map((at) => `discard ${at} ${STEP_BYTES}`),
  )
  return { amount: LARGE_DISK_BYTES, seconds }
}

/** @returns wall time, with the login */
async function qemuIo(server: RunningServer, commands: readonly string[]): Promise<number> {
  const args = ['-f', 'raw', '-t', 'none', '-d', 'unmap', ...commands.flatMap((command) => ['-c', command])]
  const { output, seconds } = await run('qemu-io', [...args, urlOf(server, LARGE_DISK)], {
    seconds: RUN_SECONDS,
  })
  if (output.includes('failed')) throw new Error(`qemu-io failed:\n${output}`)
  return seconds
}
