/** AppleDouble files ._NAME in a directory: opened, read and written as the account, moved and removed with the file that they belong to. */

import { readSync, writeSync } from 'node:fs'
import { StorageError } from '../errors.ts'
import { FINDER_INFO_BYTES, isEmptyFinderInfo } from '../metadata/afp-info.ts'
import { decodeEntries, isAppleDouble, SIGNATURE_BYTES } from '../metadata/apple-double.ts'
import {
  BLANK_FORK_BYTES,
  decodeSidecar,
  encodeSidecar,
  forkLengthField,
  isBlankFork,
  MAXIMUM_FORK_BYTES,
  MAXIMUM_HEAD_BYTES,
  type Sidecar,
  type SidecarFork,
  sidecarName,
} from '../metadata/sidecar.ts'
import { check, Errno, fromNodeError } from './errno.ts'
import { asServer, isSuperuser } from './identity.ts'
import {
  chmod,
  chown,
  close,
  ftruncate,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  openBeneath,
  procPath,
  renameat,
  statEntry,
  statOf,
  unlinkat,
} from './native.ts'
import { beginWaiting } from './no-wait.ts'
import { indexes } from './share.ts'
import { groupOf, modeOf, newRecord, ownerOf, sizeOf, typeOf } from './stat-record.ts'

/** Most heads end here. */
const USUAL_HEAD_BYTES = 4096
const FILE_MODE = 0o666

/** A directory's descriptor and a name in it. */
export interface EntryPlace {
  readonly directory: number
  readonly name: string
}

export interface OpenSidecar {
  readonly fd: number
  /** The file's first bytes, with all that is understood. */
  readonly head: Buffer
  readonly bytes: number
  readonly sidecar: Sidecar
}

/** Nothing there, or something that is no file of ours to read. */
const NONE: ReadonlySet<number> = new Set([
  Errno.ENOENT,
  Errno.ENAMETOOLONG,
  Errno.ELOOP,
  Errno.EISDIR,
  Errno.ENXIO,
])

/** Opens the sidecar of an entry; undefined when it has none. The caller closes its descriptor. */
export function openSidecar({ directory, name }: EntryPlace, flags: number): OpenSidecar | undefined {
  const fd = openBeneath(directory, sidecarName(name), flags | O_NOFOLLOW | O_NONBLOCK)
  if (NONE.has(-fd)) return undefined
  // What the account may not read says nothing.
  if (fd === -Errno.EACCES && flags === O_RDONLY) return undefined
  check(fd, `open "${sidecarName(name)}"`)
  try {
    const opened = readSidecar(fd)
    if (opened === undefined) close(fd)
    return opened
  } catch (error) {
    close(fd)
    throw error
  }
}

function readSidecar(fd: number): OpenSidecar | undefined {
  const record = newRecord()
  check(statOf(fd, record), 'statx')
  if (typeOf(record) !== 'file') return undefined
  const bytes = sizeOf(record)
  let head = readAt(fd, 0, Math.min(bytes, USUAL_HEAD_BYTES))
  const entries = decodeEntries(head, bytes)
  if (entries === undefined) return undefined
  const ends = entries
    .filter(({ offset }) => offset < head.length)
    .map((entry) => entry.offset + entry.length)
  if (Math.max(0, ...ends) > head.length) head = readAt(fd, 0, Math.min(bytes, MAXIMUM_HEAD_BYTES))
  const sidecar = decodeSidecar(head, bytes)
  return sidecar === undefined ? undefined : { fd, head, bytes, sidecar }
}

function readAt(fd: number, position: number, length: number): Buffer {
  beginWaiting()
  const bytes = Buffer.alloc(length)
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, length, position))
  } catch (error) {
    throw fromNodeError(error)
  }
}

/** @throws StorageError, also when not all could be written */
export function writeAt(fd: number, position: number, data: Uint8Array): void {
  let written = 0
  try {
    while (written < data.length) {
      written += writeSync(fd, data, written, data.length - written, position + written)
    }
  } catch (error) {
    throw fromNodeError(error)
  }
}

/** Makes a sidecar without a resource fork for an entry, with that file's owner and mode. */
export function createSidecar(place: EntryPlace, owner: Buffer): OpenSidecar {
  const { directory, name } = place
  const mark = indexes.mark(directory)
  const mode = modeOf(owner) & FILE_MODE
  const fd = openBeneath(directory, sidecarName(name), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, mode)
  if (fd === -Errno.EEXIST)
    throw new StorageError('not-supported', 'another file has the name of the sidecar')
  check(fd, `create "${sidecarName(name)}"`)
  indexes.added(mark, directory, sidecarName(name))
  try {
    asServer(() => {
      if (isSuperuser()) check(chown(procPath(fd), ownerOf(owner), groupOf(owner)), 'chown')
      check(chmod(procPath(fd), mode), 'chmod')
    })
    writeAt(fd, 0, encodeSidecar())
    const opened = readSidecar(fd)
    if (opened === undefined) throw new StorageError('io', 'the new sidecar cannot be read')
    return opened
  } catch (error) {
    close(fd)
    throw error
  }
}

/** Finder information, as a view; undefined when there is none. */
export function finderInfoOf({ head, sidecar }: OpenSidecar): Buffer | undefined {
  const at = sidecar.finderInfo
  if (at === undefined) return undefined
  const finderInfo = head.subarray(at, at + FINDER_INFO_BYTES)
  return isEmptyFinderInfo(finderInfo) ? undefined : finderInfo
}

/** Bytes of the resource fork; 0 when there is none, which macOS has a placeholder for. */
export function forkBytesOf({ fd, sidecar }: OpenSidecar): number {
  const fork = sidecar.resourceFork
  if (fork === undefined) return 0
  const isBlank = fork.length === BLANK_FORK_BYTES && isBlankFork(readAt(fd, fork.offset, BLANK_FORK_BYTES))
  return isBlank ? 0 : fork.length
}

export function readFork(opened: OpenSidecar, position: number, length: number): Buffer {
  const left = Math.max(0, forkBytesOf(opened) - position)
  const at = (opened.sidecar.resourceFork?.offset ?? 0) + position
  return readAt(opened.fd, at, Math.min(length, left))
}

export function writeFork(opened: OpenSidecar, position: number, data: Uint8Array): void {
  const old = forkBytesOf(opened)
  const end = position + data.length
  // The header never tells of more than is there: an interrupted change leaves a sidecar that is understood.
  if (end > old) setForkSize(opened, old)
  const fork = growingFork(opened, end)
  writeAt(opened.fd, fork.offset + position, data)
  if (end > old) setForkLength(opened, end)
}

export function setForkSize(opened: OpenSidecar, size: number): void {
  const fork = growingFork(opened, size)
  const isSmaller = size < fork.length
  if (isSmaller) setForkLength(opened, size)
  if (fork.isLast) check(ftruncate(opened.fd, fork.offset + size), 'ftruncate')
  if (!isSmaller) setForkLength(opened, size)
}

function growingFork({ sidecar }: OpenSidecar, size: number): SidecarFork {
  const fork = sidecar.resourceFork
  if (fork === undefined || (!fork.isLast && size > fork.length)) {
    throw new StorageError('not-supported', 'the sidecar has no room for a resource fork')
  }
  if (size > MAXIMUM_FORK_BYTES) throw new StorageError('stream-too-large')
  return fork
}

function setForkLength({ fd, sidecar }: OpenSidecar, length: number): void {
  if (sidecar.resourceFork === undefined) return
  const { offset, bytes } = forkLengthField(sidecar.resourceFork, length)
  writeAt(fd, offset, bytes)
}

/** Removes the sidecar when it says nothing any more. @param opened what was opened there, as it was before */
export function removeIfSpent(place: EntryPlace, { fd }: OpenSidecar): void {
  const now = readSidecar(fd)
  if (now === undefined || now.sidecar.attributes.length > 0) return
  if (finderInfoOf(now) === undefined && forkBytesOf(now) === 0) removeSidecar(place)
}

/** Whether an entry is a sidecar by its first bytes. Reads it as whoever acts. */
export function isSidecar(directory: number, name: string): boolean {
  const fd = openBeneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fd < 0) return false
  try {
    const record = newRecord()
    check(statOf(fd, record), 'statx')
    return typeOf(record) === 'file' && isAppleDouble(readAt(fd, 0, SIGNATURE_BYTES))
  } finally {
    close(fd)
  }
}

/** Whether an entry has one. Costs one call where there is none. */
function hasSidecar({ directory, name }: EntryPlace): boolean {
  const sidecar = sidecarName(name)
  return statEntry(directory, sidecar, newRecord()) === 0 && asServer(() => isSidecar(directory, sidecar))
}

/** The entry was removed: its sidecar goes too. That it cannot is no failure. */
export function removeSidecar(place: EntryPlace): void {
  if (!hasSidecar(place)) return
  const { directory, name } = place
  const mark = indexes.mark(directory)
  if (unlinkat(directory, sidecarName(name)) === 0) indexes.removed(mark, directory, sidecarName(name))
}

/** The entry was moved: its sidecar follows, and takes the place of that of what was replaced. */
export function moveSidecar(from: EntryPlace, to: EntryPlace): void {
  if (!hasSidecar(from)) {
    removeSidecar(to)
    return
  }
  const [old, next] = [sidecarName(from.name), sidecarName(to.name)]
  const [fromMark, toMark] = [indexes.mark(from.directory), indexes.mark(to.directory)]
  if (renameat(from.directory, old, to.directory, next) < 0) return
  indexes.removed(fromMark, from.directory, old)
  indexes.added(toMark, to.directory, next)
}
