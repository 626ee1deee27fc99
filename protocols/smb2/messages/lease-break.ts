/** MS-SMB2 2.2.23.2, 2.2.24.2 and 2.2.25.2: Lease Break Notification, Acknowledgment and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { LEASE_KEY_BYTES } from './create-context-lease.ts'
import { readStructureSize } from './structure.ts'

export interface LeaseBreakNotification {
  kind: 'lease'
  /** 0 for a lease of version 1. */
  newEpoch: number
  flags: number
  leaseKey: Buffer
  /** LeaseState of create-context-lease.ts, as is the next. */
  currentLeaseState: number
  newLeaseState: number
}

/** Acknowledgment and response have the same fields. */
export interface LeaseBreakAcknowledgment {
  kind: 'lease'
  /** 16 bytes, a view of the message when decoded: copy it to keep it. */
  leaseKey: Buffer
  leaseState: number
}

/** 2.2.23.2 Flags: the client has to answer with an acknowledgment. */
export const LEASE_BREAK_ACK_REQUIRED = 0x0000_0001

const NOTIFICATION_STRUCTURE_SIZE = 44
const ACKNOWLEDGMENT_STRUCTURE_SIZE = 36

export function decodeLeaseBreakNotification(reader: Reader): LeaseBreakNotification {
  readStructureSize(reader, NOTIFICATION_STRUCTURE_SIZE)
  const newEpoch = reader.u16()
  const flags = reader.u32()
  const leaseKey = reader.bytes(LEASE_KEY_BYTES)
  const currentLeaseState = reader.u32()
  const newLeaseState = reader.u32()
  reader.skip(12) // BreakReason, AccessMaskHint, ShareMaskHint: zero
  return { kind: 'lease', newEpoch, flags, leaseKey, currentLeaseState, newLeaseState }
}

export function encodeLeaseBreakNotification(writer: Writer, m: LeaseBreakNotification): void {
  writer
    .u16(NOTIFICATION_STRUCTURE_SIZE)
    .u16(m.newEpoch)
    .u32(m.flags)
    .bytes(m.leaseKey)
    .u32(m.currentLeaseState)
    .u32(m.newLeaseState)
    .zeros(12)
}

export function decodeLeaseBreakAcknowledgment(reader: Reader): LeaseBreakAcknowledgment {
  readStructureSize(reader, ACKNOWLEDGMENT_STRUCTURE_SIZE)
  reader.skip(6)
  const leaseKey = reader.bytes(LEASE_KEY_BYTES)
  const leaseState = reader.u32()
  reader.skip(8) // LeaseDuration: ignored
  return { kind: 'lease', leaseKey, leaseState }
}

export function encodeLeaseBreakAcknowledgment(writer: Writer, m: LeaseBreakAcknowledgment): void {
  writer.u16(ACKNOWLEDGMENT_STRUCTURE_SIZE).u16(0).u32(0).bytes(m.leaseKey).u32(m.leaseState).zeros(8)
}
