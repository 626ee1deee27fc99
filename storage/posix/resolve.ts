/** openat2(2): from a client's path to what it names on disk, never out of the share, without regard to case where the exact name is missing. */

import { StorageError, type StorageErrorCode } from '../errors.ts'
import type { MatchKind } from './directory-index.ts'
import { codeOfErrno, Errno } from './errno.ts'
import { close, O_DIRECTORY, O_NOFOLLOW, O_PATH, openBeneath } from './native.ts'
import { indexes, joinPath } from './share.ts'
import type { Share } from './share-type.ts'

/** What an errno of path resolution means; EXDEV here says that the path leads out. */
function resolutionError(number: number, path: string): StorageError {
  const code: StorageErrorCode =
    number === Errno.EXDEV ? 'outside' : number === Errno.ENOENT ? 'path-not-found' : codeOfErrno(number)
  return new StorageError(code, `resolving "${path}": errno ${number}`)
}

export interface OpenedDirectory {
  /** Opened with O_PATH; the caller closes it. */
  readonly fd: number
  /** As stored, from the share's root. */
  readonly path: string
}

/** Opens what an exact path names, with O_PATH. Returns -ENOENT when nothing does. @throws StorageError for all else */
export function openExact(share: Share, path: string, follow: boolean): number {
  const fd = openBeneath(share.root, path, O_PATH | (follow ? 0 : O_NOFOLLOW))
  if (fd < 0 && fd !== -Errno.ENOENT) throw resolutionError(-fd, path)
  return fd
}

/**
 * Opens the directory that the components name.
 * @param exactly no other case or form is looked for
 * @throws StorageError 'path-not-found' and others
 */
export function openDirectory(share: Share, components: readonly string[], exactly = false): OpenedDirectory {
  const path = components.join('/')
  const fd = openBeneath(share.root, path, O_PATH | O_DIRECTORY)
  if (fd >= 0) return { fd, path }
  if (fd !== -Errno.ENOENT || exactly) throw resolutionError(-fd, path)
  return walk(share, components)
}

/** Goes down one component after the other, looking each up whose exact name is missing. */
function walk(share: Share, components: readonly string[]): OpenedDirectory {
  let at = openDirectoryExact(share, '')
  let path = ''
  for (const component of components) {
    let next = joinPath(path, component)
    let fd = openBeneath(share.root, next, O_PATH | O_DIRECTORY)
    if (fd === -Errno.ENOENT) {
      const stored = findEntry(at, component, 'any')
      if (stored !== undefined) {
        next = joinPath(path, stored)
        fd = openBeneath(share.root, next, O_PATH | O_DIRECTORY)
      }
    }
    close(at)
    if (fd < 0) throw resolutionError(-fd, next)
    at = fd
    path = next
  }
  return { fd: at, path }
}

/** Opens a directory by its exact path. */
export function openDirectoryExact(share: Share, path: string): number {
  const fd = openBeneath(share.root, path, O_PATH | O_DIRECTORY)
  if (fd < 0) throw resolutionError(-fd, path)
  return fd
}

/** The stored name of the entry that `name` means; the directory stays open, also on errors. */
export function findEntry(directory: number, name: string, match: MatchKind): string | undefined {
  return indexes.find(directory, name, match)
}
