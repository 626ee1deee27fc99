/** The sidecar of a file that is open, found anew by each operation: the file may have been moved, the sidecar made or removed. */

import { StorageError } from '../errors.ts'
import type { SidecarFacts } from '../metadata/mac-metadata.ts'
import { diskPathOf } from './disk-path.ts'
import { check } from './errno.ts'
import { actAs } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { close, O_RDONLY, O_RDWR, statOf } from './native.ts'
import { openDirectoryExact } from './resolve.ts'
import { shareOf } from './share.ts'
import { splitPath } from './share-type.ts'
import {
  createSidecar,
  type EntryPlace,
  finderInfoOf,
  forkBytesOf,
  type OpenSidecar,
  openSidecar,
} from './sidecar-file.ts'
import { newRecord } from './stat-record.ts'

/** A file that is open, and for whom. */
export type SidecarOwner = Pick<NodeReference, 'share' | 'fd' | 'identity'>

type Work<T> = (opened: OpenSidecar, place: EntryPlace) => T

/** Runs `work`, as the account, with the sidecar; undefined when there is none. */
export function withSidecar<T>(owner: SidecarOwner, access: 'read' | 'write', work: Work<T>): T | undefined {
  return withEntry(owner, (place) => {
    const opened = openSidecar(place, access === 'read' ? O_RDONLY : O_RDWR)
    return opened === undefined ? undefined : closing(opened, place, work)
  })
}

/** The same with one that is made where there is none. */
export function withOwnSidecar<T>(owner: SidecarOwner, work: Work<T>): T {
  const result = withEntry(owner, (place) => {
    const record = newRecord()
    check(statOf(owner.fd, record), 'statx')
    const opened = openSidecar(place, O_RDWR) ?? createSidecar(place, record)
    return { value: closing(opened, place, work) }
  })
  if (result === undefined) throw new StorageError('not-found', 'the file has no name')
  return result.value
}

function closing<T>(opened: OpenSidecar, place: EntryPlace, work: Work<T>): T {
  try {
    return work(opened, place)
  } finally {
    close(opened.fd)
  }
}

/** Where the file's entry is; undefined for the root, and for a file that was removed or moved out of the share. */
function withEntry<T>(
  { share: id, fd, identity }: SidecarOwner,
  work: (place: EntryPlace) => T,
): T | undefined {
  const share = shareOf(id)
  const path = share.macStreams ? pathOf(id, fd) : ''
  if (path === '') return undefined
  const { parent, name } = splitPath(path)
  return actAs(identity, () => {
    const directory = openDirectoryExact(share, parent)
    try {
      return work({ directory, name })
    } finally {
      close(directory)
    }
  })
}

function pathOf(share: number, fd: number): string {
  try {
    return diskPathOf(shareOf(share), fd)
  } catch (error) {
    if (error instanceof StorageError && (error.code === 'not-found' || error.code === 'outside')) return ''
    throw error
  }
}

/** What a listing shows of it. @param place an entry that has one */
export function sidecarFacts(place: EntryPlace): SidecarFacts | undefined {
  const opened = openSidecar(place, O_RDONLY)
  if (opened === undefined) return undefined
  return closing(opened, place, () => ({
    finderInfo: finderInfoOf(opened),
    resourceForkBytes: forkBytesOf(opened),
    hasAttributes: opened.sidecar.attributes.length > 0,
  }))
}
