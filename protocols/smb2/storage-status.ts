/** MS-ERREF 2.3: the one table from what storage says went wrong to the status an SMB client is told. */

import type { StorageErrorCode } from '../../storage/errors.ts'
import { type NtStatus, Status } from './status.ts'

const STATUS_OF: Record<StorageErrorCode, NtStatus> = {
  'not-found': Status.OBJECT_NAME_NOT_FOUND,
  'path-not-found': Status.OBJECT_PATH_NOT_FOUND,
  exists: Status.OBJECT_NAME_COLLISION,
  'is-directory': Status.FILE_IS_A_DIRECTORY,
  'not-directory': Status.NOT_A_DIRECTORY,
  'not-empty': Status.DIRECTORY_NOT_EMPTY,
  unheeded: Status.ACCESS_DENIED,
  'access-denied': Status.ACCESS_DENIED,
  'not-permitted': Status.ACCESS_DENIED,
  'read-only': Status.MEDIA_WRITE_PROTECTED,
  'name-invalid': Status.OBJECT_NAME_INVALID,
  'name-too-long': Status.OBJECT_NAME_INVALID,
  // What lies outside the share does not exist for its clients.
  outside: Status.OBJECT_PATH_NOT_FOUND,
  symlink: Status.STOPPED_ON_SYMLINK,
  'too-many-links': Status.TOO_MANY_LINKS,
  'cross-device': Status.NOT_SAME_DEVICE,
  'disk-full': Status.DISK_FULL,
  // macos.md section 7: a Mac takes QUOTA_EXCEEDED for a missing permission.
  'quota-exceeded': Status.DISK_FULL,
  'file-too-large': Status.DISK_FULL,
  // MS-FSA knows no limit of named streams: 2.1.5.4 has this one status for data that finds no room, and so have clients.
  'stream-too-large': Status.DISK_FULL,
  'allotment-exceeded': Status.ALLOTTED_SPACE_EXCEEDED,
  'ea-too-large': Status.EA_TOO_LARGE,
  'too-many-open-files': Status.TOO_MANY_OPENED_FILES,
  busy: Status.SHARING_VIOLATION,
  'not-supported': Status.NOT_SUPPORTED,
  invalid: Status.INVALID_PARAMETER,
  stale: Status.FILE_INVALID,
  // Not DEVICE_NOT_READY, which Linux asks about again and again.
  'not-ready': Status.IO_DEVICE_ERROR,
  io: Status.UNEXPECTED_IO_ERROR,
}

export function statusOfStorageError(code: StorageErrorCode): NtStatus {
  return STATUS_OF[code]
}
