/** readlink(2) of /proc/self/fd: where what a descriptor refers to is now, whoever moved it. */

import { StorageError } from '../errors.ts'
import { decodeName } from './disk-name.ts'
import { check } from './errno.ts'
import { AT_FDCWD, close, O_NOFOLLOW, O_PATH, openBeneath, procPath, readlinkat, statOf } from './native.ts'
import type { Share } from './share-type.ts'
import { identityOf, newRecord } from './stat-record.ts'

/** PATH_MAX of Linux. */
const MAXIMUM_PATH_BYTES = 4096
const DELETED = ' (deleted)'

const pathBuffer = Buffer.alloc(MAXIMUM_PATH_BYTES)

/** Text of a symbolic link: of an entry, or with name '' of a descriptor. */
export function linkTextOf(directory: number, name: string): string {
  const length = check(readlinkat(directory, name, pathBuffer), 'readlink')
  if (length === MAXIMUM_PATH_BYTES) throw new StorageError('name-too-long')
  return decodeName(pathBuffer, 0, length)
}

/** Where the kernel says that a descriptor's entry is now, from the share's root. @throws StorageError 'not-found', 'outside' */
export function diskPathOf(share: Share, fd: number): string {
  const root = linkTextOf(AT_FDCWD, procPath(share.root))
  const path = linkTextOf(AT_FDCWD, procPath(fd))
  if (path === root) return ''
  const prefix = root === '/' ? '/' : `${root}/`
  if (!path.startsWith(prefix)) throw new StorageError('outside', 'the file was moved out of the share')
  const below = path.slice(prefix.length)
  if (below.endsWith(DELETED) && !isAt(share, below, fd)) {
    throw new StorageError('not-found', 'the entry was removed')
  }
  return below
}

/** Whether a path names the very file: one may be called "x (deleted)". */
function isAt(share: Share, path: string, fd: number): boolean {
  const there = openBeneath(share.root, path, O_PATH | O_NOFOLLOW)
  if (there < 0) return false
  try {
    const [mine, other] = [newRecord(), newRecord()]
    return statOf(fd, mine) === 0 && statOf(there, other) === 0 && identityOf(mine) === identityOf(other)
  } finally {
    close(there)
  }
}
