/** The state directory: accounts, keys, ids. Private to its owner, and of one server at a time. */

import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { HeldLock } from './lock.ts'
import { describeHolder, tryLock } from './lock.ts'

const DIRECTORY_MODE = 0o700
const WRITABLE_BY_OTHERS = 0o022
const LOCK_FILE = 'server.lock'

/** Makes the directory when it is missing, and refuses one that others could change. */
export async function prepareStateDirectory(directory: string): Promise<Outcome<string>> {
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
    const { mode } = await stat(directory)
    if ((mode & WRITABLE_BY_OTHERS) === 0) return done(directory)
    return failed(`state directory ${directory} can be changed by others; run: chmod 700 ${directory}`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') {
      return failed(`state directory ${directory} cannot be made: ${message}`)
    }
    return failed(
      `state directory ${directory} cannot be made: permission denied; run as root or set server.state_dir to a folder of yours`,
    )
  }
}

/** Takes the directory for this server, until its process ends. */
export function lockStateDirectory(directory: string): Outcome<HeldLock> {
  const lock = tryLock(join(directory, LOCK_FILE))
  if ('release' in lock) return done(lock)
  return failed(
    `state directory ${directory} is in use by ${describeHolder(lock)}; stop that server, or give this one another server.state_dir`,
  )
}
