/** Starts and stops the server under test: `bin/poolhouse serve` with a generated configuration, or the control. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { projectRoot } from './paths.ts'
import { killGroup, succeed } from './process.ts'
import { CheckError } from './report.ts'
import { startControl } from './smbd.ts'

const readySeconds = 30
const stopSeconds = 20
/** How much of a server's log a failure shows, in lines. */
const shownLogLines = 30

export interface Account {
  readonly name: string
  readonly password: string
}

type TomlValue = string | number | boolean | readonly string[]

/** One `[[share]]` table: the keys of the configuration file. */
export interface Share {
  readonly name: string
  readonly path: string
  readonly [key: string]: TomlValue
}

export interface ServerOptions {
  /** An empty directory for configuration, state and log. */
  readonly directory: string
  readonly accounts: readonly Account[]
  readonly shares: readonly Share[]
  /** Keys of `[smb]` beyond what every suite uses. */
  readonly smb?: Readonly<Record<string, TomlValue>>
}

export interface Server {
  readonly port: number
  /** The server's process. */
  readonly pid: number
  /** Is it still there? */
  alive(): boolean
  log(): Promise<string>
  /** SIGTERM. @throws CheckError when it does not exit with code 0 in time */
  stop(): Promise<void>
}

/** Which server the suites talk to: ours, or Debian's smbd as a control that the suites themselves are right. */
export const against = process.env['POOLHOUSE_INTEROP_SERVER'] === 'smbd' ? 'smbd' : 'poolhouse'

/** Starts the server under test on a free port of the loopback address. @throws CheckError when it does not become ready */
export async function startServer(options: ServerOptions): Promise<Server> {
  const port = await freePort()
  return against === 'smbd' ? startControl(options, port) : startPoolhouse(options, port)
}

async function startPoolhouse(options: ServerOptions, port: number): Promise<Server> {
  const command = join(projectRoot, 'bin', 'poolhouse')
  const config = join(options.directory, 'poolhouse.toml')
  await mkdir(join(options.directory, 'state'), { recursive: true, mode: 0o700 })
  await writeFile(config, configuration(options, port))
  for (const account of options.accounts) {
    await succeed(command, ['user', 'add', account.name, '--password-stdin', '--config', config], {
      seconds: readySeconds,
      input: `${account.password}\n`,
    })
  }
  const logFile = join(options.directory, 'server.log')
  const child = spawn(command, ['serve', '--config', config, '--ready-fd', '3'], {
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

/** A Server that is a child process. `endsBySignal`: it may die of SIGTERM instead of handling it. */
export function supervise(child: ChildProcess, port: number, logFile: string, endsBySignal = false): Server {
  const alive = () => child.exitCode === null && child.signalCode === null
  process.on('exit', () => killGroup(child))
  const log = () => readFile(logFile, 'utf8').catch(() => '')
  return {
    port,
    pid: child.pid ?? 0,
    alive,
    log,
    async stop() {
      if (!alive()) {
        throw new CheckError(`the server ended by itself: ${endOf(child)}\n${lastLines(await log())}`)
      }
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const inTime = await Promise.race([ended.then(() => true), delay(stopSeconds * 1000, false)])
      killGroup(child)
      const clean = child.exitCode === 0 || (endsBySignal && child.signalCode === 'SIGTERM')
      if (!inTime || !clean) {
        const problem = inTime ? endOf(child) : `still there after ${stopSeconds} s`
        throw new CheckError(`the server did not stop cleanly at SIGTERM: ${problem}\n${lastLines(await log())}`)
      }
    },
  }
}

/** The end of a log, for a report. */
export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-shownLogLines).join('\n')
}

export function delay<T>(milliseconds: number, value: T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds, value).unref()
  })
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

function endOf(child: ChildProcess): string {
  return `exit code ${child.exitCode ?? 'none'}, signal ${child.signalCode ?? 'none'}`
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
  const server = { name: 'interop', state_dir: join(options.directory, 'state') }
  const tables = [table('[server]', server), table('[log]', { level: 'info', format: 'json' }), table('[smb]', smb)]
  for (const share of options.shares) {
    tables.push(table('[[share]]', share))
  }
  return tables.join('\n')
}

function table(header: string, values: Readonly<Record<string, TomlValue>>): string {
  // JSON's strings, numbers, booleans and arrays of strings are TOML's too.
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  return `${[header, ...lines].join('\n')}\n`
}

/** A TCP port of the loopback address that nobody uses now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') {
    throw new Error('a TCP server has no port')
  }
  return address.port
}
