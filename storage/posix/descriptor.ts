/** read(2), write(2), fsync(2), close(2) of a descriptor from the main thread, through libuv's pool: no copy, no message. */

import * as fs from 'node:fs'
import { fromNodeError } from './errno.ts'
import { readSomeNow } from './page-cache.ts'

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

/** More is copied by threads: the main thread serves others meanwhile. */
const AT_ONCE_BYTES = 64 * 1024

/** As `readFully`. @param triesMemory little is taken from the page cache at once, as far as it is there */
export async function readData(
  fd: number,
  target: Buffer,
  position: number,
  triesMemory: boolean,
): Promise<number> {
  const isTried = triesMemory && target.length <= AT_ONCE_BYTES
  const { bytes, ended } = isTried ? readNow(fd, target, position) : { bytes: 0, ended: false }
  if (ended || bytes === target.length) return bytes
  return bytes + (await readFully(fd, target.subarray(bytes), position + bytes))
}

/** What of it the page cache has: bytes from `position` on, and whether the file ends there. */
function readNow(fd: number, target: Buffer, position: number): { bytes: number; ended: boolean } {
  const first = readSomeNow(fd, target, position)
  if (first === undefined || first === target.length) return { bytes: first ?? 0, ended: false }
  // Fewer: the rest is not in memory, or is not there.
  const rest = first === 0 ? 0 : readSomeNow(fd, target.subarray(first), position + first)
  return { bytes: first + (rest ?? 0), ended: rest === 0 }
}

/** Of a file that is written to no more may be dirty when it is closed at once. */
const CLOSED_AT_ONCE_BYTES = 1 << 20

/** Files without a name whose closing nobody waits for, at most: until then each has a descriptor and its blocks. */
const CLOSING_UNATTENDED = 32
let closingUnattended = 0

/**
 * Closes at once, or through libuv's pool what may take its time: a file that has no name any longer gives all its blocks back,
 * and ext4 begins to write a file out that was emptied and written anew. Nobody need wait for the former.
 */
export async function closeQuickly(fd: number, writable: boolean): Promise<void> {
  const { nlink, size } = fs.fstatSync(fd)
  if (nlink === 0 && closingUnattended < CLOSING_UNATTENDED) {
    closingUnattended += 1
    fs.close(fd, () => {
      closingUnattended -= 1
    })
    return
  }
  const isQuick = nlink > 0 && (!writable || size <= CLOSED_AT_ONCE_BYTES)
  if (!isQuick) return await closeDescriptor(fd)
  try {
    fs.closeSync(fd)
  } catch (error) {
    throw fromNodeError(error as Error)
  }
}
