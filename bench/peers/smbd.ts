/** Samba's smbd, started privately: nothing of it outlives the run or is seen by the system's own. */

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, isInstalled, run, stop } from '../programs.ts'
import { type Peer, type RunningServer, SHARE, type StartOptions } from './peer.ts'

const READY_SECONDS = 20
const READY_POLL_MILLISECONDS = 50
const FOLDERS = ['private', 'lock', 'state', 'cache', 'run', 'ncalrpc', 'log']

export const smbd: Peer = {
  name: 'smbd',
  missing: () =>
    isInstalled('smbd') && isInstalled('smbpasswd') ? undefined : 'needs the Debian package samba',
  start,
}

async function start({ stateDirectory, data, account }: StartOptions): Promise<RunningServer> {
  const port = await freePort()
  for (const name of FOLDERS) await mkdir(join(stateDirectory, name), { mode: 0o700 })
  const config = join(stateDirectory, 'smb.conf')
  const logFile = join(stateDirectory, 'log', 'stdout')
  await writeFile(config, configuration(port, stateDirectory, data))
  await run('smbpasswd', ['-c', config, '-s', '-a', account.name], {
    seconds: READY_SECONDS,
    input: `${account.password}\n${account.password}\n`,
  })
  const log = openSync(logFile, 'a')
  const child = spawn('smbd', ['-F', '--no-process-group', '-s', config], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  const deadline = performance.now() + READY_SECONDS * 1000
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop(child)
      throw new Error(`smbd did not become ready:\n${await readFile(logFile, 'utf8')}`)
    }
    await delay(READY_POLL_MILLISECONDS)
  }
  return { port, pid: child.pid as number, stop: () => stop(child) }
}

/** What Debian's package has by default, for a share with what ours keeps: streams and DOS attributes in xattrs. */
function configuration(port: number, base: string, data: string): string {
  return `[global]
server role = standalone server
workgroup = WORKGROUP
interfaces = 127.0.0.1/8
bind interfaces only = yes
smb ports = ${port}
disable netbios = yes
private dir = ${base}/private
lock directory = ${base}/lock
state directory = ${base}/state
cache directory = ${base}/cache
pid directory = ${base}/run
ncalrpc dir = ${base}/ncalrpc
log file = ${base}/log/smbd.log
log level = 0
passdb backend = tdbsam
load printers = no
printcap name = /dev/null
server signing = auto
[${SHARE}]
path = ${data}
read only = no
vfs objects = streams_xattr
`
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
