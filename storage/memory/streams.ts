/** MS-FSA 2.1.5.14.11.1: named streams are renamed and removed on their own; Apple's are read and written by Apple's rules. */

import type { ByteRange, Identity, RenameRequest } from '../file-system.ts'
import {
  AFP_INFO_BYTES,
  assertAfpInfoSize,
  emptyAfpInfo,
  readAfpInfo,
  writeAfpInfo,
} from '../metadata/afp-info.ts'
import { APPLE_STREAM_NAMES, appleStreamOf, presentFinderInfo } from '../metadata/apple-streams.ts'
import { foldKey } from '../names/fold.ts'
import { streamNameError } from '../names/valid.ts'
import { type MemoryNode, type NamedStream, releaseStream } from './node.ts'
import { Access, allows } from './permissions.ts'
import type { SparseBytes } from './sparse-bytes.ts'
import { demand, type Volume } from './volume.ts'

/** Takes a stream off the list; it lives on for its handles. */
export function removeStream(
  volume: Volume,
  node: MemoryNode,
  stream: NamedStream,
  identity: Identity | undefined,
): void {
  demand(stream.present, 'not-found')
  demand(allows(node, identity, Access.write), 'access-denied')
  dropStream(node, stream)
  volume.touchMetadata(node)
}

/** Gives a stream another name; `request.to` is a stream's name. */
export function renameStream(
  volume: Volume,
  node: MemoryNode,
  stream: NamedStream,
  identity: Identity | undefined,
  request: RenameRequest,
): void {
  demand(stream.present, 'not-found')
  demand(streamNameError(request.to) === undefined, 'name-invalid')
  demand(allows(node, identity, Access.write), 'access-denied')
  const isApple = appleStreamOf(stream.name) !== undefined || appleStreamOf(request.to) !== undefined
  demand(!isApple, 'not-supported')
  const clash = node.streams.get(foldKey(request.to))
  if (clash !== undefined && clash !== stream) {
    demand(request.replace, 'exists')
    dropStream(node, clash)
  }
  node.streams.delete(foldKey(stream.name))
  stream.name = request.to
  node.streams.set(foldKey(stream.name), stream)
  volume.touchMetadata(node)
}

/** Without asking: for what removes streams as part of something else. */
export function dropStream(node: MemoryNode, stream: NamedStream): void {
  node.streams.delete(foldKey(stream.name))
  stream.present = false
  releaseStream(stream)
}

/** A stream that is made. Apple's have one name in whatever case they are asked for. */
export function newStream(name: string, content: SparseBytes): NamedStream {
  const apple = appleStreamOf(name)
  if (apple === 'afp-info') content.write(emptyAfpInfo(), 0)
  return { name: apple === undefined ? name : APPLE_STREAM_NAMES[apple], content, present: true, handles: 0 }
}

/** Whether a stream is found and listed: Apple's are not before something is in them. */
export function isThere({ name, content }: NamedStream): boolean {
  const apple = appleStreamOf(name)
  if (apple === undefined) return true
  return apple === 'resource-fork' ? content.size > 0 : presentFinderInfo(contentOf(content)) !== undefined
}

function contentOf(content: SparseBytes): Buffer {
  const bytes = Buffer.alloc(Math.min(content.size, AFP_INFO_BYTES))
  content.read(bytes, 0)
  return bytes
}

function isAfpInfo(stream: NamedStream): boolean {
  return appleStreamOf(stream.name) === 'afp-info'
}

export function readNamed(stream: NamedStream, target: Buffer, position: number): number {
  if (!isAfpInfo(stream)) return stream.content.read(target, position)
  return readAfpInfo(contentOf(stream.content), position, target.length).copy(target)
}

export function writeNamed(stream: NamedStream, source: Buffer, position: number): void {
  if (isAfpInfo(stream)) stream.content.write(writeAfpInfo(contentOf(stream.content), position, source), 0)
  else stream.content.write(source, position)
}

export function resizeNamed(stream: NamedStream, size: number): void {
  if (isAfpInfo(stream)) assertAfpInfoSize(size)
  else stream.content.setSize(size)
}

export function clearNamed(stream: NamedStream): void {
  stream.content.clear()
  if (isAfpInfo(stream)) stream.content.write(emptyAfpInfo(), 0)
}

export function zeroNamed(stream: NamedStream, range: ByteRange): void {
  demand(!isAfpInfo(stream), 'invalid')
  stream.content.zeroRange(range)
}
