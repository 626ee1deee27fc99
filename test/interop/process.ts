/** Runs the peers' programs: bounded in time, killed with all their children. */

import { type ChildProcess, spawn } from 'node:child_process'
import { CheckError } from './report.ts'

/** How much of a program's output is kept, in characters. */
const maxOutput = 16 * 1024 * 1024
/** How many lines of it an error shows. */
const maxShownLines = 25

export interface RunOptions {
  /** After this many seconds the program and its children are killed. */
  readonly seconds: number
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Called with each chunk of standard output as it comes. */
  readonly onOutput?: (text: string) => void
}

export interface RunResult {
  /** undefined: ended by a signal. */
  readonly code: number | undefined
  readonly timedOut: boolean
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) {
    killGroup(child)
  }
})

/** Runs a program to its end, in a process group of its own. @throws when it cannot be started */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const child = spawn(command, args, {
    detached: true,
    stdio: 'pipe',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
  })
  running.add(child)
  let stdout = ''
  let stderr = ''
  let timedOut = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = append(stdout, text)
    options.onOutput?.(text)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = append(stderr, text)
  })
  // A program that ends without reading its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child)
  }, options.seconds * 1000)
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      clearTimeout(timer)
      running.delete(child)
      reject(error)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code: code ?? undefined, timedOut, stdout, stderr })
    })
  })
}

/** Runs a program that must succeed. @returns its standard output. @throws CheckError with the end of its output */
export async function succeed(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string> {
  const result = await run(command, args, options)
  if (result.code !== 0) {
    throw new CheckError(describe(command, args, result, options.seconds))
  }
  return result.stdout
}

/** What a failed program said, for a report. */
export function describe(
  command: string,
  args: readonly string[],
  result: RunResult,
  seconds: number,
): string {
  const end = result.timedOut
    ? `did not end within ${seconds} s`
    : `exit code ${result.code ?? 'none (signal)'}`
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-maxShownLines).join('\n')
  return `${command} ${args.join(' ')}: ${end}\n${output}`
}

/** Kills a process that was started detached, and its children. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return
  }
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It ended between the question and the signal.
  }
}

function append(text: string, more: string): string {
  return text.length + more.length > maxOutput ? (text + more).slice(-maxOutput) : text + more
}
