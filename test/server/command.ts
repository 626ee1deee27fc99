/** Runs the poolhouse command: in this process, or as a child, compiled or from the sources, whichever this file is. */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../server/cli/program.ts'

const isSource = import.meta.url.endsWith('.ts')
const RUN_LIMIT_MILLISECONDS = 30_000

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd: string
  readonly input?: string
  /** Serve with a server that needs no protocol. */
  readonly fake?: boolean
  /** More descriptors than the three standard ones, as pipes. */
  readonly pipes?: number
}

/** Starts the command; kill it when it is not awaited. */
export function startCommand(args: readonly string[], options: CommandOptions): ChildProcess {
  const extension = isSource ? 'ts' : 'js'
  const entry = options.fake ? `./fake-main.${extension}` : `../../server/cli/main.${extension}`
  const loader = isSource ? ['--import', import.meta.resolve('tsx')] : []
  return spawn(process.execPath, [...loader, fileURLToPath(new URL(entry, import.meta.url)), ...args], {
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe', ...Array.from({ length: options.pipes ?? 0 }, () => 'pipe' as const)],
    timeout: RUN_LIMIT_MILLISECONDS,
  })
}

/** Runs the command to its end as a child process. */
export async function runChild(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = startCommand(args, options)
  const stdout = collect(child, 'stdout')
  const stderr = collect(child, 'stderr')
  child.stdin?.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: stdout(), stderr: stderr() }
}

export interface InProcessOptions {
  readonly cwd: string
  readonly input?: string
  readonly isRoot?: boolean
  /** Answers typed on a terminal, one per question. */
  readonly typed?: readonly string[]
}

/** Runs a command that is not `serve` in this process: a child from the sources takes a second to start. */
export async function runInProcess(
  args: readonly string[],
  options: InProcessOptions,
): Promise<CommandResult> {
  const { typed = [] } = options
  const answers = [...typed]
  const stdin = options.typed
    ? Object.assign(new PassThrough(), { isTTY: true })
    : Readable.from([options.input ?? ''])
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  let shown = ''
  const screen = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      shown += chunk.toString()
      stdout.write(chunk)
      // A prompt ends in ": "; whoever types answers it then.
      if (shown.endsWith(': ') && answers.length > 0 && stdin instanceof PassThrough) {
        const answer = answers.shift()
        setImmediate(() => stdin.write(`${answer}\r`))
      }
      callback()
    },
  })
  const code = await runCommand(args, {
    stdin,
    stdout: screen,
    stderr,
    directory: options.cwd,
    isRoot: options.isRoot ?? false,
    startServer: () => Promise.reject(new Error('not in this process')),
  })
  stdout.end()
  stderr.end()
  return { code, stdout: await text(stdout), stderr: await text(stderr) }
}

/** Collects what a child writes. @returns all of it so far */
export function collect(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}
