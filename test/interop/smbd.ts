/** The control: the same shares and accounts served by Debian's smbd, to tell a fault of a suite from one of the server. */

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { succeed } from './process.ts'
import { CheckError } from './report.ts'
import { delay, type Server, type ServerOptions, type Share, supervise } from './server-process.ts'

const startSeconds = 20

/** Translations of the configuration keys that the suites use; what is not here has no meaning for smbd. */
const shareKeys: Readonly<Record<string, (value: unknown) => string>> = {
  encryption: (value) => `smb encrypt = ${value === 'required' ? 'required' : 'default'}`,
  hide_files: (value) => `hide files = /${String(value).replaceAll(',', '/')}/`,
  hide_dot_files: (value) => `hide dot files = ${value === true ? 'yes' : 'no'}`,
}

/** Starts a private smbd. @throws CheckError when it does not listen in time */
export async function startControl(options: ServerOptions, port: number): Promise<Server> {
  const base = options.directory
  for (const name of ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc', 'log']) {
    await mkdir(join(base, name), { recursive: true, mode: name === 'private' ? 0o700 : 0o755 })
  }
  const config = join(base, 'smb.conf')
  await writeFile(config, [globalSection(options, port), ...options.shares.map(shareSection)].join('\n'))
  for (const account of options.accounts) {
    await succeed('smbpasswd', ['-c', config, '-s', '-a', account.name], {
      seconds: startSeconds,
      input: `${account.password}\n${account.password}\n`,
    })
  }
  const logFile = join(base, 'server.log')
  const log = openSync(logFile, 'a')
  const child = spawn('smbd', ['-F', '--no-process-group', '-s', config, '-l', join(base, 'log')], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  const server = supervise(child, port, logFile, true)
  for (let waited = 0; waited < startSeconds * 10; waited += 1) {
    if (await listens(port)) {
      return server
    }
    await delay(100, undefined)
  }
  throw new CheckError(`smbd does not listen on port ${port}`)
}

function globalSection(options: ServerOptions, port: number): string {
  const base = options.directory
  const signing = options.smb?.['signing'] === 'required' ? 'mandatory' : 'auto'
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
pid directory = ${base}/pid
ncalrpc dir = ${base}/ncalrpc
log file = ${base}/log/log.%m
log level = 1
passdb backend = tdbsam
server min protocol = SMB2_02
server signing = ${signing}
load printers = no
printcap name = /dev/null
smbd:FSCTL_SMBTORTURE = yes
smbd:sharedelay = 100000
smbd:writetimeupdatedelay = 500000
map hidden = no
map system = no
map readonly = no
store dos attributes = yes
dos filemode = yes
ea support = yes
read only = no
`
}

/** Modules of shares that smbtorture's plan names for what they do; samba/smb.conf.in of the plan has the same. */
const modules: Readonly<Record<string, string>> = {
  fs_specific: 'streams_xattr btrfs',
  shadow_write: 'shadow_copy2 streams_xattr',
}

function shareSection(share: Share): string {
  const objects = modules[share.name] ?? 'streams_xattr'
  const lines = [`[${share.name}]`, `path = ${share.path}`, `vfs objects = ${objects}`]
  for (const [key, value] of Object.entries(share)) {
    const translate = shareKeys[key]
    if (translate !== undefined) {
      lines.push(translate(value))
    }
  }
  return `${lines.join('\n')}\n`
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
