/** What a worker knows of one share: its root, kept open, and how names are written there. */

import { StorageError } from '../errors.ts'
import { toNative } from '../names/sfm.ts'
import { componentError } from '../names/valid.ts'
import { DirectoryIndexes } from './directory-index.ts'
import { clientName, type Share } from './share-type.ts'

const shares = new Map<number, Share>()

/** Shared by all shares of this worker: a directory is the same through each. */
export const indexes = new DirectoryIndexes()

export function addShare(share: Share): void {
  shares.set(share.id, share)
}

export function removeShare(id: number): void {
  shares.delete(id)
}

export function shareOf(id: number): Share {
  const share = shares.get(id)
  if (share === undefined) throw new StorageError('stale', 'the file system was closed')
  return share
}

/** A path's components as they are written on disk. @throws StorageError 'name-invalid', 'name-too-long' */
export function diskComponents(share: Share, path: string): readonly string[] {
  if (path === '') return []
  return path.split('/').map((component) => {
    const error = componentError(component)
    if (error !== undefined) throw new StorageError(error)
    return share.nameMapping === 'native' ? toNative(component) : component
  })
}

/** The same for a path. */
export function clientPath(share: Share, diskPath: string): string {
  return diskPath
    .split('/')
    .map((name) => clientName(share, name))
    .join('/')
}

export function joinPath(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`
}
