/** MS-SMB2 2.2.23 to 2.2.25: OPLOCK_BREAK Notification, Acknowledgment and Response, oplock or lease. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import {
  decodeLeaseBreakAcknowledgment,
  decodeLeaseBreakNotification,
  encodeLeaseBreakAcknowledgment,
  encodeLeaseBreakNotification,
  type LeaseBreakAcknowledgment,
  type LeaseBreakNotification,
} from './lease-break.ts'
import { type FileId, readFileId, readStructureSize, writeFileId } from './structure.ts'

/** All three messages about an oplock have this one body. */
export interface OplockBreak {
  kind: 'oplock'
  /** OplockLevel of create.ts */
  oplockLevel: number
  fileId: FileId
}

/** What a client sends: StructureSize tells which of both it is. */
export type OplockBreakRequest = OplockBreak | LeaseBreakAcknowledgment
/** What answers it, with the same fields. */
export type OplockBreakResponse = OplockBreakRequest
/** What a server sends of itself. */
export type OplockBreakNotification = OplockBreak | LeaseBreakNotification

const OPLOCK_STRUCTURE_SIZE = 24
const LEASE_NOTIFICATION_STRUCTURE_SIZE = 44
const LEASE_ACKNOWLEDGMENT_STRUCTURE_SIZE = 36

export function decodeOplockBreakRequest(reader: Reader): OplockBreakRequest {
  switch (peekStructureSize(reader)) {
    case OPLOCK_STRUCTURE_SIZE:
      return decodeOplock(reader)
    case LEASE_ACKNOWLEDGMENT_STRUCTURE_SIZE:
      return decodeLeaseBreakAcknowledgment(reader)
    default:
      throw new DecodeError('StructureSize is that of no break acknowledgment')
  }
}

export function encodeOplockBreakRequest(writer: Writer, m: OplockBreakRequest): void {
  if (m.kind === 'oplock') encodeOplock(writer, m)
  else encodeLeaseBreakAcknowledgment(writer, m)
}

export const decodeOplockBreakResponse = decodeOplockBreakRequest
export const encodeOplockBreakResponse = encodeOplockBreakRequest

export function decodeOplockBreakNotification(reader: Reader): OplockBreakNotification {
  switch (peekStructureSize(reader)) {
    case OPLOCK_STRUCTURE_SIZE:
      return decodeOplock(reader)
    case LEASE_NOTIFICATION_STRUCTURE_SIZE:
      return decodeLeaseBreakNotification(reader)
    default:
      throw new DecodeError('StructureSize is that of no break notification')
  }
}

export function encodeOplockBreakNotification(writer: Writer, m: OplockBreakNotification): void {
  if (m.kind === 'oplock') encodeOplock(writer, m)
  else encodeLeaseBreakNotification(writer, m)
}

function peekStructureSize(reader: Reader): number {
  const at = reader.offset
  const size = reader.u16()
  reader.seek(at)
  return size
}

function decodeOplock(reader: Reader): OplockBreak {
  readStructureSize(reader, OPLOCK_STRUCTURE_SIZE)
  const oplockLevel = reader.u8()
  reader.skip(5)
  return { kind: 'oplock', oplockLevel, fileId: readFileId(reader) }
}

function encodeOplock(writer: Writer, m: OplockBreak): void {
  writer.u16(OPLOCK_STRUCTURE_SIZE).u8(m.oplockLevel).u8(0).u32(0)
  writeFileId(writer, m.fileId)
}
