/** MS-SMB2 2.2: what it costs to read and write the messages that there are most of. */

import {
  CreateDisposition,
  CreateOption,
  ImpersonationLevel,
} from '../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../protocols/smb2/fscc/file-information.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import {
  decodeCreateRequest,
  encodeCreateRequest,
  OplockLevel,
} from '../../protocols/smb2/messages/create.ts'
import { decodeHeader, encodeHeader } from '../../protocols/smb2/messages/header.ts'
import {
  decodeQueryDirectoryRequest,
  encodeQueryDirectoryRequest,
} from '../../protocols/smb2/messages/query-directory.ts'
import { Channel, decodeReadRequest, encodeReadRequest } from '../../protocols/smb2/messages/read.ts'
import { decodeWriteRequest, encodeWriteRequest } from '../../protocols/smb2/messages/write.ts'
import { Reader } from '../../protocols/wire/reader.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { type Micro, must } from './micro.ts'

const FILE_ID = { persistent: 1n, volatile: 2n }
const NAME = 'Users\\anna\\Library\\Application Support\\settings.plist'
const READ_BYTES = 1 << 20
const WRITE_BYTES = 64 << 10
const LIST_BYTES = 64 << 10
const MAXIMUM_ALLOWED = 0x0200_0000
const SHARE_ALL = 7

interface Message<T> {
  readonly name: string
  readonly command: number
  readonly value: T
  encode(writer: Writer, value: T): void
  decode(reader: Reader): T
  /** What a message that came back is known by. */
  same(value: T): boolean
}

export const codecMicros: readonly Micro[] = [
  ...message({
    ...{ name: 'CREATE', command: Command.CREATE, encode: encodeCreateRequest, decode: decodeCreateRequest },
    value: {
      ...{ requestedOplockLevel: OplockLevel.NONE, impersonationLevel: ImpersonationLevel.IMPERSONATION },
      ...{ desiredAccess: MAXIMUM_ALLOWED, fileAttributes: 0, shareAccess: SHARE_ALL, name: NAME },
      createDisposition: CreateDisposition.OPEN_IF,
      createOptions: CreateOption.NON_DIRECTORY_FILE,
      createContexts: [],
    },
    same: ({ name }) => name === NAME,
  }),
  ...message({
    ...{ name: 'READ', command: Command.READ, encode: encodeReadRequest, decode: decodeReadRequest },
    value: {
      ...{ padding: 0, flags: 0, length: READ_BYTES, offset: 0n, fileId: FILE_ID, minimumCount: 0 },
      ...{ channel: Channel.NONE, remainingBytes: 0, readChannelInfo: Buffer.alloc(0) },
    },
    same: ({ length }) => length === READ_BYTES,
  }),
  ...message({
    ...{ name: 'WRITE', command: Command.WRITE, encode: encodeWriteRequest, decode: decodeWriteRequest },
    value: {
      ...{ offset: 0n, fileId: FILE_ID, channel: Channel.NONE, remainingBytes: 0, flags: 0 },
      data: Buffer.alloc(WRITE_BYTES),
    },
    same: ({ data }) => data.length === WRITE_BYTES,
  }),
  ...message({
    ...{ name: 'QUERY_DIRECTORY', command: Command.QUERY_DIRECTORY },
    ...{ encode: encodeQueryDirectoryRequest, decode: decodeQueryDirectoryRequest },
    value: {
      fileInformationClass: FileInformationClass.IdBothDirectory,
      ...{ flags: 0, fileIndex: 0, fileId: FILE_ID, fileName: '*', outputBufferLength: LIST_BYTES },
    },
    same: ({ fileName }) => fileName === '*',
  }),
]

/** With the header. */
function message<T>({ name, command, value, encode, decode, same }: Message<T>): Micro[] {
  const encoded = (): Buffer => {
    const writer = new Writer()
    encodeHeader(writer, {
      ...{ creditCharge: 1, status: 0, command, credits: 1, flags: 0, nextCommand: 0 },
      ...{ messageId: 1n, asyncId: 0n, treeId: 1, sessionId: 1n },
    })
    encode(writer, value)
    return writer.finish()
  }
  const decoded = (bytes: Buffer): T => {
    const reader = new Reader(bytes)
    decodeHeader(reader)
    return decode(reader)
  }
  const check = () => must(same(decoded(encoded())), `${name} does not come back as it was written`)
  const bytes = encoded()
  return [
    one(`codec ${name} encode`, check, () => void encoded()),
    one(`codec ${name} decode`, check, () => void decoded(bytes)),
  ]
}

function one(name: string, check: () => void, call: () => void): Micro {
  return { name, isFlat: false, sizes: [{ label: '1', prepare: () => ({ check, call }) }] }
}
