/** MS-SMB2 2.2.13.2 (names that others may define): Apple's create context AAPL, command SERVER_QUERY, as the Mac's client documents it. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { contextReader } from './create-context-data.ts'

/** What a context asks for; others are for servers that said they know them. */
export const AaplCommand = {
  SERVER_QUERY: 1,
  /** The path of a file id, of volumes with AaplVolumeCapability.RESOLVE_ID. */
  RESOLVE_ID: 2,
} as const

/** Which parts a SERVER_QUERY asks for, and which follow in the reply. */
export const AaplQuery = {
  SERVER_CAPABILITIES: 0x01,
  VOLUME_CAPABILITIES: 0x02,
  MODEL_INFO: 0x04,
} as const

/** Capabilities of client and server. */
export const AaplCapability = {
  /** Listings carry rights, the size of the resource fork and Finder's information. */
  READ_DIR_ATTR: 0x01,
  /** FSCTL_SRV_COPYCHUNK without chunks copies a whole file. */
  OSX_COPYFILE: 0x02,
  /** Listings carry POSIX modes. */
  UNIX_BASED: 0x04,
  /** POSIX modes and ids are set by ACEs of NFS' SIDs. */
  NFS_ACE: 0x08,
  /** Listings also say which entries have no streams. */
  READ_DIR_ATTR_V2: 0x10,
  /** For shares that are disk images. */
  HIFI: 0x20,
} as const

export const AaplVolumeCapability = {
  RESOLVE_ID: 0x01,
  CASE_SENSITIVE: 0x02,
  /** FLUSH with Reserved1 FULL_SYNC is answered when all is on the disk. */
  FULL_SYNC: 0x04,
} as const

/** 24 bytes */
export interface AaplServerQuery {
  /** Bits of AaplQuery. */
  queryBitmap: bigint
  /** Bits of AaplCapability. */
  clientCapabilities: bigint
}

/** What is absent was not asked for. */
export interface AaplServerReply {
  serverCapabilities?: number
  volumeCapabilities?: number
  /** A model that the Mac has an icon for. */
  model?: string
}

const QUERY_BYTES = 24
const RESOLVE_ID_BYTES = 16
/** Command, Reserved, status, length: before the path. */
const RESOLVE_ID_REPLY_BYTES = 16
const RESERVED_BYTES = 4
/** Command, Reserved, bitmap, two capabilities, pad, length: before the model. */
const REPLY_BYTES = 40
/** Far more than any model has. */
const MAX_MODEL_BYTES = 256

/** @returns undefined when the context has another command. @throws DecodeError when a SERVER_QUERY has not 24 bytes */
export function decodeAaplServerQuery(data: Buffer): AaplServerQuery | undefined {
  if (new Reader(data).u32() !== AaplCommand.SERVER_QUERY) return undefined
  const reader = contextReader(data, QUERY_BYTES)
  reader.skip(4 + RESERVED_BYTES)
  return { queryBitmap: reader.u64(), clientCapabilities: reader.u64() }
}

/** @returns the file id of a RESOLVE_ID; undefined when the context has another command. @throws DecodeError when it is shorter */
export function decodeAaplResolveId(data: Buffer): bigint | undefined {
  if (new Reader(data).u32() !== AaplCommand.RESOLVE_ID) return undefined
  const reader = contextReader(data, RESOLVE_ID_BYTES)
  reader.skip(4 + RESERVED_BYTES)
  return reader.u64()
}

/** The answer to a RESOLVE_ID. */
export interface AaplResolveIdReply {
  readonly ntStatus: number
  /** From the share's root, with backslashes; '' when there is none. */
  readonly path: string
}

export function encodeAaplResolveIdReply({ ntStatus, path }: AaplResolveIdReply): Buffer {
  const name = Buffer.from(path, 'utf16le')
  const writer = new Writer(RESOLVE_ID_REPLY_BYTES + name.length).u32(AaplCommand.RESOLVE_ID)
  return writer.zeros(RESERVED_BYTES).u32(ntStatus).u32(name.length).bytes(name).finish()
}

export function encodeAaplServerQuery(m: AaplServerQuery): Buffer {
  const writer = new Writer(QUERY_BYTES).u32(AaplCommand.SERVER_QUERY).zeros(RESERVED_BYTES)
  return writer.u64(m.queryBitmap).u64(m.clientCapabilities).finish()
}

export function encodeAaplServerReply({
  serverCapabilities,
  volumeCapabilities,
  model,
}: AaplServerReply): Buffer {
  let bitmap = 0
  if (serverCapabilities !== undefined) bitmap |= AaplQuery.SERVER_CAPABILITIES
  if (volumeCapabilities !== undefined) bitmap |= AaplQuery.VOLUME_CAPABILITIES
  if (model !== undefined) bitmap |= AaplQuery.MODEL_INFO
  const writer = new Writer(REPLY_BYTES).u32(AaplCommand.SERVER_QUERY).zeros(RESERVED_BYTES)
  writer.u64(BigInt(bitmap))
  if (serverCapabilities !== undefined) writer.u64(BigInt(serverCapabilities))
  if (volumeCapabilities !== undefined) writer.u64(BigInt(volumeCapabilities))
  if (model !== undefined) {
    const name = Buffer.from(model, 'utf16le')
    writer.zeros(4).u32(name.length).bytes(name)
  }
  return writer.finish()
}

/** @throws DecodeError for what is no reply to a SERVER_QUERY, or has bytes that its bitmap does not account for */
export function decodeAaplServerReply(data: Buffer): AaplServerReply {
  const reader = new Reader(data)
  if (reader.u32() !== AaplCommand.SERVER_QUERY) throw new DecodeError('no reply to a SERVER_QUERY')
  reader.skip(RESERVED_BYTES)
  const bitmap = Number(reader.u64())
  const reply: AaplServerReply = {}
  if ((bitmap & AaplQuery.SERVER_CAPABILITIES) !== 0) reply.serverCapabilities = Number(reader.u64())
  if ((bitmap & AaplQuery.VOLUME_CAPABILITIES) !== 0) reply.volumeCapabilities = Number(reader.u64())
  if ((bitmap & AaplQuery.MODEL_INFO) !== 0) {
    reader.skip(4)
    const length = reader.u32()
    if (length > MAX_MODEL_BYTES) throw new DecodeError(`the model has ${length} bytes`)
    reply.model = reader.bytes(length).toString('utf16le')
  }
  if (reader.offset !== data.length) throw new DecodeError('bytes follow the reply')
  return reply
}
