/** Runs the poolhouse command as a child process, compiled or from the sources, whichever this file is. */

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

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

/** Runs the command to its end. */
export async function runCommandLine(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = startCommand(args, options)
  const stdout = collect(child, 'stdout')
  const stderr = collect(child, 'stderr')
  child.stdin?.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: stdout(), stderr: stderr() }
}

/** Collects what a child writes. @returns all of it so far */
export function collect(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}
