/** What is known of a file as it travels from worker to main thread: the kernel's struct statx, and behind it what extended attributes add. */

import {
  DosAttribute,
  type FileStat,
  type FileType,
  type Nanoseconds,
  type Permissions,
} from '../file-system.ts'

/** struct statx of linux/stat.h: offsets in bytes. */
const Statx = {
  mask: 0,
  attributes: 8,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  accessTime: 64,
  birthTime: 80,
  changeTime: 96,
  writeTime: 112,
  deviceMajor: 136,
  deviceMinor: 140,
} as const

/** Ours, behind it. */
const DOS_ATTRIBUTES = 256
const EA_SIZE = 260
const HAS_BIRTH_TIME = 264
const IS_STREAM = 265
const PERMISSIONS = 266
const BIRTH_TIME = 272
export const RECORD_BYTES = 280

const STATX_BTIME = 0x800
/** Set on files whose compression was asked for one by one, not by a property of the file system. */
const STATX_ATTR_COMPRESSED = 0x4
const BLOCK_BYTES = 512
/** What allocation sizes are rounded to; SpaceInfo.blockSize says the same. */
export const ALLOCATION_UNIT_BYTES = 4096
const NANOSECONDS = 1_000_000_000n
const PERMISSION_BITS = 0o7777
const HIGH = 0x1_0000_0000

/** File types in st_mode, shifted right by 12. */
const TYPES: Readonly<Record<number, FileType>> = {
  1: 'fifo',
  2: 'characterDevice',
  4: 'directory',
  6: 'blockDevice',
  8: 'file',
  10: 'symlink',
  12: 'socket',
}

export function newRecord(): Buffer {
  return Buffer.alloc(RECORD_BYTES)
}

export function typeOf(record: Buffer): FileType {
  return typeAt(record, 0)
}

function typeAt(record: Buffer, at: number): FileType {
  const bits = record.readUInt16LE(at + Statx.mode) >> 12
  const type = TYPES[bits]
  if (type === undefined) throw new Error(`a file of type ${bits}`)
  return type
}

/** Whether it is neither file, directory nor link. */
export function isSpecial(type: FileType): boolean {
  return type !== 'file' && type !== 'directory' && type !== 'symlink'
}

export function linksOf(record: Buffer): number {
  return record.readUInt32LE(Statx.links)
}

/** Bytes that it takes of the disk. */
export function occupiedOf(record: Buffer, at = 0): number {
  const blocks = record.readUInt32LE(at + Statx.blocks) + record.readUInt32LE(at + Statx.blocks + 4) * HIGH
  return blocks * BLOCK_BYTES
}

export function modeOf(record: Buffer): number {
  return record.readUInt16LE(Statx.mode) & PERMISSION_BITS
}

export function ownerOf(record: Buffer): number {
  return record.readUInt32LE(Statx.uid)
}

export function groupOf(record: Buffer): number {
  return record.readUInt32LE(Statx.gid)
}

export function sizeOf(record: Buffer): number {
  return record.readUInt32LE(Statx.size) + record.readUInt32LE(Statx.size + 4) * HIGH
}

export function dosAttributesOf(record: Buffer): number {
  return record.readUInt32LE(DOS_ATTRIBUTES)
}

/** Inode and device as one text: the same for the same file. */
export function identityOf(record: Buffer): string {
  return (
    record.toString('latin1', Statx.inode, Statx.inode + 8) +
    record.toString('latin1', Statx.deviceMajor, Statx.deviceMinor + 4)
  )
}

/** A small number that is the same for the same file: chooses its worker. */
export function fileIdentityHash(record: Buffer): number {
  return record.readUInt32LE(Statx.inode)
}

/** Write and change time as one text: what is cached of a directory holds as long as it is the same. */
export function versionOf(record: Buffer): string {
  return (
    record.toString('latin1', Statx.changeTime, Statx.changeTime + 12) +
    record.toString('latin1', Statx.writeTime, Statx.writeTime + 12)
  )
}

export function deviceOf(record: Buffer, at = 0): number {
  return record.readUInt32LE(at + Statx.deviceMajor) * HIGH + record.readUInt32LE(at + Statx.deviceMinor)
}

function timeAt(record: Buffer, at: number): Nanoseconds {
  return record.readBigInt64LE(at) * NANOSECONDS + BigInt(record.readUInt32LE(at + 8))
}

export function writeTimeOf(record: Buffer): Nanoseconds {
  return timeAt(record, Statx.writeTime)
}

export function changeTimeOf(record: Buffer): Nanoseconds {
  return timeAt(record, Statx.changeTime)
}

/** Another time of change than the file system's. */
export function setChangeTime(record: Buffer, time: Nanoseconds): void {
  const nanoseconds = ((time % NANOSECONDS) + NANOSECONDS) % NANOSECONDS
  record.writeBigInt64LE((time - nanoseconds) / NANOSECONDS, Statx.changeTime)
  record.writeUInt32LE(Number(nanoseconds), Statx.changeTime + 8)
}

/** MS-DTYP 2.3.3: what is finer is lost when a birth time is stored. */
const STORED_RESOLUTION = 100n

/** The stored one, else the file system's, else the earliest known. */
export function birthTimeOf(record: Buffer, at = 0): Nanoseconds {
  if (record[at + HAS_BIRTH_TIME] !== 0) return record.readBigInt64LE(at + BIRTH_TIME) * STORED_RESOLUTION
  if ((record.readUInt32LE(at + Statx.mask) & STATX_BTIME) !== 0) {
    const native = timeAt(record, at + Statx.birthTime)
    // Cut, so that it does not change when it is first stored.
    return native - (native % STORED_RESOLUTION)
  }
  const written = timeAt(record, at + Statx.writeTime)
  const changed = timeAt(record, at + Statx.changeTime)
  if (written < changed) return written
  return changed
}

/** Whether the file system itself keeps birth times. */
export function hasNativeBirthTime(record: Buffer): boolean {
  return (record.readUInt32LE(Statx.mask) & STATX_BTIME) !== 0
}

/** Adds what the extended attributes say to a record that statx filled. */
export function setMetadata(
  record: Buffer,
  metadata: {
    dosAttributes: number
    birthTime: Nanoseconds | undefined
    eaSize: number
  },
): void {
  record.writeUInt32LE(metadata.dosAttributes, DOS_ATTRIBUTES)
  record.writeUInt32LE(metadata.eaSize, EA_SIZE)
  record[IS_STREAM] = 0
  // In its own units: nanoseconds since 1970 end in 2262, and clients set later times.
  const ticks = (metadata.birthTime ?? 0n) / STORED_RESOLUTION
  const isKnown = metadata.birthTime !== undefined && BigInt.asIntN(64, ticks) === ticks
  record[HAS_BIRTH_TIME] = isKnown ? 1 : 0
  record.writeBigInt64LE(isKnown ? ticks : 0n, BIRTH_TIME)
}

/** Bits of the byte at PERMISSIONS; 0: nothing is said. */
const Permission = { known: 1, read: 2, write: 4, execute: 8, owner: 16, remove: 32 } as const

/** All there can be, by their bits: entries share them. */
const EVERY_PERMISSIONS: readonly Permissions[] = Array.from({ length: 64 }, (_, bits) => ({
  read: (bits & Permission.read) !== 0,
  write: (bits & Permission.write) !== 0,
  execute: (bits & Permission.execute) !== 0,
  owner: (bits & Permission.owner) !== 0,
  remove: (bits & Permission.remove) !== 0,
}))

export function setPermissions(record: Buffer, permissions: Permissions): void {
  const { read, write, execute, owner, remove } = permissions
  record[PERMISSIONS] =
    Permission.known |
    (read ? Permission.read : 0) |
    (write ? Permission.write : 0) |
    (execute ? Permission.execute : 0) |
    (owner ? Permission.owner : 0) |
    (remove ? Permission.remove : 0)
}

/** Undefined unless `setPermissions` was called. */
export function permissionsAt(record: Buffer, at: number): Permissions | undefined {
  const bits = record[at + PERMISSIONS] ?? 0
  return bits === 0 ? undefined : EVERY_PERMISSIONS[bits]
}

/** Makes the record that of a named stream: its size stands for the file's. */
export function setStreamSize(record: Buffer, size: number): void {
  record.writeBigUInt64LE(BigInt(size), Statx.size)
  record.writeBigUInt64LE(BigInt(roundUp(size) / BLOCK_BYTES), Statx.blocks)
  record[IS_STREAM] = 1
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALLOCATION_UNIT_BYTES) * ALLOCATION_UNIT_BYTES
}

export interface Volume {
  readonly volumeId: bigint
  /** `deviceOf` the share's root. */
  readonly device: number
}

/** Mixes the device into the inode number below other mounts, so that ids stay unique in the share. */
const DEVICE_FACTOR = 0x9e37_79b9_7f4a_7c15n

function fileIdOf(record: Buffer, at: number, volume: Volume): bigint {
  const inode = record.readBigUInt64LE(at + Statx.inode)
  const device = deviceOf(record, at)
  return device === volume.device ? inode : BigInt.asUintN(64, inode + BigInt(device) * DEVICE_FACTOR)
}

/** The public form of the record at an offset. */
export function decodeStat(record: Buffer, at: number, volume: Volume): FileStat {
  const type = typeAt(record, at)
  const compressed = (record.readUInt32LE(at + Statx.attributes) & STATX_ATTR_COMPRESSED) !== 0
  const stored = record.readUInt32LE(at + DOS_ATTRIBUTES) & ~DosAttribute.compressed
  const dosAttributes = stored | (compressed ? DosAttribute.compressed : 0)
  const bytes = record.readUInt32LE(at + Statx.size) + record.readUInt32LE(at + Statx.size + 4) * HIGH
  // What a directory occupies says nothing to clients; a stream of one has a size.
  const sized = type !== 'directory' || record[at + IS_STREAM] === 1
  const size = sized ? bytes : 0
  const occupied = occupiedOf(record, at)
  const allocated = sized ? occupied : 0
  const sparse = (dosAttributes & DosAttribute.sparse) !== 0
  return {
    fileId: fileIdOf(record, at, volume),
    volumeId: volume.volumeId,
    type,
    mode: record.readUInt16LE(at + Statx.mode) & PERMISSION_BITS,
    uid: record.readUInt32LE(at + Statx.uid),
    gid: record.readUInt32LE(at + Statx.gid),
    links: record.readUInt32LE(at + Statx.links),
    size,
    allocated: sparse ? allocated : Math.max(allocated, roundUp(size)),
    occupied,
    birthTime: birthTimeOf(record, at),
    accessTime: timeAt(record, at + Statx.accessTime),
    writeTime: timeAt(record, at + Statx.writeTime),
    changeTime: timeAt(record, at + Statx.changeTime),
    dosAttributes,
    eaSize: record.readUInt32LE(at + EA_SIZE),
  }
}
