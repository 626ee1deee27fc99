/** MS-FSA 2.1.5.14.11.1: named streams are renamed and removed on their own. */

import type { Identity, RenameRequest } from '../file-system.ts'
import { foldKey } from '../names/fold.ts'
import { streamNameError } from '../names/valid.ts'
import { type MemoryNode, type NamedStream, releaseStream } from './node.ts'
import { Access, allows } from './permissions.ts'
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
