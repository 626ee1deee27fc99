/** Named streams in extended attributes (Samba's streams_xattr), as whole values. All of it runs as the server: access is decided when a stream is opened. */

import { StorageError } from '../errors.ts'
import {
  continuations,
  decodeStream,
  encodeStream,
  streamOfXattr,
  xattrOfContinuation,
  xattrOfStream,
} from '../metadata/dos-stream.ts'
import { storedStreamSize } from '../metadata/mac-metadata.ts'
import { foldKey } from '../names/fold.ts'
import { streamToNative, toNative } from '../names/sfm.ts'
import { asServer } from './identity.ts'
import { type Node, placeOf } from './metadata.ts'
import { shareOf } from './share.ts'
import { freeBytes } from './statfs.ts'
import { listXattrs, peekXattr, readXattr, removeXattr, writeXattr } from './xattr.ts'

/** What names of streams are compared by: without case, and in either of the forms of characters that SMB forbids. */
export function streamKey(name: string): string {
  return foldKey(toNative(name))
}

/** The attribute that a new stream gets. @throws StorageError 'name-too-long' */
export function xattrOfNewStream(share: number, name: string): string {
  return xattrOfStream(shareOf(share).nameMapping === 'native' ? streamToNative(name) : name)
}

/** The attribute of a stream; the exact name goes before others that mean the same. */
export function findStream(node: Node, name: string): string | undefined {
  return asServer(() => findAmong(listXattrs(placeOf(node)), name))
}

export function findAmong(xattrs: readonly string[], name: string): string | undefined {
  const key = streamKey(name)
  let similar: string | undefined
  for (const xattr of xattrs) {
    const stream = streamOfXattr(xattr)
    if (stream === name) return xattr
    if (stream !== undefined && streamKey(stream) === key) similar = xattr
  }
  return similar
}

/** A stream's bytes as memory of its own; undefined when it is not there. */
export function readStreamValue(node: Node, xattr: string): Buffer | undefined {
  return asServer(() => {
    const place = placeOf(node)
    const value = readXattr(place, xattr)
    if (value === undefined) return undefined
    const parts = [decodeStream(value)]
    for (let index = 1; index <= continuations(value); index++) {
      const more = readXattr(place, xattrOfContinuation(xattr, index))
      if (more === undefined) break
      parts.push(more)
    }
    return parts.length === 1 ? decodeStream(value) : Buffer.concat(parts)
  })
}

/** Bytes of a stream; undefined when it is not there. */
export function streamValueSize(node: Node, xattr: string): number | undefined {
  return asServer(() => {
    const place = placeOf(node)
    if (peekXattr(place, xattr) === undefined) return undefined
    return storedStreamSize(xattr, { value: (name) => peekXattr(place, name) })
  })
}

/** Sets a stream's bytes, in one attribute. @throws StorageError 'stream-too-large' */
export function writeStreamValue(node: Node, xattr: string, data: Buffer): void {
  asServer(() => {
    const old = peekXattr(placeOf(node), xattr)
    const more = old === undefined ? 0 : continuations(old)
    writeLimited(node, xattr, encodeStream(data))
    for (let index = 1; index <= more; index++) removeXattr(placeOf(node), xattrOfContinuation(xattr, index))
  })
}

/** Sets an attribute to these very bytes. Runs as whoever acts. @throws StorageError 'stream-too-large' */
export function writeLimited(node: Node, xattr: string, value: Buffer): void {
  try {
    writeXattr(placeOf(node), xattr, value)
  } catch (error) {
    throw isTooLarge(node, error) ? new StorageError('stream-too-large', error.message) : error
  }
}

/** Some file systems say "no space" when an inode cannot hold more attributes. */
export function isTooLarge(node: Node, error: unknown): error is StorageError {
  if (!(error instanceof StorageError)) return false
  return error.code === 'stream-too-large' || (error.code === 'disk-full' && freeBytes(node.fd) > 0)
}

export function removeStreamValue(node: Node, xattr: string): void {
  asServer(() => {
    const place = placeOf(node)
    const old = peekXattr(place, xattr)
    const more = old === undefined ? 0 : continuations(old)
    removeXattr(place, xattr)
    for (let index = 1; index <= more; index++) removeXattr(place, xattrOfContinuation(xattr, index))
  })
}
