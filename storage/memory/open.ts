/** MS-FSA 2.1.5.1: opens a file, directory or stream of a volume in RAM, and makes it where the disposition says so. */

import { StorageError, UnheededError } from '../errors.ts'
import type { Identity, OpenOutcome, OpenRequest } from '../file-system.ts'
import { foldKey } from '../names/fold.ts'
import { toNative } from '../names/sfm.ts'
import { streamNameError } from '../names/valid.ts'
import { MemoryHandle } from './handle.ts'
import { type Entry, type MemoryNode, type NamedStream, statOf } from './node.ts'
import { Access, allows, permissionsOf } from './permissions.ts'
import { type Place, resolve } from './resolve.ts'
import { isThere, newStream } from './streams.ts'
import { attachEntry, pathOf } from './tree.ts'
import { demand, ownerOf, type Volume } from './volume.ts'

type Success = OpenOutcome & { ok: true }

/** Something opened, and whether that made it. */
interface Opened<T> {
  readonly value: T
  readonly created: boolean
}

/** @throws StorageError for what the caller answers as a failed outcome */
export function openOn(volume: Volume, request: OpenRequest): OpenOutcome & { ok: true } {
  const { identity } = request
  if (request.stream !== undefined) {
    demand(volume.features.extendedAttributes, 'not-supported')
    const error = streamNameError(request.stream)
    if (error !== undefined) throw new StorageError(error)
  }
  const file = openEntry(volume, request)
  const { node } = file.value
  if (!file.created) {
    const wanted = (request.read ? Access.read : 0) | (request.write ? Access.write : 0)
    demand(allows(node, identity, wanted), 'access-denied')
  }
  const stream = request.stream === undefined ? undefined : openStream(volume, node, request.stream, request)
  const handle = new MemoryHandle(volume, file.value, stream?.value, request)
  return {
    ok: true,
    handle,
    created: stream?.created ?? file.created,
    fileCreated: file.created,
    path: pathOf(file.value),
    ...(stream !== undefined && { stream: stream.value.name }),
    stat: statOf(node, volume.volumeId, stream?.value.content),
    ...(request.wantPermissions && accessOf(file, identity)),
  }
}

function accessOf({ value, created }: Opened<Entry>, identity: Identity | undefined): Partial<Success> {
  const permissions = permissionsOf(value.node, value.parent, identity)
  const { securityDescriptor } = value.node
  const parentDescriptor = permissions.remove ? value.parent?.securityDescriptor : undefined
  return {
    permissions,
    ...(!created && securityDescriptor !== undefined && { securityDescriptor }),
    ...(!created && parentDescriptor !== undefined && { parentDescriptor }),
  }
}

function openEntry(volume: Volume, request: OpenRequest): Opened<Entry> {
  const { disposition, kind, stream } = request
  // The disposition is the stream's where there is one; its file is made on the way.
  const insistsOnNew = disposition === 'create' && stream === undefined
  const follows = request.followLinks && !insistsOnNew
  const place = resolve(volume.root, request.path, request.identity, follows, request.posixNames)
  if (typeof place === 'string') throw new StorageError(place)
  const { entry } = place
  if (entry === undefined || (insistsOnNew && !clashes(place, request.path))) {
    demand(disposition !== 'open', 'not-found')
    return { value: createEntry(volume, place, request), created: true }
  }
  demand(!insistsOnNew, 'exists')
  const isDirectory = entry.node.directory !== undefined
  if (stream === undefined) {
    demand(kind !== 'directory' || isDirectory, 'not-directory')
    demand(kind !== 'file' || !isDirectory, 'is-directory')
  } else {
    demand(kind !== 'directory', 'not-directory')
  }
  return { value: entry, created: false }
}

/**
 * Whether what an open found also keeps a new entry from being made: not when only its Unicode form is
 * another.
 */
function clashes(place: Place, path: string): boolean {
  return place.parent?.directory === undefined || place.parent.directory.clash(lastOf(path)) !== undefined
}

function createEntry(volume: Volume, place: Place, request: OpenRequest): Entry {
  const { parent } = place
  demand(parent !== undefined, 'exists')
  demand(allows(parent, request.identity, Access.write | Access.execute), 'access-denied')
  const { heeded, securityDescriptor } = request.create
  const above = parent.securityDescriptor
  if (request.wantPermissions && above !== undefined && heeded?.equals(above) !== true) {
    throw new UnheededError(above)
  }
  const node = volume.newNode({
    type: request.kind === 'directory' && request.stream === undefined ? 'directory' : 'file',
    mode: request.create.mode,
    dosAttributes: request.create.dosAttributes,
    owner: request.create.owner ?? ownerOf(request.identity),
  })
  node.compressed = parent.compressed
  if (volume.features.extendedAttributes && securityDescriptor !== undefined) {
    node.securityDescriptor = Buffer.from(securityDescriptor)
  }
  // What is found in another Unicode form only does not count: then the name is the one asked for.
  return attachEntry(volume, parent, place.entry === undefined ? place.name : lastOf(request.path), node)
}

function openStream(
  volume: Volume,
  node: MemoryNode,
  name: string,
  request: OpenRequest,
): Opened<NamedStream> {
  const key = foldKey(name)
  const existing = node.streams.get(key)
  const ignoresEmpty = request.ignoreEmptyStreams === true
  if (existing !== undefined && isThere(existing) && !(ignoresEmpty && existing.content.size === 0)) {
    demand(request.disposition !== 'create', 'exists')
    return { value: existing, created: false }
  }
  demand(request.disposition !== 'open', 'not-found')
  demand(allows(node, request.identity, Access.write), 'access-denied')
  if (existing !== undefined) return { value: existing, created: true }
  const stream = newStream(name, volume.newContent())
  node.streams.set(key, stream)
  volume.touchMetadata(node)
  return { value: stream, created: true }
}

function lastOf(path: string): string {
  return toNative(path.slice(path.lastIndexOf('/') + 1))
}
