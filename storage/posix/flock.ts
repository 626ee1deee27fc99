/** flock(2), without waiting: through fs-ext, or by the system call where that package did not compile. */

import { createRequire } from 'node:module'
import koffi from 'koffi'

const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

/** How a lock is held: by one, or by many that only read. */
export type LockMode = 'exclusive' | 'shared'

/** Mode 'exclusive' unless told. @returns false when another has the lock. @throws Error for all else */
type TryFlock = (fd: number, mode?: LockMode) => boolean

/** The part of fs-ext that is used. It is a native addon, which npm leaves uncompiled where install scripts are off. */
interface FsExt {
  flockSync(fd: number, flags: 'exnb' | 'shnb'): void
}

function isTaken(code: unknown): boolean {
  return code === 'EAGAIN' || code === 'EWOULDBLOCK'
}

function throughFsExt(fsExt: FsExt): TryFlock {
  return (fd, mode) => {
    try {
      fsExt.flockSync(fd, mode === 'shared' ? 'shnb' : 'exnb')
      return true
    } catch (error) {
      if (isTaken((error as NodeJS.ErrnoException).code)) return false
      throw error
    }
  }
}

function bySystemCall(): TryFlock {
  const flock = koffi.load(null).func('int flock(int fd, int operation)') as (
    fd: number,
    operation: number,
  ) => number
  return (fd, mode) => {
    if (flock(fd, (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true
    const { EAGAIN, EWOULDBLOCK } = koffi.os.errno
    const code = koffi.errno()
    if (code === EAGAIN || code === EWOULDBLOCK) return false
    throw new Error(`flock: errno ${code}`)
  }
}

function choose(): TryFlock {
  try {
    return throughFsExt(createRequire(import.meta.url)('fs-ext') as FsExt)
  } catch {
    return bySystemCall()
  }
}

export const tryFlock: TryFlock = choose()
