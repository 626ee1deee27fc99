/** One large file, read or written by one client. */

import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../programs.ts'
import { PLAIN, type Protection } from './protection.ts'
import { makeRandomFile, requireSame } from './random-file.ts'
import { smbclient, transferSeconds, verifyProtection } from './smbclient.ts'
import { BYTES, type Ground, type Workload } from './workload.ts'

const WRITTEN_FILE = 'written.bin'
const DROP_SECONDS = 60

export function readLargeFile(protection: Protection, mark: number): Workload {
  return {
    name: rowName('read', protection),
    mark,
    unit: BYTES,
    prepare: makeSource(protection),
    async verify(ground, server) {
      await verifyProtection(ground, server, protection)
      const copy = join(ground.local, 'copy.bin')
      await smbclient(ground, server, protection, `get ${fileOf(protection)} ${copy}`)
      await requireSame(source(ground, protection), copy)
      await rm(copy)
    },
    async run(ground, server) {
      const { output } = await smbclient(ground, server, protection, `get ${fileOf(protection)} /dev/null`)
      const amount = bytesOf(ground, protection)
      return { amount, seconds: transferSeconds(output, amount) }
    },
  }
}

/** The same, with nothing of the file in the kernel's cache: the disk counts. */
export function readColdFile(mark: number): Workload {
  const warm = readLargeFile(PLAIN, mark)
  return {
    ...warm,
    name: 'read cold',
    async run(ground, server) {
      // A count of nothing, and POSIX_FADV_DONTNEED for the whole file.
      const drop = [`if=${source(ground, PLAIN)}`, 'iflag=nocache', 'count=0', 'status=none']
      await run('dd', drop, { seconds: DROP_SECONDS })
      return warm.run(ground, server)
    },
  }
}

export function writeLargeFile(protection: Protection, mark: number): Workload {
  const put = (ground: Ground) => `put ${source(ground, protection)} ${WRITTEN_FILE}`
  return {
    name: rowName('write', protection),
    mark,
    unit: BYTES,
    prepare: makeSource(protection),
    async verify(ground, server) {
      await verifyProtection(ground, server, protection)
      await smbclient(ground, server, protection, put(ground))
      await requireSame(source(ground, protection), written(ground))
      await rm(written(ground))
    },
    async run(ground, server) {
      const { output } = await smbclient(ground, server, protection, put(ground))
      const { size } = await stat(written(ground))
      const amount = bytesOf(ground, protection)
      if (size !== amount) throw new Error(`${size} bytes were written of ${amount}`)
      // At once, before the kernel begins to write it to the disk in the time of the next run.
      await rm(written(ground))
      return { amount, seconds: transferSeconds(output, amount) }
    },
  }
}

/** What is done, then how it is protected, if at all. */
export function rowName(what: string, { name }: Protection): string {
  return name === '' ? what : `${what} ${name}`
}

function bytesOf({ fileBytes }: Ground, { part }: Protection): number {
  return Math.ceil(fileBytes * part)
}

function makeSource(protection: Protection): (ground: Ground) => Promise<void> {
  return (ground) => makeRandomFile(source(ground, protection), bytesOf(ground, protection))
}

function fileOf({ part }: Protection): string {
  return part === 1 ? 'large.bin' : 'part.bin'
}

function source(ground: Ground, protection: Protection): string {
  return join(ground.data, fileOf(protection))
}

function written(ground: Ground): string {
  return join(ground.data, WRITTEN_FILE)
}
