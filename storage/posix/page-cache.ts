/** preadv2(2) and pwritev2(2) with RWF_NOWAIT: what the page cache can do at once, without a thread that may wait for a disk. */

import { endianness } from 'node:os'
import koffi from 'koffi'

const RWF_NOWAIT = 8
/** struct iovec on systems of 64 bits: address, length. */
const IOVEC_BYTES = 16
const LENGTH_OFFSET = 8
/** More chunks are rare, and gain nothing. */
const MAXIMUM_CHUNKS = 8

type Vectored = (
  descriptor: number,
  vectors: Buffer,
  count: number,
  offset: number,
  flags: number,
) => number | bigint

const preadv2 = declare('preadv2')
const pwritev2 = declare('pwritev2')
/** Filled anew for each call: calls are synchronous. */
const vectors = Buffer.alloc(IOVEC_BYTES * MAXIMUM_CHUNKS)

function declare(name: string): Vectored | undefined {
  if (endianness() !== 'LE' || koffi.sizeof('void*') !== LENGTH_OFFSET) return undefined
  try {
    const prototype = `int64_t ${name}(int fd, const void* iov, int count, int64_t offset, int flags)`
    return koffi.load(null).func(prototype) as Vectored
  } catch {
    // Another C library: all goes through threads then.
    return undefined
  }
}

/** Neither this file system nor this kernel will ever do it. */
const UNSUPPORTED: ReadonlySet<number | undefined> = new Set([
  koffi.os.errno['EOPNOTSUPP'],
  koffi.os.errno['ENOSYS'],
  koffi.os.errno['EINVAL'],
])

/** 'waits': perhaps another time; 'never': this file system cannot do it, or there is no such call. */
export type NoWaitResult = 'done' | 'waits' | 'never'

/** Fills `into` from the page cache. */
export function readNow(descriptor: number, into: Buffer, offset: number): NoWaitResult {
  return preadv2 === undefined ? 'never' : transfer(preadv2, descriptor, [into], offset)
}

/** @returns bytes that were read, 0 at the end of the file; undefined when a disk would have to be waited for */
export function readSomeNow(descriptor: number, into: Buffer, offset: number): number | undefined {
  if (preadv2 === undefined) return undefined
  const moved = call(preadv2, descriptor, [into], offset)
  return moved < 0 ? undefined : moved
}

/** Writes the chunks to the page cache; what was written of them when the result is not 'done' may be written again. */
export function writeNow(descriptor: number, chunks: readonly Buffer[], offset: number): NoWaitResult {
  return pwritev2 === undefined ? 'never' : transfer(pwritev2, descriptor, chunks, offset)
}

function transfer(
  vectored: Vectored,
  descriptor: number,
  chunks: readonly Buffer[],
  offset: number,
): NoWaitResult {
  if (chunks.length > MAXIMUM_CHUNKS) return 'waits'
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const moved = call(vectored, descriptor, chunks, offset)
  if (moved === length) return 'done'
  // What fails for another reason fails again where the reason is told.
  return moved < 0 && UNSUPPORTED.has(koffi.errno()) ? 'never' : 'waits'
}

/** @returns bytes moved, -1 with errno */
function call(vectored: Vectored, descriptor: number, chunks: readonly Buffer[], offset: number): number {
  let at = 0
  for (const chunk of chunks) {
    vectors.writeBigUInt64LE(koffi.address(chunk), at)
    vectors.writeUInt32LE(chunk.length, at + LENGTH_OFFSET)
    at += IOVEC_BYTES
  }
  return Number(vectored(descriptor, vectors, chunks.length, offset, RWF_NOWAIT))
}
