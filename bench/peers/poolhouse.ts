/** This server, started as its users start it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { projectRoot } from '../../test/interop/paths.ts'
import { freePort } from '../../test/interop/ports.ts'
import { run, stop } from '../programs.ts'
import {
  DISK,
  DISK_FILE,
  LARGE_DISK,
  LARGE_DISK_BYTES,
  LARGE_DISK_FILE,
  MAC_SHARE,
  type Peer,
  type RunningServer,
  SHARE,
  type StartOptions,
} from './peer.ts'

const READY_SECONDS = 30
const READY_FD = 3

/** All clients are on one machine, and smbd has no such limits. */
const CONNECTIONS = 1500

/** What differs between the protocols. */
type Served = (port: number, data: string) => string

export const poolhouse: Peer = { name: 'poolhouse', missing: () => undefined, start: start(smb) }
export const poolhouseIscsi: Peer = { name: 'poolhouse', missing: () => undefined, start: start(iscsi) }

function start(served: Served): Peer['start'] {
  return (options) => startServing(served, options)
}

async function startServing(
  served: Served,
  { stateDirectory, data, account }: StartOptions,
): Promise<RunningServer> {
  const command = join(projectRoot, 'bin', 'poolhouse')
  const port = await freePort()
  const config = join(stateDirectory, 'poolhouse.toml')
  const logFile = join(stateDirectory, 'server.log')
  await mkdir(join(stateDirectory, 'state'), { mode: 0o700 })
  await writeFile(config, configuration(join(stateDirectory, 'state')) + served(port, data))
  await run(command, ['user', 'add', account.name, '--password-stdin', '--config', config], {
    seconds: READY_SECONDS,
    input: `${account.password}\n`,
  })
  const log = openSync(logFile, 'a')
  const child = spawn(command, ['serve', '--config', config, '--ready-fd', String(READY_FD)], {
    detached: true,
    cwd: stateDirectory,
    stdio: ['ignore', log, log, 'pipe'],
  })
  const ready = once(child.stdio[READY_FD] as Readable, 'data').then(() => true)
  const ended = once(child, 'exit').then(() => false)
  const late = delay(READY_SECONDS * 1000, false, { ref: false })
  if (!(await Promise.race([ready, ended, late]))) {
    await stop(child)
    throw new Error(`poolhouse did not become ready:\n${await readFile(logFile, 'utf8')}`)
  }
  return { port, pid: child.pid as number, stop: () => stop(child) }
}

/** JSON's strings are TOML's, too. */
function configuration(state: string): string {
  return `[server]
name = "bench"
state_dir = ${JSON.stringify(state)}
[log]
level = "warn"
[status]
enabled = false
[discovery]
mdns = false
wsd = false
`
}

function smb(port: number, data: string): string {
  return `[smb]
listen = ["127.0.0.1:${port}"]
signing = "enabled"
encryption = "enabled"
max_connections = ${CONNECTIONS}
max_connections_per_address = ${CONNECTIONS}
[iscsi]
enabled = false
[[share]]
name = "${SHARE}"
path = ${JSON.stringify(data)}
[[share]]
name = "${MAC_SHARE}"
path = ${JSON.stringify(data)}
time_machine = true
`
}

function iscsi(port: number, data: string): string {
  return `[smb]
enabled = false
[iscsi]
listen = ["127.0.0.1:${port}"]
[[target]]
name = "${DISK.target}"
[[target.lun]]
id = ${DISK.lun}
path = ${JSON.stringify(join(data, DISK_FILE))}
[[target.lun]]
id = ${LARGE_DISK.lun}
path = ${JSON.stringify(join(data, LARGE_DISK_FILE))}
size = "${LARGE_DISK_BYTES}"
`
}
