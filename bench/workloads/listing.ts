/** A folder of many files, listed by one client. */

import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { smbclient } from './smbclient.ts'
import { ENTRIES, type Ground, type Workload } from './workload.ts'

/** Cost per entry is most of a backup's scan. */
const MARK = 1.5
const FOLDER = 'many'
/** Listings in a session, so that the time to connect counts little. */
const LISTINGS = 10
/** Lines of a listing: "  name   A   0  Mon Jan  1 ..." */
const ENTRY_LINE = /^ {2}file-\d+\.txt +/gm

export function listFolder(name: string): Workload {
  const list = `ls ${FOLDER}\\*`
  return {
    name,
    mark: MARK,
    unit: ENTRIES,
    prepare: makeFolder,
    async verify(ground, server) {
      requireEntries((await smbclient(ground, server, 'off', list)).output, ground.entries)
    },
    async run(ground, server) {
      const commands = Array.from({ length: LISTINGS }, () => list).join('; ')
      const { output, seconds } = await smbclient(ground, server, 'off', commands)
      requireEntries(output, ground.entries * LISTINGS)
      return { amount: ground.entries * LISTINGS, seconds }
    },
  }
}

function requireEntries(output: string, expected: number): void {
  const count = output.match(ENTRY_LINE)?.length ?? 0
  if (count !== expected) throw new Error(`${count} entries were listed of ${expected}`)
}

async function makeFolder(ground: Ground): Promise<void> {
  const folder = join(ground.data, FOLDER)
  await mkdir(folder, { recursive: true })
  const known = new Set(await readdir(folder))
  for (let index = 0; index < ground.entries; index++) {
    const name = `file-${index}.txt`
    if (!known.has(name)) await writeFile(join(folder, name), '')
  }
}
