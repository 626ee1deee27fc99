/** inotify(7) in worker threads: adding a watch looks at the directory, which may wait for a disk. */

import { eachName } from './directory-read.ts'
import { decodeName } from './disk-name.ts'
import { check, Errno } from './errno.ts'
import { asServer } from './identity.ts'
import { InotifyEvent } from './inotify-event.ts'
import type { NodeReference } from './jobs.ts'
import {
  close,
  inotifyAddWatch,
  inotifyInit,
  inotifyRemoveWatch,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  openBeneath,
  openPath,
  procPath,
  reopen,
} from './native.ts'

const IN_ONLYDIR = 0x0100_0000
/** No events of entries that were removed but are still open. */
const IN_EXCL_UNLINK = 0x0400_0000

/**
 * Not IN_MODIFY: that is an event for every write, our own included, while what is written is told of when it is
 * closed.
 */
const MASK =
  InotifyEvent.attrib |
  InotifyEvent.closeWrite |
  InotifyEvent.movedFrom |
  InotifyEvent.movedTo |
  InotifyEvent.create |
  InotifyEvent.delete |
  IN_ONLYDIR |
  IN_EXCL_UNLINK

/** Returns a descriptor that does not wait, for all threads. @throws StorageError when the user has too many */
export function beginInotify(_none: undefined): number {
  return check(inotifyInit(), 'inotify_init1')
}

/** Returns the watch's number, the same for the same directory; undefined when the kernel allows no more. */
export function watchDirectory(job: { inotify: number; node: NodeReference }): number | undefined {
  const result = asServer(() => inotifyAddWatch(job.inotify, procPath(job.node.fd), MASK))
  if (result === -Errno.ENOSPC || result === -Errno.ENOMEM) return undefined
  return check(result, 'inotify_add_watch')
}

export function unwatchDirectories(job: { inotify: number; watches: readonly number[] }): void {
  // The directory may be gone, and the watch with it.
  for (const watch of job.watches) inotifyRemoveWatch(job.inotify, watch)
}

/** A descriptor of the directory that outlives the handle: trees are walked from there. */
export function beginTree(node: NodeReference): number {
  return asServer(() => check(openPath(procPath(node.fd), O_PATH | O_DIRECTORY), 'open'))
}

export interface FolderToWatch {
  /** From the tree's root, as on disk. */
  readonly path: string
  /** Its other entries are wanted too. */
  readonly all: boolean
}

export interface WatchedEntries {
  /** The watch's number; -1: it is gone, no directory, or the kernel allows no more. */
  readonly watch: number
  readonly folders: readonly string[]
  readonly others: readonly string[]
  /** There were more. */
  readonly incomplete: boolean
}

/** Entries told of one folder at most; a tree has room for no more. */
export const MAXIMUM_ENTRIES = 16_384
/** struct linux_dirent64: d_type is the byte before the name. */
const DT_UNKNOWN = 0
const DT_DIR = 4
/** Where ZFS shows snapshots: nothing changes there, and looking mounts each. */
const SNAPSHOTS = '.zfs'

const GONE: WatchedEntries = { watch: -1, folders: [], others: [], incomplete: false }

/** Watches folders and tells what is in them, in this order, so that whatever comes later is an event. */
export function watchFolders(job: {
  inotify: number
  root: number
  folders: readonly FolderToWatch[]
}): readonly WatchedEntries[] {
  return asServer(() => job.folders.map((folder) => watchFolder(job.inotify, job.root, folder)))
}

function watchFolder(inotify: number, root: number, { path, all }: FolderToWatch): WatchedEntries {
  const fd = openBeneath(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  if (fd < 0) return GONE
  try {
    const watch = inotifyAddWatch(inotify, procPath(fd), MASK)
    if (watch === -Errno.ENOSPC || watch === -Errno.ENOMEM) return { ...GONE, incomplete: true }
    return watch < 0 ? GONE : { watch, ...entriesOf(fd, all) }
  } finally {
    close(fd)
  }
}

function entriesOf(path: number, all: boolean): Omit<WatchedEntries, 'watch'> {
  const folders: string[] = []
  const others: string[] = []
  let incomplete = false
  const fd = reopen(path, O_RDONLY | O_DIRECTORY)
  if (fd < 0) return { folders, others, incomplete: true }
  try {
    eachName(fd, (bytes, from, to) => {
      const type = bytes[from - 1]
      const isFolder = type === DT_DIR || type === DT_UNKNOWN
      if (!isFolder && !all) return
      if (folders.length + others.length >= MAXIMUM_ENTRIES) {
        incomplete = true
        return
      }
      const name = decodeName(bytes, from, to)
      if (name !== SNAPSHOTS) (isFolder ? folders : others).push(name)
    })
  } finally {
    close(fd)
  }
  return { folders, others, incomplete }
}
