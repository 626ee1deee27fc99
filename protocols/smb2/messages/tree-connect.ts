/** MS-SMB2 2.2.9 and 2.2.10: TREE_CONNECT Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { readStructureSize, variableText, writeVariablePart } from './structure.ts'

export interface TreeConnectRequest {
  flags: number
  /** `\\server\share` */
  path: string
}

export interface TreeConnectResponse {
  shareType: number
  shareFlags: number
  capabilities: number
  maximalAccess: number
}

/** 2.2.9 Flags, dialect 3.1.1 */
export const TreeConnectFlag = {
  CLUSTER_RECONNECT: 0x0001,
  REDIRECT_TO_OWNER: 0x0002,
  EXTENSION_PRESENT: 0x0004,
} as const

export const ShareType = { DISK: 0x01, PIPE: 0x02, PRINT: 0x03 } as const

/** 2.2.10 ShareFlags; the caching modes exclude each other. */
export const ShareFlag = {
  MANUAL_CACHING: 0x0000_0000,
  AUTO_CACHING: 0x0000_0010,
  VDO_CACHING: 0x0000_0020,
  NO_CACHING: 0x0000_0030,
  DFS: 0x0000_0001,
  DFS_ROOT: 0x0000_0002,
  RESTRICT_EXCLUSIVE_OPENS: 0x0000_0100,
  FORCE_SHARED_DELETE: 0x0000_0200,
  ALLOW_NAMESPACE_CACHING: 0x0000_0400,
  ACCESS_BASED_DIRECTORY_ENUM: 0x0000_0800,
  FORCE_LEVELII_OPLOCK: 0x0000_1000,
  ENABLE_HASH_V1: 0x0000_2000,
  ENABLE_HASH_V2: 0x0000_4000,
  ENCRYPT_DATA: 0x0000_8000,
  IDENTITY_REMOTING: 0x0004_0000,
  COMPRESS_DATA: 0x0010_0000,
  ISOLATED_TRANSPORT: 0x0020_0000,
} as const

/** 2.2.10 Capabilities */
export const ShareCapability = {
  DFS: 0x0000_0008,
  CONTINUOUS_AVAILABILITY: 0x0000_0010,
  SCALEOUT: 0x0000_0020,
  CLUSTER: 0x0000_0040,
  ASYMMETRIC: 0x0000_0080,
  REDIRECT_TO_OWNER: 0x0000_0100,
} as const

const REQUEST_STRUCTURE_SIZE = 9
const RESPONSE_STRUCTURE_SIZE = 16

/** The tree connect contexts of 2.2.9.1 (cluster identity) are passed over: the path is what counts. */
export function decodeTreeConnectRequest(reader: Reader): TreeConnectRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const flags = reader.u16()
  const offset = reader.u16()
  const length = reader.u16()
  return { flags, path: variableText(reader, offset, length) }
}

export function encodeTreeConnectRequest(writer: Writer, m: TreeConnectRequest): void {
  writer.u16(REQUEST_STRUCTURE_SIZE).u16(m.flags)
  const offset = writer.reserve(2)
  const length = writer.reserve(2)
  writeVariablePart(writer, offset, length, () => writer.utf16(m.path))
}

export function decodeTreeConnectResponse(reader: Reader): TreeConnectResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const shareType = reader.u8()
  reader.skip(1)
  return {
    shareType,
    shareFlags: reader.u32(),
    capabilities: reader.u32(),
    maximalAccess: reader.u32(),
  }
}

export function encodeTreeConnectResponse(writer: Writer, m: TreeConnectResponse): void {
  writer
    .u16(RESPONSE_STRUCTURE_SIZE)
    .u8(m.shareType)
    .u8(0)
    .u32(m.shareFlags)
    .u32(m.capabilities)
    .u32(m.maximalAccess)
}
