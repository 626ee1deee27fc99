/** MS-FSA 2.1.5.1: a name that is there in another case, looked up in folders of three sizes. */

import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryIndexes } from '../../storage/posix/directory-index.ts'
import { countLabel, type Micro, type MicroSubject, must, TABLE_SIZES } from './micro.ts'

/** Coprime to the sizes: successive calls come to distant entries. */
const STRIDE = 7919
/** After it a folder's times tell a change for sure, so that the index is not read again. */
const OLD_MILLISECONDS = 50

export const nameMicros: readonly Micro[] = [
  {
    ...{ name: 'name lookup', isFlat: true },
    sizes: TABLE_SIZES.map((size) => ({ label: countLabel(size), prepare: () => prepare(size) })),
  },
]

async function prepare(count: number): Promise<MicroSubject> {
  const base = mkdtempSync(join(tmpdir(), 'poolhouse-bench-names-'))
  const folder = join(base, 'folder')
  mkdirSync(folder)
  for (let index = 0; index < count; index++) writeFileSync(join(folder, `Datei-${index}.txt`), '')
  await new Promise((resolve) => setTimeout(resolve, OLD_MILLISECONDS))
  const descriptor = openSync(folder, 'r')
  const indexes = new DirectoryIndexes()
  let index = 0
  const find = (number: number) => indexes.find(descriptor, `DATEI-${number}.TXT`, 'case')
  return {
    check: () => {
      must(find(1) === 'Datei-1.txt', 'a name is not found')
      must(find(count) === undefined, 'a name is found that is not there')
    },
    call: () => {
      index = (index + STRIDE) % count
      find(index)
    },
    end: () => {
      closeSync(descriptor)
      rmSync(base, { recursive: true, force: true })
    },
  }
}
