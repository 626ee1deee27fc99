/** System calls for disks that Node lacks, in koffi's own threads: each may wait long for a disk. */

import koffi from 'koffi'
import { errnoError } from '../posix/errno.ts'

const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const SEEK_DATA = 3
const SEEK_HOLE = 4
const ENXIO = koffi.os.errno['ENXIO'] ?? 6
const UNSUPPORTED: ReadonlySet<number | undefined> = new Set([
  koffi.os.errno['EOPNOTSUPP'],
  koffi.os.errno['ENOSYS'],
  koffi.os.errno['ENOTTY'],
  koffi.os.errno['ENODEV'],
])

/** linux/fs.h; the same on x64 and arm64. */
const BLKGETSIZE64 = 0x80081272
const BLKDISCARD = 0x1277
const BLKZEROOUT = 0x127f

const library = koffi.load(null)

/** A call that resolves with its result, or with -errno (which koffi brings along from its thread). */
function declare<Args extends readonly unknown[]>(prototype: string): (...args: Args) => Promise<number> {
  const call = library.func(prototype)
  return (...args) =>
    new Promise((resolve, reject) => {
      call.async(...args, (error: Error | null, result: number | bigint) => {
        if (error !== null) reject(error)
        else resolve(Number(result) === -1 ? -koffi.errno() : Number(result))
      })
    })
}

const fallocate = declare<[number, number, number, number]>(
  'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
)
const lseek = declare<[number, number, number]>('int64_t lseek(int fd, int64_t offset, int whence)')
const ioctl = declare<[number, number, Buffer]>('int ioctl(int fd, unsigned long request, void* argument)')

/** @throws StorageError for -errno */
function checked(result: number, what: string): number {
  if (result < 0) throw errnoError(-result, what)
  return result
}

/** @returns false where it cannot be done */
function supported(result: number, what: string): boolean {
  if (UNSUPPORTED.has(-result)) return false
  checked(result, what)
  return true
}

/** The range reads as zeros and occupies nothing afterwards, also of a block device. @returns false where that is impossible */
export async function punchHole(fd: number, offset: number, length: number): Promise<boolean> {
  const result = await fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)
  return supported(result, 'punching a hole')
}

/** Where data begins at or after `offset`; undefined when there is none up to the end. */
export async function seekData(fd: number, offset: number): Promise<number | undefined> {
  const result = await lseek(fd, offset, SEEK_DATA)
  return result === -ENXIO ? undefined : checked(result, 'SEEK_DATA')
}

/** Where the next hole begins at or after `offset`; the end counts as one. */
export async function seekHole(fd: number, offset: number): Promise<number> {
  return checked(await lseek(fd, offset, SEEK_HOLE), 'SEEK_HOLE')
}

/** Bytes of a block device. */
export async function blockDeviceSize(fd: number): Promise<number> {
  const size = Buffer.alloc(8)
  checked(await ioctl(fd, BLKGETSIZE64, size), 'BLKGETSIZE64')
  return Number(size.readBigUInt64LE(0))
}

function rangeArgument(offset: number, length: number): Buffer {
  const range = Buffer.alloc(16)
  range.writeBigUInt64LE(BigInt(offset), 0)
  range.writeBigUInt64LE(BigInt(length), 8)
  return range
}

/** Gives back what lies wholly inside; what it reads as afterwards is the device's affair. @returns false where it cannot */
export async function discardBlocks(fd: number, offset: number, length: number): Promise<boolean> {
  return supported(await ioctl(fd, BLKDISCARD, rangeArgument(offset, length)), 'BLKDISCARD')
}

/** Zeros, in sectors of 512 bytes, by whatever way the device has. */
export async function zeroBlocks(fd: number, offset: number, length: number): Promise<void> {
  checked(await ioctl(fd, BLKZEROOUT, rangeArgument(offset, length)), 'BLKZEROOUT')
}
