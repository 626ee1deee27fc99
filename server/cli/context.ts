/** What the commands share: streams, the user they run as, exit codes. */

import type { Readable, Writable } from 'node:stream'
import { progressLine, type Reading } from '../progress.ts'
import type { StartServer } from '../serve/running-server.ts'

export const ExitCode = {
  done: 0,
  /** The command did not succeed, or `check` found something. */
  failed: 1,
  /** Wrong usage or configuration. */
  usage: 2,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** The outside world of a command; a test brings its own. */
export interface CommandContext {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly directory: string
  /** Runs with the rights of root. */
  readonly isRoot: boolean
  readonly startServer: StartServer
}

export interface CommonOptions {
  readonly config?: string | undefined
}

export function print(context: CommandContext, line: string): void {
  context.stdout.write(`${line}\n`)
}

/** Writes what went wrong. @returns the code to exit with */
export function fail(context: CommandContext, message: string, code: ExitCode = ExitCode.failed): ExitCode {
  context.stderr.write(`poolhouse: ${message}\n`)
  return code
}

/** Progress is one line that is written over, on a terminal alone. */
export interface ShownProgress {
  /** What takes the line away; '' where there is none. */
  readonly clear: string
  show(reading: Reading): void
}

export function progressOn({ stdout }: CommandContext): ShownProgress {
  const clear = stdout.isTTY === true ? '\r\u001b[K' : ''
  return {
    clear,
    show(reading) {
      if (clear !== '') stdout.write(`${clear}${progressLine(reading)}`)
    },
  }
}
