/** The space that a tree takes, added up by a worker: some hundred entries to a job, so that other jobs come in between. */

import { bundlePart, isBand } from '../sparse-bundle.ts'
import { eachNameOnce } from './directory-read.ts'
import { decodeName } from './disk-name.ts'
import { asServer } from './identity.ts'
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openBeneath, statEntry, statOf } from './native.ts'
import { joinPath, shareOf } from './share.ts'
import { identityOf, linksOf, newRecord, occupiedOf, typeOf } from './stat-record.ts'

/** Entries of one job, unless one read of a directory has more: a few milliseconds. */
const ENTRIES_PER_JOB = 512
/** Where ZFS shows snapshots: what they hold is not the tree's, and looking mounts each. */
const SNAPSHOTS = '.zfs'

/** Where the count stands; it travels to the worker and back. */
export interface OccupiedWalk {
  /** Folders to be read, from the share's root, as on disk. */
  readonly folders: readonly string[]
  /** The last of them is open, and partly read. */
  readonly fd: number | undefined
}

export interface OccupiedPage extends OccupiedWalk {
  /** Of what was met in this job, except files with several names. */
  readonly bytes: number
  /** Files with several names: which, and what they occupy. */
  readonly linked: readonly (readonly [identity: string, bytes: number])[]
  /** Bands of sparse bundles in the root; the bundles' names as on disk. */
  readonly bands: readonly (readonly [bundle: string, bands: number])[]
}

const record = newRecord()

/** Goes on with a count. A folder that is gone meanwhile, or cannot be read, counts nothing. */
export function addOccupied(job: OccupiedWalk & { share: number }): OccupiedPage {
  return asServer(() => {
    const page: Page = { folders: [...job.folders], fd: job.fd, bytes: 0, linked: [], bands: [] }
    let met = 0
    while (met < ENTRIES_PER_JOB && page.folders.length > 0) {
      page.fd ??= openFolder(shareOf(job.share).root, page)
      if (page.fd === undefined) page.folders.pop()
      else met += readOnce(page.fd, page)
    }
    return page
  })
}

interface Page {
  folders: string[]
  fd: number | undefined
  bytes: number
  linked: [string, number][]
  bands: [string, number][]
}

function openFolder(root: number, page: Page): number | undefined {
  const fd = openBeneath(root, page.folders.at(-1) ?? '', O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  if (fd < 0) return undefined
  if (statOf(fd, record) === 0) page.bytes += occupiedOf(record)
  return fd
}

/** Counts the next entries of the folder that is open. Returns how many. */
function readOnce(fd: number, page: Page): number {
  const path = page.folders.at(-1) ?? ''
  const below: string[] = []
  let [met, bands] = [1, 0]
  const part = bundlePart(path)
  const goesOn = eachNameOnce(fd, (bytes, from, to) => {
    const name = decodeName(bytes, from, to)
    met++
    if (part?.kind === 'bands' && isBand(name)) bands++
    if (name === SNAPSHOTS || statEntry(fd, name, record) < 0) return
    if (typeOf(record) === 'directory') below.push(joinPath(path, name))
    else if (linksOf(record) > 1) page.linked.push([identityOf(record), occupiedOf(record)])
    else page.bytes += occupiedOf(record)
  })
  if (part !== undefined && bands > 0) page.bands.push([part.bundle, bands])
  if (goesOn) {
    // The folder that is open stays the last.
    page.folders.splice(-1, 0, ...below)
    return met
  }
  close(fd)
  page.fd = undefined
  page.folders.pop()
  page.folders.push(...below)
  return met
}
