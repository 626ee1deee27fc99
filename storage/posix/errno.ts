/** errno(3): the numbers that matter here, and the one table from them to the words of storage. */

import { constants } from 'node:os'
import { StorageError, type StorageErrorCode } from '../errors.ts'

const { errno } = constants

export const Errno = errno

const CODES: Readonly<Record<number, StorageErrorCode>> = {
  [errno.ENOENT]: 'not-found',
  [errno.ENODATA]: 'not-found',
  [errno.ENOTDIR]: 'path-not-found',
  [errno.EEXIST]: 'exists',
  [errno.EISDIR]: 'is-directory',
  [errno.ENOTEMPTY]: 'not-empty',
  [errno.EACCES]: 'access-denied',
  [errno.EBADF]: 'access-denied',
  [errno.EPERM]: 'not-permitted',
  [errno.EROFS]: 'read-only',
  [errno.ENAMETOOLONG]: 'name-too-long',
  [errno.ELOOP]: 'symlink',
  [errno.EMLINK]: 'too-many-links',
  [errno.EXDEV]: 'cross-device',
  [errno.ENOSPC]: 'disk-full',
  [errno.EDQUOT]: 'quota-exceeded',
  [errno.EFBIG]: 'file-too-large',
  [errno.E2BIG]: 'stream-too-large',
  [errno.ERANGE]: 'stream-too-large',
  [errno.EMFILE]: 'too-many-open-files',
  [errno.ENFILE]: 'too-many-open-files',
  [errno.EBUSY]: 'busy',
  [errno.ETXTBSY]: 'busy',
  [errno.EAGAIN]: 'busy',
  [errno.EOPNOTSUPP]: 'not-supported',
  [errno.ENOSYS]: 'not-supported',
  [errno.ENOTTY]: 'not-supported',
  [errno.EINVAL]: 'invalid',
  [errno.ESTALE]: 'stale',
  [errno.EIO]: 'io',
}

/** The word for an errno (positive); what the table lacks is 'io'. */
export function codeOfErrno(number: number): StorageErrorCode {
  return CODES[number] ?? 'io'
}

/** Results of the native layer: negative ones are errno, as the kernel returns them. @throws StorageError for those */
export function check(result: number, what: string): number {
  if (result < 0) throw errnoError(-result, what)
  return result
}

export function errnoError(number: number, what: string): StorageError {
  return new StorageError(codeOfErrno(number), `${what}: errno ${number}`)
}

/** What node:fs rejected with, as StorageError; anything else is a bug and stays as it is. */
export function fromNodeError(error: unknown): unknown {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
    return new StorageError(codeOfErrno(Math.abs(error.errno)), error.message)
  }
  return error
}
