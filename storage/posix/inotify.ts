/** inotify(7) in worker threads: adding a watch looks at the directory, which may wait for a disk. */

import { check, Errno } from './errno.ts'
import { asServer } from './identity.ts'
import { InotifyEvent } from './inotify-event.ts'
import type { NodeReference } from './jobs.ts'
import { inotifyAddWatch, inotifyInit, inotifyRemoveWatch, procPath } from './native.ts'

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

export function unwatchDirectory(job: { inotify: number; watch: number }): void {
  // The directory may be gone, and the watch with it.
  inotifyRemoveWatch(job.inotify, job.watch)
}
