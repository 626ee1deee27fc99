/** Exclusive locks on files, flock(2): the kernel drops them when their process ends, however it ends. */

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryFlock } from '../../storage/posix/flock.ts'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'

const FILE_MODE = 0o600
const RETRY_MILLISECONDS = 20

export interface HeldLock {
  release(): void
}

export interface LockRefused {
  /** Process id that the holder wrote into the file; undefined when it wrote none. */
  readonly holder: number | undefined
}

/**
 * Takes the lock, or says who has it. The file is made when missing and never removed: a second
 * process could otherwise lock a file of the same name that is another one.
 */
export function tryLock(file: string): HeldLock | LockRefused {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, FILE_MODE)
  let isOurs = false
  try {
    isOurs = tryFlock(fd)
  } finally {
    if (!isOurs) closeSync(fd)
  }
  if (!isOurs) {
    const pid = Number(readFileSync(file, 'utf8').trim())
    return { holder: Number.isInteger(pid) && pid > 0 ? pid : undefined }
  }
  ftruncateSync(fd)
  writeSync(fd, `${process.pid}\n`, 0)
  return { release: () => closeSync(fd) }
}

/** Takes the lock, waiting up to `milliseconds` for whoever has it. */
export async function waitForLock(file: string, milliseconds: number): Promise<Outcome<HeldLock>> {
  const end = performance.now() + milliseconds
  for (;;) {
    const lock = tryLock(file)
    if ('release' in lock) return done(lock)
    if (performance.now() >= end)
      return failed(`${file} is held by ${describeHolder(lock)}; try again when it is done`)
    await sleep(RETRY_MILLISECONDS)
  }
}

export function describeHolder(lock: LockRefused): string {
  return lock.holder === undefined ? 'another process' : `process ${lock.holder}`
}
