/** MS-FSA 2.1.5.1.1: creation of a new file or directory, with exactly the mode, owner and attributes that were asked for. */

import { check, Errno } from './errno.ts'
import { asServer } from './identity.ts'
import type { OpenJob } from './jobs.ts'
import { assertHeeded, storeDescriptor, storeDosAttributes } from './metadata.ts'
import {
  AT_REMOVEDIR,
  chmod,
  chown,
  close,
  mkdirat,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openBeneath,
  procPath,
  reopen,
  statOf,
  unlinkat,
} from './native.ts'
import type { OpenedDirectory } from './resolve.ts'
import { indexes, joinPath } from './share.ts'
import type { Share } from './share-type.ts'
import { hasNativeBirthTime, modeOf, newRecord } from './stat-record.ts'

/** A node as opened, before attributes are read. */
export interface Found {
  fd: number
  pathOnly: boolean
  /** Descriptor of the symbolic link that led to it. */
  link: number | undefined
  created: boolean
  /** As stored, from the share's root. */
  readonly path: string
  readonly record: Buffer
}

/** A directory inherits it, and keeps it whatever mode it is given. */
const SET_GROUP_ID = 0o2000

/** Creates the entry; undefined when another made the name first. */
export function createEntry(
  share: Share,
  job: OpenJob,
  parent: OpenedDirectory,
  name: string,
): Found | undefined {
  if (job.wantPermissions && share.extendedAttributes) assertHeeded(parent.fd, job.create.heeded)
  const isDirectory = job.kind === 'directory' && job.stream === undefined
  const mark = indexes.mark(parent.fd)
  const opened = isDirectory ? makeDirectory(job, parent.fd, name) : makeFile(job, parent.fd, name)
  if (opened === undefined) return undefined
  indexes.added(mark, parent.fd, name)
  const found: Found = {
    ...opened,
    link: undefined,
    created: true,
    path: joinPath(parent.path, name),
    record: newRecord(),
  }
  try {
    giveAttributes(share, job, found)
    return found
  } catch (error) {
    close(found.fd)
    const undone = indexes.mark(parent.fd)
    unlinkat(parent.fd, name, isDirectory ? AT_REMOVEDIR : 0)
    indexes.removed(undone, parent.fd, name)
    throw error
  }
}

interface Made {
  readonly fd: number
  readonly pathOnly: boolean
}

function makeFile(job: OpenJob, parent: number, name: string): Made | undefined {
  const access = job.write ? (job.read ? O_RDWR : O_WRONLY) : O_RDONLY
  const fd = openBeneath(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | access, job.create.mode)
  if (fd === -Errno.EEXIST) return undefined
  return { fd: check(fd, `create "${name}"`), pathOnly: false }
}

function makeDirectory(job: OpenJob, parent: number, name: string): Made | undefined {
  const made = mkdirat(parent, name, job.create.mode)
  if (made === -Errno.EEXIST) return undefined
  check(made, `mkdir "${name}"`)
  const fd = check(openBeneath(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY), `open "${name}"`)
  if (!job.read) return { fd, pathOnly: true }
  const readable = reopen(fd, O_RDONLY | O_DIRECTORY)
  if (readable < 0) return { fd, pathOnly: true }
  close(fd)
  return { fd: readable, pathOnly: false }
}

function giveAttributes(share: Share, job: OpenJob, found: Found): void {
  const { mode, owner, dosAttributes, securityDescriptor } = job.create
  const path = procPath(found.fd)
  if (owner !== undefined) asServer(() => check(chown(path, owner.uid, owner.gid), 'chown'))
  check(statOf(found.fd, found.record), 'statx')
  const actual = modeOf(found.record)
  // The umask is the whole process's and takes bits away; only what it took must be put back.
  if ((actual & ~SET_GROUP_ID) !== (mode & ~SET_GROUP_ID)) {
    asServer(() => check(chmod(path, mode | (actual & SET_GROUP_ID)), 'chmod'))
    check(statOf(found.fd, found.record), 'statx')
  }
  if (!share.extendedAttributes) return
  // A file system that keeps birth times itself needs nothing stored for a file without attributes.
  const stores = dosAttributes !== 0 || !hasNativeBirthTime(found.record)
  if (stores) storeDosAttributes(found, found.record, { dosAttributes })
  if (securityDescriptor !== undefined) asServer(() => storeDescriptor(found, securityDescriptor))
  // What was stored has moved the change time that the client is told.
  if (stores || securityDescriptor !== undefined) check(statOf(found.fd, found.record), 'statx')
}
