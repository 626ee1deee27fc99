/** MS-SMB2 2.2.31.1, 2.2.32.1 and 2.2.32.3: server-side copy: SRV_COPYCHUNK and the resume key. */

import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'
import { checkCount } from '../structure.ts'

/**
 * 2.2.31.1.1 SRV_COPYCHUNK; offsets are the full 64 bits, a range outside a file is answered by the
 * handler.
 */
export interface SrvCopychunk {
  sourceOffset: bigint
  targetOffset: bigint
  /** Bytes */
  length: number
}

export interface SrvCopychunkCopy {
  /** 24 bytes, from SRV_REQUEST_RESUME_KEY. */
  sourceKey: Buffer
  /** Empty when a Mac asks for a copy of the whole file. */
  chunks: SrvCopychunk[]
}

/**
 * With STATUS_INVALID_PARAMETER these are the server's limits instead: chunks, bytes per chunk,
 * bytes in all.
 */
export interface SrvCopychunkResponse {
  chunksWritten: number
  chunkBytesWritten: number
  totalBytesWritten: number
}

export const RESUME_KEY_BYTES = 24
/**
 * Chunks that are decoded. The limit that a server enforces (256 in Windows) is lower: a request
 * between both is answered with that limit, which takes a handler.
 */
export const MAX_DECODED_CHUNKS = 1024

export function decodeSrvCopychunkCopy(reader: Reader): SrvCopychunkCopy {
  const sourceKey = reader.bytes(RESUME_KEY_BYTES)
  const chunkCount = reader.u32()
  reader.skip(4)
  checkCount(chunkCount, MAX_DECODED_CHUNKS, 'chunks')
  const chunks = Array.from({ length: chunkCount }, () => readChunk(reader))
  return { sourceKey, chunks }
}

function readChunk(reader: Reader): SrvCopychunk {
  const chunk = { sourceOffset: reader.u64(), targetOffset: reader.u64(), length: reader.u32() }
  reader.skip(4)
  return chunk
}

export function encodeSrvCopychunkCopy(writer: Writer, m: SrvCopychunkCopy): void {
  writer.bytes(m.sourceKey).u32(m.chunks.length).u32(0)
  for (const chunk of m.chunks) {
    writer.u64(chunk.sourceOffset).u64(chunk.targetOffset).u32(chunk.length).u32(0)
  }
}

export function decodeSrvCopychunkResponse(reader: Reader): SrvCopychunkResponse {
  return {
    chunksWritten: reader.u32(),
    chunkBytesWritten: reader.u32(),
    totalBytesWritten: reader.u32(),
  }
}

export function encodeSrvCopychunkResponse(writer: Writer, m: SrvCopychunkResponse): void {
  writer.u32(m.chunksWritten).u32(m.chunkBytesWritten).u32(m.totalBytesWritten)
}

/** 2.2.32.3: the key of an open; the context that may follow it has length 0. */
export function encodeSrvRequestResumeKeyResponse(writer: Writer, resumeKey: Buffer): void {
  // Context is at least one 32-bit word in what Windows sends, so that the structure has 32 bytes.
  writer.bytes(resumeKey).u32(0).u32(0)
}

export function decodeSrvRequestResumeKeyResponse(reader: Reader): Buffer {
  const resumeKey = reader.bytes(RESUME_KEY_BYTES)
  reader.skip(4)
  return resumeKey
}
