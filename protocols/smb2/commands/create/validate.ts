/** MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1: what of a CREATE Request can be refused without looking at any file. Pure. */

import { FileAccess, VALID_ACCESS_MASK } from '../../fscc/access.ts'
import { FileAttribute } from '../../fscc/attributes.ts'
import {
  CreateDisposition,
  CreateOption,
  ImpersonationLevel,
  SHARE_ACCESS_ALL,
} from '../../fscc/create-options.ts'
import type { CreateRequest } from '../../messages/create.ts'
import { type NtStatus, Status } from '../../status.ts'
import type { ParsedName } from './name.ts'

/** MS-SMB2 2.2.13: bits of CreateOptions that are defined. */
const DEFINED_OPTIONS = 0x00ff_ffff
/** Options that no SMB2 server serves (3.3.5.9: "STATUS_NOT_SUPPORTED"). */
const UNSUPPORTED_OPTIONS =
  CreateOption.CREATE_TREE_CONNECTION | CreateOption.OPEN_BY_FILE_ID | CreateOption.RESERVE_OPFILTER
/** What NTFS takes of FileAttributes: those of MS-FSCC 2.6 up to ENCRYPTED, without VOLUME and DEVICE. */
const KNOWN_ATTRIBUTES = 0x0000_7fb7

/** @returns the status that refuses the request, or undefined when it may be tried */
export function validateCreate(request: CreateRequest): NtStatus | undefined {
  const { createOptions, createDisposition, desiredAccess, fileAttributes } = request
  if (request.impersonationLevel > ImpersonationLevel.DELEGATE) return Status.BAD_IMPERSONATION_LEVEL
  if (desiredAccess === 0 || (desiredAccess & ~VALID_ACCESS_MASK) !== 0) return Status.ACCESS_DENIED
  if (createDisposition > CreateDisposition.OVERWRITE_IF) return Status.INVALID_PARAMETER
  if ((request.shareAccess & ~SHARE_ACCESS_ALL) !== 0) return Status.INVALID_PARAMETER
  if ((createOptions & ~DEFINED_OPTIONS) !== 0) return Status.INVALID_PARAMETER
  if ((createOptions & UNSUPPORTED_OPTIONS) !== 0) return Status.NOT_SUPPORTED
  const isDirectory = (createOptions & CreateOption.DIRECTORY_FILE) !== 0
  if (isDirectory && (createOptions & CreateOption.NON_DIRECTORY_FILE) !== 0) return Status.INVALID_PARAMETER
  if (isDirectory && !DIRECTORY_DISPOSITIONS.has(createDisposition)) return Status.INVALID_PARAMETER
  if (isDirectory && (fileAttributes & FileAttribute.TEMPORARY) !== 0) return Status.INVALID_PARAMETER
  if ((fileAttributes & ~KNOWN_ATTRIBUTES) !== 0) return Status.INVALID_PARAMETER
  const deletes = (createOptions & CreateOption.DELETE_ON_CLOSE) !== 0
  const mayDelete =
    (desiredAccess & (FileAccess.DELETE | FileAccess.GENERIC_ALL | FileAccess.MAXIMUM_ALLOWED)) !== 0
  return deletes && !mayDelete ? Status.INVALID_PARAMETER : undefined
}

/** MS-FSA 2.1.5.1: a stream holds data, an index is a directory's: whoever insists on the other is mistaken. */
export function validateKind({ createOptions }: CreateRequest, name: ParsedName): NtStatus | undefined {
  const isData = name.stream !== '' || name.unnamedType === 'data'
  if (isData && (createOptions & CreateOption.DIRECTORY_FILE) !== 0) return Status.NOT_A_DIRECTORY
  const isIndex = name.unnamedType === 'index'
  return isIndex && (createOptions & CreateOption.NON_DIRECTORY_FILE) !== 0
    ? Status.FILE_IS_A_DIRECTORY
    : undefined
}

/** A directory cannot be overwritten (MS-FSA 2.1.5.1). */
const DIRECTORY_DISPOSITIONS: ReadonlySet<number> = new Set([
  CreateDisposition.CREATE,
  CreateDisposition.OPEN,
  CreateDisposition.OPEN_IF,
])
