/** MS-FSA 2.1.5.10: allocation, holes, copies and compression of a file's data; bytes themselves go from the main thread. */

import { StorageError } from '../errors.ts'
import type { ByteRange } from '../file-system.ts'
import { check, Errno } from './errno.ts'
import { actAs, asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { assertMayChange, readRecord } from './metadata.ts'
import {
  cloneFileRange,
  close,
  copyFileRange,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fsync,
  ftruncate,
  getInodeFlags,
  lseek,
  O_NONBLOCK,
  O_RDONLY,
  reopen,
  SEEK_DATA,
  SEEK_HOLE,
  setInodeFlags,
} from './native.ts'
import { syncResourceFork } from './resource-fork.ts'
import { shareOf } from './share.ts'
import { sizeOf, typeOf } from './stat-record.ts'

/** The kernel cannot do it between these files, on this file system or with these offsets: copy by reading and writing. */
const NEEDS_PLAIN_COPY: ReadonlySet<number> = new Set([
  Errno.EXDEV,
  Errno.ENOSYS,
  Errno.EOPNOTSUPP,
  Errno.EINVAL,
  Errno.ETXTBSY,
])
const FS_COMPR_FL = 0x4

export function setSize(job: { node: NodeReference; size: number }): void {
  check(ftruncate(job.node.fd, job.size), 'ftruncate')
}

/** FileAllocationInformation: below the end of file cuts, otherwise reserves. */
export function setAllocation(job: { node: NodeReference; bytes: number }): void {
  const size = sizeOf(readRecord(job.node))
  if (job.bytes < size) {
    check(ftruncate(job.node.fd, job.bytes), 'ftruncate')
  } else if (job.bytes > 0) {
    const result = fallocate(job.node.fd, FALLOC_FL_KEEP_SIZE, 0, job.bytes)
    // "FileAllocationInformation is a hint" (MS-FSA 2.1.5.14.1): a file system that cannot reserve is no failure.
    if (result !== -Errno.EOPNOTSUPP) check(result, 'fallocate')
  }
}

/** Returns false where the file system cannot punch holes: then zeros must be written. */
export function punchHole(job: { node: NodeReference; range: ByteRange }): boolean {
  const { offset, length } = job.range
  const result = fallocate(job.node.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)
  if (result === -Errno.EOPNOTSUPP) return false
  check(result, 'fallocate')
  return true
}

export function allocatedRanges(job: {
  node: NodeReference
  range: ByteRange
  limit: number
}): readonly ByteRange[] {
  const { node, range, limit } = job
  const end = Math.min(range.offset + range.length, sizeOf(readRecord(node)))
  if (range.offset >= end || limit === 0) return []
  return withDescriptor(node, (fd) => findData(fd, range.offset, end, limit))
}

function findData(fd: number, from: number, end: number, limit: number): ByteRange[] {
  const ranges: ByteRange[] = []
  let at = from
  while (at < end && ranges.length < limit) {
    const data = lseek(fd, at, SEEK_DATA)
    // ENXIO: no data up to the end of the file.
    if (data === -Errno.ENXIO || data >= end) break
    const hole = Math.min(end, check(lseek(fd, check(data, 'lseek'), SEEK_HOLE), 'lseek'))
    ranges.push({ offset: data, length: hole - data })
    at = hole
  }
  return ranges
}

export interface CopyJob {
  readonly from: NodeReference
  readonly to: NodeReference
  readonly at: number
  readonly toAt: number
  readonly length: number
}

/** One piece of a copy. Returns the bytes copied, 0 at the source's end, -1 where the kernel cannot. */
export function copy(job: CopyJob): number {
  const result = copyFileRange(job.from.fd, job.at, job.to.fd, job.toAt, job.length)
  return NEEDS_PLAIN_COPY.has(-result) ? -1 : check(result, 'copy_file_range')
}

export function clone(job: CopyJob): void {
  const result = cloneFileRange(job.from.fd, job.at, job.to.fd, job.toAt, job.length)
  if (result === -Errno.EXDEV)
    throw new StorageError('not-supported', 'blocks are shared within a file system')
  check(result, 'FICLONERANGE')
}

/** fsync of what was opened without data access, and of a sidecar. */
export function flush(node: NodeReference): void {
  if (node.stream?.kind === 'resource-fork') syncResourceFork(node)
  withDescriptor(node, (fd) => check(fsync(fd), 'fsync'))
}

export function isCompressed(node: NodeReference): boolean {
  assertCompression(node)
  return withDescriptor(node, (fd) => (check(getInodeFlags(fd), 'FS_IOC_GETFLAGS') & FS_COMPR_FL) !== 0)
}

export function setCompressed(job: { node: NodeReference; enabled: boolean }): void {
  const { node, enabled } = job
  assertCompression(node)
  actAs(node.identity, () => assertMayChange(node, readRecord(node)))
  withDescriptor(node, (fd) => {
    const flags = check(getInodeFlags(fd), 'FS_IOC_GETFLAGS')
    check(setInodeFlags(fd, enabled ? flags | FS_COMPR_FL : flags & ~FS_COMPR_FL), 'FS_IOC_SETFLAGS')
  })
}

function assertCompression(node: NodeReference): void {
  if (!shareOf(node.share).compression) throw new StorageError('not-supported')
}

/** Runs `work`, as the server, with a descriptor that calls for data take. */
function withDescriptor<T>(node: NodeReference, work: (fd: number) => T): T {
  return asServer(() => {
    if (!node.pathOnly) return work(node.fd)
    const type = typeOf(readRecord(node))
    // Devices and pipes do things when they are opened.
    if (type !== 'file' && type !== 'directory') throw new StorageError('not-supported')
    const fd = check(reopen(node.fd, O_RDONLY | O_NONBLOCK), 'open')
    try {
      return work(fd)
    } finally {
      close(fd)
    }
  })
}
