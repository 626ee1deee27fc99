/** unshare(2) CLONE_FS: a working directory of this thread's own, from which an entry's path is its name: a third less time for a listing. */

import { encodePath } from './disk-name.ts'
import { check } from './errno.ts'
import { fchdir, O_DIRECTORY, O_PATH, openPath, procPath, unshare } from './native.ts'

/** "Unshare filesystem attributes, so that the calling process no longer shares its root directory, current directory, or umask." */
const CLONE_FS = 0x200

/** Undefined until first needed; -1 where it is not allowed (some containers): paths then lead through /proc. */
let home: number | undefined

/** The directory that the thread is in when it is in none. */
function homeDirectory(): number {
  home ??= unshare(CLONE_FS) < 0 ? -1 : check(openPath('/', O_PATH | O_DIRECTORY), 'open "/"')
  return home
}

/**
 * Runs `work` with a function that gives the path of an entry of a directory, for calls that take
 * no descriptor. Runs as the server.
 */
export function insideDirectory<T>(directory: number, work: (pathOf: EntryPath) => T): T {
  const throughProc: EntryPath = (name) => encodePath(`${procPath(directory)}/${name}`)
  const back = homeDirectory()
  if (back < 0 || fchdir(directory) < 0) return work(throughProc)
  try {
    return work(encodePath)
  } finally {
    // A thread left inside would keep the file system busy.
    check(fchdir(back), 'fchdir')
  }
}

export type EntryPath = (name: string) => string | Buffer
