/** Opens what a disk is on: looks what it is, and keeps others from it. */

import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { BlockDevice } from '../block-device.ts'
import { StorageError } from '../errors.ts'
import { Lane } from '../lane.ts'
import { fromNodeError } from '../posix/errno.ts'
import {
  Backing,
  type BackingOptions,
  DEFAULT_GRANULARITY_BYTES,
  type Kind,
  SECTOR_BYTES,
} from './backing.ts'
import { lockBacking } from './lock.ts'

const FILE_MODE = 0o600
/** Larger than any record of a file system. */
const MAXIMUM_GRANULARITY_BYTES = 16 * 1024 * 1024
/** zvols: OpenZFS's major number. */
const ZVOL_MAJOR = 230n

/** @throws StorageError in words for the owner: it is missing, in use, too short, no disk */
export async function openBacking(options: BackingOptions): Promise<BlockDevice> {
  const lane = options.lane ?? new Lane()
  return await lane.run(() => openOn(lane, options))
}

async function openOn(lane: Lane, options: BackingOptions): Promise<BlockDevice> {
  const { handle, isNew } = await openFile(options)
  try {
    const stats = await handle.stat({ bigint: true })
    const kind = kindOf(stats, options.path)
    await lockBacking(handle.fd, options.path, options.readOnly ? 'shared' : 'exclusive', stats)
    const claim = kind === 'file' || options.readOnly ? undefined : await claimDevice(options.path)
    // Holes are refused through any descriptor but the one that claims the device; the other keeps the lock.
    const handles = claim === undefined ? { handle } : { handle: claim, lock: handle }
    const backing = new Backing(handles, { ...options, lane }, kind, await granularityOf(stats, kind))
    await backing.prepare(isNew).catch(async (error: unknown) => {
      await claim?.close()
      throw error
    })
    return backing
  } catch (error) {
    await handle.close()
    throw fromNodeError(error)
  }
}

async function openFile(options: BackingOptions): Promise<{ handle: FileHandle; isNew: boolean }> {
  const { path, readOnly, size } = options
  try {
    return { handle: await open(path, readOnly ? 'r' : 'r+'), isNew: false }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw fromNodeError(error)
    if (readOnly)
      throw new StorageError('not-found', `${path} does not exist, and is not made as it is read-only`)
    if (size === undefined)
      throw new StorageError('not-found', `${path} does not exist; set size to have it made`)
  }
  try {
    return { handle: await open(path, 'wx+', FILE_MODE), isNew: true }
  } catch (error) {
    throw fromNodeError(error)
  }
}

/** open(2): the kernel gives a block device to one who asks for it alone; mounts ask so, and know no locks. */
async function claimDevice(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_EXCL)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
    throw new StorageError('busy', `${path} is in use by this machine (mounted, or part of a pool or RAID)`)
  }
}

function kindOf(stats: BigIntStats, path: string): Kind {
  if (stats.isFile()) return 'file'
  if (stats.isBlockDevice()) return majorOf(stats.rdev) === ZVOL_MAJOR ? 'zvol' : 'device'
  throw new StorageError('invalid', `${path} is neither a file nor a block device`)
}

/** makedev(3). */
function majorOf(rdev: bigint): bigint {
  return (rdev >> 8n) & 0xfffn
}

async function granularityOf(stats: BigIntStats, kind: Kind): Promise<number> {
  const bytes = kind === 'file' ? Number(stats.blksize) : await deviceGranularity(stats.rdev)
  const isUsable =
    bytes >= SECTOR_BYTES && bytes <= MAXIMUM_GRANULARITY_BYTES && Number.isInteger(Math.log2(bytes))
  return isUsable ? bytes : DEFAULT_GRANULARITY_BYTES
}

async function deviceGranularity(rdev: bigint): Promise<number> {
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)
  const folder = `/sys/dev/block/${majorOf(rdev)}:${minor}`
  for (const queue of [`${folder}/queue`, `${folder}/../queue`]) {
    const text = await readFile(`${queue}/discard_granularity`, 'utf8').catch(() => undefined)
    if (text !== undefined) return Number(text)
  }
  return DEFAULT_GRANULARITY_BYTES
}
