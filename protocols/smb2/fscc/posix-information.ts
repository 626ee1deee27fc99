/** MS-FSCC 2.4, extended by POSIX-FSCC (SMB3 POSIX Extensions): FilePosixInformation, the facts that it shares with the create context, and modes as they travel. */

import type { FileTimes } from './file-information.ts'

/**
 * POSIX-FSCC, "POSIX File Type Definition": an enumeration in the place of S_IFMT's bits. Directories have 1 there, but
 * are sent as 0: Linux before 6.12 takes the mode as it is and adds its own bits for what FILE_ATTRIBUTE_DIRECTORY says,
 * so that it refuses to mount; later versions know a directory by that attribute too.
 */
export const PosixFileType = {
  file: 0,
  directory: 0,
  symlink: 2,
  characterDevice: 3,
  blockDevice: 4,
  fifo: 5,
  socket: 6,
} as const

const TYPE_SHIFT = 12
const PERMISSION_BITS = 0o7777

/** Permissions (07777) and type as one number on the wire. */
export function posixModeOf(type: keyof typeof PosixFileType, mode: number): number {
  return (mode & PERMISSION_BITS) | (PosixFileType[type] << TYPE_SHIFT)
}

/** What the create context's response says of a file, and the POSIX information classes with it. */
export interface PosixFacts {
  readonly links: number
  readonly reparseTag: number
  /** As `posixModeOf` makes it: permissions, and the type in an enumeration of its own. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** 32 bits that tell file systems apart; the create context has no place for it. */
  readonly device: number
}

/** S-1-22-1-(uid) and S-1-22-2-(gid): what Linux can turn back into ids by itself. */
const UNIX_SID_HEAD = Buffer.from([1, 2, 0, 0, 0, 0, 0, 22])
export const UNIX_SID_BYTES = 16
const UNIX_USERS = 1
const UNIX_GROUPS = 2
/** HardLinks, ReparseTag, Mode, owner and group. */
export const POSIX_FACTS_BYTES = 12 + 2 * UNIX_SID_BYTES

/** Writes POSIX_FACTS_BYTES bytes at an offset. */
export function writePosixFacts(target: Buffer, at: number, facts: PosixFacts): void {
  target.writeUInt32LE(facts.links, at)
  target.writeUInt32LE(facts.reparseTag, at + 4)
  target.writeUInt32LE(facts.mode, at + 8)
  writeUnixSid(target, at + 12, UNIX_USERS, facts.uid)
  writeUnixSid(target, at + 12 + UNIX_SID_BYTES, UNIX_GROUPS, facts.gid)
}

function writeUnixSid(target: Buffer, at: number, kind: number, id: number): void {
  target.set(UNIX_SID_HEAD, at)
  target.writeUInt32LE(kind, at + UNIX_SID_HEAD.length)
  target.writeUInt32LE(id, at + UNIX_SID_HEAD.length + 4)
}

/** What FilePosixInformation says beside PosixFacts. */
export interface FilePosixInformation extends FileTimes {
  /** Bytes. */
  readonly endOfFile: number
  /** Bytes. */
  readonly allocationSize: number
  readonly fileAttributes: number
  readonly fileId: bigint
}

const FACTS_OFFSET = 68
/** Bytes of FilePosixInformation as QUERY_INFO answers it; the name is a listing's. */
export const FILE_POSIX_INFORMATION_BYTES = FACTS_OFFSET + POSIX_FACTS_BYTES

/** Writes all but the offset to the next entry, which listings put before it, and the name behind it. */
export function writeFilePosixInformation(
  target: Buffer,
  at: number,
  info: FilePosixInformation,
  facts: PosixFacts,
): void {
  const times = [info.creationTime, info.lastAccessTime, info.lastWriteTime, info.changeTime]
  for (const [index, time] of times.entries()) target.writeBigUInt64LE(time, at + 8 * index)
  target.writeBigUInt64LE(BigInt(info.endOfFile), at + 32)
  target.writeBigUInt64LE(BigInt(info.allocationSize), at + 40)
  target.writeUInt32LE(info.fileAttributes >>> 0, at + 48)
  target.writeBigUInt64LE(info.fileId, at + 52)
  target.writeUInt32LE(facts.device, at + 60)
  target.writeUInt32LE(0, at + 64)
  writePosixFacts(target, at + FACTS_OFFSET, facts)
}

export function encodeFilePosixInformation(info: FilePosixInformation, facts: PosixFacts): Buffer {
  const data = Buffer.alloc(FILE_POSIX_INFORMATION_BYTES)
  writeFilePosixInformation(data, 0, info, facts)
  return data
}
