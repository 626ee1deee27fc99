/** MS-SMB2 2.2.13.1: SMB2 Access Mask Encoding, and the generic mapping of MS-DTYP 2.4.3 for files and directories. */

/** Rights on files, pipes and printers (2.2.13.1.1). */
export const FileAccess = {
  READ_DATA: 0x0000_0001,
  WRITE_DATA: 0x0000_0002,
  APPEND_DATA: 0x0000_0004,
  READ_EA: 0x0000_0008,
  WRITE_EA: 0x0000_0010,
  EXECUTE: 0x0000_0020,
  DELETE_CHILD: 0x0000_0040,
  READ_ATTRIBUTES: 0x0000_0080,
  WRITE_ATTRIBUTES: 0x0000_0100,
  DELETE: 0x0001_0000,
  READ_CONTROL: 0x0002_0000,
  WRITE_DAC: 0x0004_0000,
  WRITE_OWNER: 0x0008_0000,
  SYNCHRONIZE: 0x0010_0000,
  ACCESS_SYSTEM_SECURITY: 0x0100_0000,
  MAXIMUM_ALLOWED: 0x0200_0000,
  GENERIC_ALL: 0x1000_0000,
  GENERIC_EXECUTE: 0x2000_0000,
  GENERIC_WRITE: 0x4000_0000,
  GENERIC_READ: 0x8000_0000,
} as const

/** The same bits as rights on directories (2.2.13.1.2). */
export const DirectoryAccess = {
  LIST_DIRECTORY: FileAccess.READ_DATA,
  ADD_FILE: FileAccess.WRITE_DATA,
  ADD_SUBDIRECTORY: FileAccess.APPEND_DATA,
  TRAVERSE: FileAccess.EXECUTE,
  DELETE_CHILD: FileAccess.DELETE_CHILD,
} as const

const STANDARD_RIGHTS_REQUIRED =
  FileAccess.DELETE | FileAccess.READ_CONTROL | FileAccess.WRITE_DAC | FileAccess.WRITE_OWNER

/** Every specific and standard right: what GENERIC_ALL stands for. */
export const FILE_ALL_ACCESS = STANDARD_RIGHTS_REQUIRED | FileAccess.SYNCHRONIZE | 0x1ff

export const FILE_GENERIC_READ =
  FileAccess.READ_CONTROL |
  FileAccess.SYNCHRONIZE |
  FileAccess.READ_DATA |
  FileAccess.READ_ATTRIBUTES |
  FileAccess.READ_EA

export const FILE_GENERIC_WRITE =
  FileAccess.READ_CONTROL |
  FileAccess.SYNCHRONIZE |
  FileAccess.WRITE_DATA |
  FileAccess.APPEND_DATA |
  FileAccess.WRITE_ATTRIBUTES |
  FileAccess.WRITE_EA

export const FILE_GENERIC_EXECUTE =
  FileAccess.READ_CONTROL | FileAccess.SYNCHRONIZE | FileAccess.EXECUTE | FileAccess.READ_ATTRIBUTES

/** The four generic bits. */
export const GENERIC_ACCESS_MASK = 0xf000_0000

/** Bits that MS-SMB2 2.2.13.1 defines; MS-FSA 2.1.5.1 answers ACCESS_DENIED to any other. */
export const VALID_ACCESS_MASK =
  (FILE_ALL_ACCESS | FileAccess.ACCESS_SYSTEM_SECURITY | FileAccess.MAXIMUM_ALLOWED | GENERIC_ACCESS_MASK) >>>
  0

/**
 * Replaces the generic bits of a desired access (or of an ACE's mask) by the rights they stand for.
 * The mapping is the same for files and directories: their rights share the bits.
 * MAXIMUM_ALLOWED and ACCESS_SYSTEM_SECURITY stay.
 */
export function mapGenericAccess(mask: number): number {
  let mapped = mask & ~GENERIC_ACCESS_MASK
  if (mask & FileAccess.GENERIC_READ) mapped |= FILE_GENERIC_READ
  if (mask & FileAccess.GENERIC_WRITE) mapped |= FILE_GENERIC_WRITE
  if (mask & FileAccess.GENERIC_EXECUTE) mapped |= FILE_GENERIC_EXECUTE
  if (mask & FileAccess.GENERIC_ALL) mapped |= FILE_ALL_ACCESS
  return mapped >>> 0
}
