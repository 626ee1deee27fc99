/** MS-FSA 2.1.5.14.11, 2.1.5.14.6 and 2.1.5.4: names come, move and go. */

import { StorageError } from '../errors.ts'
import type { Identity, RenameRequest } from '../file-system.ts'
import { toClient, toNative } from '../names/sfm.ts'
import { type Entry, type MemoryNode, releaseNode } from './node.ts'
import { Access, allows, allowsRemoval } from './permissions.ts'
import { resolve } from './resolve.ts'
import { demand, type Volume } from './volume.ts'

/** A directory that can have entries. */
type Parent = MemoryNode & { readonly directory: NonNullable<MemoryNode['directory']> }

/** The path of an entry as clients write it. */
export function pathOf(entry: Entry): string {
  const names: string[] = []
  for (let at: Entry | undefined = entry; at?.parent !== undefined; at = at.parent.entry) {
    names.push(toClient(at.name))
  }
  return names.reverse().join('/')
}

/** Gives a node a name in a directory. */
export function attachEntry(volume: Volume, parent: MemoryNode, name: string, node: MemoryNode): Entry {
  demand(parent.directory !== undefined, 'not-directory')
  const entry: Entry = { parent, name, node }
  parent.directory.add(entry)
  node.links++
  if (node.directory !== undefined) node.entry = entry
  volume.touchData(parent)
  return entry
}

/** Takes a name away. @throws StorageError 'not-found', 'access-denied', 'not-empty' */
export function removeEntry(volume: Volume, entry: Entry, identity: Identity | undefined): void {
  const parent = parentOf(entry)
  demand(allowsRemoval(parent, entry.node, identity), 'access-denied')
  demand((entry.node.directory?.size ?? 0) === 0, 'not-empty')
  detach(volume, parent, entry)
}

/** Moves an entry. Returns its new path. */
export function renameEntry(
  volume: Volume,
  entry: Entry,
  identity: Identity | undefined,
  request: RenameRequest,
): string {
  const from = parentOf(entry)
  const { parent, name } = destination(volume, identity, request)
  demand(allowsRemoval(from, entry.node, identity), 'access-denied')
  demand(!isWithin(parent, entry.node), 'invalid')
  const clash = inTheWay(parent, name, request)
  if (clash !== undefined && clash !== entry)
    replace(volume, parent, clash, entry.node, identity, request.replace)
  from.directory.remove(entry)
  entry.parent = parent
  entry.name = name
  parent.directory.add(entry)
  volume.touchData(from)
  volume.touchData(parent)
  volume.touchMetadata(entry.node)
  return pathOf(entry)
}

/** Gives an entry's file a second name. */
export function linkEntry(
  volume: Volume,
  entry: Entry,
  identity: Identity | undefined,
  request: RenameRequest,
): void {
  parentOf(entry)
  demand(entry.node.directory === undefined, 'is-directory')
  const { parent, name } = destination(volume, identity, request)
  const clash = inTheWay(parent, name, request)
  if (clash !== undefined) {
    demand(clash !== entry, 'exists')
    replace(volume, parent, clash, entry.node, identity, request.replace)
  }
  attachEntry(volume, parent, name, entry.node)
  volume.touchMetadata(entry.node)
}

/** The directory and the name that a path wants something to be put at. */
function destination(
  volume: Volume,
  identity: Identity | undefined,
  { to: path, posixNames }: RenameRequest,
): { parent: Parent; name: string } {
  const place = resolve(volume.root, path, identity, false, posixNames)
  if (typeof place === 'string') throw new StorageError(place)
  const { parent } = place
  demand(parent !== undefined && isParent(parent), 'access-denied')
  demand(allows(parent, identity, Access.write | Access.execute), 'access-denied')
  return { parent, name: toNative(path.slice(path.lastIndexOf('/') + 1)) }
}

function inTheWay({ directory }: Parent, name: string, { posixNames }: RenameRequest): Entry | undefined {
  return posixNames === true ? directory.exact(name) : directory.clash(name)
}

/** Removes what stands where something is put. */
function replace(
  volume: Volume,
  parent: Parent,
  clash: Entry,
  node: MemoryNode,
  identity: Identity | undefined,
  allowed: boolean,
): void {
  demand(allowed, 'exists')
  demand(clash.node.directory === undefined || node.directory !== undefined, 'is-directory')
  demand(clash.node.directory !== undefined || node.directory === undefined, 'not-directory')
  demand((clash.node.directory?.size ?? 0) === 0, 'not-empty')
  demand(allowsRemoval(parent, clash.node, identity), 'access-denied')
  detach(volume, parent, clash)
}

function detach(volume: Volume, parent: Parent, entry: Entry): void {
  parent.directory.remove(entry)
  entry.node.links--
  volume.touchData(parent)
  volume.touchMetadata(entry.node)
  releaseNode(entry.node)
}

/** @throws StorageError 'access-denied' for the root, 'not-found' for an entry that is gone */
function parentOf(entry: Entry): Parent {
  const { parent } = entry
  demand(parent !== undefined && isParent(parent), 'access-denied')
  demand(parent.directory.exact(entry.name) === entry, 'not-found')
  return parent
}

function isParent(node: MemoryNode): node is Parent {
  return node.directory !== undefined
}

/** Whether a directory is another or lies below it. */
function isWithin(node: MemoryNode, above: MemoryNode): boolean {
  for (let at: MemoryNode | undefined = node; at !== undefined; at = at.entry?.parent) {
    if (at === above) return true
  }
  return false
}
