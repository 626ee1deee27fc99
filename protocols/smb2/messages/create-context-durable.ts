/** MS-SMB2 2.2.13.2 and 2.2.14.2: durable handle create contexts of version 1 and 2. */

import { GUID_BYTES } from '../../wire/guid.ts'
import { Writer } from '../../wire/writer.ts'
import { contextReader } from './create-context-data.ts'
import { type FileId, readFileId, writeFileId } from './structure.ts'

/** 2.2.13.2.11 and 2.2.14.2.12 Flags */
export const DURABLE_HANDLE_FLAG_PERSISTENT = 0x0000_0002

/** 2.2.13.2.11 DH2Q request */
export interface DurableHandleRequestV2 {
  /** Milliseconds; 0 leaves it to the server. */
  timeout: number
  flags: number
  /** 16 bytes, a view of the message when decoded: copy it to keep it. */
  createGuid: Buffer
}

/** 2.2.14.2.12 DH2Q response */
export interface DurableHandleResponseV2 {
  /** Milliseconds */
  timeout: number
  flags: number
}

/** 2.2.13.2.12 DH2C request */
export interface DurableHandleReconnectV2 {
  fileId: FileId
  createGuid: Buffer
  flags: number
}

const REQUEST_V1_BYTES = 16
const RESPONSE_V1_BYTES = 8
const RECONNECT_V1_BYTES = 16
const REQUEST_V2_BYTES = 32
const RESPONSE_V2_BYTES = 8
const RECONNECT_V2_BYTES = 36

/** 2.2.13.2.3 DHnQ: 16 reserved bytes. @throws DecodeError when there are not 16 */
export function checkDurableHandleRequest(data: Buffer): void {
  contextReader(data, REQUEST_V1_BYTES)
}

export function encodeDurableHandleRequest(): Buffer {
  return Buffer.alloc(REQUEST_V1_BYTES)
}

/** 2.2.14.2.3 DHnQ response: 8 reserved bytes. */
export function encodeDurableHandleResponse(): Buffer {
  return Buffer.alloc(RESPONSE_V1_BYTES)
}

/** 2.2.13.2.4 DHnC: the persistent half of this FileId finds the handle. */
export function decodeDurableHandleReconnect(data: Buffer): FileId {
  return readFileId(contextReader(data, RECONNECT_V1_BYTES))
}

export function encodeDurableHandleReconnect(fileId: FileId): Buffer {
  const writer = new Writer(RECONNECT_V1_BYTES)
  writeFileId(writer, fileId)
  return writer.finish()
}

export function decodeDurableHandleRequestV2(data: Buffer): DurableHandleRequestV2 {
  const reader = contextReader(data, REQUEST_V2_BYTES)
  const timeout = reader.u32()
  const flags = reader.u32()
  reader.skip(8)
  return { timeout, flags, createGuid: reader.bytes(GUID_BYTES) }
}

export function encodeDurableHandleRequestV2(m: DurableHandleRequestV2): Buffer {
  return new Writer(REQUEST_V2_BYTES).u32(m.timeout).u32(m.flags).zeros(8).bytes(m.createGuid).finish()
}

export function decodeDurableHandleResponseV2(data: Buffer): DurableHandleResponseV2 {
  const reader = contextReader(data, RESPONSE_V2_BYTES)
  return { timeout: reader.u32(), flags: reader.u32() }
}

export function encodeDurableHandleResponseV2(m: DurableHandleResponseV2): Buffer {
  return new Writer(RESPONSE_V2_BYTES).u32(m.timeout).u32(m.flags).finish()
}

export function decodeDurableHandleReconnectV2(data: Buffer): DurableHandleReconnectV2 {
  const reader = contextReader(data, RECONNECT_V2_BYTES)
  return { fileId: readFileId(reader), createGuid: reader.bytes(GUID_BYTES), flags: reader.u32() }
}

export function encodeDurableHandleReconnectV2(m: DurableHandleReconnectV2): Buffer {
  const writer = new Writer(RECONNECT_V2_BYTES)
  writeFileId(writer, m.fileId)
  return writer.bytes(m.createGuid).u32(m.flags).finish()
}
