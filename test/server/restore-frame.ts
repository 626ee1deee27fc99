/** The frame of the tests of restore: zfs(8) by recorded output of OpenZFS 2.1, a server that is not there, a configuration. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { CommandContext } from '../../server/cli/context.ts'
import { type RestoreOptions, type RestoreTools, restore } from '../../server/cli/restore.ts'
import { done } from '../../server/outcome.ts'
import { runCoreutils } from '../../server/restore/copy.ts'
import type { CommandResult, CommandRunner } from '../../storage/zfs/command.ts'

export const NOW = Date.UTC(2026, 10, 23, 10, 15, 7)
export const STAMP = '2026-11-23_101507Z'
export const KEPT = `tank/mac-before-restore-${STAMP}`
export const CLONE = `tank/mac-restored-${STAMP}`

export const SNAPSHOTS =
  'tank/mac@first\t1795434063\t0\t24576\t0\tbackup\t\n' +
  'tank/mac@second\t1795434064\t512\t24576\t0\tmanual\t\n' +
  'tank/mac@third\t1795434065\t0\t24576\t1\t-\t\n'
export const DATASET = 'tank/mac\t/tank/mac\tyes\t-\t536870912\t24576\t536846336\n'
const LOCAL = 'refquota\t536870912\nrecordsize\t1048576\nquota\t1073741824\nkeylocation\tprompt\n'

/** What zfs says; the first entry with a piece of the command counts. */
const READS: Readonly<Record<string, Partial<CommandResult>>> = {
  '-t snapshot': { stdout: SNAPSHOTS },
  'filesystem,volume': { stdout: 'tank/mac\n' },
  'list -Hp -t filesystem': { stdout: DATASET },
  'local,received': { stdout: LOCAL },
  'zpool sync': {},
  'value written': { stdout: '4096\n' },
}

export function zfs(answers: Readonly<Record<string, Partial<CommandResult>>> = {}) {
  const changes: string[] = []
  const run: CommandRunner = async (program, args) => {
    const command = [program, ...args].join(' ')
    const isRead = /^(zfs (list|get)|zpool sync) /.test(command)
    if (!isRead) changes.push(command)
    const all = [...Object.entries(answers), ...Object.entries(READS)]
    const [, answer] = all.find(([piece]) => command.includes(piece)) ?? []
    if (answer === undefined && isRead) throw new Error(`no answer to: ${command}`)
    return { code: 0, stdout: '', stderr: '', ...answer }
  }
  return { run, changes }
}

export interface Session {
  readonly directory: string
  readonly opens?: readonly string[]
  readonly tools?: Partial<RestoreTools>
  readonly isTerminal?: boolean
}

export function contextIn(
  directory: string,
): CommandContext & { readonly stderr: PassThrough; readonly stdout: PassThrough } {
  return {
    ...{ stdin: Readable.from(['']), stdout: new PassThrough(), stderr: new PassThrough(), directory },
    ...{ isRoot: true, startServer: () => Promise.reject(new Error('not here')) },
  }
}

export async function configured(t: Test): Promise<string> {
  const directory = t.testdir({ state: {}, folder: { '.snapshots': {} } })
  const shares =
    '[[share]]\nname = "mac"\ndataset = "tank/mac"\n[[share]]\nname = "plain"\npath = "folder"\n' +
    '[[share]]\nname = "folder"\npath = "folder"\nsnapshot_folder = ".snapshots"\n' +
    '[[target]]\nname = "iqn.2026-11.test:disk"\n[[target.lun]]\nid = 0\nzvol = "tank/disk"\n' +
    '[[target.lun]]\nid = 1\npath = "image"\n'
  await writeFile(join(directory, 'poolhouse.toml'), `[server]\nname = "t"\nstate_dir = "state"\n${shares}`)
  return directory
}

/** Runs the command with zfs and a server that are not there. */
export async function run(share: string, options: RestoreOptions, session: Session) {
  const { directory, opens = [], tools = {}, isTerminal = false } = session
  const calls: string[] = []
  const context = contextIn(directory)
  Object.assign(context.stdout, { isTTY: isTerminal })
  const code = await restore(context, share, options, {
    run: zfs().run,
    copy: runCoreutils,
    now: () => NOW,
    server: async () =>
      done({
        opensOf: () => opens,
        pause: async (name, force) => {
          calls.push(`pause ${name} ${force}`)
          return done(undefined)
        },
        resume: async (name) => {
          calls.push(`resume ${name}`)
          return done(undefined)
        },
        release: () => void calls.push('release'),
      }),
    ...tools,
  })
  context.stdout.end()
  context.stderr.end()
  return { code, calls, stdout: await text(context.stdout), stderr: await text(context.stderr) }
}

export const BACK = { snapshot: 'second', rollback: true, yes: true }
