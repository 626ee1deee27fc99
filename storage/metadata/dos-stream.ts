/** Named streams (MS-FSCC 2.1.5.3) as extended attributes in the format of Samba's streams_xattr: user.DosStream.NAME:$DATA. */

import { StorageError } from '../errors.ts'

const PREFIX = 'user.DosStream.'
const CONTINUATION_PREFIX = 'user.DosStreamExt.'
const TYPE_SUFFIX = ':$DATA'
/** XATTR_NAME_MAX of Linux, in bytes. */
const MAXIMUM_XATTR_NAME_BYTES = 255
/** Largest stream name that fits, in bytes of UTF-8. */
export const MAXIMUM_STREAM_NAME_BYTES = MAXIMUM_XATTR_NAME_BYTES - PREFIX.length - TYPE_SUFFIX.length

/** Ends every first value: how many continuation attributes follow (0 in all that we and older servers write). */
const TRAILER_BYTES = 1

/** The attribute that holds a stream. @throws StorageError 'name-too-long' */
export function xattrOfStream(stream: string): string {
  if (Buffer.byteLength(stream) > MAXIMUM_STREAM_NAME_BYTES) throw new StorageError('name-too-long')
  return PREFIX + stream + TYPE_SUFFIX
}

/** The stream that an attribute holds, or undefined when it holds none. Some servers leave out the type. */
export function streamOfXattr(xattr: string): string | undefined {
  if (!xattr.startsWith(PREFIX)) return undefined
  const name = xattr.slice(PREFIX.length)
  const typed = name.slice(-TYPE_SUFFIX.length).toUpperCase() === TYPE_SUFFIX
  const stream = typed ? name.slice(0, -TYPE_SUFFIX.length) : name
  return stream === '' ? undefined : stream
}

/** Bytes of the stream whose attribute's value has this many. */
export function streamSize(valueBytes: number): number {
  return Math.max(0, valueBytes - TRAILER_BYTES)
}

/** How many attributes continue a value (newer versions of Samba's streams_xattr make some); 0 for nearly all. */
export function continuations(value: Buffer): number {
  return value[value.length - TRAILER_BYTES] ?? 0
}

/** The attribute that continues a stream, counted from 1; it has no trailer. */
export function xattrOfContinuation(xattr: string, index: number): string {
  return `${CONTINUATION_PREFIX}${index}.${xattr.slice(PREFIX.length)}`
}

/** The stream's bytes in the value of its first attribute, as a view. */
export function decodeStream(value: Buffer): Buffer {
  return value.subarray(0, streamSize(value.length))
}

/** The attribute's value for a stream's bytes. */
export function encodeStream(data: Uint8Array): Buffer {
  const value = Buffer.alloc(data.length + TRAILER_BYTES)
  value.set(data)
  return value
}
