/** MS-FSA 2.1.1.5 named streams, opened, read and written wherever they are; one worker serves a file, as each change reads and writes a whole value. */

import { constants } from 'node:fs'
import { StorageError } from '../errors.ts'
import type { StreamEntry } from '../file-system.ts'
import { AFP_INFO_BYTES, assertAfpInfoSize, readAfpInfo, writeAfpInfo } from '../metadata/afp-info.ts'
import { APPLE_STREAM_NAMES, type AppleStream, appleStreamOf } from '../metadata/apple-streams.ts'
import { streamOfXattr } from '../metadata/dos-stream.ts'
import { streamToClient } from '../names/sfm.ts'
import { streamNameError } from '../names/valid.ts'
import { loadAfpInfo, removeAfpInfo, storeAfpInfo } from './afp-info.ts'
import {
  embeddedStreams,
  findEmbedded,
  forgetEmbedded,
  importEmbedded,
  readEmbedded,
} from './embedded-streams.ts'
import { check } from './errno.ts'
import { asServer } from './identity.ts'
import type { NodeReference, OpenJob, StreamReference } from './jobs.ts'
import { assertMayChange, type Node, placeOf } from './metadata.ts'
import { mayAccess, statOf } from './native.ts'
import {
  readResourceFork,
  removeResourceFork,
  resourceForkSize,
  setResourceForkSize,
  writeResourceFork,
} from './resource-fork.ts'
import { shareOf } from './share.ts'
import type { Share } from './share-type.ts'
import { ALLOCATION_UNIT_BYTES, newRecord, setStreamSize, sizeOf, typeOf } from './stat-record.ts'
import {
  findStream,
  readStreamValue,
  removeStreamValue,
  streamKey,
  streamValueSize,
  writeStreamValue,
  xattrOfNewStream,
} from './stream-values.ts'
import { listXattrs } from './xattr.ts'

export interface OpenedStream {
  readonly reference: StreamReference
  /** As clients see it. */
  readonly name: string
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
  const file: NodeReference = {
    ...node,
    share: share.id,
    identity: job.identity,
    link: undefined,
    stream: undefined,
  }
  const found = findOpenable(file, job, name)
  if (found !== undefined && job.disposition === 'create') throw new StorageError('exists')
  if (found !== undefined) return openedOf(file, found, false)
  if (job.disposition === 'open') throw new StorageError('not-found')
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  assertMayChange(node, record)
  return openedOf(file, createStream(file, name), true)
}

function assertStreamAccess(job: OpenJob, node: Node): void {
  const wanted = (job.read ? constants.R_OK : 0) | (job.write ? constants.W_OK : 0)
  if (wanted !== 0 && !mayAccess(node.fd, wanted)) throw new StorageError('access-denied')
}

interface Named {
  readonly reference: StreamReference
  readonly name: string
}

function openedOf(file: NodeReference, { reference, name }: Named, created: boolean): OpenedStream {
  const complete = (record: Buffer) => setStreamSize(record, sizeOfStream({ ...file, stream: reference }))
  return { reference, name, created, complete }
}

function findOpenable(file: NodeReference, job: OpenJob, name: string): Named | undefined {
  const found = findNamed(file, job, name)
  if (found === undefined || job.ignoreEmptyStreams !== true) return found
  return sizeOfStream({ ...file, stream: found.reference }) > 0 ? found : undefined
}

function findNamed(file: NodeReference, job: OpenJob, name: string): Named | undefined {
  const apple = appleOf(file, name)
  if (apple !== undefined) return hasApple(file, apple) ? appleNamed(apple) : undefined
  const xattr = findStream(file, name)
  if (xattr !== undefined) return xattrNamed(xattr)
  const attribute = findEmbedded(file, name)
  if (attribute === undefined) return undefined
  if (job.write) return xattrNamed(importEmbedded(file, attribute))
  return { reference: { kind: 'embedded', attribute }, name: streamToClient(attribute) }
}

/** Apple's streams are made when they are first written: an empty one is none. */
function createStream(file: NodeReference, name: string): Named {
  const apple = appleOf(file, name)
  if (apple !== undefined) return appleNamed(apple)
  const xattr = findStream(file, name) ?? xattrOfNewStream(file.share, name)
  writeStreamValue(file, xattr, Buffer.alloc(0))
  return xattrNamed(xattr)
}

/** Which of Apple's streams a name means, on a share that knows them. */
function appleOf({ share }: NodeReference, name: string): AppleStream | undefined {
  return shareOf(share).macStreams ? appleStreamOf(name) : undefined
}

function appleNamed(kind: AppleStream): Named {
  return { reference: { kind }, name: APPLE_STREAM_NAMES[kind] }
}

function xattrNamed(xattr: string): Named {
  return { reference: { kind: 'xattr', xattr }, name: streamToClient(streamOfXattr(xattr) ?? '') }
}

function hasApple(file: NodeReference, kind: AppleStream): boolean {
  return kind === 'afp-info' ? loadAfpInfo(file) !== undefined : resourceForkSize(file) > 0
}

function referenceOf({ stream }: NodeReference): StreamReference {
  if (stream === undefined) throw new Error('not a stream')
  return stream
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new StorageError('not-found', 'the stream was removed')
  return value
}

/** Size of the stream, for a stat. @throws StorageError 'not-found' when it was removed */
export function streamSizeOf(node: NodeReference): number {
  return sizeOfStream(node)
}

function sizeOfStream(node: NodeReference): number {
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') return AFP_INFO_BYTES
  if (stream.kind === 'resource-fork') return resourceForkSize(node)
  if (stream.kind === 'xattr') return present(streamValueSize(node, stream.xattr))
  return present(readEmbedded(node, stream.attribute)).length
}

export function readStream(job: { node: NodeReference; position: number; length: number }): Uint8Array {
  // Copied, since a message takes the whole memory behind a view along.
  return new Uint8Array(readPart(job.node, job.position, job.length))
}

function readPart(node: NodeReference, position: number, length: number): Buffer {
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') return readAfpInfo(loadAfpInfo(node), position, length)
  if (stream.kind === 'resource-fork') return readResourceFork(node, position, length)
  return plainValue(node).subarray(position, position + length)
}

/** The whole of an ordinary stream. */
function plainValue(node: NodeReference): Buffer {
  const stream = referenceOf(node)
  if (stream.kind === 'xattr') return present(readStreamValue(node, stream.xattr))
  if (stream.kind === 'embedded') return present(readEmbedded(node, stream.attribute))
  throw new Error('Apple streams are no plain values')
}

export function writeStream(job: { node: NodeReference; position: number; data: Uint8Array }): void {
  const { node, position, data } = job
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') {
    storeAfpInfo(node, writeAfpInfo(loadAfpInfo(node), position, data))
  } else if (stream.kind === 'resource-fork') {
    writeResourceFork(node, position, data)
  } else {
    const end = position + data.length
    const old = plainValue(node)
    assertFits(node, end)
    const value = Buffer.alloc(Math.max(old.length, end))
    old.copy(value)
    value.set(data, position)
    writeStreamValue(node, xattrOf(node), value)
  }
}

export function setSizeOfStream(job: { node: NodeReference; size: number }): void {
  const { node, size } = job
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') return assertAfpInfoSize(size)
  if (stream.kind === 'resource-fork') return setResourceForkSize(node, size)
  const old = plainValue(node)
  assertFits(node, size)
  const value = Buffer.alloc(size)
  old.copy(value)
  writeStreamValue(node, xattrOf(node), value)
}

/** Where it is written; what was opened for writing is in an attribute. */
function xattrOf(node: NodeReference): string {
  const stream = referenceOf(node)
  if (stream.kind !== 'xattr') throw new StorageError('access-denied', 'the stream is only read')
  return stream.xattr
}

/** Checked before memory is taken for it. */
function assertFits(node: NodeReference, size: number): void {
  if (size > shareOf(node.share).maximumStreamBytes) throw new StorageError('stream-too-large')
}

export function emptyStream(node: NodeReference): void {
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') removeAfpInfo(node)
  else if (stream.kind === 'resource-fork') removeResourceFork(node)
  else writeStreamValue(node, xattrOf(node), Buffer.alloc(0))
}

export function removeStream(node: NodeReference): void {
  const stream = referenceOf(node)
  if (stream.kind === 'afp-info') return removeAfpInfo(node)
  if (stream.kind === 'resource-fork') return removeResourceFork(node)
  if (stream.kind === 'embedded') return forgetEmbedded(node, stream.attribute)
  removeStreamValue(node, stream.xattr)
  const hidden = findEmbedded(node, streamOfXattr(stream.xattr) ?? '')
  if (hidden !== undefined) forgetEmbedded(node, hidden)
}

/** Gives the stream another name. Returns what it is now. */
export function renameStream(job: { node: NodeReference; to: string; replace: boolean }): StreamReference {
  const { node, to } = job
  const error = streamNameError(to)
  if (error !== undefined) throw new StorageError(error)
  const stream = referenceOf(node)
  const isApple = stream.kind === 'afp-info' || stream.kind === 'resource-fork'
  if (isApple || appleOf(node, to) !== undefined) {
    throw new StorageError('not-supported', 'what Macs keep there has one name')
  }
  const old = stream.kind === 'xattr' ? stream.xattr : importEmbedded(node, stream.attribute)
  const data = present(readStreamValue(node, old))
  const taken = findStream(node, to)
  if (taken !== undefined && taken !== old && !job.replace) throw new StorageError('exists')
  const target = xattrOfNewStream(node.share, to)
  if (target === old) return { kind: 'xattr', xattr: old }
  writeStreamValue(node, target, data)
  removeStreamValue(node, old)
  if (taken !== undefined && taken !== old && taken !== target) removeStreamValue(node, taken)
  return { kind: 'xattr', xattr: target }
}

/** All streams, the unnamed one of a file first. */
export function listStreams(node: NodeReference): readonly StreamEntry[] {
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  const file: NodeReference = { ...node, stream: undefined }
  const streams: StreamEntry[] = []
  if (typeOf(record) === 'file') streams.push(streamEntry('', sizeOf(record)))
  if (!shareOf(node.share).extendedAttributes) return streams
  if (shareOf(node.share).macStreams) streams.push(...appleStreams(file))
  const keys = new Set<string>()
  for (const xattr of asServer(() => listXattrs(placeOf(node)))) {
    const name = streamOfXattr(xattr)
    if (name === undefined || appleOf(file, name) !== undefined) continue
    keys.add(streamKey(name))
    streams.push(streamEntry(streamToClient(name), streamValueSize(node, xattr) ?? 0))
  }
  for (const { name, bytes } of embeddedStreams(file)) {
    if (!keys.has(streamKey(name))) streams.push(streamEntry(streamToClient(name), bytes))
  }
  return streams
}

function appleStreams(file: NodeReference): StreamEntry[] {
  const fork = resourceForkSize(file)
  return [
    ...(loadAfpInfo(file) === undefined ? [] : [streamEntry(APPLE_STREAM_NAMES['afp-info'], AFP_INFO_BYTES)]),
    ...(fork > 0 ? [streamEntry(APPLE_STREAM_NAMES['resource-fork'], fork)] : []),
  ]
}

function streamEntry(name: string, size: number): StreamEntry {
  return { name, size, allocated: Math.ceil(size / ALLOCATION_UNIT_BYTES) * ALLOCATION_UNIT_BYTES }
}

/** FILE_OVERWRITE: the file's named streams go. */
export function removeAllStreams(node: NodeReference): void {
  const file: NodeReference = { ...node, stream: undefined }
  const xattrs = asServer(() => listXattrs(placeOf(node)))
  for (const xattr of xattrs) if (streamOfXattr(xattr) !== undefined) removeStreamValue(node, xattr)
  if (!shareOf(node.share).macStreams) return
  removeAfpInfo(file)
  removeResourceFork(file)
  for (const { name } of embeddedStreams(file)) forgetEmbedded(file, name)
}
