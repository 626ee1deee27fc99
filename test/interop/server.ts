/** Starts and stops the server under test: `bin/poolhouse serve` with a generated configuration, or the control. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { startControl } from './control.ts'
import { isPrivate } from './environment.ts'
import { projectRoot } from './paths.ts'
import { freePort } from './ports.ts'
import { killGroup, succeed } from './process.ts'
import { CheckError } from './report.ts'
import {
  delay,
  endOf,
  type IscsiOptions,
  lastLines,
  type Server,
  type ServerOptions,
  supervise,
  type TomlValue,
} from './server-process.ts'

const readySeconds = 30

/** Which server the suites talk to: ours, or Debian's smbd as a control that the suites themselves are right. */
export const against = process.env['POOLHOUSE_INTEROP_SERVER'] === 'smbd' ? 'smbd' : 'poolhouse'

/** Starts the server under test on a free port of the loopback address. @throws CheckError when it does not become ready */
export async function startServer(options: ServerOptions): Promise<Server> {
  const port = await freePort()
  return against === 'smbd' ? startControl(options, port) : startPoolhouse(options, port)
}

/** A server of root's acts as its accounts' system users; without a namespace of our own they do not exist, and root does. */
const systemUser = process.getuid?.() === 0 && !isPrivate ? ['--unix-user', 'root'] : []

async function startPoolhouse(options: ServerOptions, port: number): Promise<Server> {
  const command = join(projectRoot, 'bin', 'poolhouse')
  const config = join(options.directory, 'poolhouse.toml')
  await mkdir(join(options.directory, 'state'), { recursive: true, mode: 0o700 })
  await writeFile(config, configuration(options, port))
  for (const account of options.accounts) {
    await succeed(
      command,
      ['user', 'add', account.name, '--password-stdin', '--config', config, ...systemUser],
      {
        seconds: readySeconds,
        input: `${account.password}\n`,
      },
    )
  }
  const logFile = join(options.directory, 'server.log')
  const serve = [command, 'serve', '--config', config, '--ready-fd', '3']
  const [program = command, ...args] = [...(options.prefix ?? []), ...serve]
  const child = spawn(program, args, {
    detached: true,
    cwd: options.directory,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const log = createWriteStream(logFile)
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  const server = supervise(child, port, logFile)
  await becomesReady(child, child.stdio[3] as Readable, server)
  return server
}

async function becomesReady(child: ChildProcess, readyPipe: Readable, server: Server): Promise<void> {
  const ready = new Promise<boolean>((resolve) => {
    readyPipe.once('data', () => resolve(true))
    readyPipe.once('end', () => resolve(false))
    child.once('error', () => resolve(false))
    child.once('exit', () => resolve(false))
  })
  if (!(await Promise.race([ready, delay(readySeconds * 1000, false)]))) {
    killGroup(child)
    throw new CheckError(`the server is not ready: ${endOf(child)}\n${lastLines(await server.log())}`)
  }
}

function configuration(options: ServerOptions, port: number): string {
  const smb = {
    listen: [`127.0.0.1:${port}`],
    min_protocol: '2.0.2',
    max_protocol: '3.1.1',
    signing: 'enabled',
    encryption: 'enabled',
    ...options.smb,
  }
  const server = { name: 'interop', state_dir: join(options.directory, 'state'), ...options.server }
  const tables = [
    table('[server]', server),
    table('[log]', { level: 'info', format: 'json' }),
    table('[smb]', smb),
    // Several servers run at a time.
    table('[status]', { enabled: false }),
  ]
  for (const share of options.shares) {
    tables.push(table('[[share]]', share))
  }
  return [...tables, ...iscsiTables(options.iscsi)].join('\n')
}

function iscsiTables(iscsi: IscsiOptions | undefined): string[] {
  if (iscsi === undefined) return [table('[iscsi]', { enabled: false })]
  const targets = iscsi.targets.flatMap(({ keys, chap, luns }) => [
    table('[[target]]', keys),
    ...(chap === undefined ? [] : [table('[target.chap]', chap)]),
    ...luns.map((lun) => table('[[target.lun]]', lun)),
  ])
  return [table('[iscsi]', { enabled: true, listen: iscsi.listen }), ...targets]
}

function table(header: string, values: Readonly<Record<string, TomlValue>>): string {
  // JSON's strings, numbers, booleans and arrays of strings are TOML's too.
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  return `${[header, ...lines].join('\n')}\n`
}
