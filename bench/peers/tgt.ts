/** Debian's tgt: one target with one disk, on the same file as ours. */

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isInstalled } from '../../test/interop/needs.ts'
import { freePort } from '../../test/interop/ports.ts'
import { killGroup, run, succeed } from '../../test/interop/process.ts'
import {
  DISK,
  DISK_FILE,
  LARGE_DISK,
  LARGE_DISK_BYTES,
  LARGE_DISK_FILE,
  type Peer,
  type RunningServer,
  type StartOptions,
} from './peer.ts'

const START_SECONDS = 20
const POLL_MILLISECONDS = 100
/** tgtd puts the socket of its control port here, wherever its other files are. */
const CONTROL_DIRECTORY = '/var/run/tgtd'
const TARGET_ID = '1'
/** tgtadm takes control ports below this. They are names of sockets, and 0 is that of a tgtd of the system. */
const CONTROL_PORTS = 32_768

export const tgt: Peer = {
  name: 'tgt',
  missing: () =>
    isInstalled('tgtd') && isInstalled('tgtadm') ? undefined : 'needs the Debian package tgt, and root',
  start,
}

async function start({ stateDirectory, data }: StartOptions): Promise<RunningServer> {
  const port = await freePort()
  const control = String(1 + (port % (CONTROL_PORTS - 1)))
  await mkdir(CONTROL_DIRECTORY, { recursive: true })
  const log = openSync(join(stateDirectory, 'tgtd.log'), 'a')
  const portal = `portal=127.0.0.1:${port}`
  const pidFile = join(stateDirectory, 'tgtd.pid')
  const child = spawn('tgtd', ['-f', '-C', control, '-p', pidFile, '--iscsi', portal], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  const administer = (...args: string[]) => ['-C', control, '--lld', 'iscsi', ...args, '--tid', TARGET_ID]
  const seconds = { seconds: START_SECONDS }
  for (let waited = 0; waited < START_SECONDS * 1000; waited += POLL_MILLISECONDS) {
    if ((await run('tgtadm', ['-C', control, '--op', 'show', '--mode', 'sys'], seconds)).code === 0) break
    await delay(POLL_MILLISECONDS)
  }
  const large = await open(join(data, LARGE_DISK_FILE), 'a')
  await large.truncate(LARGE_DISK_BYTES)
  await large.close()
  const disk = ['--lun', String(DISK.lun), '-b', join(data, DISK_FILE), '--bstype', 'rdwr']
  const largeLun = ['--lun', String(LARGE_DISK.lun)]
  const largeDisk = [...largeLun, '-b', join(data, LARGE_DISK_FILE), '--bstype', 'rdwr']
  for (const args of [
    ['--op', 'new', '--mode', 'target', '-T', DISK.target],
    ['--op', 'new', '--mode', 'logicalunit', ...disk],
    ['--op', 'new', '--mode', 'logicalunit', ...largeDisk],
    ['--op', 'update', '--mode', 'logicalunit', ...largeLun, '--params', 'thin_provisioning=1'],
    ['--op', 'bind', '--mode', 'target', '-I', 'ALL'],
  ]) {
    await succeed('tgtadm', administer(...args), seconds)
  }
  // It ignores SIGTERM while it has targets.
  return { port, pid: child.pid as number, stop: async () => killGroup(child) }
}
