/** MS-SMB2 2.2.13.2 and 2.2.14.2: data of the short create contexts MxAc, QFid, AlSi and TWrp. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

/** 2.2.14.2.5 */
export interface QueryMaximalAccessResponse {
  /** NTSTATUS; `maximalAccess` counts only when it is success. */
  queryStatus: number
  maximalAccess: number
}

/** 2.2.14.2.9 */
export interface QueryOnDiskIdResponse {
  diskFileId: bigint
  volumeId: bigint
}

const ON_DISK_ID_RESERVED_BYTES = 16

/**
 * A reader over the data of a context that has exactly `length` bytes. @throws DecodeError for
 * another length
 */
export function contextReader(data: Buffer, length: number): Reader {
  if (data.length !== length) {
    throw new DecodeError(`a create context has ${data.length} bytes, not ${length}`)
  }
  return new Reader(data)
}

/**
 * 2.2.13.2.5 MxAc request: the FILETIME that the client last saw, or undefined when it sent none.
 * @throws DecodeError when the data has neither 0 nor 8 bytes
 */
export function decodeQueryMaximalAccessRequest(data: Buffer): bigint | undefined {
  return data.length === 0 ? undefined : contextReader(data, 8).u64()
}

export function encodeQueryMaximalAccessResponse(m: QueryMaximalAccessResponse): Buffer {
  return new Writer(8).u32(m.queryStatus).u32(m.maximalAccess).finish()
}

export function decodeQueryMaximalAccessResponse(data: Buffer): QueryMaximalAccessResponse {
  const reader = contextReader(data, 8)
  return { queryStatus: reader.u32(), maximalAccess: reader.u32() }
}

export function encodeQueryOnDiskIdResponse(m: QueryOnDiskIdResponse): Buffer {
  return new Writer(32).u64(m.diskFileId).u64(m.volumeId).zeros(ON_DISK_ID_RESERVED_BYTES).finish()
}

export function decodeQueryOnDiskIdResponse(data: Buffer): QueryOnDiskIdResponse {
  const reader = contextReader(data, 32)
  return { diskFileId: reader.u64(), volumeId: reader.u64() }
}

/** 2.2.13.2.6 AlSi request: bytes. */
export function decodeAllocationSize(data: Buffer): number {
  return contextReader(data, 8).size64()
}

export function encodeAllocationSize(bytes: number): Buffer {
  return new Writer(8).size64(bytes).finish()
}

/** 2.2.13.2.7 TWrp request: FILETIME of the snapshot to open. */
export function decodeTimewarpToken(data: Buffer): bigint {
  return contextReader(data, 8).u64()
}

export function encodeTimewarpToken(filetime: bigint): Buffer {
  return new Writer(8).u64(filetime).finish()
}
