/** A server as the suites see it, and a child process as a server. */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { killGroup } from './process.ts'
import { CheckError } from './report.ts'

const stopSeconds = 20
/** How much of a server's log a failure shows, in lines. */
const shownLogLines = 30

export interface Account {
  readonly name: string
  readonly password: string
}

export type TomlValue = string | number | boolean | readonly string[]

/** One `[[share]]` table: the keys of the configuration file. */
export interface Share {
  readonly name: string
  readonly path: string
  readonly [key: string]: TomlValue
}

/** One `[[target.lun]]` table. */
export type Lun = Readonly<Record<string, TomlValue>>

/** One `[[target]]` table: the keys of the configuration file. */
export interface Target {
  readonly keys: Readonly<Record<string, TomlValue>>
  readonly chap?: Readonly<Record<string, TomlValue>>
  readonly luns: readonly Lun[]
}

/** What a server has of iSCSI. */
export interface IscsiOptions {
  /** `host:port`. */
  readonly listen: readonly string[]
  readonly targets: readonly Target[]
}

export interface ServerOptions {
  /** An empty directory for configuration, state and log. */
  readonly directory: string
  readonly accounts: readonly Account[]
  readonly shares: readonly Share[]
  /** Keys of `[server]` beyond what every suite uses. */
  readonly server?: Readonly<Record<string, TomlValue>>
  /** A command in front of the server's: another network namespace. */
  readonly prefix?: readonly string[]
  /** Keys of `[smb]` beyond what every suite uses. */
  readonly smb?: Readonly<Record<string, TomlValue>>
  /** Absent: there is no iSCSI. */
  readonly iscsi?: IscsiOptions
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

/** A Server that is a child process. `endsBySignal`: it may die of SIGTERM instead of handling it. */
export function supervise(child: ChildProcess, port: number, logFile: string, endsBySignal = false): Server {
  const alive = () => child.exitCode === null && child.signalCode === null
  const kill = () => killGroup(child)
  process.on('exit', kill)
  child.once('exit', () => process.off('exit', kill))
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
        throw new CheckError(
          `the server did not stop cleanly at SIGTERM: ${problem}\n${lastLines(await log())}`,
        )
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

/** How a child ended, for a report. */
export function endOf(child: ChildProcess): string {
  return `exit code ${child.exitCode ?? 'none'}, signal ${child.signalCode ?? 'none'}`
}
