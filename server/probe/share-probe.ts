/** Probes a share's folder the way its users will use it, in a child process that has their identity. */

import { fork } from 'node:child_process'
import { stat, statfs } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Identity } from '../../storage/file-system.ts'
import { formatSize } from '../config/sizes.ts'

const TIMEOUT_MILLISECONDS = 20_000
/** Below this a backup or copy is about to fail. */
const FREE_BYTES_MINIMUM = 1024 ** 3

export type ProbeName = 'enter' | 'list' | 'create' | 'xattr' | 'fsync' | 'punch' | 'delete'

/** Order for the child, by process message. */
export interface ProbeOrder {
  readonly path: string
  readonly identity: Identity | undefined
  readonly readOnly: boolean
}

/** One step that failed, with the system's error code or words. */
export interface ProbeFault {
  readonly probe: ProbeName
  readonly error: string
}

export interface FolderState {
  /** It is there and a folder, so that probing it makes sense. */
  readonly usable: boolean
  /** Sentences; none when all is well. */
  readonly faults: readonly string[]
}

/** Looks at the folder itself: there, a folder, with space left. */
export async function probeFolder(path: string): Promise<FolderState> {
  try {
    if (!(await stat(path)).isDirectory())
      return { usable: false, faults: [`${path} is not a folder; name one`] }
    const space = await statfs(path)
    const free = space.bavail * space.bsize
    const isFull = free < FREE_BYTES_MINIMUM
    return { usable: true, faults: isFull ? [`${path} has only ${formatSize(free)} left; make room`] : [] }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const missing = `${path} does not exist; make it: mkdir -p ${path}`
    const fault = code === 'ENOENT' ? missing : `${path} cannot be examined: ${code ?? message}`
    return { usable: false, faults: [fault] }
  }
}

/** Runs the probes as one identity; undefined means the server's own user. Leaves nothing behind. */
export function probeAs(order: ProbeOrder): Promise<readonly ProbeFault[]> {
  // The same file beside this one, compiled or not.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const child = fork(fileURLToPath(new URL(`./probe-child.${extension}`, import.meta.url)), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    timeout: TIMEOUT_MILLISECONDS,
  })
  return new Promise((resolve, reject) => {
    let faults: readonly ProbeFault[] | undefined
    child.once('message', (message) => {
      faults = message as readonly ProbeFault[]
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (faults) resolve(faults)
      else resolve([{ probe: 'enter', error: `the probe ended without a result (${signal ?? code})` }])
    })
    child.send(order)
  })
}

const CONSEQUENCES: Record<ProbeName, string> = {
  enter: 'cannot enter it; give execute permission',
  list: 'cannot list it; give read permission',
  create: 'cannot create files in it; give write permission, or set read_only = true',
  xattr:
    'cannot store extended attributes; named streams, DOS attributes and Time Machine need them ' +
    '(ZFS: zfs set xattr=sa, ext4 and xfs: nothing to set, NFS and exFAT: have none)',
  fsync: 'cannot force data to the disk; backups would not be safe',
  punch: 'cannot punch holes; deleted parts of disk images keep their space',
  delete: 'cannot delete what it created',
}

/** Says who cannot do what, why it matters and what to do. */
export function describeFault(user: string, path: string, fault: ProbeFault): string {
  return `${user} ${CONSEQUENCES[fault.probe]}: ${path} (${fault.error})`
}
