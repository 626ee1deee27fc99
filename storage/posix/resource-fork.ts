/** AFP_Resource of a file, in whichever format it is: streams_xattr's, netatalk's, a sidecar's of any size. An empty one is none. */

import { APPLE_STREAM_NAMES } from '../metadata/apple-streams.ts'
import { xattrOfStream } from '../metadata/dos-stream.ts'
import { NETATALK_RESOURCE_XATTR } from '../metadata/netatalk.ts'
import { check } from './errno.ts'
import { asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { placeOf } from './metadata.ts'
import { fsync } from './native.ts'
import { shareOf } from './share.ts'
import { forkBytesOf, readFork, removeIfSpent, setForkSize, writeFork } from './sidecar-file.ts'
import { withOwnSidecar, withSidecar } from './sidecar-of.ts'
import {
  findStream,
  readStreamValue,
  removeStreamValue,
  streamValueSize,
  writeLimited,
  writeStreamValue,
} from './stream-values.ts'
import { readXattr, removeXattr, xattrSize } from './xattr.ts'

const NAME = APPLE_STREAM_NAMES['resource-fork']

type Stored =
  | { readonly format: 'stream'; readonly xattr: string; readonly bytes: number }
  | { readonly format: 'xattr' | 'file'; readonly bytes: number }

function find(node: NodeReference): Stored | undefined {
  const xattr = findStream(node, NAME)
  const inStream = xattr === undefined ? undefined : streamValueSize(node, xattr)
  if (xattr !== undefined && inStream !== undefined && inStream > 0) {
    return { format: 'stream', xattr, bytes: inStream }
  }
  const netatalk = asServer(() => xattrSize(placeOf(node), NETATALK_RESOURCE_XATTR))
  if (netatalk > 0) return { format: 'xattr', bytes: netatalk }
  const inSidecar = withSidecar(node, 'read', forkBytesOf) ?? 0
  return inSidecar > 0 ? { format: 'file', bytes: inSidecar } : undefined
}

/** Bytes of the resource fork; 0: there is none. */
export function resourceForkSize(node: NodeReference): number {
  return find(node)?.bytes ?? 0
}

export function readResourceFork(node: NodeReference, position: number, length: number): Buffer {
  const stored = find(node)
  if (stored === undefined) return Buffer.alloc(0)
  if (stored.format === 'file') {
    return withSidecar(node, 'read', (opened) => readFork(opened, position, length)) ?? Buffer.alloc(0)
  }
  return wholeFork(node, stored).subarray(position, position + length)
}

function wholeFork(node: NodeReference, stored: Stored): Buffer {
  if (stored.format === 'stream') return readStreamValue(node, stored.xattr) ?? Buffer.alloc(0)
  return asServer(() => readXattr(placeOf(node), NETATALK_RESOURCE_XATTR)) ?? Buffer.alloc(0)
}

export function writeResourceFork(node: NodeReference, position: number, data: Uint8Array): void {
  if (data.length === 0) return
  const stored = find(node)
  const end = position + data.length
  if (formatFor(node, stored, end) === 'file') {
    moveToSidecar(node, stored)
    withOwnSidecar(node, (opened) => writeFork(opened, position, data))
    return
  }
  const value = resized(node, stored, Math.max(end, stored?.bytes ?? 0))
  value.set(data, position)
  storeValue(node, stored, value)
}

export function setResourceForkSize(node: NodeReference, size: number): void {
  if (size === 0) {
    removeResourceFork(node)
    return
  }
  const stored = find(node)
  if (formatFor(node, stored, size) === 'file') {
    moveToSidecar(node, stored)
    withOwnSidecar(node, (opened) => setForkSize(opened, size))
  } else {
    storeValue(node, stored, resized(node, stored, size))
  }
}

/** Where it is, unless it grows out of an attribute: a fork that a Mac copies is not refused, whatever the share is set to. */
function formatFor(node: NodeReference, stored: Stored | undefined, end: number): Stored['format'] {
  const { macResource, maximumStreamBytes } = shareOf(node.share)
  return end <= maximumStreamBytes ? (stored?.format ?? macResource) : 'file'
}

function resized(node: NodeReference, stored: Stored | undefined, bytes: number): Buffer {
  const value = Buffer.alloc(bytes)
  if (stored !== undefined) wholeFork(node, stored).copy(value)
  return value
}

function storeValue(node: NodeReference, stored: Stored | undefined, value: Buffer): void {
  const format = stored?.format ?? shareOf(node.share).macResource
  if (format === 'xattr') asServer(() => writeLimited(node, NETATALK_RESOURCE_XATTR, value))
  else writeStreamValue(node, findStream(node, NAME) ?? xattrOfStream(NAME), value)
}

function moveToSidecar(node: NodeReference, stored: Stored | undefined): void {
  if (stored === undefined || stored.format === 'file') return
  const value = wholeFork(node, stored)
  withOwnSidecar(node, (opened) => {
    setForkSize(opened, 0)
    writeFork(opened, 0, value)
  })
  removeAttributes(node)
}

function removeAttributes(node: NodeReference): void {
  const xattr = findStream(node, NAME)
  if (xattr !== undefined) removeStreamValue(node, xattr)
  asServer(() => removeXattr(placeOf(node), NETATALK_RESOURCE_XATTR))
}

/** Returns when a fork in a sidecar is on the disk; one in an attribute goes with its file. */
export function syncResourceFork(node: NodeReference): void {
  withSidecar(node, 'read', ({ fd }) => check(fsync(fd), 'fsync'))
}

/** Removes it from wherever it is. */
export function removeResourceFork(node: NodeReference): void {
  removeAttributes(node)
  if ((withSidecar(node, 'read', forkBytesOf) ?? 0) === 0) return
  withSidecar(node, 'write', (opened, place) => {
    setForkSize(opened, 0)
    removeIfSpent(place, opened)
  })
}
