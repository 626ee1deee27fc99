/** Running the programs of others: clients that are timed, servers that are measured. */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, type RunOptions, run as runProgram } from '../test/interop/process.ts'

const STOP_MILLISECONDS = 10_000

export interface Finished {
  /** Standard output, then standard error. */
  readonly output: string
  /** Wall time from start to end. */
  readonly seconds: number
}

/** Runs a program to its end. @throws Error with its output when it fails or takes too long */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const started = performance.now()
  const result = await runProgram(command, args, options)
  const seconds = (performance.now() - started) / 1000
  if (result.code !== 0) throw new Error(describe(command, args, result, options.seconds))
  return { output: result.stdout + result.stderr, seconds }
}

/** SIGTERM, and SIGKILL to all that it started when that is not enough. The child leads a process group. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await Promise.race([ended, delay(STOP_MILLISECONDS, undefined, { ref: false })])
  }
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nobody is left.
  }
}
