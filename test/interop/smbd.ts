/** Debian's smbd, started privately: nothing of it outlives the run or is seen by the system's own. */

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listens } from './ports.ts'
import { succeed } from './process.ts'
import { CheckError } from './report.ts'
import { type Account, delay, lastLines, type Server, supervise } from './server-process.ts'

const startSeconds = 20
const pollMilliseconds = 50

export interface SmbdOptions {
  /** Empty: for configuration, state and logs. */
  readonly directory: string
  readonly port: number
  readonly accounts: readonly Account[]
  /** More lines of the section [global]. */
  readonly globals: readonly string[]
  /** The lines of each share, by its name. */
  readonly shares: Readonly<Record<string, readonly string[]>>
}

/** @throws CheckError when it does not listen in time */
export async function startSmbd(options: SmbdOptions): Promise<Server> {
  const { directory, port } = options
  for (const name of ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc', 'log']) {
    await mkdir(join(directory, name), { recursive: true, mode: name === 'private' ? 0o700 : 0o755 })
  }
  const config = join(directory, 'smb.conf')
  await writeFile(config, configuration(options))
  for (const account of options.accounts) {
    await succeed('smbpasswd', ['-c', config, '-s', '-a', account.name], {
      seconds: startSeconds,
      input: `${account.password}\n${account.password}\n`,
    })
  }
  const logFile = join(directory, 'server.log')
  const log = openSync(logFile, 'a')
  const child = spawn('smbd', ['-F', '--no-process-group', '-s', config, '-l', join(directory, 'log')], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  const server = supervise(child, port, logFile, true)
  for (let waited = 0; waited < startSeconds * 1000 && server.alive(); waited += pollMilliseconds) {
    if (await listens(port)) {
      return server
    }
    await delay(pollMilliseconds, undefined)
  }
  throw new CheckError(`smbd does not listen on port ${port}:\n${lastLines(await server.log())}`)
}

function configuration({ directory, port, globals, shares }: SmbdOptions): string {
  const lines = [
    '[global]',
    'server role = standalone server',
    'workgroup = WORKGROUP',
    'interfaces = 127.0.0.1/8',
    'bind interfaces only = yes',
    `smb ports = ${port}`,
    'disable netbios = yes',
    `private dir = ${directory}/private`,
    `lock directory = ${directory}/lock`,
    `state directory = ${directory}/state`,
    `cache directory = ${directory}/cache`,
    `pid directory = ${directory}/pid`,
    `ncalrpc dir = ${directory}/ncalrpc`,
    `log file = ${directory}/log/log.%m`,
    'passdb backend = tdbsam',
    'load printers = no',
    'printcap name = /dev/null',
    ...globals,
  ]
  for (const [name, ofShare] of Object.entries(shares)) lines.push(`[${name}]`, ...ofShare)
  return `${lines.join('\n')}\n`
}
