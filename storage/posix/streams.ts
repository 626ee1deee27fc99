/** MS-FSA 2.1.1.5 named streams and EAs, kept in extended attributes: each change reads and writes the whole attribute, so one worker serves a file. */

import { constants } from 'node:fs'
import { StorageError } from '../errors.ts'
import type { ExtendedAttribute, StreamEntry } from '../file-system.ts'
import {
  decodeStream,
  encodeStream,
  streamOfXattr,
  streamSize,
  xattrOfStream,
} from '../metadata/dos-stream.ts'
import { xattrOfEa } from '../metadata/reserved.ts'
import { foldKey } from '../names/fold.ts'
import { streamNameError } from '../names/valid.ts'
import { check } from './errno.ts'
import { asServer } from './identity.ts'
import type { NodeReference, OpenJob } from './jobs.ts'
import { assertMayChange, type Node, placeOf, readEas } from './metadata.ts'
import { mayAccess, statOf } from './native.ts'
import { shareOf } from './share.ts'
import type { Share } from './share-type.ts'
import { ALLOCATION_UNIT_BYTES, newRecord, setStreamSize, sizeOf, typeOf } from './stat-record.ts'
import { freeBytes } from './statfs.ts'
import {
  listXattrs,
  peekXattr,
  readXattr,
  removeXattr,
  writeXattr,
  type XattrPlace,
  xattrSize,
} from './xattr.ts'

export interface OpenedStream {
  readonly xattr: string
  readonly created: boolean
  /** Makes the file's record that of the stream. */
  complete(record: Buffer): void
}

/** Opens or creates a stream of a file that is open; runs as the account, whose access to the file decides. */
export function openStream(share: Share, job: OpenJob, name: string, node: Node): OpenedStream {
  const error = streamNameError(name)
  if (error !== undefined) throw new StorageError(error)
  if (!share.extendedAttributes) throw new StorageError('not-supported', 'no extended attributes')
  assertStreamAccess(job, node)
  const place = placeOf(node)
  const complete = (record: Buffer) => setStreamSize(record, streamSize(xattrSize(place, xattr)))
  const stored = asServer(() => findStream(place, name))
  const xattr = stored ?? xattrOfStream(name)
  if (stored !== undefined) {
    if (job.disposition === 'create') throw new StorageError('exists')
    return { xattr, created: false, complete }
  }
  if (job.disposition === 'open') throw new StorageError('not-found')
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  assertMayChange(node, record)
  writeStreamValue(node, xattr, Buffer.alloc(0))
  return { xattr, created: true, complete }
}

function assertStreamAccess(job: OpenJob, node: Node): void {
  const wanted = (job.read ? constants.R_OK : 0) | (job.write ? constants.W_OK : 0)
  if (wanted !== 0 && !mayAccess(node.fd, wanted)) throw new StorageError('access-denied')
}

/** The attribute of a stream, whose name is compared without case. */
function findStream(place: XattrPlace, name: string): string | undefined {
  const key = foldKey(name)
  let inAnotherCase: string | undefined
  for (const xattr of listXattrs(place)) {
    const stream = streamOfXattr(xattr)
    if (stream === name) return xattr
    if (stream !== undefined && foldKey(stream) === key) inAnotherCase = xattr
  }
  return inAnotherCase
}

function xattrOf(reference: NodeReference): string {
  if (reference.stream === undefined) throw new Error('not a stream')
  return reference.stream
}

function streamValue(reference: NodeReference): Buffer {
  const value = asServer(() => readXattr(placeOf(reference), xattrOf(reference)))
  if (value === undefined) throw new StorageError('not-found', 'the stream was removed')
  return decodeStream(value)
}

/** Access was decided when the stream was opened, so the server itself writes. */
function writeStreamValue(node: Node, xattr: string, data: Buffer): void {
  asServer(() => {
    try {
      writeXattr(placeOf(node), xattr, encodeStream(data))
    } catch (error) {
      throw isTooLarge(node, error) ? new StorageError('stream-too-large', error.message) : error
    }
  })
}

/** Some file systems say "no space" when an inode cannot hold more attributes. */
function isTooLarge(node: Node, error: unknown): error is StorageError {
  if (!(error instanceof StorageError)) return false
  return error.code === 'stream-too-large' || (error.code === 'disk-full' && freeBytes(node.fd) > 0)
}

/** Size of the stream, for a stat. */
export function streamSizeOf(reference: NodeReference): number {
  const value = asServer(() => peekXattr(placeOf(reference), xattrOf(reference)))
  if (value === undefined) throw new StorageError('not-found', 'the stream was removed')
  return streamSize(value.length)
}

export function readStream(job: { node: NodeReference; position: number; length: number }): Uint8Array {
  // Copied, since a message takes the whole memory behind a view along.
  return new Uint8Array(streamValue(job.node).subarray(job.position, job.position + job.length))
}

export function writeStream(job: { node: NodeReference; position: number; data: Uint8Array }): void {
  const end = job.position + job.data.length
  const old = streamValue(job.node)
  assertFits(job.node, end)
  const value = Buffer.alloc(Math.max(old.length, end))
  old.copy(value)
  value.set(job.data, job.position)
  writeStreamValue(job.node, xattrOf(job.node), value)
}

export function setSizeOfStream(job: { node: NodeReference; size: number }): void {
  const old = streamValue(job.node)
  assertFits(job.node, job.size)
  const value = Buffer.alloc(job.size)
  old.copy(value)
  writeStreamValue(job.node, xattrOf(job.node), value)
}

/** Checked before memory is taken for it. */
function assertFits(node: NodeReference, size: number): void {
  if (size > shareOf(node.share).maximumStreamBytes) throw new StorageError('stream-too-large')
}

export function emptyStream(node: NodeReference): void {
  writeStreamValue(node, xattrOf(node), Buffer.alloc(0))
}

export function removeStream(node: NodeReference): void {
  asServer(() => removeXattr(placeOf(node), xattrOf(node)))
}

/** Gives the stream another name. Returns the attribute that holds it now. */
export function renameStream(job: { node: NodeReference; to: string; replace: boolean }): string {
  const error = streamNameError(job.to)
  if (error !== undefined) throw new StorageError(error)
  const place = placeOf(job.node)
  const old = xattrOf(job.node)
  const data = streamValue(job.node)
  const taken = asServer(() => findStream(place, job.to))
  if (taken !== undefined && taken !== old && !job.replace) throw new StorageError('exists')
  const target = xattrOfStream(job.to)
  if (target === old) return old
  writeStreamValue(job.node, target, Buffer.from(data))
  asServer(() => {
    removeXattr(place, old)
    if (taken !== undefined && taken !== old && taken !== target) removeXattr(place, taken)
  })
  return target
}

/** All streams, the unnamed one of a file first. */
export function listStreams(node: NodeReference): readonly StreamEntry[] {
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  const streams: StreamEntry[] = []
  if (typeOf(record) === 'file') streams.push(streamEntry('', sizeOf(record)))
  return asServer(() => {
    const place = placeOf(node)
    for (const xattr of listXattrs(place)) {
      const name = streamOfXattr(xattr)
      if (name !== undefined) streams.push(streamEntry(name, streamSize(xattrSize(place, xattr))))
    }
    return streams
  })
}

function streamEntry(name: string, size: number): StreamEntry {
  return { name, size, allocated: Math.ceil(size / ALLOCATION_UNIT_BYTES) * ALLOCATION_UNIT_BYTES }
}

/** FILE_OVERWRITE: the file's named streams go. */
export function removeAllStreams(node: NodeReference): void {
  asServer(() => {
    const place = placeOf(node)
    for (const xattr of listXattrs(place)) if (streamOfXattr(xattr) !== undefined) removeXattr(place, xattr)
  })
}

export function listEas(node: NodeReference): readonly ExtendedAttribute[] {
  return asServer(() => readEas(placeOf(node)))
}

/**
 * Sets EAs, whose names are compared without case; an empty value removes.
 * @throws StorageError 'ea-too-large' when the file system does not take so much; what came before is set
 */
export function setEas(job: {
  node: NodeReference
  attributes: readonly { readonly name: string; readonly value: Uint8Array }[]
}): void {
  const record = newRecord()
  check(statOf(job.node.fd, record), 'statx')
  assertMayChange(job.node, record)
  const changes = job.attributes.map(({ name, value }) => {
    const xattr = xattrOfEa(name)
    if (xattr === undefined) throw new StorageError('access-denied', `"${name}" is reserved`)
    return { xattr, value: Buffer.from(value) }
  })
  asServer(() => {
    const place = placeOf(job.node)
    const stored = new Map(listXattrs(place).map((xattr) => [xattr.toLowerCase(), xattr]))
    for (const { xattr, value } of changes) {
      const name = stored.get(xattr.toLowerCase()) ?? xattr
      if (value.length === 0) removeXattr(place, name)
      else writeEa(job.node, place, name, value)
    }
  })
}

function writeEa(node: Node, place: XattrPlace, name: string, value: Buffer): void {
  try {
    writeXattr(place, name, value)
  } catch (error) {
    throw isTooLarge(node, error) ? new StorageError('ea-too-large', error.message) : error
  }
}
