/** statfs(2): space and identity of the file system a descriptor is on. */

import type { SpaceInfo } from '../file-system.ts'
import { check } from './errno.ts'
import { fstatfs } from './native.ts'
import { ALLOCATION_UNIT_BYTES } from './stat-record.ts'

/** struct statfs on 64-bit Linux: offsets in bytes. */
const Statfs = { type: 0, blockSize: 8, blocks: 16, free: 24, available: 32, id: 56 } as const
const STATFS_BYTES = 120

const buffer = Buffer.alloc(STATFS_BYTES)

function fill(fd: number): void {
  check(fstatfs(fd, buffer), 'fstatfs')
}

function blocksAt(at: number): number {
  return Number(buffer.readBigUInt64LE(at)) * Number(buffer.readBigUInt64LE(Statfs.blockSize))
}

export function spaceOf(fd: number): SpaceInfo {
  fill(fd)
  return {
    blockSize: ALLOCATION_UNIT_BYTES,
    total: blocksAt(Statfs.blocks),
    free: blocksAt(Statfs.free),
    available: blocksAt(Statfs.available),
  }
}

/** What an ordinary user may still use, in bytes. */
export function freeBytes(fd: number): number {
  return spaceOf(fd).available
}

/** Compresses file by file when FS_COMPR_FL is set; ext4 takes the flag and does nothing. */
const BTRFS_SUPER_MAGIC = 0x9123_683en

/** Whether FS_COMPR_FL means something here. */
export function honoursCompressionFlag(fd: number): boolean {
  fill(fd)
  return BigInt.asUintN(32, buffer.readBigUInt64LE(Statfs.type)) === BTRFS_SUPER_MAGIC
}

/** f_fsid: stable over restarts; 0 where the file system has none. */
export function fileSystemId(fd: number): bigint {
  fill(fd)
  return buffer.readBigUInt64LE(Statfs.id)
}
