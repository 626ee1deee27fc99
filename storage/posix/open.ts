/** MS-FSA 2.1.5.1 on POSIX: opens or creates what a path names; path, access, attributes and permissions in one job. */

import { constants } from 'node:fs'
import { StorageError, UnheededError } from '../errors.ts'
import type { Permissions } from '../file-system.ts'
import { createEntry, type Found } from './create.ts'
import { check, Errno } from './errno.ts'
import { actAs, asServer } from './identity.ts'
import type { OpenJob, OpenReply } from './jobs.ts'
import { addMetadata, isOwner, placeOf, storedDescriptor } from './metadata.ts'
import { close, mayAccess, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY, reopen, statOf } from './native.ts'
import { leaveMarks } from './netatalk-locks.ts'
import { beginWaiting } from './no-wait.ts'
import { findEntry, openDirectory, openDirectoryExact, openExact } from './resolve.ts'
import { clientPath, diskComponents, joinPath, shareOf } from './share.ts'
import { type Share, splitPath } from './share-type.ts'
import { isSpecial, modeOf, newRecord, typeOf } from './stat-record.ts'
import { openStream } from './streams.ts'

/** Others may create and remove the name between our steps; after this many times it is their fault. */
const ATTEMPTS = 8

export function open(job: OpenJob): OpenReply {
  try {
    return openOrThrow(shareOf(job.share), job)
  } catch (error) {
    if (error instanceof UnheededError) {
      return { ok: false, error: error.code, parentDescriptor: error.parentDescriptor }
    }
    if (error instanceof StorageError) return { ok: false, error: error.code }
    throw error
  }
}

function openOrThrow(share: Share, job: OpenJob): OpenReply {
  const components = diskComponents(share, job.path)
  let found: Found | undefined
  try {
    const { access, stream } = actAs(job.identity, () => {
      found = findOrCreate(share, job, components)
      const stream = job.stream === undefined ? undefined : openStream(share, job, job.stream, found)
      if (stream === undefined) openForData(job, found)
      if (stream === undefined) tellNetatalk(job, found)
      return { access: job.wantPermissions ? accessOf(share, found) : undefined, stream }
    })
    if (found === undefined) throw new Error('nothing was opened')
    // As the server: to know attributes no account needs more than the way there.
    const wantsDescriptor = job.wantPermissions && !found.created
    const securityDescriptor = addMetadata(placeOf(found), found.record, wantsDescriptor)
    stream?.complete(found.record)
    return {
      ok: true,
      fd: found.fd,
      pathOnly: found.pathOnly,
      link: found.link,
      stream: stream?.reference,
      streamName: stream?.name,
      created: stream?.created ?? found.created,
      fileCreated: found.created,
      path: clientPath(share, found.path),
      record: found.record,
      permissions: access?.permissions,
      securityDescriptor,
      parentDescriptor: access?.parentDescriptor,
    }
  } catch (error) {
    if (found !== undefined) closeFound(found)
    throw error
  }
}

function closeFound(found: Found): void {
  close(found.fd)
  if (found.link !== undefined) close(found.link)
}

function findOrCreate(share: Share, job: OpenJob, components: readonly string[]): Found {
  // The disposition of a stream's open is the stream's; its file is only ever opened or made.
  const disposition = job.stream !== undefined && job.disposition === 'create' ? 'open-if' : job.disposition
  const name = components.at(-1)
  if (name === undefined) {
    if (disposition === 'create') throw new StorageError('exists')
    return existing(share, job, '') ?? notFound()
  }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const found = disposition === 'create' ? undefined : existing(share, job, components.join('/'))
    if (found !== undefined) return found
    beginWaiting()
    const parent = openDirectory(share, components.slice(0, -1), job.posixNames)
    try {
      const stored =
        job.posixNames === true
          ? undefined
          : findEntry(parent.fd, name, disposition === 'create' ? 'case' : 'any')
      if (stored !== undefined) {
        if (disposition === 'create') throw new StorageError('exists')
        const inAnotherCase = existing(share, job, joinPath(parent.path, stored))
        if (inAnotherCase !== undefined) return inAnotherCase
        if (disposition === 'open') notFound()
        continue
      }
      if (disposition === 'open') notFound()
      const created = createEntry(share, job, parent, name)
      if (created !== undefined) return created
      if (disposition === 'create') throw new StorageError('exists')
    } finally {
      close(parent.fd)
    }
  }
  throw new StorageError('busy', 'the name keeps changing')
}

function notFound(): never {
  throw new StorageError('not-found')
}

/** Opens, with O_PATH, what has exactly this path; undefined when nothing has. */
function existing(share: Share, job: OpenJob, path: string): Found | undefined {
  let fd = openExact(share, path, false)
  if (fd === -Errno.ENOENT) return undefined
  const record = newRecord()
  let link: number | undefined
  try {
    check(statOf(fd, record), 'statx')
    if (typeOf(record) === 'symlink' && job.followLinks) {
      const target = openExact(share, path, true)
      if (target < 0) notFound()
      link = fd
      fd = target
      check(statOf(fd, record), 'statx')
    }
    checkKind(job, record)
    return { fd, pathOnly: true, link, created: false, path, record }
  } catch (error) {
    close(fd)
    if (link !== undefined) close(link)
    throw error
  }
}

function checkKind(job: OpenJob, record: Buffer): void {
  if (job.stream !== undefined) return
  const isDirectory = typeOf(record) === 'directory'
  if (job.kind === 'directory' && !isDirectory) throw new StorageError('not-directory')
  if (job.kind === 'file' && isDirectory) throw new StorageError('is-directory')
}

/** Opens the node again for the access that is wanted: through its descriptor, so that it is the one that was looked at. */
function openForData(job: OpenJob, found: Found): void {
  if (!found.pathOnly || !(job.read || job.write)) return
  const type = typeOf(found.record)
  if (type === 'symlink') return
  if (isSpecial(type)) throw new StorageError('access-denied', 'neither file nor directory')
  const access = job.read ? (job.write ? O_RDWR : O_RDONLY) : O_WRONLY
  const fd = reopen(found.fd, type === 'directory' ? O_RDONLY | O_DIRECTORY : access)
  // A directory that may not be read can still be entered and have its attributes changed.
  if (fd === -Errno.EACCES && type === 'directory' && !job.read) return
  check(fd, `open "${found.path}"`)
  close(found.fd)
  found.fd = fd
  found.pathOnly = false
}

function tellNetatalk({ read, write, denies }: OpenJob, found: Found): void {
  if (denies === undefined || found.pathOnly || typeOf(found.record) !== 'file') return
  const modes = { deniesReading: denies.reading, deniesWriting: denies.writing }
  leaveMarks(found.fd, { reads: read, writes: write, ...modes })
}

const STICKY = 0o1000

interface Access {
  readonly permissions: Permissions
  /** The directory's, of a file that existed and whose entry may be removed. */
  readonly parentDescriptor: Uint8Array | undefined
}

function accessOf(share: Share, found: Found): Access {
  const { fd, record } = found
  const permissions = {
    read: mayAccess(fd, constants.R_OK),
    write: mayAccess(fd, constants.W_OK),
    execute: mayAccess(fd, constants.X_OK),
    owner: isOwner(record),
    remove: false,
  }
  if (found.path === '') return { permissions, parentDescriptor: undefined }
  const parent = openDirectoryExact(share, splitPath(found.path).parent)
  try {
    permissions.remove = mayRemove(parent, found)
    const isAsked = permissions.remove && !found.created
    const parentDescriptor = isAsked
      ? asServer(() => storedDescriptor({ kind: 'path-only', fd: parent }))
      : undefined
    return { permissions, parentDescriptor }
  } finally {
    close(parent)
  }
}

function mayRemove(parent: number, found: Found): boolean {
  if (!mayAccess(parent, constants.W_OK | constants.X_OK)) return false
  const record = newRecord()
  check(statOf(parent, record), 'statx')
  if ((modeOf(record) & STICKY) === 0 || isOwner(record)) return true
  // The sticky bit leaves removal to the owners of directory and entry; the entry is the link, where there is one.
  if (found.link !== undefined) check(statOf(found.link, record), 'statx')
  return isOwner(found.link === undefined ? found.record : record)
}
