/** One large file, read or written by one client. */

import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Protection, smbclient, transferSeconds } from './smbclient.ts'
import { BYTES, type Ground, type Workload } from './workload.ts'

const MARK = 1.2
const LARGE_FILE = 'large.bin'
const WRITTEN_FILE = 'written.bin'
const PIECE_BYTES = 16 << 20

export function readLargeFile(name: string, protection: Protection): Workload {
  return {
    name,
    mark: MARK,
    unit: BYTES,
    prepare: makeLargeFile,
    async verify(ground, server) {
      const copy = join(ground.local, 'copy.bin')
      await smbclient(ground, server, protection, `get ${LARGE_FILE} ${copy}`)
      await requireSame(source(ground), copy)
      await rm(copy)
    },
    async run(ground, server) {
      const { output } = await smbclient(ground, server, protection, `get ${LARGE_FILE} /dev/null`)
      return { amount: ground.fileBytes, seconds: transferSeconds(output, ground.fileBytes) }
    },
  }
}

export function writeLargeFile(name: string, protection: Protection): Workload {
  const put = (ground: Ground) => `put ${source(ground)} ${WRITTEN_FILE}`
  return {
    name,
    mark: MARK,
    unit: BYTES,
    prepare: makeLargeFile,
    async verify(ground, server) {
      await smbclient(ground, server, protection, put(ground))
      await requireSame(source(ground), written(ground))
      await rm(written(ground))
    },
    async run(ground, server) {
      const { output } = await smbclient(ground, server, protection, put(ground))
      const { size } = await stat(written(ground))
      if (size !== ground.fileBytes) throw new Error(`${size} bytes were written of ${ground.fileBytes}`)
      // At once, before the kernel begins to write it to the disk in the time of the next run.
      await rm(written(ground))
      return { amount: ground.fileBytes, seconds: transferSeconds(output, ground.fileBytes) }
    },
  }
}

function source(ground: Ground): string {
  return join(ground.data, LARGE_FILE)
}

function written(ground: Ground): string {
  return join(ground.data, WRITTEN_FILE)
}

/** Random bytes: nothing on the way can take holes or repetitions for a shortcut. */
async function makeLargeFile(ground: Ground): Promise<void> {
  const known = await stat(source(ground)).catch(() => undefined)
  if (known?.size === ground.fileBytes) return
  const file = await open(source(ground), 'w')
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let at = 0; at < ground.fileBytes; at += PIECE_BYTES) {
    await file.write(randomFillSync(piece), 0, Math.min(PIECE_BYTES, ground.fileBytes - at))
  }
  await file.sync()
  await file.close()
}

const sums = new Map<string, Promise<string>>()

async function requireSame(original: string, copy: string): Promise<void> {
  const expected = sums.get(original) ?? checksum(original)
  sums.set(original, expected)
  if ((await expected) !== (await checksum(copy))) throw new Error(`${copy} differs from ${original}`)
}

async function checksum(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash)
  return hash.digest('hex')
}
