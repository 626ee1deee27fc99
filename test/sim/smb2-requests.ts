/** MS-SMB2 2.2: requests for a simulated client, with what is usual filled in. */

import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import {
  CreateDisposition,
  ImpersonationLevel,
  SHARE_ACCESS_ALL,
} from '../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../protocols/smb2/fscc/file-information.ts'
import { encodeChangeNotifyRequest } from '../../protocols/smb2/messages/change-notify.ts'
import { encodeCloseRequest } from '../../protocols/smb2/messages/close.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { type CreateRequest, encodeCreateRequest, OplockLevel } from '../../protocols/smb2/messages/create.ts'
import { encodeEmptyBody } from '../../protocols/smb2/messages/empty-body.ts'
import { encodeFlushRequest } from '../../protocols/smb2/messages/flush.ts'
import {
  encodeIoctlRequest,
  IOCTL_FLAG_IS_FSCTL,
  type IoctlRequest,
} from '../../protocols/smb2/messages/ioctl.ts'
import { encodeLockRequest, type LockElement } from '../../protocols/smb2/messages/lock.ts'
import {
  encodeQueryDirectoryRequest,
  type QueryDirectoryRequest,
} from '../../protocols/smb2/messages/query-directory.ts'
import {
  encodeQueryInfoRequest,
  InfoType,
  type QueryInfoRequest,
} from '../../protocols/smb2/messages/query-info.ts'
import { encodeReadRequest, type ReadRequest } from '../../protocols/smb2/messages/read.ts'
import { encodeSetInfoRequest, type SetInfoRequest } from '../../protocols/smb2/messages/set-info.ts'
import { type FileId, RELATED_FILE_ID } from '../../protocols/smb2/messages/structure.ts'
import { encodeTreeConnectRequest } from '../../protocols/smb2/messages/tree-connect.ts'
import { encodeWriteRequest, type WriteRequest } from '../../protocols/smb2/messages/write.ts'
import type { SimRequest } from './smb2-connection.ts'

const OUTPUT_BYTES = 65_536
const BYTES_PER_CREDIT = 65_536
const NO_BYTES = Buffer.alloc(0)

/** What a CREATE asks for when nothing else is said: to read, write, look at and delete, sharing all. */
const CREATE_DEFAULTS: Omit<CreateRequest, 'name'> = {
  requestedOplockLevel: OplockLevel.NONE,
  impersonationLevel: ImpersonationLevel.IMPERSONATION,
  desiredAccess:
    FileAccess.READ_DATA | FileAccess.WRITE_DATA | FileAccess.READ_ATTRIBUTES | FileAccess.DELETE,
  fileAttributes: 0,
  shareAccess: SHARE_ACCESS_ALL,
  createDisposition: CreateDisposition.OPEN_IF,
  createOptions: 0,
  createContexts: [],
}

/** The same, related to the one before it in its compound. */
export function related(request: SimRequest): SimRequest {
  return { ...request, related: true }
}

/** A message without fields: ECHO, LOGOFF, TREE_DISCONNECT. */
export function emptyRequest(command: number): SimRequest {
  return { command, write: (writer) => encodeEmptyBody(writer) }
}

export const echoRequest = (): SimRequest => emptyRequest(Command.ECHO)

export function treeConnectRequest(share: string): SimRequest {
  const path = `\\\\server\\${share}`
  return {
    command: Command.TREE_CONNECT,
    treeId: 0,
    write: (writer) => encodeTreeConnectRequest(writer, { flags: 0, path }),
  }
}

export type CreateFields = Partial<CreateRequest> & { readonly name: string }

export function createRequest(fields: CreateFields): SimRequest {
  const request = { ...CREATE_DEFAULTS, ...fields }
  return { command: Command.CREATE, write: (writer) => encodeCreateRequest(writer, request) }
}

export function closeRequest(fileId: FileId = RELATED_FILE_ID, flags = 0): SimRequest {
  return { command: Command.CLOSE, write: (writer) => encodeCloseRequest(writer, { flags, fileId }) }
}

/** Credits that pay for a payload. */
function chargeOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / BYTES_PER_CREDIT))
}

export function readRequest(fields: Partial<ReadRequest> = {}): SimRequest {
  const request: ReadRequest = {
    ...{ padding: 0, flags: 0, length: 1024, offset: 0n, fileId: RELATED_FILE_ID, minimumCount: 0 },
    ...{ channel: 0, remainingBytes: 0, readChannelInfo: NO_BYTES },
    ...fields,
  }
  return {
    command: Command.READ,
    creditCharge: chargeOf(request.length),
    write: (writer) => encodeReadRequest(writer, request),
  }
}

export function writeRequest(fields: Partial<WriteRequest>): SimRequest {
  const request: WriteRequest = {
    ...{ offset: 0n, fileId: RELATED_FILE_ID, channel: 0, remainingBytes: 0, flags: 0, data: NO_BYTES },
    ...fields,
  }
  return {
    command: Command.WRITE,
    creditCharge: chargeOf(request.data.length),
    write: (writer) => encodeWriteRequest(writer, request),
  }
}

export function flushRequest(fileId: FileId = RELATED_FILE_ID): SimRequest {
  return { command: Command.FLUSH, write: (writer) => encodeFlushRequest(writer, { reserved1: 0, fileId }) }
}

export function lockRequest(fileId: FileId, ...locks: readonly LockElement[]): SimRequest {
  const request = { lockSequenceNumber: 0, lockSequenceIndex: 0, fileId, locks: [...locks] }
  return { command: Command.LOCK, write: (writer) => encodeLockRequest(writer, request) }
}

export function ioctlRequest(ctlCode: number, fields: Partial<IoctlRequest> = {}): SimRequest {
  const request: IoctlRequest = {
    ...{ ctlCode, fileId: RELATED_FILE_ID, input: NO_BYTES, maxInputResponse: 0 },
    ...{ maxOutputResponse: OUTPUT_BYTES, flags: IOCTL_FLAG_IS_FSCTL },
    ...fields,
  }
  return { command: Command.IOCTL, write: (writer) => encodeIoctlRequest(writer, request) }
}

export function queryDirectoryRequest(fields: Partial<QueryDirectoryRequest> = {}): SimRequest {
  const request: QueryDirectoryRequest = {
    ...{ fileInformationClass: FileInformationClass.IdBothDirectory, flags: 0, fileIndex: 0 },
    ...{ fileId: RELATED_FILE_ID, fileName: '*', outputBufferLength: OUTPUT_BYTES },
    ...fields,
  }
  return { command: Command.QUERY_DIRECTORY, write: (writer) => encodeQueryDirectoryRequest(writer, request) }
}

export function queryInfoRequest(fields: Partial<QueryInfoRequest> = {}): SimRequest {
  const request: QueryInfoRequest = {
    ...{ infoType: InfoType.FILE, fileInfoClass: FileInformationClass.All, outputBufferLength: OUTPUT_BYTES },
    ...{ input: NO_BYTES, additionalInformation: 0, flags: 0, fileId: RELATED_FILE_ID },
    ...fields,
  }
  return { command: Command.QUERY_INFO, write: (writer) => encodeQueryInfoRequest(writer, request) }
}

export function setInfoRequest(fields: Partial<SetInfoRequest>): SimRequest {
  const request: SetInfoRequest = {
    ...{ infoType: InfoType.FILE, fileInfoClass: 0, additionalInformation: 0 },
    ...{ fileId: RELATED_FILE_ID, input: NO_BYTES },
    ...fields,
  }
  return { command: Command.SET_INFO, write: (writer) => encodeSetInfoRequest(writer, request) }
}

export function notifyRequest(
  fileId: FileId,
  completionFilter: number,
  { flags = 0, outputBufferLength = OUTPUT_BYTES } = {},
): SimRequest {
  const request = { flags, outputBufferLength, fileId, completionFilter }
  return { command: Command.CHANGE_NOTIFY, write: (writer) => encodeChangeNotifyRequest(writer, request) }
}
