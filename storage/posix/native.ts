/** Linux system calls that node:fs lacks, through koffi. Each returns its result, or -errno. */

import { constants } from 'node:fs'
import koffi from 'koffi'
import { encodePath } from './disk-name.ts'
import { check, Errno } from './errno.ts'
import { beginWaiting, mayWait } from './no-wait.ts'

/** Numbers of calls that glibc does not wrap, or wraps for all threads at once (setgroups). */
const SYSCALL_NUMBERS = {
  x64: { setgroups: 116, openat2: 437, faccessat2: 439 },
  arm64: { setgroups: 159, openat2: 437, faccessat2: 439 },
} as const

/** openat2(2) flags that node:fs does not name; the same on x64 and arm64. */
export const O_PATH = 0o10000000
export const O_CLOEXEC = 0o2000000
export const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants
/** Without the O_DIRECTORY that it includes. */
export const O_TMPFILE = 0o20000000 | O_DIRECTORY

export const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
const AT_EACCESS = 0x200
const AT_SYMLINK_FOLLOW = 0x400
const AT_EMPTY_PATH = 0x1000

/** "Do not permit the path resolution to succeed if any component is not a descendant of dirfd." */
const RESOLVE_BENEATH = 0x08n
const RESOLVE_NO_MAGICLINKS = 0x02n
/** "Make the open operation fail unless all path components are already present in the kernel's lookup cache." */
const RESOLVE_CACHED = 0x20n

/** struct open_how: flags, mode, resolve. */
const OPEN_HOW_BYTES = 24
/** A path resolution with '..' that met a rename answers EAGAIN and may be tried again. */
const OPEN_ATTEMPTS = 16

const STATX_BASIC_AND_BTIME = 0xfff

export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2

export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2

export const SEEK_SET = 0
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_RDLCK = 0
const F_WRLCK = 1
const F_UNLCK = 2
/** struct flock: type, whence (0: from the beginning), start, length, process. */
const FLOCK_BYTES = 32

const FICLONERANGE = 0x4020940d
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602

const library = koffi.load(null)
const numbers = SYSCALL_NUMBERS[process.arch === 'arm64' ? 'arm64' : 'x64']

/** Declares a function whose failure is -1 with errno; what is declared returns -errno then. */
function declare<Args extends readonly unknown[]>(prototype: string): (...args: Args) => number {
  const call = library.func(prototype)
  return (...args: Args) => {
    const result: unknown = call(...args)
    return result === -1 ? -koffi.errno() : Number(result)
  }
}

type Path = string | Buffer

const openat2Call = declare<[number, number, Path, Buffer, number]>(
  'long syscall(long number, int dirfd, const char* path, const void* how, size_t size)',
)
const faccessat2Call = declare<[number, number, Path, number, number]>(
  'long syscall(long number, int dirfd, const char* path, int mode, int flags)',
)
const setgroupsCall = declare<[number, number, Uint32Array]>(
  'long syscall(long number, size_t size, const void* list)',
)
const statxCall = declare<[number, Path, number, number, Buffer]>(
  'int statx(int dirfd, const char* path, int flags, unsigned int mask, void* buffer)',
)
const openCall = declare<[Path, number]>('int open(const char* path, int flags)')
const readlinkatCall = declare<[number, Path, Buffer, number]>(
  'long readlinkat(int dirfd, const char* path, void* buffer, size_t size)',
)
const unlinkatCall = declare<[number, Path, number]>('int unlinkat(int dirfd, const char* path, int flags)')
const mkdiratCall = declare<[number, Path, number]>('int mkdirat(int dirfd, const char* path, uint32_t mode)')
const symlinkatCall = declare<[Path, number, Path]>(
  'int symlinkat(const char* target, int dirfd, const char* path)',
)
const linkatCall = declare<[number, Path, number, Path, number]>(
  'int linkat(int olddir, const char* old, int newdir, const char* path, int flags)',
)
const renameat2Call = declare<[number, Path, number, Path, number]>(
  'int renameat2(int olddir, const char* old, int newdir, const char* path, unsigned int flags)',
)
const utimensatCall = declare<[number, string, Buffer, number]>(
  'int utimensat(int dirfd, const char* path, const void* times, int flags)',
)
const copyFileRangeCall = declare<[number, Buffer, number, Buffer, number, number]>(
  'long copy_file_range(int in, void* inOffset, int out, void* outOffset, size_t length, unsigned int flags)',
)
const ioctlCall = declare<[number, number, Buffer]>(
  'int ioctl(int fd, unsigned long request, void* argument)',
)

const fcntlCall = declare<[number, number, Buffer]>('int fcntl(int fd, int command, void* argument)')

export const close = declare<[number]>('int close(int fd)')
const inotifyInitCall = declare<[number]>('int inotify_init1(int flags)')
export const inotifyAddWatch = declare<[number, Path, number]>(
  'int inotify_add_watch(int fd, const char* path, uint32_t mask)',
)
export const inotifyRemoveWatch = declare<[number, number]>('int inotify_rm_watch(int fd, int wd)')

export function inotifyInit(): number {
  return inotifyInitCall(O_NONBLOCK | O_CLOEXEC)
}
export const unshare = declare<[number]>('int unshare(int flags)')
export const fchdir = declare<[number]>('int fchdir(int fd)')
export const fsync = declare<[number]>('int fsync(int fd)')
export const lseek = declare<[number, number, number]>('int64_t lseek(int fd, int64_t offset, int whence)')
export const ftruncate = declare<[number, number]>('int ftruncate(int fd, int64_t length)')
export const fallocate = declare<[number, number, number, number]>(
  'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
)
export const getdents64 = declare<[number, Buffer, number]>(
  'long getdents64(int fd, void* buffer, size_t size)',
)
export const fstatfs = declare<[number, Buffer]>('int fstatfs(int fd, void* buffer)')
/** Takes a path through /proc/self/fd, so that a handle opened with O_PATH serves. */
export const chmod = declare<[string, number]>('int chmod(const char* path, uint32_t mode)')
export const chown = declare<[string, number, number]>(
  'int chown(const char* path, uint32_t uid, uint32_t gid)',
)
export const fgetxattr = declare<[number, Path, Buffer, number]>(
  'long fgetxattr(int fd, const char* name, void* value, size_t size)',
)
export const getxattr = declare<[string, Path, Buffer, number]>(
  'long getxattr(const char* path, const char* name, void* value, size_t size)',
)
export const lgetxattr = declare<[Path, Path, Buffer, number]>(
  'long lgetxattr(const char* path, const char* name, void* value, size_t size)',
)
export const flistxattr = declare<[number, Buffer, number]>(
  'long flistxattr(int fd, void* list, size_t size)',
)
export const listxattr = declare<[string, Buffer, number]>(
  'long listxattr(const char* path, void* list, size_t size)',
)
export const llistxattr = declare<[Path, Buffer, number]>(
  'long llistxattr(const char* path, void* list, size_t size)',
)
export const setxattr = declare<[string, Path, Buffer, number, number]>(
  'int setxattr(const char* path, const char* name, const void* value, size_t size, int flags)',
)
export const fsetxattr = declare<[number, Path, Buffer, number, number]>(
  'int fsetxattr(int fd, const char* name, const void* value, size_t size, int flags)',
)
export const removexattr = declare<[string, Path]>('int removexattr(const char* path, const char* name)')
/** Returns the previous id and never an error: ask again with -1 whether it took effect. */
export const setfsuid = library.func('int setfsuid(uint32_t uid)') as (uid: number) => number
export const setfsgid = library.func('int setfsgid(uint32_t gid)') as (gid: number) => number

/** setgroups(2) of this thread alone: glibc's would change every thread. */
export function setThreadGroups(groups: readonly number[]): number {
  return setgroupsCall(numbers.setgroups, groups.length, Uint32Array.from(groups))
}

/** Path of what a descriptor refers to, for calls that have no form with a descriptor, or none that takes O_PATH ones. */
export function procPath(fd: number): string {
  return `/proc/self/fd/${fd}`
}

const how = Buffer.alloc(OPEN_HOW_BYTES)

/** Opens a path that stays beneath `dirfd`, also while others rename and relink; EXDEV says that it leads out. */
export function openBeneath(dirfd: number, path: string, flags: number, mode = 0): number {
  const encoded = encodePath(path === '' ? '.' : path)
  for (let attempt = 1; ; attempt++) {
    how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
    how.writeBigUInt64LE(BigInt(mode), 8)
    how.writeBigUInt64LE(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (mayWait() ? 0n : RESOLVE_CACHED), 16)
    const result = openat2Call(numbers.openat2, dirfd, encoded, how, OPEN_HOW_BYTES)
    // EINVAL: a kernel before 5.12 does not know the flag.
    if (result === -Errno.EAGAIN || result === -Errno.EINVAL) beginWaiting()
    if (result !== -Errno.EAGAIN || attempt === OPEN_ATTEMPTS) return result
  }
}

/** Opens by an absolute path, without confinement: for what the configuration names. */
export function openPath(path: string, flags: number): number {
  return openCall(encodePath(path), flags | O_CLOEXEC)
}

/** Opens again, with other access, what a descriptor refers to; the kernel checks the access anew. */
export function reopen(fd: number, flags: number): number {
  return openPath(procPath(fd), flags)
}

/** Fills 256 bytes with what statx says of a descriptor, also of one opened with O_PATH. */
export function statOf(fd: number, buffer: Buffer): number {
  return statxCall(fd, '', AT_EMPTY_PATH, STATX_BASIC_AND_BTIME, buffer)
}

/** The same for an entry of a directory; a symbolic link is not followed. */
export function statEntry(dirfd: number, name: string, buffer: Buffer): number {
  return statxCall(dirfd, encodePath(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_AND_BTIME, buffer)
}

/** Whether the thread's identity may do `mode` (R_OK, W_OK, X_OK) to what a descriptor refers to. */
export function mayAccess(fd: number, mode: number): boolean {
  return faccessat2Call(numbers.faccessat2, fd, '', mode, AT_EACCESS | AT_EMPTY_PATH) === 0
}

export function mayAccessEntry(dirfd: number, name: string, mode: number): boolean {
  return (
    faccessat2Call(numbers.faccessat2, dirfd, encodePath(name), mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) === 0
  )
}

/** With name '': the target of the link that the descriptor refers to. */
export function readlinkat(dirfd: number, name: string, buffer: Buffer): number {
  return readlinkatCall(dirfd, encodePath(name), buffer, buffer.length)
}

export function unlinkat(dirfd: number, name: string, flags = 0): number {
  return unlinkatCall(dirfd, encodePath(name), flags)
}

export function mkdirat(dirfd: number, name: string, mode: number): number {
  return mkdiratCall(dirfd, encodePath(name), mode)
}

export function symlinkat(target: string, dirfd: number, name: string): number {
  return symlinkatCall(encodePath(target), dirfd, encodePath(name))
}

/** Gives what a descriptor refers to one more name. */
export function linkDescriptor(fd: number, dirfd: number, name: string): number {
  return linkatCall(AT_FDCWD, procPath(fd), dirfd, encodePath(name), AT_SYMLINK_FOLLOW)
}

export function renameat(fromDir: number, from: string, toDir: number, to: string, flags = 0): number {
  return renameat2Call(fromDir, encodePath(from), toDir, encodePath(to), flags)
}

/** Two struct timespec: access and modification time. */
export function utimens(fd: number, times: Buffer): number {
  return utimensatCall(AT_FDCWD, procPath(fd), times, 0)
}

const inOffset = Buffer.alloc(8)
const outOffset = Buffer.alloc(8)

export function copyFileRange(from: number, at: number, to: number, toAt: number, length: number): number {
  inOffset.writeBigInt64LE(BigInt(at))
  outOffset.writeBigInt64LE(BigInt(toAt))
  return copyFileRangeCall(from, inOffset, to, outOffset, length, 0)
}

const cloneRange = Buffer.alloc(32)

/** FICLONERANGE; length 0 means up to the source's end. */
export function cloneFileRange(from: number, at: number, to: number, toAt: number, length: number): number {
  cloneRange.writeBigInt64LE(BigInt(from), 0)
  cloneRange.writeBigInt64LE(BigInt(at), 8)
  cloneRange.writeBigInt64LE(BigInt(length), 16)
  cloneRange.writeBigInt64LE(BigInt(toAt), 24)
  return ioctlCall(to, FICLONERANGE, cloneRange)
}

const inodeFlags = Buffer.alloc(8)

/** FS_*_FL bits, or -errno. */
export function getInodeFlags(fd: number): number {
  const result = ioctlCall(fd, FS_IOC_GETFLAGS, inodeFlags)
  return result < 0 ? result : inodeFlags.readUInt32LE(0)
}

export function setInodeFlags(fd: number, flags: number): number {
  inodeFlags.writeUInt32LE(flags, 0)
  return ioctlCall(fd, FS_IOC_SETFLAGS, inodeFlags)
}

const flock = Buffer.alloc(FLOCK_BYTES)

function lockByte(fd: number, command: number, type: number, byte: bigint): number {
  flock.fill(0)
  flock.writeInt16LE(type, 0)
  flock.writeBigInt64LE(byte, 8)
  flock.writeBigInt64LE(1n, 16)
  return fcntlCall(fd, command, flock)
}

/** The process that has locked a byte, shared or not; -1: a descriptor has, other than this one. @throws StorageError */
export function lockHolder(fd: number, byte: bigint): number | undefined {
  check(lockByte(fd, F_OFD_GETLK, F_WRLCK, byte), 'F_OFD_GETLK')
  return flock.readInt16LE(0) === F_UNLCK ? undefined : flock.readInt32LE(24)
}

/** Locks a byte, shared with others, for as long as the descriptor is open. Does not wait. */
export function lockShared(fd: number, byte: bigint): number {
  return lockByte(fd, F_OFD_SETLK, F_RDLCK, byte)
}
