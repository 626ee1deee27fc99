/** A snapshot's content, or a part of it, copied to a new place by cp(1) of coreutils: holes, attributes, owners, times, hard links stay. */

import { execFile } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import type { CommandResult } from '../../storage/zfs/command.ts'
import { formatSize } from '../config/sizes.ts'
import { done, failed, type Outcome } from '../outcome.ts'

/** Runs a program of coreutils to its end, however long that takes, and tells every second how much it has written. Rejects when it cannot be started. */
export type CopyRunner = (
  program: 'cp' | 'du',
  args: readonly string[],
  written?: (bytes: number) => void,
) => Promise<CommandResult>

export interface CopyPlan {
  /** Folder or file in the snapshot; absolute, without links. */
  readonly source: string
  readonly isFolder: boolean
  /** Absolute; does not exist, or is an empty folder. */
  readonly target: string
  /** What the source takes on its disk. */
  readonly bytes: number
  /** What there is for it. */
  readonly available: number
}

export interface CopyRequest {
  /** The snapshot's root. */
  readonly root: string
  /** From there; '' for all. */
  readonly part: string
  readonly target: string
}

/** What cp keeps. Attributes by name, as it passes over their loss in silence otherwise; ACLs go with the mode. */
const PRESERVED = '--preserve=mode,ownership,timestamps,links,xattr'
/** Paths of cp's errors that are shown. */
const MOST_ERRORS = 10
const LONGEST_OUTPUT_BYTES = 16 << 20
const LOOK_MILLISECONDS = 1000

/** Looks at both places; changes nothing. */
export async function planCopy(request: CopyRequest, run: CopyRunner): Promise<Outcome<CopyPlan>> {
  const source = await findSource(request)
  if (!source.ok) return source
  const target = resolve(request.target)
  const parent = await existingParent(target)
  const root = await realpath(request.root)
  if (isWithin(parent, root)) return failed(`${target} is in the snapshot itself; give another place`)
  const reason = await whyNotFree(target)
  if (reason !== undefined) return failed(reason)
  const measured = await run('du', ['-s', '-B1', '--', source.value])
  if (measured.code !== 0) return failed(`${source.value} cannot be read: ${firstLines(measured.stderr)}`)
  const bytes = Number.parseInt(measured.stdout, 10)
  const { bavail, bsize } = await statfs(parent)
  const available = bavail * bsize
  if (bytes > available) {
    const room = `${formatSize(bytes)} are to be copied, and ${parent} has room for ${formatSize(available)}`
    return failed(`${room}; make room, or give a place on another disk`)
  }
  const isFolder = (await stat(source.value)).isDirectory()
  return done({ source: source.value, isFolder, target, bytes, available })
}

/** Copies. What was copied stays when it fails; the message says what is missing. */
export async function runCopy(
  plan: CopyPlan,
  run: CopyRunner,
  written?: (bytes: number) => void,
): Promise<Outcome<undefined>> {
  const { source, isFolder, target } = plan
  await mkdir(isFolder ? target : dirname(target), { recursive: true })
  const options = ['-a', PRESERVED, '--sparse=always', '--reflink=auto']
  const { code, stderr } = await run('cp', [...options, '-T', '--', source, target], written)
  if (code === 0) return done(undefined)
  return failed(`not all was copied to ${target}; what is there may be incomplete:\n${firstLines(stderr)}`)
}

async function findSource({ root, part }: CopyRequest): Promise<Outcome<string>> {
  if (isAbsolute(part) || part.split('/').includes('..')) {
    return failed(`--path ${part}: give a path from the share's root, such as "folder/file"`)
  }
  try {
    const top = await realpath(root)
    const source = join(top, part)
    const found = await realpath(dirname(source))
    if (part !== '' && part !== '.' && !isWithin(found, top)) {
      return failed(`--path ${part} leads out of the snapshot by a link; give the real path`)
    }
    if ((await lstat(source)).isSymbolicLink())
      return failed(`--path ${part} is a link; give what it leads to`)
    return done(source.replace(/\/+$/, ''))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return failed(
      code === 'ENOENT' ? `the snapshot has no "${part}"` : `the snapshot cannot be read: ${message}`,
    )
  }
}

async function existingParent(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    return await existingParent(dirname(path))
  }
}

async function whyNotFree(target: string): Promise<string | undefined> {
  try {
    const entries = await readdir(target)
    return entries.length === 0 ? undefined : `${target} is not empty; give an empty or new folder`
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    return code === 'ENOTDIR' ? `${target} exists and is no folder; give another place` : message
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder + sep)
}

function firstLines(text: string): string {
  const lines = text.trim().split('\n')
  const more = lines.length > MOST_ERRORS ? [`and ${lines.length - MOST_ERRORS} more lines`] : []
  return [...lines.slice(0, MOST_ERRORS), ...more].join('\n')
}

/** The programs of this machine. */
export const runCoreutils: CopyRunner = (program, args, written) =>
  new Promise((done, fail) => {
    const env = { ...process.env, LC_ALL: 'C' }
    const child = execFile(
      program,
      [...args],
      { maxBuffer: LONGEST_OUTPUT_BYTES, env },
      (error, stdout, stderr) => {
        clearInterval(looks)
        if (error === null) done({ code: 0, stdout, stderr })
        else if (typeof error.code === 'number') done({ code: error.code, stdout, stderr })
        else if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') done({ code: 1, stdout, stderr })
        else fail(new Error(`${program} cannot be run: ${error.message}`))
      },
    )
    const look = async (): Promise<void> => written?.(await writtenBy(child.pid))
    const looks = setInterval(() => void look(), LOOK_MILLISECONDS).unref()
  })

/** proc_pid_io(5): what a process has handed to write(2) and copy_file_range(2); 0 when nobody can tell. */
async function writtenBy(pid: number | undefined): Promise<number> {
  const counts = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '')
  return Number(/^wchar: (\d+)$/m.exec(counts)?.[1] ?? 0)
}
