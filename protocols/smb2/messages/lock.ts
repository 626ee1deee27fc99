/** MS-SMB2 2.2.26 and 2.2.27: LOCK Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'
import { checkCount, type FileId, readFileId, readStructureSize, writeFileId } from './structure.ts'

/**
 * 2.2.26.1 SMB2_LOCK_ELEMENT; both numbers are the full 64 bits, a range past the end is answered
 * by the handler.
 */
export interface LockElement {
  offset: bigint
  length: bigint
  flags: number
}

export interface LockRequest {
  /** 0 to 15; dialect 2.0.2 has nothing here. */
  lockSequenceNumber: number
  /** 0, or 1 to 64: the bucket of a resilient or durable handle. */
  lockSequenceIndex: number
  fileId: FileId
  locks: LockElement[]
}

export type LockResponse = EmptyBody

export const LockFlag = {
  SHARED_LOCK: 0x0000_0001,
  EXCLUSIVE_LOCK: 0x0000_0002,
  UNLOCK: 0x0000_0004,
  FAIL_IMMEDIATELY: 0x0000_0010,
} as const

const REQUEST_STRUCTURE_SIZE = 48
/** Locks in one request. */
export const MAX_LOCKS = 64
const SEQUENCE_NUMBER_MASK = 0xf
const SEQUENCE_NUMBER_BITS = 4

export function decodeLockRequest(reader: Reader): LockRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  const lockCount = reader.u16()
  const sequence = reader.u32()
  const fileId = readFileId(reader)
  checkCount(lockCount, MAX_LOCKS, 'locks')
  const locks = Array.from({ length: lockCount }, () => readLock(reader))
  return {
    lockSequenceNumber: sequence & SEQUENCE_NUMBER_MASK,
    lockSequenceIndex: sequence >>> SEQUENCE_NUMBER_BITS,
    fileId,
    locks,
  }
}

function readLock(reader: Reader): LockElement {
  const lock = { offset: reader.u64(), length: reader.u64(), flags: reader.u32() }
  reader.skip(4)
  return lock
}

export function encodeLockRequest(writer: Writer, m: LockRequest): void {
  writer
    .u16(REQUEST_STRUCTURE_SIZE)
    .u16(m.locks.length)
    .u32((m.lockSequenceIndex << SEQUENCE_NUMBER_BITS) | m.lockSequenceNumber)
  writeFileId(writer, m.fileId)
  for (const lock of m.locks) writer.u64(lock.offset).u64(lock.length).u32(lock.flags).u32(0)
}

export const decodeLockResponse = decodeEmptyBody
export const encodeLockResponse = encodeEmptyBody
