/** read(2), write(2), fsync(2), close(2) of a descriptor from the main thread, through libuv's pool: no copy, no message. */

import * as fs from 'node:fs'
import { fromNodeError } from './errno.ts'

/** Runs a call of node:fs that ends in a callback. */
function call<T>(begin: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (error === null ? resolve(value) : reject(fromNodeError(error))))
  })
}

/** Fills `target` from `position`; fewer bytes only at the end of the file. */
export async function readFully(fd: number, target: Buffer, position: number): Promise<number> {
  let done = 0
  while (done < target.length) {
    const at = done
    const count = await call<number>((end) => fs.read(fd, target, at, target.length - at, position + at, end))
    if (count === 0) break
    done += count
  }
  return done
}

export async function writeFully(fd: number, source: Buffer, position: number): Promise<void> {
  let done = 0
  while (done < source.length) {
    const at = done
    done += await call<number>((end) => fs.write(fd, source, at, source.length - at, position + at, end))
  }
}

export async function flushDescriptor(fd: number): Promise<void> {
  await call<void>((end) => fs.fsync(fd, (error) => end(error)))
}

export async function closeDescriptor(fd: number): Promise<void> {
  await call<void>((end) => fs.close(fd, (error) => end(error ?? null)))
}
