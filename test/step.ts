/** One step of the test run: a program whose lines are shown as they come, bounded in time. */

import { type ChildProcess, spawn } from 'node:child_process'
import { LineReader } from './interop/lines.ts'
import { projectRoot } from './interop/paths.ts'
import { killGroup } from './interop/process.ts'

/** Between a step's SIGTERM and its SIGKILL. */
const graceMilliseconds = 5000

/**
 * Runs a program in the project's directory, in a process group of its own, and hands out its lines.
 * @returns its exit code; undefined when a signal ended it or it could not be started
 */
export async function runStep(
  command: string,
  args: readonly string[],
  seconds: number,
  take: (line: string) => void,
): Promise<number | undefined> {
  const child = spawn(command, args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  for (const stream of [child.stdout, child.stderr]) {
    const lines = new LineReader(take)
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(text))
    stream.on('end', () => lines.end())
  }
  const interrupt = () => {
    child.once('exit', () => process.exit(1))
    stop(child)
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const timer = setTimeout(() => {
    take(`stopped after its limit of ${seconds} s`)
    stop(child)
  }, seconds * 1000)
  const code = await exitCode(child, take)
  clearTimeout(timer)
  process.removeListener('SIGINT', interrupt)
  process.removeListener('SIGTERM', interrupt)
  return code
}

function exitCode(child: ChildProcess, take: (line: string) => void): Promise<number | undefined> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      take(String(error))
      resolve(undefined)
    })
    child.on('close', (code) => resolve(code ?? undefined))
  })
}

/** Asks first, so that the step removes what it made; then insists. */
function stop(child: ChildProcess): void {
  killGroup(child, 'SIGTERM')
  setTimeout(() => killGroup(child), graceMilliseconds).unref()
}
