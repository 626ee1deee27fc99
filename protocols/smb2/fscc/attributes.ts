/** MS-FSCC 2.6: File Attributes. */

/** Bits of a FileAttributes field. */
export const FileAttribute = {
  READONLY: 0x0000_0001,
  HIDDEN: 0x0000_0002,
  SYSTEM: 0x0000_0004,
  DIRECTORY: 0x0000_0010,
  ARCHIVE: 0x0000_0020,
  /** Stands alone: the file has no other attribute. */
  NORMAL: 0x0000_0080,
  TEMPORARY: 0x0000_0100,
  SPARSE_FILE: 0x0000_0200,
  REPARSE_POINT: 0x0000_0400,
  COMPRESSED: 0x0000_0800,
  OFFLINE: 0x0000_1000,
  NOT_CONTENT_INDEXED: 0x0000_2000,
  ENCRYPTED: 0x0000_4000,
  INTEGRITY_STREAM: 0x0000_8000,
  NO_SCRUB_DATA: 0x0002_0000,
  RECALL_ON_OPEN: 0x0004_0000,
  PINNED: 0x0008_0000,
  UNPINNED: 0x0010_0000,
  RECALL_ON_DATA_ACCESS: 0x0040_0000,
} as const

/** What a client may set with CREATE or FileBasicInformation; all other bits are ignored, never refused. */
export const SETTABLE_FILE_ATTRIBUTES =
  FileAttribute.READONLY |
  FileAttribute.HIDDEN |
  FileAttribute.SYSTEM |
  FileAttribute.ARCHIVE |
  FileAttribute.TEMPORARY |
  FileAttribute.OFFLINE |
  FileAttribute.NOT_CONTENT_INDEXED
