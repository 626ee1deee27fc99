/** MS-SMB2 2.2.13.2.8 and .10: lease create contexts of version 1 and 2, the same in both directions. */

import { DecodeError } from '../../wire/errors.ts'
import { Writer } from '../../wire/writer.ts'
import { contextReader } from './create-context-data.ts'

export const LEASE_KEY_BYTES = 16
const V1_BYTES = 32
const V2_BYTES = 52

/** 2.2.13.2.8 LeaseState; other bits are invalid. */
export const LeaseState = {
  NONE: 0x00,
  READ_CACHING: 0x01,
  HANDLE_CACHING: 0x02,
  WRITE_CACHING: 0x04,
} as const

export const LeaseFlag = {
  /** Responses: 2.2.14.2.10. */
  BREAK_IN_PROGRESS: 0x0000_0002,
  /** Version 2 alone: `parentLeaseKey` counts. */
  PARENT_LEASE_KEY_SET: 0x0000_0004,
} as const

export interface LeaseContext {
  version: 1 | 2
  /** 16 bytes, a view of the message when decoded: copy it to keep it. */
  leaseKey: Buffer
  leaseState: number
  leaseFlags: number
  /** Version 2: 16 bytes; empty in version 1. */
  parentLeaseKey: Buffer
  /** Version 2; 0 in version 1. */
  epoch: number
}

const NO_KEY = Buffer.alloc(0)

/** @throws DecodeError when the data has the size of neither version */
export function decodeLeaseContext(data: Buffer): LeaseContext {
  if (data.length !== V1_BYTES && data.length !== V2_BYTES) {
    throw new DecodeError(`a lease context has ${data.length} bytes`)
  }
  const reader = contextReader(data, data.length)
  const leaseKey = reader.bytes(LEASE_KEY_BYTES)
  const leaseState = reader.u32()
  const leaseFlags = reader.u32()
  reader.skip(8) // LeaseDuration: reserved
  if (data.length === V1_BYTES) {
    return { version: 1, leaseKey, leaseState, leaseFlags, parentLeaseKey: NO_KEY, epoch: 0 }
  }
  const parentLeaseKey = reader.bytes(LEASE_KEY_BYTES)
  return { version: 2, leaseKey, leaseState, leaseFlags, parentLeaseKey, epoch: reader.u16() }
}

export function encodeLeaseContext(m: LeaseContext): Buffer {
  const writer = new Writer(V2_BYTES).bytes(m.leaseKey).u32(m.leaseState).u32(m.leaseFlags).zeros(8)
  if (m.version === 2) writer.bytes(m.parentLeaseKey).u16(m.epoch).u16(0)
  return writer.finish()
}
