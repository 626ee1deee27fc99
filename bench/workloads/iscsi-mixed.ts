/** Seven reads for three writes at random places, by fio: its nbd engine, over QEMU's iSCSI driver. */

import { spawn } from 'node:child_process'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningServer } from '../peers/peer.ts'
import { run, stop } from '../programs.ts'
import { blockdevOf, prepareDisk, RUN_SECONDS, verifyDisk } from './iscsi-client.ts'
import { OPERATIONS, type Workload } from './workload.ts'

const MIX_SECONDS = 2
const READS_PERCENT = 70
const START_SECONDS = 20
const POLL_MILLISECONDS = 20
const EXPORT = 'disk'

/** @param depth commands under way */
export function mixed(depth: number, mark: number): Workload {
  return {
    ...{ name: `iscsi 70/30 4 KiB random, depth ${depth}`, unit: OPERATIONS, mark },
    prepare: prepareDisk,
    verify: verifyDisk,
    async run({ local }, server) {
      const directory = await mkdtemp(join(local, 'nbd-'))
      try {
        const rate = await throughGateway(server, join(directory, 'socket'), depth)
        return { amount: rate * MIX_SECONDS, seconds: MIX_SECONDS }
      } finally {
        await rm(directory, { recursive: true })
      }
    },
  }
}

/** @returns operations per second */
async function throughGateway(server: RunningServer, socket: string, depth: number): Promise<number> {
  const gateway = spawn(
    'qemu-storage-daemon',
    [
      ...['--blockdev', blockdevOf(server, { 'node-name': EXPORT, 'cache.direct': 'on' })],
      ...['--nbd-server', `addr.type=unix,addr.path=${socket}`],
      ...['--export', `type=nbd,id=${EXPORT},node-name=${EXPORT},name=${EXPORT},writable=on`],
    ],
    { detached: true, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  try {
    await appears(socket)
    return await fio(socket, depth)
  } finally {
    await stop(gateway)
  }
}

/** @throws Error when it does not */
async function appears(socket: string): Promise<void> {
  for (let waited = 0; waited < START_SECONDS * 1000; waited += POLL_MILLISECONDS) {
    const isThere = await access(socket).then(
      () => true,
      () => false,
    )
    if (isThere) return
    await delay(POLL_MILLISECONDS)
  }
  throw new Error('qemu-storage-daemon did not become ready')
}

/** What of fio's report is read. */
interface FioReport {
  readonly jobs: readonly { readonly read: { iops: number }; readonly write: { iops: number } }[]
}

/** @returns operations per second */
async function fio(socket: string, depth: number): Promise<number> {
  const job = {
    ...{ name: 'mix', ioengine: 'nbd', uri: `nbd+unix:///${EXPORT}?socket=${socket}` },
    ...{ rw: 'randrw', rwmixread: READS_PERCENT, bs: '4k', iodepth: depth },
    ...{ runtime: MIX_SECONDS, time_based: 1, 'output-format': 'json' },
  }
  const args = Object.entries(job).map(([key, value]) => `--${key}=${value}`)
  const { output } = await run('fio', args, { seconds: RUN_SECONDS })
  const report = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1)) as FioReport
  const rate = report.jobs.reduce((sum, { read, write }) => sum + read.iops + write.iops, 0)
  if (!(rate > 0)) throw new Error(`fio told no rate:\n${output}`)
  return rate
}
