/** A folder of many files, listed by one client, and as a Mac does. */

import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ListingClient } from '../comparisons/listing-client.ts'
import { MAC_SHARE, type RunningServer } from '../peers/peer.ts'
import { PLAIN } from './protection.ts'
import { smbclient } from './smbclient.ts'
import { ENTRIES, type Ground, type Run, type Workload } from './workload.ts'

/** Cost per entry is most of a backup's scan. */
const MARK = 1.5
/** Listings of the smaller folder in a session, so that the time to connect counts little. */
const LISTINGS = 10
/** Lines of a listing: "  name   A   0  Mon Jan  1 ..." */
const ENTRY_LINE = /^ {2}file-\d+\.txt +/gm
/** '.' and '..', which servers list as well. */
const DOTS = 2

/** @param factor how many times as many entries as `Ground.entries` */
export function listFolder(name: string, factor = 1): Workload {
  const list = (ground: Ground) => `ls ${folderOf(ground, factor)}\\*`
  return {
    ...{ name, mark: MARK, unit: ENTRIES },
    prepare: (ground) => makeFolder(ground, factor),
    async verify(ground, server) {
      requireEntries((await smbclient(ground, server, PLAIN, list(ground))).output, ground.entries * factor)
    },
    async run(ground, server) {
      const times = listings(factor)
      const commands = Array.from({ length: times }, () => list(ground)).join('; ')
      const { output, seconds } = await smbclient(ground, server, PLAIN, commands)
      requireEntries(output, ground.entries * factor * times)
      return { amount: ground.entries * factor * times, seconds }
    },
  }
}

/** By a client of our own with Apple's extensions, of which no other program knows; the peer has its module for Macs. */
export function listFolderAsMac(name: string): Workload {
  const list = async (ground: Ground, server: RunningServer, times: number): Promise<Run> => {
    const client = await ListingClient.connect(server, ground, true, MAC_SHARE)
    try {
      const started = performance.now()
      for (let listing = 0; listing < times; listing++) {
        const { entries } = await client.list(folderOf(ground, 1))
        if (entries !== ground.entries + DOTS)
          throw new Error(`${entries - DOTS} entries were listed of ${ground.entries}`)
      }
      return { amount: ground.entries * times, seconds: (performance.now() - started) / 1000 }
    } finally {
      client.connection.close()
    }
  }
  return {
    ...{ name, mark: MARK, unit: ENTRIES },
    prepare: (ground) => makeFolder(ground, 1),
    async verify(ground, server) {
      await list(ground, server, 1)
    },
    run: (ground, server) => list(ground, server, listings(1)),
  }
}

/** As many entries in all, whatever the size of the folder. */
function listings(factor: number): number {
  return Math.max(1, Math.round(LISTINGS / factor))
}

function requireEntries(output: string, expected: number): void {
  const count = output.match(ENTRY_LINE)?.length ?? 0
  if (count !== expected) throw new Error(`${count} entries were listed of ${expected}`)
}

function folderOf(ground: Ground, factor: number): string {
  return `many-${ground.entries * factor}`
}

async function makeFolder(ground: Ground, factor: number): Promise<void> {
  const folder = join(ground.data, folderOf(ground, factor))
  await mkdir(folder, { recursive: true })
  const known = new Set(await readdir(folder))
  for (let index = 0; index < ground.entries * factor; index++) {
    const name = `file-${index}.txt`
    if (!known.has(name)) await writeFile(join(folder, name), '')
  }
}
