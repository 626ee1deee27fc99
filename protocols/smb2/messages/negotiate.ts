/** MS-SMB2 2.2.3 and 2.2.4: NEGOTIATE Request and Response. */

import { GUID_BYTES } from '../../wire/guid.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { Dialect } from './dialects.ts'
import {
  decodeNegotiateContexts,
  encodeNegotiateContexts,
  type NegotiateContext,
} from './negotiate-contexts.ts'
import { checkCount, readStructureSize, variablePart, writeVariablePart } from './structure.ts'

export interface NegotiateRequest {
  securityMode: number
  capabilities: number
  clientGuid: Buffer
  dialects: number[]
  /** Empty when `dialects` lacks 3.1.1: the same bytes are then ClientStartTime, which is ignored. */
  negotiateContexts: NegotiateContext[]
}

export interface NegotiateResponse {
  securityMode: number
  dialectRevision: number
  serverGuid: Buffer
  capabilities: number
  /** Bytes, as are the next two. */
  maxTransactSize: number
  maxReadSize: number
  maxWriteSize: number
  /** FILETIME */
  systemTime: bigint
  /** FILETIME, or 0 for a server that does not tell. */
  serverStartTime: bigint
  /** The SPNEGO token of the server. */
  securityBuffer: Buffer
  /** Written for dialect 3.1.1 alone. */
  negotiateContexts: NegotiateContext[]
}

const REQUEST_STRUCTURE_SIZE = 36
const RESPONSE_STRUCTURE_SIZE = 65
export const MAX_DIALECTS = 64

export function decodeNegotiateRequest(reader: Reader): NegotiateRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const dialectCount = reader.u16()
  const securityMode = reader.u16()
  reader.skip(2)
  const capabilities = reader.u32()
  const clientGuid = reader.bytes(GUID_BYTES)
  const contextOffset = reader.u32()
  const contextCount = reader.u16()
  reader.skip(2)
  checkCount(dialectCount, MAX_DIALECTS, 'dialects')
  const dialects = Array.from({ length: dialectCount }, () => reader.u16())
  const negotiateContexts = dialects.includes(Dialect.SMB_3_1_1)
    ? decodeNegotiateContexts(reader, contextOffset, contextCount)
    : []
  return { securityMode, capabilities, clientGuid, dialects, negotiateContexts }
}

export function encodeNegotiateRequest(writer: Writer, m: NegotiateRequest): void {
  writer
    .u16(REQUEST_STRUCTURE_SIZE)
    .u16(m.dialects.length)
    .u16(m.securityMode)
    .u16(0)
    .u32(m.capabilities)
    .bytes(m.clientGuid)
  const contextOffset = writer.reserve(4)
  writer.u16(m.negotiateContexts.length).u16(0)
  for (const dialect of m.dialects) writer.u16(dialect)
  if (m.negotiateContexts.length === 0) return
  writer.align(8)
  writer.patchOffset(contextOffset)
  encodeNegotiateContexts(writer, m.negotiateContexts)
}

export function decodeNegotiateResponse(reader: Reader): NegotiateResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const securityMode = reader.u16()
  const dialectRevision = reader.u16()
  const contextCount = reader.u16()
  const serverGuid = reader.bytes(GUID_BYTES)
  const capabilities = reader.u32()
  const maxTransactSize = reader.u32()
  const maxReadSize = reader.u32()
  const maxWriteSize = reader.u32()
  const systemTime = reader.u64()
  const serverStartTime = reader.u64()
  const securityOffset = reader.u16()
  const securityLength = reader.u16()
  const contextOffset = reader.u32()
  return {
    securityMode,
    dialectRevision,
    serverGuid,
    capabilities,
    maxTransactSize,
    maxReadSize,
    maxWriteSize,
    systemTime,
    serverStartTime,
    securityBuffer: variablePart(reader, securityOffset, securityLength),
    negotiateContexts:
      dialectRevision === Dialect.SMB_3_1_1
        ? decodeNegotiateContexts(reader, contextOffset, contextCount)
        : [],
  }
}

export function encodeNegotiateResponse(writer: Writer, m: NegotiateResponse): void {
  const contexts = m.dialectRevision === Dialect.SMB_3_1_1 ? m.negotiateContexts : []
  writer
    .u16(RESPONSE_STRUCTURE_SIZE)
    .u16(m.securityMode)
    .u16(m.dialectRevision)
    .u16(contexts.length)
    .bytes(m.serverGuid)
    .u32(m.capabilities)
    .u32(m.maxTransactSize)
    .u32(m.maxReadSize)
    .u32(m.maxWriteSize)
    .u64(m.systemTime)
    .u64(m.serverStartTime)
  const securityOffset = writer.reserve(2)
  const securityLength = writer.reserve(2)
  const contextOffset = writer.reserve(4)
  writeVariablePart(writer, securityOffset, securityLength, () => writer.bytes(m.securityBuffer))
  if (contexts.length === 0) return
  writer.align(8)
  writer.patchOffset(contextOffset)
  encodeNegotiateContexts(writer, contexts)
}
