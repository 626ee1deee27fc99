/** What a disk is to the protocols: bytes at offsets, of which ranges may be given back. Imports nothing. */

/** A run of bytes that are all stored, or all holes. */
export interface BlockExtent {
  /** false: a hole, which reads as zeros and occupies nothing. */
  readonly isMapped: boolean
  /** Bytes from the offset that was asked for; at least 1. */
  readonly length: number
}

/**
 * A disk. Offsets and lengths are bytes, checked by the caller to lie within `size`; every call may run beside others.
 * Each rejects with a StorageError.
 */
export interface BlockDevice {
  /** Bytes; grows with `refresh`. */
  readonly size: number
  readonly isReadOnly: boolean
  /** Whether `discard` gives space back. */
  readonly canDiscard: boolean
  /** Whether `extentAt` tells holes from zeros that are stored; devices cannot. */
  readonly knowsHoles: boolean
  /** Bytes in which space is given back best (a file system's block, a zvol's volblocksize); a power of two. */
  readonly discardGranularity: number
  /** Fills `into`. */
  read(into: Buffer, offset: number): Promise<void>
  /** Writes the chunks one after another; they are in the cache then, and on the disk after `sync`. */
  write(chunks: readonly Buffer[], offset: number): Promise<void>
  /** What was written before this call is on the disk when it resolves. */
  sync(): Promise<void>
  /** Reads as zeros afterwards; space is given back where that is possible. */
  discard(offset: number, length: number): Promise<void>
  /** The run of stored bytes or holes that begins at `offset`, no longer than `length`. */
  extentAt(offset: number, length: number): Promise<BlockExtent>
  /** Looks whether the backing has grown, or grows it to `size` bytes. */
  refresh(size?: number): Promise<void>
  /** Gives up the lock on the backing. No call may be under way. */
  close(): Promise<void>
}
