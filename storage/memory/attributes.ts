/** MS-FSA 2.1.5.14: changes of a file's attributes, times, owner, extended attributes and streams in RAM. */

import type { AttributeChanges, ExtendedAttribute, Identity, StreamEntry } from '../file-system.ts'
import { xattrOfEa } from '../metadata/reserved.ts'
import { foldKey } from '../names/fold.ts'
import { type MemoryNode, statOf } from './node.ts'
import { Access, allows, isOwner, isPrivileged } from './permissions.ts'
import { dropStream, isThere } from './streams.ts'
import { demand, type Volume } from './volume.ts'

/** Times on disk are whole ticks of 100 ns (MS-DTYP 2.3.3). */
const NANOSECONDS_PER_TICK = 100n

/** @throws StorageError 'not-permitted', 'access-denied' or 'not-supported' before anything is changed */
export function changeAttributes(
  volume: Volume,
  node: MemoryNode,
  identity: Identity | undefined,
  changes: AttributeChanges,
): void {
  demandChanges(volume, node, identity, changes)
  const ticks = (time: bigint) => time - (time % NANOSECONDS_PER_TICK)
  if (changes.birthTime !== undefined) node.birthTime = ticks(changes.birthTime)
  if (changes.accessTime !== undefined) node.accessTime = ticks(changes.accessTime)
  if (changes.writeTime !== undefined) node.writeTime = ticks(changes.writeTime)
  if (changes.dosAttributes !== undefined) node.dosAttributes = changes.dosAttributes
  if (changes.mode !== undefined) node.mode = changes.mode
  if (changes.uid !== undefined) node.uid = changes.uid
  if (changes.gid !== undefined) node.gid = changes.gid
  volume.touchMetadata(node)
  if (changes.changeTime !== undefined) node.changeTime = ticks(changes.changeTime)
}

/**
 * POSIX: mode and exact times are the owner's to change, the owner is root's; what lies in xattrs is a
 * writer's.
 */
function demandChanges(
  volume: Volume,
  node: MemoryNode,
  identity: Identity | undefined,
  changes: AttributeChanges,
): void {
  const owner = isOwner(node, identity)
  if (changes.accessTime !== undefined || changes.writeTime !== undefined || changes.mode !== undefined) {
    demand(owner, 'not-permitted')
  }
  if (changes.uid !== undefined && changes.uid !== node.uid) demand(isPrivileged(identity), 'not-permitted')
  if (changes.gid !== undefined && changes.gid !== node.gid) {
    const member = identity?.gid === changes.gid || identity?.groups.includes(changes.gid) === true
    demand(isPrivileged(identity) || (owner && member), 'not-permitted')
  }
  if (changes.dosAttributes !== undefined || changes.birthTime !== undefined) {
    demand(volume.features.extendedAttributes, 'not-supported')
    demand(owner || allows(node, identity, Access.write), 'access-denied')
  }
}

/** FILE_OVERWRITE's part beyond the data: named streams go, attributes are new. */
export function overwriteNode(volume: Volume, node: MemoryNode, dosAttributes: number): void {
  for (const stream of [...node.streams.values()]) dropStream(node, stream)
  if (volume.features.extendedAttributes) node.dosAttributes = dosAttributes
}

/** Of one file's values together, as on NTFS. */
const MAXIMUM_EA_BYTES = 65_536

/** MS-FSA 2.1.5.14.5: EA names are found without regard to case; an empty value removes. All or nothing. */
export function setExtendedAttributes(
  volume: Volume,
  node: MemoryNode,
  identity: Identity | undefined,
  attributes: readonly ExtendedAttribute[],
): void {
  demand(allows(node, identity, Access.write), 'access-denied')
  for (const { name } of attributes) demand(xattrOfEa(name) !== undefined, 'access-denied')
  const all = new Map(node.extendedAttributes)
  for (const { name, value } of attributes) {
    const key = foldKey(name)
    if (value.length === 0) all.delete(key)
    else all.set(key, { name: all.get(key)?.name ?? name, value: Buffer.from(value) })
  }
  let bytes = 0
  for (const { value } of all.values()) bytes += value.length
  demand(bytes <= MAXIMUM_EA_BYTES, 'ea-too-large')
  node.extendedAttributes.clear()
  for (const [key, attribute] of all) node.extendedAttributes.set(key, attribute)
  volume.touchMetadata(node)
}

/** The unnamed stream of a file first, then the named ones. */
export function streamsOf(node: MemoryNode): StreamEntry[] {
  const entries = [...node.streams.values()].filter(isThere).map(({ name, content }) => {
    const { size, allocated } = statOf(node, 0n, content)
    return { name, size, allocated }
  })
  if (node.type !== 'file') return entries
  const { size, allocated } = statOf(node, 0n)
  return [{ name: '', size, allocated }, ...entries]
}
