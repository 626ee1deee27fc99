/** MS-FSA 2.1.5.4 and 2.1.5.14.11: names come, move and go. Each acts on (parent, name), checked to be still what the handle was opened by. */

import { StorageError } from '../errors.ts'
import { diskPathOf, linkTextOf } from './disk-path.ts'
import { check, Errno } from './errno.ts'
import { actAs } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import {
  AT_REMOVEDIR,
  close,
  fsync,
  linkDescriptor,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  openBeneath,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  renameat,
  reopen,
  statEntry,
  statOf,
  symlinkat,
  unlinkat,
} from './native.ts'
import { findEntry, type OpenedDirectory, openDirectory, openDirectoryExact } from './resolve.ts'
import { clientPath, diskComponents, indexes, joinPath, shareOf } from './share.ts'
import { clientName, type Share, splitPath } from './share-type.ts'
import { moveSidecar, removeSidecar } from './sidecar-file.ts'
import { identityOf, newRecord, sizeOf, typeOf } from './stat-record.ts'

/** Names that exist for a moment, in the directory of what they will be; no client's name begins so. */
const TEMPORARY_PREFIX = '.poolhouse-'

/** The descriptor of the entry itself: of the link where a file was opened through one. */
function entryDescriptor(node: NodeReference): number {
  return node.link ?? node.fd
}

interface CurrentEntry {
  readonly parent: OpenedDirectory
  readonly name: string
}

/** Opens the directory that holds the node's entry and makes sure that it does. Runs as the account. */
function openEntry(share: Share, node: NodeReference): CurrentEntry {
  const fd = entryDescriptor(node)
  const path = diskPathOf(share, fd)
  if (path === '') throw new StorageError('access-denied', 'the root has no name')
  const { parent, name } = splitPath(path)
  const directory = openDirectoryExact(share, parent)
  const [mine, there] = [newRecord(), newRecord()]
  const found = statEntry(directory, name, there)
  check(statOf(fd, mine), 'statx')
  if (found < 0 || identityOf(mine) !== identityOf(there)) {
    close(directory)
    throw new StorageError('not-found', 'the name belongs to another file now')
  }
  return { parent: { fd: directory, path: parent }, name }
}

/** What may not be done to an entry is a matter of its directory: never "not the owner"; its parents are open already. */
function checkEntryChange(result: number, what: string): void {
  if (result === -Errno.EPERM) throw new StorageError('access-denied', what)
  if (result === -Errno.ENOTDIR) throw new StorageError('not-directory', what)
  check(result, what)
}

export function currentPath(node: NodeReference): string {
  const share = shareOf(node.share)
  return clientPath(share, diskPathOf(share, entryDescriptor(node)))
}

/** As the server, which syncs what the account may only use. A file without a name has no entry to sync. */
export function flushEntry(node: NodeReference): void {
  const share = shareOf(node.share)
  try {
    const path = diskPathOf(share, entryDescriptor(node))
    const parent = openDirectoryExact(share, splitPath(path).parent)
    try {
      syncDirectory(parent)
    } finally {
      close(parent)
    }
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'not-found') throw error
  }
}

/** A descriptor opened with O_PATH cannot be synced. */
function syncDirectory(directory: number): void {
  const fd = check(reopen(directory, O_RDONLY | O_DIRECTORY), 'open directory')
  try {
    check(fsync(fd), 'fsync')
  } finally {
    close(fd)
  }
}

export function remove(node: NodeReference): void {
  const share = shareOf(node.share)
  actAs(node.identity, () => {
    const { parent, name } = openEntry(share, node)
    try {
      const record = newRecord()
      check(statOf(entryDescriptor(node), record), 'statx')
      const mark = indexes.mark(parent.fd)
      const flags = typeOf(record) === 'directory' ? AT_REMOVEDIR : 0
      checkEntryChange(unlinkat(parent.fd, name, flags), `unlink "${name}"`)
      indexes.removed(mark, parent.fd, name)
      if (share.macStreams) removeSidecar({ directory: parent.fd, name })
    } finally {
      close(parent.fd)
    }
  })
}

interface MoveJob {
  readonly node: NodeReference
  readonly to: string
  readonly replace: boolean
  readonly posixNames?: boolean
}

/** Runs `work` with the directory and the disk name that a path wants something to be put at. */
function withTarget<T>(
  share: Share,
  { to, posixNames }: MoveJob,
  work: (directory: OpenedDirectory, name: string) => T,
): T {
  const components = diskComponents(share, to)
  const name = components.at(-1)
  if (name === undefined) throw new StorageError('access-denied', 'the root has a name already')
  const directory = openDirectory(share, components.slice(0, -1), posixNames)
  try {
    return work(directory, name)
  } finally {
    close(directory.fd)
  }
}

/** Moves the entry. Returns its path as stored, in the client's form. */
export function rename(job: MoveJob): string {
  const share = shareOf(job.node.share)
  return actAs(job.node.identity, () =>
    withTarget(share, job, (target, name) => {
      const source = openEntry(share, job.node)
      try {
        move(source, target, name, job)
        return clientPath(share, joinPath(target.path, name))
      } finally {
        close(source.parent.fd)
      }
    }),
  )
}

function move(source: CurrentEntry, target: OpenedDirectory, name: string, job: MoveJob): void {
  const from = source.parent.fd
  const taken = takenName(target.fd, name, job.posixNames)
  const [ours, theirs] = [newRecord(), newRecord()]
  check(statOf(from, ours), 'statx')
  check(statOf(target.fd, theirs), 'statx')
  const isItself = taken === source.name && identityOf(ours) === identityOf(theirs)
  if (isItself && taken === name) return
  if (taken !== undefined && !isItself && !job.replace) throw new StorageError('exists')
  const sourceMark = indexes.mark(from)
  const targetMark = indexes.mark(target.fd)
  if (taken === undefined || isItself) {
    renameInto(from, source.name, target.fd, name, isItself)
  } else {
    replaceEntry(source, target.fd, taken)
    // The new name has the case that was asked for, the old one's file was in another.
    if (taken !== name) checkEntryChange(renameat(target.fd, taken, target.fd, name), `rename to "${name}"`)
  }
  indexes.removed(sourceMark, from, source.name)
  if (taken !== undefined && !isItself) indexes.removed(targetMark, target.fd, taken)
  indexes.added(targetMark, target.fd, name)
  if (!shareOf(job.node.share).macStreams) return
  if (taken !== undefined && !isItself && taken !== name) removeSidecar({ directory: target.fd, name: taken })
  moveSidecar({ directory: from, name: source.name }, { directory: target.fd, name })
}

/** The name, as stored, that stands in the way of a new one. */
function takenName(directory: number, name: string, exactly = false): string | undefined {
  const exact = statEntry(directory, name, newRecord())
  if (exact === 0) return name
  return exactly ? undefined : findEntry(directory, name, 'case')
}

function renameInto(from: number, old: string, to: number, name: string, isItself: boolean): void {
  let result = renameat(from, old, to, name, isItself ? 0 : RENAME_NOREPLACE)
  // Some file systems don't know the flag; that the name is free was seen a moment ago.
  if (result === -Errno.EINVAL && !isItself) result = renameat(from, old, to, name)
  checkEntryChange(result, `rename to "${name}"`)
}

function replaceEntry(source: CurrentEntry, to: number, taken: string): void {
  const from = source.parent.fd
  checkEntryChange(renameat(from, source.name, to, taken), `rename to "${taken}"`)
  // "If oldpath and newpath are existing hard links referring to the same file, then rename() does nothing."
  const [left, moved] = [newRecord(), newRecord()]
  if (statEntry(from, source.name, left) === 0 && statEntry(to, taken, moved) === 0) {
    if (identityOf(left) === identityOf(moved)) checkEntryChange(unlinkat(from, source.name), 'unlink')
  }
}

/** Gives the file one more name. */
export function link(job: MoveJob): void {
  const share = shareOf(job.node.share)
  actAs(job.node.identity, () =>
    withTarget(share, job, (target, name) => {
      const record = newRecord()
      const fd = entryDescriptor(job.node)
      check(statOf(fd, record), 'statx')
      if (typeOf(record) === 'directory') throw new StorageError('is-directory')
      const taken = takenName(target.fd, name, job.posixNames)
      if (taken !== undefined && !job.replace) throw new StorageError('exists')
      const mark = indexes.mark(target.fd)
      if (taken === undefined) {
        checkEntryChange(linkDescriptor(fd, target.fd, name), `link "${name}"`)
      } else {
        replaceByTemporary(target.fd, taken, (temporary) => linkDescriptor(fd, target.fd, temporary))
        if (taken !== name) checkEntryChange(renameat(target.fd, taken, target.fd, name), 'rename')
        indexes.removed(mark, target.fd, taken)
      }
      indexes.added(mark, target.fd, name)
    }),
  )
}

let temporaryCount = 0

/** Makes something under a name of the moment and puts it in the place of `name`, so that the name is never missing. */
function replaceByTemporary(directory: number, name: string, make: (temporary: string) => number): void {
  const temporary = `${TEMPORARY_PREFIX}${process.pid}-${process.hrtime.bigint()}-${temporaryCount++}`
  checkEntryChange(make(temporary), `make "${temporary}"`)
  const result = renameat(directory, temporary, directory, name)
  // Left over when the rename failed, or when both were links to one file.
  unlinkat(directory, temporary)
  checkEntryChange(result, `rename to "${name}"`)
}

export function readLink(node: NodeReference): string {
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  if (typeOf(record) !== 'symlink') throw new StorageError('invalid', 'not a symbolic link')
  return linkTextOf(node.fd, '')
}

/** Puts a symbolic link in the place of an empty file or directory. Returns the descriptor of the link. */
export function makeLink(job: { node: NodeReference; target: string }): number {
  const share = shareOf(job.node.share)
  const { target } = job
  if (target === '' || target.includes('\0') || job.node.stream !== undefined)
    throw new StorageError('invalid')
  return actAs(job.node.identity, () => {
    const record = newRecord()
    check(statOf(job.node.fd, record), 'statx')
    const type = typeOf(record)
    if (type !== 'directory' && (type !== 'file' || sizeOf(record) > 0)) throw new StorageError('invalid')
    const { parent, name } = openEntry(share, job.node)
    try {
      const mark = indexes.mark(parent.fd)
      if (type === 'directory') exchangeDirectory(parent.fd, name, target)
      else replaceByTemporary(parent.fd, name, (temporary) => symlinkat(target, parent.fd, temporary))
      indexes.removed(mark, parent.fd, name)
      indexes.added(mark, parent.fd, name)
      return check(openBeneath(parent.fd, name, O_PATH | O_NOFOLLOW), `open "${name}"`)
    } finally {
      close(parent.fd)
    }
  })
}

/** A directory cannot be replaced by a link in one step unless they change places, which not all file systems know. */
function exchangeDirectory(parent: number, name: string, target: string): void {
  const temporary = `${TEMPORARY_PREFIX}${process.pid}-${process.hrtime.bigint()}-${temporaryCount++}`
  checkEntryChange(symlinkat(target, parent, temporary), 'symlink')
  const exchanged = renameat(parent, temporary, parent, name, RENAME_EXCHANGE)
  if (exchanged < 0) {
    // ZFS before 2.2: for a moment neither is there, and what comes in between is kept.
    const removed = exchanged === -Errno.EINVAL ? unlinkat(parent, name, AT_REMOVEDIR) : exchanged
    unlinkat(parent, temporary)
    checkEntryChange(removed, `replace "${name}"`)
    checkEntryChange(symlinkat(target, parent, name), 'symlink')
    return
  }
  const removed = unlinkat(parent, temporary, AT_REMOVEDIR)
  if (removed < 0) {
    renameat(parent, temporary, parent, name, RENAME_EXCHANGE)
    unlinkat(parent, temporary)
    checkEntryChange(removed, `rmdir "${name}"`)
  }
}

/** Name of the entry, in the client's form; '' for the root. */
export function currentName(node: NodeReference): string {
  const share = shareOf(node.share)
  return clientName(share, splitPath(diskPathOf(share, entryDescriptor(node))).name)
}
