/** MS-FSCC 2.5: File System Information Classes as QUERY_INFO answers them. */

import { Writer } from '../../wire/writer.ts'
import type { ClassSize } from './file-information.ts'

export const FileSystemInformationClass = {
  Volume: 1,
  Label: 2,
  Size: 3,
  Device: 4,
  Attribute: 5,
  Control: 6,
  FullSize: 7,
  ObjectId: 8,
  SectorSize: 11,
  /** POSIX-FSCC FileFsPosixInformation. */
  Posix: 100,
} as const

/** FileSystemAttributes of FileFsAttributeInformation (2.5.1). */
export const FileSystemAttribute = {
  CASE_SENSITIVE_SEARCH: 0x0000_0001,
  CASE_PRESERVED_NAMES: 0x0000_0002,
  UNICODE_ON_DISK: 0x0000_0004,
  PERSISTENT_ACLS: 0x0000_0008,
  FILE_COMPRESSION: 0x0000_0010,
  VOLUME_QUOTAS: 0x0000_0020,
  SUPPORTS_SPARSE_FILES: 0x0000_0040,
  SUPPORTS_REPARSE_POINTS: 0x0000_0080,
  SUPPORTS_REMOTE_STORAGE: 0x0000_0100,
  VOLUME_IS_COMPRESSED: 0x0000_8000,
  SUPPORTS_OBJECT_IDS: 0x0001_0000,
  SUPPORTS_ENCRYPTION: 0x0002_0000,
  NAMED_STREAMS: 0x0004_0000,
  READ_ONLY_VOLUME: 0x0008_0000,
  SEQUENTIAL_WRITE_ONCE: 0x0010_0000,
  SUPPORTS_TRANSACTIONS: 0x0020_0000,
  SUPPORTS_HARD_LINKS: 0x0040_0000,
  SUPPORTS_EXTENDED_ATTRIBUTES: 0x0080_0000,
  SUPPORTS_OPEN_BY_FILE_ID: 0x0100_0000,
  SUPPORTS_USN_JOURNAL: 0x0200_0000,
  SUPPORT_INTEGRITY_STREAMS: 0x0400_0000,
  SUPPORTS_BLOCK_REFCOUNTING: 0x0800_0000,
  SUPPORTS_SPARSE_VDL: 0x1000_0000,
} as const

/** Characteristics of FileFsDeviceInformation (2.5.10). */
export const DeviceCharacteristic = {
  REMOVABLE_MEDIA: 0x0000_0001,
  READ_ONLY_DEVICE: 0x0000_0002,
  REMOTE_DEVICE: 0x0000_0010,
  DEVICE_IS_MOUNTED: 0x0000_0020,
  SECURE_OPEN: 0x0000_0100,
} as const

const FILE_DEVICE_DISK = 7
const OBJECT_ID_BYTES = 16
const EXTENDED_INFO_BYTES = 48
/** Counts of files that are not known. */
const UNDEFINED_COUNT = 0xffff_ffff_ffff_ffffn
/** "No limit" in the quota fields of FileFsControlInformation. */
const NO_QUOTA = 0xffff_ffff_ffff_ffffn
/** SSINFO_FLAGS_ALIGNED_DEVICE | SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE (2.5.7). */
const SECTOR_ALIGNMENT_FLAGS = 0x3

/** The classes that QUERY_INFO can ask for, with their sizes (MS-FSA 2.1.5.13). */
export const FILE_SYSTEM_INFORMATION_SIZES: ReadonlyMap<number, ClassSize> = new Map<number, ClassSize>([
  [FileSystemInformationClass.Volume, { minimumBytes: 24, variable: true }],
  [FileSystemInformationClass.Size, { minimumBytes: 24 }],
  [FileSystemInformationClass.Device, { minimumBytes: 8 }],
  [FileSystemInformationClass.Attribute, { minimumBytes: 16, variable: true }],
  [FileSystemInformationClass.Control, { minimumBytes: 48 }],
  [FileSystemInformationClass.FullSize, { minimumBytes: 32 }],
  [FileSystemInformationClass.ObjectId, { minimumBytes: 64 }],
  [FileSystemInformationClass.SectorSize, { minimumBytes: 28 }],
  [FileSystemInformationClass.Posix, { minimumBytes: 56 }],
])

/** What the classes say of a share's volume. */
export interface FileSystemInformation {
  /** FILETIME. */
  readonly volumeCreationTime: bigint
  /** 32 bits. */
  readonly volumeSerialNumber: number
  /** At most 32 characters. */
  readonly volumeLabel: string
  readonly totalAllocationUnits: number
  /** What the caller may still use. */
  readonly callerAvailableAllocationUnits: number
  readonly actualAvailableAllocationUnits: number
  readonly sectorsPerAllocationUnit: number
  readonly bytesPerSector: number
  /** Bytes that the device writes at once; at least bytesPerSector. */
  readonly physicalBytesPerSector: number
  /** Bits of DeviceCharacteristic. */
  readonly characteristics: number
  /** Bits of FileSystemAttribute. */
  readonly fileSystemAttributes: number
  /** UTF-16 units. */
  readonly maximumComponentNameLength: number
  /** "NTFS": what lets clients use streams. */
  readonly fileSystemName: string
  /** 16 bytes. */
  readonly objectId: Buffer
}

type Encode = (writer: Writer, info: FileSystemInformation) => void

const ENCODERS: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  [FileSystemInformationClass.Volume, volume],
  [FileSystemInformationClass.Size, size],
  [
    FileSystemInformationClass.Device,
    (writer, info) => writer.u32(FILE_DEVICE_DISK).u32(info.characteristics),
  ],
  [FileSystemInformationClass.Attribute, attribute],
  [FileSystemInformationClass.Control, control],
  [FileSystemInformationClass.FullSize, fullSize],
  [FileSystemInformationClass.ObjectId, objectId],
  [FileSystemInformationClass.SectorSize, sectorSize],
  [FileSystemInformationClass.Posix, posix],
])

/**
 * The structure of a class, whole; the caller cuts it to the client's buffer.
 * @returns undefined for an unknown class (STATUS_INVALID_INFO_CLASS)
 */
export function encodeFileSystemInformation(
  fileSystemInformationClass: number,
  info: FileSystemInformation,
): Buffer | undefined {
  const encode = ENCODERS.get(fileSystemInformationClass)
  if (encode === undefined) return undefined
  const writer = new Writer()
  encode(writer, info)
  return writer.finish()
}

/** 2.5.9 FileFsVolumeInformation. */
function volume(writer: Writer, info: FileSystemInformation): void {
  writer.u64(info.volumeCreationTime).u32(info.volumeSerialNumber)
  writer.u32(info.volumeLabel.length * 2)
  const supportsObjects = info.fileSystemAttributes & FileSystemAttribute.SUPPORTS_OBJECT_IDS
  writer
    .u8(supportsObjects === 0 ? 0 : 1)
    .u8(0)
    .utf16(info.volumeLabel)
}

/** 2.5.8 FileFsSizeInformation. */
function size(writer: Writer, info: FileSystemInformation): void {
  writer.size64(info.totalAllocationUnits).size64(info.callerAvailableAllocationUnits)
  writer.u32(info.sectorsPerAllocationUnit).u32(info.bytesPerSector)
}

/** 2.5.1 FileFsAttributeInformation. */
function attribute(writer: Writer, info: FileSystemInformation): void {
  writer.u32(info.fileSystemAttributes).u32(info.maximumComponentNameLength)
  writer.u32(info.fileSystemName.length * 2).utf16(info.fileSystemName)
}

/** 2.5.2 FileFsControlInformation: no content indexing filter, and quotas are not kept for each user. */
function control(writer: Writer, _info: FileSystemInformation): void {
  writer.zeros(24).u64(NO_QUOTA).u64(NO_QUOTA).u32(0).u32(0)
}

/** 2.5.4 FileFsFullSizeInformation. */
function fullSize(writer: Writer, info: FileSystemInformation): void {
  writer.size64(info.totalAllocationUnits).size64(info.callerAvailableAllocationUnits)
  writer.size64(info.actualAvailableAllocationUnits)
  writer.u32(info.sectorsPerAllocationUnit).u32(info.bytesPerSector)
}

/** 2.5.6 FileFsObjectIdInformation. */
function objectId(writer: Writer, info: FileSystemInformation): void {
  writer.bytes(info.objectId.subarray(0, OBJECT_ID_BYTES))
  writer.zeros(OBJECT_ID_BYTES + EXTENDED_INFO_BYTES - writer.length)
}

/** 2.5.7 FileFsSectorSizeInformation: aligned, with both alignment offsets 0. */
function sectorSize(writer: Writer, info: FileSystemInformation): void {
  writer.u32(info.bytesPerSector)
  writer.u32(info.physicalBytesPerSector).u32(info.physicalBytesPerSector).u32(info.physicalBytesPerSector)
  writer.u32(SECTOR_ALIGNMENT_FLAGS).u32(0).u32(0)
}

/** POSIX-FSCC FileFsPosixInformation; how many files there are, and could be, is not known. */
function posix(writer: Writer, info: FileSystemInformation): void {
  const unit = info.sectorsPerAllocationUnit * info.bytesPerSector
  writer.u32(unit).u32(unit)
  writer.size64(info.totalAllocationUnits).size64(info.actualAvailableAllocationUnits)
  writer.size64(info.callerAvailableAllocationUnits).u64(UNDEFINED_COUNT).u64(UNDEFINED_COUNT)
  writer.u64(BigInt(info.volumeSerialNumber))
}
