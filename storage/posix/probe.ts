/** What the file system below a share can do, tried out on files without a name. */

import { writeSync } from 'node:fs'
import { StorageError } from '../errors.ts'
import type { Features } from '../file-system.ts'
import { DOS_ATTRIBUTES_BYTES, DOS_ATTRIBUTES_XATTR } from '../metadata/dos-attributes.ts'
import { xattrOfStream } from '../metadata/dos-stream.ts'
import { MAXIMUM_NAME_UNITS } from '../names/valid.ts'
import { check, Errno } from './errno.ts'
import {
  cloneFileRange,
  close,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fgetxattr,
  fsetxattr,
  getInodeFlags,
  O_DIRECTORY,
  O_PATH,
  O_RDWR,
  O_TMPFILE,
  openBeneath,
  openPath,
  setInodeFlags,
  statOf,
} from './native.ts'
import { deviceOf, newRecord } from './stat-record.ts'
import { answersFromMemory, fileSystemId, honoursCompressionFlag } from './statfs.ts'
import { MAXIMUM_XATTR_BYTES } from './xattr.ts'

/** A stream's name is stored in the same place as its bytes: as long as most are. */
const PROBE_XATTR = xattrOfStream('x'.repeat(64))
const PROBE_MODE = 0o600
const PROBE_BYTES = 4096
const FS_COMPR_FL = 0x4

export interface ProbedRoot {
  readonly root: number
  readonly device: number
  readonly volumeId: bigint
  readonly features: Features
  /** See statfs.ts. */
  readonly answersFromMemory: boolean
}

/** Where a tree's root is: at an absolute path, or below the folder that is there. */
export interface RootPlace {
  readonly path: string
  readonly below: string | undefined
}

function openPlace({ path, below }: RootPlace): number {
  const at = check(openPath(path, O_PATH | O_DIRECTORY), `open "${path}"`)
  if (below === undefined) return at
  const found = openBeneath(at, below, O_PATH | O_DIRECTORY)
  close(at)
  if (found === -Errno.EXDEV) throw new StorageError('outside', `"${below}" leads out of "${path}"`)
  return check(found, `open "${below}" in "${path}"`)
}

/** Opens a share's root and finds out what is possible there. @throws StorageError when it cannot be opened */
export function openRoot(place: RootPlace): ProbedRoot {
  const root = openPlace(place)
  try {
    const record = newRecord()
    check(statOf(root, record), 'statx')
    const device = deviceOf(record)
    const identity = { root, device, volumeId: volumeIdOf(root, device) }
    return { ...identity, features: probe(root), answersFromMemory: answersFromMemory(root) }
  } catch (error) {
    close(root)
    throw error
  }
}

function volumeIdOf(root: number, device: number): bigint {
  // O_PATH descriptors take fstatfs since Linux 3.12.
  const id = fileSystemId(root)
  return id === 0n ? BigInt(device) : id
}

function probe(root: number): Features {
  const first = openBeneath(root, '', O_TMPFILE | O_RDWR, PROBE_MODE)
  const second = openBeneath(root, '', O_TMPFILE | O_RDWR, PROBE_MODE)
  try {
    const usable = first >= 0 && second >= 0
    const streamBytes = usable ? largestStream(first) : streamBytesOfRoot(root)
    return {
      extendedAttributes: streamBytes > 0,
      caseSensitive: false,
      sparse: usable && punches(first),
      clone: usable && clones(first, second),
      compression: usable && compresses(first),
      symbolicLinks: true,
      maximumStreamBytes: streamBytes,
      maximumNameUnits: MAXIMUM_NAME_UNITS,
    }
  } finally {
    if (first >= 0) close(first)
    if (second >= 0) close(second)
  }
}

/** Largest stream that an attribute can hold, in bytes; 0 without attributes. */
function largestStream(fd: number): number {
  const fits = (bytes: number) => fsetxattr(fd, PROBE_XATTR, Buffer.alloc(bytes), bytes, 0) === 0
  if (!fits(1)) return 0
  // Where attributes share one block, this one is nearly always there too.
  fsetxattr(fd, DOS_ATTRIBUTES_XATTR, Buffer.alloc(DOS_ATTRIBUTES_BYTES), DOS_ATTRIBUTES_BYTES, 0)
  let low = 1
  let high = MAXIMUM_XATTR_BYTES + 1
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle
  }
  // One byte follows the stream.
  return low - 1
}

/** Where nothing can be made (a read-only file system): whether attributes could at least be read. */
function streamBytesOfRoot(root: number): number {
  const directory = openBeneath(root, '', O_DIRECTORY)
  if (directory < 0) return 0
  const result = fgetxattr(directory, PROBE_XATTR, Buffer.alloc(1), 1)
  close(directory)
  return result === -Errno.EOPNOTSUPP ? 0 : MAXIMUM_XATTR_BYTES - 1
}

function punches(fd: number): boolean {
  writeSync(fd, Buffer.alloc(PROBE_BYTES))
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PROBE_BYTES) === 0
}

function clones(from: number, to: number): boolean {
  writeSync(from, Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0)
  const result = cloneFileRange(from, 0, to, 0, PROBE_BYTES)
  // ZFS shares no blocks that are not on the disk yet, and says so.
  return result === 0 || result === -Errno.EAGAIN
}

function compresses(fd: number): boolean {
  if (!honoursCompressionFlag(fd)) return false
  const flags = getInodeFlags(fd)
  if (flags < 0 || setInodeFlags(fd, flags | FS_COMPR_FL) < 0) return false
  return (getInodeFlags(fd) & FS_COMPR_FL) !== 0
}
