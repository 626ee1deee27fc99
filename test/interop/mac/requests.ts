/** MS-SMB2 2.2.13 to 2.2.39 as macOS' smbfs fills them in: request bodies, and what is read from the answers. */

import { expect } from '../report.ts'
import { type MacAnswer, type MacRequest, Smb } from './connection.ts'
import { type Context, type ContextAnswers, encodeContexts, parseContexts } from './contexts.ts'

/** In place of a handle within a compound. */
export const RELATED: Buffer = Buffer.alloc(16, 0xff)
const NAME_OFFSET = 120
const UNLOCK = 4
const FAIL_IMMEDIATELY = 0x10
const HEADER_BYTES = 64
/** smbfs: SMB2_IMPERSONATION_IMPERSONATION */
const IMPERSONATION = 2
const OPLOCK_NONE = 0
const OPLOCK_LEASE = 0xff
const POSTQUERY_ATTRIB = 1
/** FLUSH for F_FULLFSYNC (macos.md 7.4). */
const FULL_SYNC = 0xffff
/** "64 KB" (macos.md 5, 11). */
export const LISTING_BYTES = 65_536

export const Access = {
  READ_DATA: 0x1,
  WRITE_DATA: 0x2,
  APPEND_DATA: 0x4,
  READ_EA: 0x8,
  READ_ATTRIBUTES: 0x80,
  WRITE_ATTRIBUTES: 0x100,
  DELETE: 0x1_0000,
  READ_CONTROL: 0x2_0000,
  SYNCHRONIZE: 0x10_0000,
} as const
const QUERY = Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE
export const READ_ACCESS = Access.READ_DATA | Access.READ_EA | QUERY
export const WRITE_ACCESS = READ_ACCESS | Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_ATTRIBUTES
export const QUERY_ACCESS = Access.READ_EA | QUERY
export const DELETE_ACCESS = Access.DELETE | QUERY

export const Disposition = { OPEN: 1, CREATE: 2, OPEN_IF: 3, OVERWRITE: 4, OVERWRITE_IF: 5 } as const
export const Share = { READ: 1, WRITE: 2, DELETE: 4, ALL: 7 } as const
export const CreateOption = { DIRECTORY: 0x1 } as const
export const FileClass = {
  BASIC: 4,
  INTERNAL: 6,
  RENAME: 10,
  DISPOSITION: 13,
  ALL: 18,
  END_OF_FILE: 20,
  STREAM: 22,
  ID_BOTH_DIRECTORY: 37,
} as const
export const FsClass = { SIZE: 3, ATTRIBUTE: 5 } as const
export const Fsctl = {
  DFS_GET_REFERRALS: 0x6_0194,
  QUERY_NETWORK_INTERFACE_INFO: 0x1401fc,
  SRV_REQUEST_RESUME_KEY: 0x14_0078,
  SRV_COPYCHUNK: 0x14_40f2,
  VALIDATE_NEGOTIATE_INFO: 0x14_0204,
} as const

export interface CreateFields {
  /** With slashes; '' is the share's root. */
  readonly path: string
  readonly access: number
  readonly share?: number
  readonly disposition?: number
  readonly options?: number
  readonly attributes?: number
  readonly contexts?: readonly Context[]
}

export interface Created {
  readonly fileId: Buffer
  /** FILE_OPENED 1, FILE_CREATED 2, FILE_OVERWRITTEN 3. */
  readonly action: number
  readonly attributes: number
  readonly endOfFile: bigint
  readonly oplock: number
  readonly contexts: ContextAnswers
}

export function create(fields: CreateFields): MacRequest {
  const {
    path,
    access,
    share = Share.ALL,
    disposition = Disposition.OPEN,
    options = 0,
    attributes = 0,
  } = fields
  const { contexts = [] } = fields
  const name = Buffer.from(path.normalize('NFC').replaceAll('/', '\\'), 'utf16le')
  // An empty name takes two bytes all the same.
  const nameArea = Math.max(2, name.length)
  const padding = contexts.length === 0 ? 0 : -(NAME_OFFSET + nameArea) & 7
  const encoded = encodeContexts(contexts)
  const body = Buffer.alloc(56 + nameArea + padding + encoded.length)
  body.writeUInt16LE(57, 0)
  body[3] = contexts.some((context) => context.name === 'RqLs') ? OPLOCK_LEASE : OPLOCK_NONE
  body.writeUInt32LE(IMPERSONATION, 4)
  body.writeUInt32LE(access, 24)
  body.writeUInt32LE(attributes, 28)
  body.writeUInt32LE(share, 32)
  body.writeUInt32LE(disposition, 36)
  body.writeUInt32LE(options, 40)
  body.writeUInt16LE(NAME_OFFSET, 44)
  body.writeUInt16LE(name.length, 46)
  body.writeUInt32LE(contexts.length === 0 ? 0 : NAME_OFFSET + nameArea + padding, 48)
  body.writeUInt32LE(encoded.length, 52)
  name.copy(body, 56)
  encoded.copy(body, 56 + nameArea + padding)
  return { command: Smb.CREATE, body }
}

/** smb2_smb_parse_create. @param asked the request's contexts. @throws CheckError for what fails the open on a Mac */
export function parseCreate({ body, message }: MacAnswer, asked: readonly Context[] = []): Created {
  expect(body.readUInt16LE(0) === 89, 'the CREATE response has another size')
  const at = body.readUInt32LE(80)
  const length = body.readUInt32LE(84)
  return {
    fileId: Buffer.from(body.subarray(64, 80)),
    action: body.readUInt32LE(4),
    attributes: body.readUInt32LE(56),
    endOfFile: body.readBigUInt64LE(48),
    oplock: body.readUInt8(2),
    contexts: parseContexts(length === 0 ? NOTHING : message.subarray(at, at + length), asked),
  }
}

const NOTHING: Buffer = Buffer.alloc(0)

export function close(fileId: Buffer = RELATED): MacRequest {
  const body = Buffer.alloc(24)
  body.writeUInt16LE(24, 0)
  body.writeUInt16LE(POSTQUERY_ATTRIB, 2)
  fileId.copy(body, 8)
  return { command: Smb.CLOSE, body }
}

export function flush(fileId: Buffer, full = false): MacRequest {
  const body = Buffer.alloc(24)
  body.writeUInt16LE(24, 0)
  body.writeUInt16LE(full ? FULL_SYNC : 0, 2)
  fileId.copy(body, 8)
  return { command: Smb.FLUSH, body }
}

export function read(fileId: Buffer, offset: number, length: number): MacRequest {
  const body = Buffer.alloc(49)
  body.writeUInt16LE(49, 0)
  body.writeUInt32LE(length, 4)
  body.writeBigUInt64LE(BigInt(offset), 8)
  fileId.copy(body, 16)
  return { command: Smb.READ, body, payloadBytes: length }
}

export function readData({ body }: MacAnswer): Buffer {
  const at = body.readUInt8(2) - HEADER_BYTES
  return Buffer.from(body.subarray(at, at + body.readUInt32LE(4)))
}

export function write(fileId: Buffer, offset: number, data: Buffer): MacRequest {
  const fixed = Buffer.alloc(48)
  fixed.writeUInt16LE(49, 0)
  fixed.writeUInt16LE(HEADER_BYTES + fixed.length, 2)
  fixed.writeUInt32LE(data.length, 4)
  fixed.writeBigUInt64LE(BigInt(offset), 8)
  fileId.copy(fixed, 16)
  return { command: Smb.WRITE, body: Buffer.concat([fixed, data]), payloadBytes: data.length }
}

/** @param infoType 1 file, 2 file system, 3 security */
export function queryInfo(
  infoType: number,
  infoClass: number,
  fileId: Buffer = RELATED,
  outputBytes = LISTING_BYTES,
): MacRequest {
  const body = Buffer.alloc(40)
  body.writeUInt16LE(41, 0)
  body[2] = infoType
  body[3] = infoClass
  body.writeUInt32LE(outputBytes, 4)
  fileId.copy(body, 24)
  return { command: Smb.QUERY_INFO, body, payloadBytes: outputBytes }
}

export function setInfo(infoClass: number, data: Buffer, fileId: Buffer = RELATED): MacRequest {
  const fixed = Buffer.alloc(32)
  fixed.writeUInt16LE(33, 0)
  fixed[2] = 1
  fixed[3] = infoClass
  fixed.writeUInt32LE(data.length, 4)
  fixed.writeUInt16LE(HEADER_BYTES + fixed.length, 8)
  fileId.copy(fixed, 16)
  return { command: Smb.SET_INFO, body: Buffer.concat([fixed, data]) }
}

/** FileRenameInformation with ReplaceIfExists 0: smbfs never replaces (macos.md 10). */
export function renameTo(path: string): MacRequest {
  const name = Buffer.from(path.normalize('NFC').replaceAll('/', '\\'), 'utf16le')
  const data = Buffer.alloc(20 + name.length)
  data.writeUInt32LE(name.length, 16)
  name.copy(data, 20)
  return setInfo(FileClass.RENAME, data)
}

export function endOfFile(size: number, fileId: Buffer = RELATED): MacRequest {
  const data = Buffer.alloc(8)
  data.writeBigUInt64LE(BigInt(size))
  return setInfo(FileClass.END_OF_FILE, data, fileId)
}

export function disposition(): MacRequest {
  return setInfo(FileClass.DISPOSITION, Buffer.from([1]))
}

export function queryDirectory(pattern: string, fileId: Buffer = RELATED, flags = 0): MacRequest {
  const name = Buffer.from(pattern, 'utf16le')
  const fixed = Buffer.alloc(32)
  fixed.writeUInt16LE(33, 0)
  fixed[2] = FileClass.ID_BOTH_DIRECTORY
  fixed[3] = flags
  fileId.copy(fixed, 8)
  fixed.writeUInt16LE(HEADER_BYTES + fixed.length, 24)
  fixed.writeUInt16LE(name.length, 26)
  fixed.writeUInt32LE(LISTING_BYTES, 28)
  return { command: Smb.QUERY_DIRECTORY, body: Buffer.concat([fixed, name]), payloadBytes: LISTING_BYTES }
}

export function ioctl(
  code: number,
  fileId: Buffer = RELATED,
  input: Buffer = NOTHING,
  outputBytes = LISTING_BYTES,
): MacRequest {
  const fixed = Buffer.alloc(56)
  fixed.writeUInt16LE(57, 0)
  fixed.writeUInt32LE(code, 4)
  fileId.copy(fixed, 8)
  fixed.writeUInt32LE(HEADER_BYTES + fixed.length, 24)
  fixed.writeUInt32LE(input.length, 28)
  fixed.writeUInt32LE(outputBytes, 44)
  fixed.writeUInt32LE(1, 48)
  return { command: Smb.IOCTL, body: Buffer.concat([fixed, input]), payloadBytes: outputBytes }
}

/** LOCK of the whole file, as flock() is sent: FAIL_IMMEDIATELY, LockSequence 0 (macos.md 6). */
export function lock(fileId: Buffer, flags: number): MacRequest {
  const body = Buffer.alloc(48)
  body.writeUInt16LE(48, 0)
  body.writeUInt16LE(1, 2)
  fileId.copy(body, 8)
  body.writeBigUInt64LE(0x7fff_ffff_ffff_ffffn, 32)
  body.writeUInt32LE(flags === UNLOCK ? flags : flags | FAIL_IMMEDIATELY, 40)
  return { command: Smb.LOCK, body }
}

export function changeNotify(fileId: Buffer, filter: number): MacRequest {
  const body = Buffer.alloc(32)
  body.writeUInt16LE(32, 0)
  body.writeUInt32LE(LISTING_BYTES, 4)
  fileId.copy(body, 8)
  body.writeUInt32LE(filter, 24)
  return { command: Smb.CHANGE_NOTIFY, body }
}

export function echo(): MacRequest {
  return { command: Smb.ECHO, body: Buffer.from([4, 0, 0, 0]) }
}

/** What QUERY_INFO, QUERY_DIRECTORY brought. */
export function outputOf({ body, message }: MacAnswer): Buffer {
  const at = body.readUInt16LE(2)
  return Buffer.from(message.subarray(at, at + body.readUInt32LE(4)))
}

/** What IOCTL brought. */
export function ioctlOutputOf({ body, message }: MacAnswer): Buffer {
  const at = body.readUInt32LE(32)
  return Buffer.from(message.subarray(at, at + body.readUInt32LE(36)))
}

/** A lease break acknowledgment. */
export function acknowledgeLease(leaseKey: Buffer, state: number): MacRequest {
  const body = Buffer.alloc(36)
  body.writeUInt16LE(36, 0)
  leaseKey.copy(body, 8)
  body.writeUInt32LE(state, 24)
  return { command: Smb.OPLOCK_BREAK, body }
}

/** A self-relative security descriptor with a DACL without entries, as recent macOS sends it (fruit.md 2). */
export function setEmptyDacl(): MacRequest {
  const data = Buffer.alloc(28)
  data[0] = 1
  data.writeUInt16LE(0x8004, 2)
  data.writeUInt32LE(20, 16)
  data[20] = 2
  data.writeUInt16LE(8, 22)
  const request = setInfo(0, data)
  request.body[2] = 3
  request.body.writeUInt32LE(4, 12)
  return request
}
