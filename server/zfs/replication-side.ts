/** Where a dataset of a replication is: on this machine, or on one that ssh reaches; both are spoken to in the words of zfs(8). */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import type { CommandRunner } from '../../storage/zfs/command.ts'
import type { Place } from '../config/places.ts'
import { PLAIN_WORD } from './replication-guard.ts'
import { type CommandLine, commandEnvironment, createCommandRunner, type Locate } from './run-command.ts'

/** How ssh is called. */
export interface SshOptions {
  readonly command: string
  readonly key?: string | undefined
  readonly port?: number | undefined
}

export interface Side {
  readonly dataset: string
  /** For messages. */
  readonly where: string
  readonly isRemote: boolean
  /** For short commands. */
  readonly run: CommandRunner
  /** For streams: zfs with these words, started; errors to start it are the child's. */
  start(args: readonly string[], stdio: StdioOptions): ChildProcess
}

/** Answers of the other machine are missed after so long, in seconds, three times; then the connection is given up. */
const ALIVE_SECONDS = 15
const CONNECT_SECONDS = 20

/** Milliseconds: to connect, and for the other side to see that its own command gives no answer. */
const REMOTE_LIMIT_MILLISECONDS = 180_000

export function createSide(place: Place, ssh: SshOptions): Side {
  const { host, dataset } = place
  const locate: Locate =
    host === undefined ? (program, args) => [program, ...args] : (...words) => overSsh(host, ssh, ...words)
  return {
    dataset,
    where: host === undefined ? dataset : `${host}:${dataset}`,
    isRemote: host !== undefined,
    run:
      host === undefined
        ? createCommandRunner()
        : saying(host, createCommandRunner(REMOTE_LIMIT_MILLISECONDS, locate)),
    start: (args, stdio) => {
      const [program, ...words] = locate('zfs', args)
      return spawn(program, words, { stdio, env: commandEnvironment() })
    },
  }
}

/** Messages of another machine say so. */
function saying(host: string, run: CommandRunner): CommandRunner {
  return async (program, args) => {
    const { code, stdout, stderr } = await run(program, args)
    const said = code === undefined ? 'no answer; can it be reached, and is its pool suspended?' : stderr
    return { code: code ?? 1, stdout, stderr: `at ${host}: ${said}` }
  }
}

/** Without a terminal nobody can be asked for a password: a key must do. */
function overSsh(host: string, ssh: SshOptions, program: string, args: readonly string[]): CommandLine {
  const strange = args.find((word) => !PLAIN_WORD.test(word))
  if (strange !== undefined)
    throw new Error(`${JSON.stringify(strange)} cannot be sent to ${host}: rename it`)
  const alive = ['-o', `ServerAliveInterval=${ALIVE_SECONDS}`, '-o', `ConnectTimeout=${CONNECT_SECONDS}`]
  return [
    ssh.command,
    ...['-T', '-o', 'BatchMode=yes', ...alive],
    ...(ssh.key === undefined ? [] : ['-i', ssh.key, '-o', 'IdentitiesOnly=yes']),
    ...(ssh.port === undefined ? [] : ['-p', String(ssh.port)]),
    ...['--', host, program, ...args],
  ]
}
