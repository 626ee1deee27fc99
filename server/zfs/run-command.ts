/** zfs(8) and zpool(8), started as programs: bounded in time and output. */

import { execFile } from 'node:child_process'
import type { CommandResult, CommandRunner } from '../../storage/zfs/command.ts'

/** A suspended pool lets commands wait for ever. */
const LIMIT_MILLISECONDS = 60_000
/** A hundred thousand snapshots take less. */
const LONGEST_OUTPUT_BYTES = 64 << 20

/** @param limit milliseconds after which a command is ended, and no longer waited for */
export function createCommandRunner(limit = LIMIT_MILLISECONDS): CommandRunner {
  return (program, args) =>
    new Promise<CommandResult>((resolve, reject) => {
      const options = { maxBuffer: LONGEST_OUTPUT_BYTES, env: { ...process.env, LC_ALL: 'C' } }
      const child = execFile(program, [...args], options, (error, stdout, stderr) => {
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

function whyNotStarted(program: string, code: unknown, message: string): string {
  return code === 'ENOENT'
    ? `there is no program "${program}"; install OpenZFS (on Debian: zfsutils-linux)`
    : `${program} cannot be run: ${message}`
}
