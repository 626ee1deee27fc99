/** Files of random bytes, which nothing on the way can take a shortcut for, and whether a copy is the same. */

import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'

const PIECE_BYTES = 16 << 20

/** Makes a file of random bytes, unless there is one of that size. */
export async function makeRandomFile(path: string, bytes: number): Promise<void> {
  const known = await stat(path).catch(() => undefined)
  if (known?.size === bytes) return
  const file = await open(path, 'w')
  const piece = Buffer.alloc(Math.min(PIECE_BYTES, bytes))
  for (let at = 0; at < bytes; at += piece.length) {
    await file.write(randomFillSync(piece), 0, Math.min(piece.length, bytes - at))
  }
  await file.sync()
  await file.close()
}

const sums = new Map<string, Promise<string>>()

/** @param original is read once; it does not change. @throws Error when the copy differs */
export async function requireSame(original: string, copy: string): Promise<void> {
  const expected = sums.get(original) ?? checksum(original)
  sums.set(original, expected)
  if ((await expected) !== (await checksum(copy))) throw new Error(`${copy} differs from ${original}`)
}

async function checksum(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash)
  return hash.digest('hex')
}
