/** zfs(8) and zpool(8), started as programs: bounded in time and output. */

import { execFile } from 'node:child_process'
import type { CommandResult, CommandRunner } from '../../storage/zfs/command.ts'
import { refusingSuspended } from './pool-state.ts'

/** A suspended pool lets commands wait for ever. */
const LIMIT_MILLISECONDS = 60_000
/** A hundred thousand snapshots take less. */
const LONGEST_OUTPUT_BYTES = 64 << 20

/** A program and its arguments. */
export type CommandLine = readonly [program: string, ...args: string[]]

/** How a command is started here, so that it runs where it shall: another machine's is ssh's. */
export type Locate = (program: string, args: readonly string[]) => CommandLine

const here: Locate = (program, args) => [program, ...args]

/** Messages that are read are those of the C locale; in one without UTF-8, zfs(8) makes no mount point whose name is not ASCII. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C.UTF-8' }
}

/** @param limit milliseconds after which a command is ended, and no longer waited for */
export function createCommandRunner(limit = LIMIT_MILLISECONDS, locate = here): CommandRunner {
  const run = commandRunner(limit, locate)
  return locate === here ? refusingSuspended(run) : run
}

function commandRunner(limit: number, locate: Locate): CommandRunner {
  return (command, words) =>
    new Promise<CommandResult>((resolve, reject) => {
      const [program, ...args] = locate(command, words)
      const options = { maxBuffer: LONGEST_OUTPUT_BYTES, env: commandEnvironment() }
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        clearTimeout(timer)
        if (error === null) resolve({ code: 0, stdout, stderr })
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
        else reject(new Error(whyNotStarted(program, error.code, error.message)))
      })
      // What waits in the kernel for a suspended pool does not end by a signal: so its end is not waited for.
      const timer = setTimeout(() => {
        resolve({ code: undefined, stdout: '', stderr: '' })
        child.kill('SIGKILL')
        // Nothing of it keeps this process from ending.
        child.stdout?.destroy()
        child.stderr?.destroy()
        child.unref()
      }, limit)
    })
}

/** @param code what starting it failed with */
export function whyNotStarted(program: string, code: unknown, message: string): string {
  if (code === 'ENOENT' && program !== 'zfs' && program !== 'zpool') return `there is no program "${program}"`
  return code === 'ENOENT'
    ? `there is no program "${program}"; install OpenZFS (on Debian: zfsutils-linux)`
    : `${program} cannot be run: ${message}`
}
