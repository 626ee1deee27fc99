/** xattr(7): extended attributes of an open file, of one opened with O_PATH, or of a directory's entry. */

import { StorageError } from '../errors.ts'
import { check, Errno } from './errno.ts'
import {
  fgetxattr,
  flistxattr,
  fsetxattr,
  getxattr,
  lgetxattr,
  listxattr,
  llistxattr,
  procPath,
  removexattr,
  setxattr,
} from './native.ts'

/** Where attributes are read: a descriptor, a path through /proc for one opened with O_PATH, or an entry's path. */
export type XattrPlace =
  | { readonly kind: 'descriptor'; readonly fd: number }
  | { readonly kind: 'path-only'; readonly fd: number }
  | { readonly kind: 'entry'; readonly path: string | Buffer }

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux, in bytes. */
export const MAXIMUM_XATTR_BYTES = 65_536
/** Most values and lists fit; the kernel allocates what it is offered, so a large buffer costs. */
const SMALL_BYTES = 256

const small = Buffer.alloc(SMALL_BYTES)
const large = Buffer.alloc(MAXIMUM_XATTR_BYTES)

function get(place: XattrPlace, name: string, into: Buffer): number {
  if (place.kind === 'descriptor') return fgetxattr(place.fd, name, into, into.length)
  if (place.kind === 'path-only') return getxattr(procPath(place.fd), name, into, into.length)
  return lgetxattr(place.path, name, into, into.length)
}

function list(place: XattrPlace, into: Buffer): number {
  if (place.kind === 'descriptor') return flistxattr(place.fd, into, into.length)
  if (place.kind === 'path-only') return listxattr(procPath(place.fd), into, into.length)
  return llistxattr(place.path, into, into.length)
}

/** Nothing is there, or the file system (or this type of file) has no extended attributes at all. */
const ABSENT: ReadonlySet<number> = new Set([Errno.ENODATA, Errno.EOPNOTSUPP, Errno.EPERM])

/** A value, as a view that the next call overwrites; undefined when there is none. */
export function peekXattr(place: XattrPlace, name: string): Buffer | undefined {
  let buffer = small
  let length = get(place, name, buffer)
  if (length === -Errno.ERANGE) {
    buffer = large
    length = get(place, name, buffer)
  }
  if (ABSENT.has(-length)) return undefined
  return buffer.subarray(0, check(length, `getxattr ${name}`))
}

/** A value of its own. */
export function readXattr(place: XattrPlace, name: string): Buffer | undefined {
  const value = peekXattr(place, name)
  return value === undefined ? undefined : Buffer.from(value)
}

/** Bytes of a value. */
export function xattrSize(place: XattrPlace, name: string): number {
  return peekXattr(place, name)?.length ?? 0
}

/**
 * Lists that were met, by their bytes: a folder's files have few different ones, and to compare costs less than to take
 * apart. They hold a handful of names each, so the limit is some hundred KiB.
 */
const knownLists = new Map<string, readonly string[]>()
const MAXIMUM_KNOWN_LISTS = 512

/** Names of all attributes; none on a file system without them. */
export function listXattrs(place: XattrPlace): readonly string[] {
  let buffer = small
  let length = list(place, buffer)
  if (length === -Errno.ERANGE) {
    buffer = large
    length = list(place, buffer)
  }
  if (length === 0 || length === -Errno.EOPNOTSUPP) return []
  check(length, 'listxattr')
  if (buffer === large) return namesIn(large, length)
  const bytes = small.toString('latin1', 0, length)
  let names = knownLists.get(bytes)
  if (names === undefined) {
    names = namesIn(small, length)
    if (knownLists.size === MAXIMUM_KNOWN_LISTS) knownLists.clear()
    knownLists.set(bytes, names)
  }
  return names
}

/** Each name ends with a NUL. */
function namesIn(list: Buffer, length: number): readonly string[] {
  return list.toString('utf8', 0, length - 1).split('\0')
}

/** Sets or replaces a value. @throws StorageError 'stream-too-large' when the file system does not take so much */
export function writeXattr(place: XattrPlace, name: string, value: Buffer, flags = 0): void {
  if (place.kind === 'entry') throw new Error('entries are only read')
  if (value.length > MAXIMUM_XATTR_BYTES) throw new StorageError('stream-too-large')
  const result =
    place.kind === 'descriptor'
      ? fsetxattr(place.fd, name, value, value.length, flags)
      : setxattr(procPath(place.fd), name, value, value.length, flags)
  check(result, `setxattr ${name}`)
}

/** Removes a value; that there is none is no error. */
export function removeXattr(place: XattrPlace, name: string): void {
  if (place.kind === 'entry') throw new Error('entries are only read')
  const result = removexattr(procPath(place.fd), name)
  if (result !== -Errno.ENODATA) check(result, `removexattr ${name}`)
}
