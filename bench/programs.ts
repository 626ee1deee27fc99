/** Running the programs of others: clients that are timed, servers that are measured. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What a failing program said is shown up to this length, in characters. */
const SHOWN_OUTPUT = 2000
const STOP_MILLISECONDS = 10_000

/** The directory of package.json: sources and compiled files lie at different depths below it. */
export const projectRoot = findRoot(import.meta.dirname)

function findRoot(start: string): string {
  return existsSync(join(start, 'package.json')) ? start : findRoot(dirname(start))
}

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0
}

export interface RunOptions {
  /** Seconds after which it is killed and counts as failed. */
  readonly seconds: number
  readonly input?: string
}

export interface Finished {
  /** Standard output and standard error, in the order of arrival. */
  readonly output: string
  /** Wall time from start to end. */
  readonly seconds: number
}

/** Runs a program to its end. @throws Error with its output when it fails or takes too long */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const output: Buffer[] = []
  const started = performance.now()
  const child = spawn(command, args, {
    stdio: 'pipe',
    timeout: options.seconds * 1000,
    killSignal: 'SIGKILL',
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => output.push(bytes))
  // Who ends without reading its input fails by its exit code, not here.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [code, signal] = await once(child, 'close')
  const seconds = (performance.now() - started) / 1000
  const text = Buffer.concat(output).toString()
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${code ?? signal}:\n${text.slice(-SHOWN_OUTPUT)}`,
    )
  }
  return { output: text, seconds }
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

/** A TCP port of the loopback address that nobody uses now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
