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

/** Of statfs(2). */
const Magic = { ext4: 0xef53n, xfs: 0x5846_5342n, btrfs: 0x9123_683en, tmpfs: 0x0102_1994n } as const

function typeOf(fd: number): bigint {
  fill(fd)
  return BigInt.asUintN(32, buffer.readBigUInt64LE(Statfs.type))
}

/** Compresses file by file when FS_COMPR_FL is set; ext4 takes the flag and does nothing. */
export function honoursCompressionFlag(fd: number): boolean {
  return typeOf(fd) === Magic.btrfs
}

const ANSWER_FROM_MEMORY: ReadonlySet<bigint> = new Set(Object.values(Magic))

/**
 * Whether what the kernel has in memory of this file system is to be had at once, without asking anybody. Not on ZFS: a pool
 * that is suspended holds whoever touches it.
 */
export function answersFromMemory(fd: number): boolean {
  return ANSWER_FROM_MEMORY.has(typeOf(fd))
}

/** f_fsid: stable over restarts; 0 where the file system has none. */
export function fileSystemId(fd: number): bigint {
  fill(fd)
  return buffer.readBigUInt64LE(Statfs.id)
}
