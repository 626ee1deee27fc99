/** Files named ._NAME beside NAME (AppleDouble, as macOS makes them on foreign file systems and Samba with fruit:resource = file): resource fork, Finder information, attributes. */

import { blob, struct, u8, u16be, u32be } from 'buffer-layout'
import { FINDER_INFO_BYTES } from './afp-info.ts'
import {
  decodeEntries,
  descriptorOffset,
  type Entry,
  EntryId,
  encodeEntries,
  headerBytes,
} from './apple-double.ts'

const PREFIX = '._'
const OWN_ENTRIES = 2
/** Of a sidecar without attributes: the resource fork follows. */
export const SIDECAR_BYTES = headerBytes(OWN_ENTRIES) + FINDER_INFO_BYTES

/** macOS puts attributes into a block behind the Finder information, which ends here at the latest (ATTR_MAX_HDR_SIZE). */
export const MAXIMUM_HEAD_BYTES = 65_536
const ATTR_MAGIC = 0x4154_5452 // "ATTR"
const ATTR_PADDING_BYTES = 2
const ATTR_ALIGNMENT = 4
/** More than fit with names of a letter would still be read; so many a file never has. */
const MAXIMUM_ATTRIBUTES = 1024

interface AttributeHeader {
  magic: number
  debugTag: number
  totalSize: number
  dataStart: number
  dataLength: number
  reserved: Buffer
  flags: number
  count: number
}

const attributeHeader = struct<AttributeHeader>([
  u32be('magic'),
  u32be('debugTag'),
  u32be('totalSize'),
  u32be('dataStart'),
  u32be('dataLength'),
  blob(12, 'reserved'),
  u16be('flags'),
  u16be('count'),
])

interface AttributeEntry {
  offset: number
  length: number
  flags: number
  /** With the NUL at its end. */
  nameLength: number
}

const attributeEntry = struct<AttributeEntry>([
  u32be('offset'),
  u32be('length'),
  u16be('flags'),
  u8('nameLength'),
])

/** Where something stands in the file, in bytes. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

export interface SidecarAttribute extends Extent {
  readonly name: string
}

export interface SidecarFork extends Extent {
  /** Where its entry is described. */
  readonly descriptor: number
  /** Nothing follows, so it can grow. */
  readonly isLast: boolean
}

export interface Sidecar {
  /** Where the Finder's 32 bytes stand; absent: there are none. */
  readonly finderInfo: number | undefined
  /** Absent: it is made for none. */
  readonly resourceFork: SidecarFork | undefined
  readonly attributes: readonly SidecarAttribute[]
}

/** Name of the sidecar of a file. */
export function sidecarName(name: string): string {
  return PREFIX + name
}

/** Name of the file whose sidecar a name would be. */
export function ownerOfSidecar(name: string): string | undefined {
  return name.length > PREFIX.length && name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined
}

/**
 * What a sidecar holds; undefined when it is none. Attributes that cannot be understood are left out all together.
 * @param head the file's first MAXIMUM_HEAD_BYTES, or all of it
 */
export function decodeSidecar(head: Buffer, fileBytes: number): Sidecar | undefined {
  const entries = decodeEntries(head, fileBytes)
  if (entries === undefined) return undefined
  const finder = entries.find(({ id }) => id === EntryId.finderInfo)
  const hasFinder = finder !== undefined && finder.length >= FINDER_INFO_BYTES
  return {
    finderInfo: hasFinder && finder.offset + FINDER_INFO_BYTES <= head.length ? finder.offset : undefined,
    resourceFork: forkOf(entries),
    attributes: (finder === undefined ? undefined : attributesOf(head, finder)) ?? [],
  }
}

function forkOf(entries: readonly Entry[]): SidecarFork | undefined {
  const index = entries.findIndex(({ id }) => id === EntryId.resourceFork)
  const entry = entries[index]
  if (entry === undefined) return undefined
  const { offset, length } = entry
  const isLast = entries.every((other) => other === entry || other.offset + other.length <= offset)
  return { offset, length, descriptor: descriptorOffset(index), isLast }
}

/** Where the block's header stands in the entry of the Finder information. */
function attributeHeaderOffset({ offset }: Entry): number {
  return offset + FINDER_INFO_BYTES + ATTR_PADDING_BYTES
}

function attributesOf(head: Buffer, finder: Entry): SidecarAttribute[] | undefined {
  const at = attributeHeaderOffset(finder)
  const end = Math.min(head.length, finder.offset + finder.length)
  if (at + attributeHeader.span > end) return undefined
  const { magic, totalSize, dataStart, dataLength, count } = attributeHeader.decode(head, at)
  const isSound = totalSize <= end && dataStart + dataLength <= totalSize && count <= MAXIMUM_ATTRIBUTES
  if (magic !== ATTR_MAGIC || !isSound) return undefined
  const attributes: SidecarAttribute[] = []
  let next = at + attributeHeader.span
  for (let index = 0; index < count; index++) {
    if (next + attributeEntry.span > dataStart) return undefined
    const { offset, length, nameLength } = attributeEntry.decode(head, next)
    const nameAt = next + attributeEntry.span
    const isInside = offset >= dataStart && offset + length <= totalSize
    if (nameLength < 2 || nameAt + nameLength > dataStart || !isInside) return undefined
    const name = head.toString('utf8', nameAt, nameAt + nameLength - 1)
    if (head[nameAt + nameLength - 1] !== 0 || name.includes('\0')) return undefined
    attributes.push({ name, offset, length })
    next = align(nameAt + nameLength)
  }
  return attributes
}

/** The first bytes of a sidecar without an attribute; their number and all data stay where they are. */
export function withoutAttribute(head: Buffer, fileBytes: number, name: string): Buffer | undefined {
  const finder = decodeEntries(head, fileBytes)?.find(({ id }) => id === EntryId.finderInfo)
  const attributes = finder === undefined ? undefined : attributesOf(head, finder)
  if (finder === undefined || attributes === undefined) return undefined
  const kept = attributes.filter((attribute) => attribute.name !== name)
  const gone = attributes.filter((attribute) => attribute.name === name)
  const changed = Buffer.from(head)
  const at = attributeHeaderOffset(finder)
  const old = attributeHeader.decode(head, at)
  changed.fill(0, at + attributeHeader.span, old.dataStart)
  for (const { offset, length } of gone) changed.fill(0, offset, offset + length)
  attributeHeader.encode({ ...old, count: kept.length }, changed, at)
  let next = at + attributeHeader.span
  for (const { name, offset, length } of kept) {
    const bytes = Buffer.from(`${name}\0`)
    attributeEntry.encode({ offset, length, flags: 0, nameLength: bytes.length }, changed, next)
    changed.set(bytes, next + attributeEntry.span)
    next = align(next + attributeEntry.span + bytes.length)
  }
  return changed
}

function align(offset: number): number {
  return Math.ceil(offset / ATTR_ALIGNMENT) * ATTR_ALIGNMENT
}

/** A sidecar as Samba makes it, without a resource fork: SIDECAR_BYTES. */
export function encodeSidecar(finderInfo: Uint8Array = Buffer.alloc(FINDER_INFO_BYTES)): Buffer {
  if (finderInfo.length !== FINDER_INFO_BYTES) throw new Error('the Finder has 32 bytes')
  const bytes = Buffer.alloc(SIDECAR_BYTES)
  const at = headerBytes(OWN_ENTRIES)
  encodeEntries(
    [
      { id: EntryId.finderInfo, offset: at, length: FINDER_INFO_BYTES },
      { id: EntryId.resourceFork, offset: SIDECAR_BYTES, length: 0 },
    ],
    bytes,
  )
  bytes.set(finderInfo, at)
  return bytes
}

/** Where the length stands in an entry's descriptor. */
const LENGTH_IN_DESCRIPTOR = 8
/** Largest resource fork that a descriptor can tell, in bytes. */
export const MAXIMUM_FORK_BYTES = 0xffff_ffff

/** The piece of the header that says how long the resource fork is. */
export function forkLengthField(
  fork: { readonly descriptor: number },
  length: number,
): { readonly offset: number; readonly bytes: Buffer } {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return { offset: fork.descriptor + LENGTH_IN_DESCRIPTOR, bytes }
}

/** macOS gives a sidecar without a resource fork this one, whose bytes are always the same. */
export const BLANK_FORK_BYTES = 286
const BLANK_FORK = blankFork()

/** Whether these bytes are the fork of a file that has none. */
export function isBlankFork(fork: Buffer): boolean {
  return fork.equals(BLANK_FORK)
}

/** Inside Macintosh, "Resource Manager": header, 240 bytes for systems and programs, a map without resources. */
function blankFork(): Buffer {
  const bytes = Buffer.alloc(BLANK_FORK_BYTES)
  const dataOffset = 256
  const mapOffset = 256
  const mapBytes = 30
  for (const at of [0, mapOffset]) {
    bytes.writeUInt32BE(dataOffset, at)
    bytes.writeUInt32BE(mapOffset, at + 4)
    bytes.writeUInt32BE(mapBytes, at + 12)
  }
  bytes.write('This resource fork intentionally left blank   ', 16, 'latin1')
  bytes.writeUInt16BE(28, mapOffset + 24)
  bytes.writeUInt16BE(mapBytes, mapOffset + 26)
  bytes.writeUInt16BE(0xffff, mapOffset + 28)
  return bytes
}
