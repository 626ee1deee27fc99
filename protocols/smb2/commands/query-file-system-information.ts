/** MS-SMB2 3.3.5.20.2, MS-FSA 2.1.5.13: QUERY_INFO for SMB2_0_INFO_FILESYSTEM. */

import type { FileSystem, SpaceInfo } from '../../../storage/file-system.ts'
import type { CommandContext } from '../context.ts'
import {
  DeviceCharacteristic,
  encodeFileSystemInformation,
  FILE_SYSTEM_INFORMATION_SIZES,
  FileSystemAttribute,
  type FileSystemInformation,
  FileSystemInformationClass,
} from '../fscc/file-system-information.ts'
import type { QueryInfoRequest, QueryInfoResponse } from '../messages/query-info.ts'
import { fail, type Outcome } from '../outcome.ts'
import type { Share } from '../state/server.ts'
import { Status } from '../status.ts'
import { answerWithin } from './output-buffer.ts'

/** What clients take for a disk's sector; the allocation unit is the file system's block. */
const BYTES_PER_SECTOR = 512
const PHYSICAL_BYTES_PER_SECTOR = 4096
/** macos.md section 10: only a volume that says NTFS gets streams and readdirattr. */
const FILE_SYSTEM_NAME = 'NTFS'
const LABEL_CHARACTERS = 32

export async function queryFileSystemInformation(
  context: CommandContext,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const { open, server } = context
  const { share } = open
  const size = FILE_SYSTEM_INFORMATION_SIZES.get(request.fileInfoClass)
  const isHidden = request.fileInfoClass === FileSystemInformationClass.Posix && !open.posix
  if (size === undefined || share.fileSystem === undefined || isHidden) return fail(Status.INVALID_INFO_CLASS)
  if (request.outputBufferLength < size.minimumBytes) return fail(Status.INFO_LENGTH_MISMATCH)
  const space = await share.fileSystem.space()
  const info = describe(share, share.fileSystem, space, server.serverStartTime)
  const encoded = encodeFileSystemInformation(request.fileInfoClass, info)
  if (encoded === undefined) return fail(Status.INVALID_INFO_CLASS)
  return answerWithin(encoded, request.outputBufferLength)
}

function describe(
  share: Share,
  fileSystem: FileSystem,
  space: SpaceInfo,
  volumeCreationTime: bigint,
): FileSystemInformation {
  const unit = space.blockSize
  const objectId = Buffer.alloc(16)
  objectId.writeBigUInt64LE(fileSystem.volumeId)
  return {
    volumeCreationTime,
    volumeSerialNumber: Number(fileSystem.volumeId & 0xffff_ffffn),
    volumeLabel: share.name.slice(0, LABEL_CHARACTERS),
    totalAllocationUnits: Math.floor(space.total / unit),
    callerAvailableAllocationUnits: Math.floor(space.available / unit),
    actualAvailableAllocationUnits: Math.floor(space.free / unit),
    sectorsPerAllocationUnit: Math.max(1, Math.floor(unit / BYTES_PER_SECTOR)),
    bytesPerSector: BYTES_PER_SECTOR,
    physicalBytesPerSector: PHYSICAL_BYTES_PER_SECTOR,
    characteristics: DeviceCharacteristic.DEVICE_IS_MOUNTED | DeviceCharacteristic.REMOTE_DEVICE,
    fileSystemAttributes: attributesOf(fileSystem),
    maximumComponentNameLength: fileSystem.features.maximumNameUnits,
    fileSystemName: FILE_SYSTEM_NAME,
    objectId,
  }
}

/** Only what the backend can do is announced: clients turn features off, and tests skip, by these bits. */
function attributesOf({ features }: FileSystem): number {
  const always =
    FileSystemAttribute.CASE_PRESERVED_NAMES |
    FileSystemAttribute.CASE_SENSITIVE_SEARCH |
    FileSystemAttribute.UNICODE_ON_DISK |
    FileSystemAttribute.PERSISTENT_ACLS |
    FileSystemAttribute.SUPPORTS_OBJECT_IDS
  const when = (supported: boolean, bits: number): number => (supported ? bits : 0)
  return (
    always |
    when(
      features.extendedAttributes,
      FileSystemAttribute.NAMED_STREAMS | FileSystemAttribute.SUPPORTS_EXTENDED_ATTRIBUTES,
    ) |
    when(features.sparse, FileSystemAttribute.SUPPORTS_SPARSE_FILES) |
    when(features.clone, FileSystemAttribute.SUPPORTS_BLOCK_REFCOUNTING) |
    when(features.compression, FileSystemAttribute.FILE_COMPRESSION) |
    when(features.symbolicLinks, FileSystemAttribute.SUPPORTS_REPARSE_POINTS)
  )
}
