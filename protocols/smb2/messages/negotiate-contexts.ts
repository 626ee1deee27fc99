/** MS-SMB2 2.2.3.1 and 2.2.4.1: negotiate contexts of dialect 3.1.1, the same in request and response. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { checkCount } from './structure.ts'

export const NegotiateContextType = {
  PREAUTH_INTEGRITY_CAPABILITIES: 0x0001,
  ENCRYPTION_CAPABILITIES: 0x0002,
  COMPRESSION_CAPABILITIES: 0x0003,
  NETNAME_NEGOTIATE_CONTEXT_ID: 0x0005,
  TRANSPORT_CAPABILITIES: 0x0006,
  RDMA_TRANSFORM_CAPABILITIES: 0x0007,
  SIGNING_CAPABILITIES: 0x0008,
  /** POSIX-SMB2 2.1.1: the versions of the POSIX extensions, 16 bytes each. */
  POSIX_EXTENSIONS_AVAILABLE: 0x0100,
} as const

/** 2.2.3.1.1 */
export const HashAlgorithm = { SHA_512: 0x0001 } as const

/** 2.2.3.1.3 */
export const CompressionAlgorithm = {
  NONE: 0x0000,
  LZNT1: 0x0001,
  LZ77: 0x0002,
  LZ77_HUFFMAN: 0x0003,
  PATTERN_V1: 0x0004,
  LZ4: 0x0005,
} as const

/** One context; a type that is not listed here (RDMA, or a later one) stays raw. */
export type NegotiateContext =
  | { kind: 'preauthIntegrity'; hashAlgorithms: number[]; salt: Buffer }
  | { kind: 'encryption'; ciphers: number[] }
  | { kind: 'compression'; flags: number; algorithms: number[] }
  | { kind: 'netName'; netName: string }
  | { kind: 'transport'; flags: number }
  | { kind: 'signing'; algorithms: number[] }
  | { kind: 'posix'; versions: Buffer[] }
  | { kind: 'raw'; type: number; data: Buffer }

export const MAX_NEGOTIATE_CONTEXTS = 32
/** Identifiers in one context; the largest table of the specification has six. */
export const MAX_ALGORITHMS = 64
const CONTEXT_ALIGNMENT = 8
const POSIX_VERSION_BYTES = 16

/**
 * Reads `count` contexts from `offset` (from the reader's base).
 * @throws DecodeError when there are more than MAX_NEGOTIATE_CONTEXTS or one does not fit
 */
export function decodeNegotiateContexts(reader: Reader, offset: number, count: number): NegotiateContext[] {
  checkCount(count, MAX_NEGOTIATE_CONTEXTS, 'negotiate contexts')
  if (count === 0) return []
  if (offset < reader.offset || offset % CONTEXT_ALIGNMENT !== 0) {
    throw new DecodeError('NegotiateContextOffset is wrong')
  }
  reader.seek(offset)
  const contexts: NegotiateContext[] = []
  for (let index = 0; index < count; index++) {
    // 2.2.3.1: "Subsequent negotiate contexts MUST appear at the first 8-byte-aligned offset".
    const over = reader.offset % CONTEXT_ALIGNMENT
    if (over !== 0) reader.skip(CONTEXT_ALIGNMENT - over)
    const type = reader.u16()
    const length = reader.u16()
    reader.skip(4)
    contexts.push(decodeContext(type, reader.bytes(length)))
  }
  return contexts
}

function decodeContext(type: number, data: Buffer): NegotiateContext {
  const reader = new Reader(data)
  switch (type) {
    case NegotiateContextType.PREAUTH_INTEGRITY_CAPABILITIES: {
      const count = reader.u16()
      const saltLength = reader.u16()
      const hashAlgorithms = readIds(reader, count)
      return { kind: 'preauthIntegrity', hashAlgorithms, salt: reader.bytes(saltLength) }
    }
    case NegotiateContextType.ENCRYPTION_CAPABILITIES:
      return { kind: 'encryption', ciphers: readIds(reader, reader.u16()) }
    case NegotiateContextType.COMPRESSION_CAPABILITIES: {
      const count = reader.u16()
      reader.skip(2)
      const flags = reader.u32()
      return { kind: 'compression', flags, algorithms: readIds(reader, count) }
    }
    case NegotiateContextType.NETNAME_NEGOTIATE_CONTEXT_ID:
      return { kind: 'netName', netName: reader.utf16(reader.remaining) }
    case NegotiateContextType.TRANSPORT_CAPABILITIES:
      return { kind: 'transport', flags: reader.u32() }
    case NegotiateContextType.SIGNING_CAPABILITIES:
      return { kind: 'signing', algorithms: readIds(reader, reader.u16()) }
    case NegotiateContextType.POSIX_EXTENSIONS_AVAILABLE:
      return { kind: 'posix', versions: readVersions(reader) }
    default:
      return { kind: 'raw', type, data }
  }
}

/** @throws DecodeError when there is a part of one */
function readVersions(reader: Reader): Buffer[] {
  const count = Math.ceil(reader.remaining / POSIX_VERSION_BYTES)
  checkCount(count, MAX_ALGORITHMS, 'versions of the POSIX extensions')
  return Array.from({ length: count }, () => reader.bytes(POSIX_VERSION_BYTES))
}

function readIds(reader: Reader, count: number): number[] {
  checkCount(count, MAX_ALGORITHMS, 'algorithms in a negotiate context')
  return Array.from({ length: count }, () => reader.u16())
}

/** Writes the contexts, each at a multiple of 8 from the writer's base; the last one is not padded. */
export function encodeNegotiateContexts(writer: Writer, contexts: readonly NegotiateContext[]): void {
  for (const context of contexts) {
    writer.align(CONTEXT_ALIGNMENT).u16(contextType(context))
    const length = writer.reserve(2)
    writer.u32(0)
    writer.part({ length }, () => encodeContext(writer, context))
  }
}

function contextType(context: NegotiateContext): number {
  switch (context.kind) {
    case 'preauthIntegrity':
      return NegotiateContextType.PREAUTH_INTEGRITY_CAPABILITIES
    case 'encryption':
      return NegotiateContextType.ENCRYPTION_CAPABILITIES
    case 'compression':
      return NegotiateContextType.COMPRESSION_CAPABILITIES
    case 'netName':
      return NegotiateContextType.NETNAME_NEGOTIATE_CONTEXT_ID
    case 'transport':
      return NegotiateContextType.TRANSPORT_CAPABILITIES
    case 'signing':
      return NegotiateContextType.SIGNING_CAPABILITIES
    case 'posix':
      return NegotiateContextType.POSIX_EXTENSIONS_AVAILABLE
    case 'raw':
      return context.type
  }
}

function encodeContext(writer: Writer, context: NegotiateContext): void {
  switch (context.kind) {
    case 'preauthIntegrity':
      writer.u16(context.hashAlgorithms.length).u16(context.salt.length)
      writeIds(writer, context.hashAlgorithms)
      writer.bytes(context.salt)
      return
    case 'encryption':
      writer.u16(context.ciphers.length)
      writeIds(writer, context.ciphers)
      return
    case 'compression':
      writer.u16(context.algorithms.length).u16(0).u32(context.flags)
      writeIds(writer, context.algorithms)
      return
    case 'netName':
      writer.utf16(context.netName)
      return
    case 'transport':
      writer.u32(context.flags)
      return
    case 'signing':
      writer.u16(context.algorithms.length)
      writeIds(writer, context.algorithms)
      return
    case 'posix':
      for (const version of context.versions) writer.bytes(version)
      return
    case 'raw':
      writer.bytes(context.data)
  }
}

function writeIds(writer: Writer, ids: readonly number[]): void {
  for (const id of ids) writer.u16(id)
}
