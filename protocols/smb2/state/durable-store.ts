/** MS-SMB2 3.3.1.10, ours: what is kept of a durable open outside the process, so that its client finds it after a restart. */

import type { DurableHandle } from './durable-handle.ts'

/** The lease of a durable open; GUIDs and keys are in hexadecimal. */
export interface LeaseRecord {
  readonly clientGuid: string
  readonly leaseKey: string
  readonly parentLeaseKey: string | undefined
  readonly version: 1 | 2
  /** Bits of LeaseState. */
  readonly leaseState: number
  readonly epoch: number
}

/** 64-bit numbers are in decimal, as JSON has none. */
export interface LockRecord {
  readonly offset: string
  readonly length: string
  readonly exclusive: boolean
}

/** A durable open, in values that JSON has. */
export interface DurableRecord {
  /** FileId.Persistent, hexadecimal. */
  readonly id: string
  readonly durable: DurableHandle
  readonly createGuid: string | undefined
  readonly share: string
  /** From the share's root, '/'-separated. */
  readonly path: string
  /** '' for the file itself. */
  readonly stream: string
  /** Decimal: with another identity the path names another file by now. */
  readonly volumeId: string
  readonly fileId: string
  readonly grantedAccess: number
  readonly maximalAccess: number
  readonly shareAccess: number
  readonly createOptions: number
  readonly posix: boolean
  /** SharedFile.posix, which opens of Macs have too. */
  readonly sharesAsPosix: boolean
  readonly createAction: number
  readonly mode: number
  readonly currentByteOffset: string
  readonly deleteOnClose: boolean
  /** The file, or the stream that is open, is to go at its last close, at whose request ever. */
  readonly deletePending: boolean
  /** Undefined: a batch oplock. */
  readonly lease: LeaseRecord | undefined
  readonly locks: readonly LockRecord[]
  /** Open.LockSequenceArray */
  readonly lockSequences: readonly (readonly [index: number, sequence: number])[]
  /** Milliseconds since 1970. */
  readonly creationTime: number
  /** Since then the client has been away, milliseconds since 1970; undefined: it is there. */
  readonly absentSince: number | undefined
}

/** Where records are kept. */
export interface DurableStore {
  /**
   * Takes records in the place of those with the same ids, and forgets others. It may take its time,
   * but keeps the order; what fails is its own concern.
   */
  write(kept: readonly DurableRecord[], forgotten: readonly string[]): void
}
