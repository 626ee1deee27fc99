/** Files of MS-FSA 2.1.1.3 in RAM: what a file is, apart from the names by which it is found. */

import {
  DosAttribute,
  type ExtendedAttribute,
  type FileStat,
  type FileType,
  type Nanoseconds,
} from '../file-system.ts'
import { extendedAttributesSize } from '../metadata/ea-size.ts'
import { bundlePart } from '../sparse-bundle.ts'
import type { Directory } from './directory.ts'
import { PAGE_BYTES, type SparseBytes } from './sparse-bytes.ts'

export interface NamedStream {
  name: string
  readonly content: SparseBytes
  /** Still listed; a removed stream lives on for its handles. */
  present: boolean
  handles: number
}

/** A name of a file. Handles keep it, so that they follow a rename. */
export interface Entry {
  /** Absent for the root. */
  parent: MemoryNode | undefined
  /** As stored. */
  name: string
  readonly node: MemoryNode
}

export interface MemoryNode {
  readonly fileId: bigint
  type: FileType
  mode: number
  uid: number
  gid: number
  links: number
  birthTime: Nanoseconds
  accessTime: Nanoseconds
  writeTime: Nanoseconds
  changeTime: Nanoseconds
  dosAttributes: number
  compressed: boolean
  /** The unnamed data stream; empty for what is no file. */
  readonly content: SparseBytes
  /** By folded name. */
  readonly streams: Map<string, NamedStream>
  /** By folded name. */
  readonly extendedAttributes: Map<string, ExtendedAttribute>
  securityDescriptor: Buffer | undefined
  linkTarget: string
  /** Entries of a directory. */
  directory: Directory | undefined
  /** The one name of a directory. */
  entry: Entry | undefined
  /** Handles that keep an unlinked file's bytes. */
  handles: number
}

/** What a stat says of a node, or of one of its streams. */
export function statOf(node: MemoryNode, volumeId: bigint, content: SparseBytes = node.content): FileStat {
  const isSparse = (node.dosAttributes & DosAttribute.sparse) !== 0
  const rounded = Math.ceil(content.size / PAGE_BYTES) * PAGE_BYTES
  return {
    fileId: node.fileId,
    volumeId,
    type: node.type,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    links: node.links,
    size: node.type === 'symlink' ? Buffer.byteLength(node.linkTarget) : content.size,
    occupied: content.allocated,
    allocated: isSparse ? content.allocated : Math.max(content.allocated, rounded),
    birthTime: node.birthTime,
    accessTime: node.accessTime,
    writeTime: node.writeTime,
    changeTime: node.changeTime,
    dosAttributes: node.dosAttributes | (node.compressed ? DosAttribute.compressed : 0),
    eaSize: extendedAttributesSize([...node.extendedAttributes.values()]),
  }
}

/** Bytes of all that is below a directory; a file with several names counts once. */
export function occupiedBelow(root: MemoryNode): number {
  const nodes = new Set([root])
  // A set's iteration meets what is added on the way.
  for (const { directory } of nodes) for (const { node } of directory?.entries() ?? []) nodes.add(node)
  let bytes = 0
  for (const { content, streams } of nodes) {
    bytes += content.allocated
    for (const { content: named } of streams.values()) bytes += named.allocated
  }
  return bytes
}

/** How many bands each of the sparse bundles in the root has. */
export function bandsBelow(root: MemoryNode): ReadonlyMap<string, number> {
  const bands = new Map<string, number>()
  const below = (node: MemoryNode, path: string, depth: number): void => {
    for (const { name, node: entry } of node.directory?.entries() ?? []) {
      const part = bundlePart(`${path}${name}`)
      if (part?.kind === 'band') bands.set(part.bundle, (bands.get(part.bundle) ?? 0) + 1)
      else if (part !== undefined && depth > 0) below(entry, `${path}${name}/`, depth - 1)
    }
  }
  below(root, '', 2)
  return bands
}

/** Gives back the bytes of a file that has neither name nor handle. */
export function releaseNode(node: MemoryNode): void {
  if (node.links > 0 || node.handles > 0) return
  node.content.clear()
  for (const stream of node.streams.values()) releaseStream(stream, true)
}

/** Gives back the bytes of a stream that is no longer listed and has no handle. */
export function releaseStream(stream: NamedStream, gone = !stream.present): void {
  if (gone && stream.handles === 0) stream.content.clear()
}
