/** MS-SMB2 2.2: which functions read and write the body of a message, by the name that fixtures give it. */

import * as cancel from '../../../../protocols/smb2/messages/cancel.ts'
import * as changeNotify from '../../../../protocols/smb2/messages/change-notify.ts'
import * as close from '../../../../protocols/smb2/messages/close.ts'
import * as create from '../../../../protocols/smb2/messages/create.ts'
import * as echo from '../../../../protocols/smb2/messages/echo.ts'
import * as error from '../../../../protocols/smb2/messages/error.ts'
import * as flush from '../../../../protocols/smb2/messages/flush.ts'
import * as ioctl from '../../../../protocols/smb2/messages/ioctl.ts'
import * as lock from '../../../../protocols/smb2/messages/lock.ts'
import * as logoff from '../../../../protocols/smb2/messages/logoff.ts'
import * as negotiate from '../../../../protocols/smb2/messages/negotiate.ts'
import * as oplockBreak from '../../../../protocols/smb2/messages/oplock-break.ts'
import * as queryDirectory from '../../../../protocols/smb2/messages/query-directory.ts'
import * as queryInfo from '../../../../protocols/smb2/messages/query-info.ts'
import * as read from '../../../../protocols/smb2/messages/read.ts'
import * as sessionSetup from '../../../../protocols/smb2/messages/session-setup.ts'
import * as setInfo from '../../../../protocols/smb2/messages/set-info.ts'
import * as treeConnect from '../../../../protocols/smb2/messages/tree-connect.ts'
import * as treeDisconnect from '../../../../protocols/smb2/messages/tree-disconnect.ts'
import * as write from '../../../../protocols/smb2/messages/write.ts'
import type { Reader } from '../../../../protocols/wire/reader.ts'
import type { Writer } from '../../../../protocols/wire/writer.ts'

export interface BodyCodec {
  decode: (reader: Reader) => object
  /** Takes what `decode` gave. */
  encode: (writer: Writer, body: object) => void
}

function codec<T extends object>(
  decode: (reader: Reader) => T,
  encode: (writer: Writer, body: T) => void,
): BodyCodec {
  return { decode, encode: (writer, body) => encode(writer, body as T) }
}

function encodeReadResponseWithData(writer: Writer, m: ReturnType<typeof read.decodeReadResponse>): void {
  read.encodeReadResponse(writer, m)
  writer.bytes(m.data)
}

export const codecs: Readonly<Record<string, BodyCodec>> = {
  ErrorResponse: codec(error.decodeErrorResponse, error.encodeErrorResponse),
  NegotiateRequest: codec(negotiate.decodeNegotiateRequest, negotiate.encodeNegotiateRequest),
  NegotiateResponse: codec(negotiate.decodeNegotiateResponse, negotiate.encodeNegotiateResponse),
  SessionSetupRequest: codec(sessionSetup.decodeSessionSetupRequest, sessionSetup.encodeSessionSetupRequest),
  SessionSetupResponse: codec(
    sessionSetup.decodeSessionSetupResponse,
    sessionSetup.encodeSessionSetupResponse,
  ),
  LogoffRequest: codec(logoff.decodeLogoffRequest, logoff.encodeLogoffRequest),
  LogoffResponse: codec(logoff.decodeLogoffResponse, logoff.encodeLogoffResponse),
  TreeConnectRequest: codec(treeConnect.decodeTreeConnectRequest, treeConnect.encodeTreeConnectRequest),
  TreeConnectResponse: codec(treeConnect.decodeTreeConnectResponse, treeConnect.encodeTreeConnectResponse),
  TreeDisconnectRequest: codec(
    treeDisconnect.decodeTreeDisconnectRequest,
    treeDisconnect.encodeTreeDisconnectRequest,
  ),
  TreeDisconnectResponse: codec(
    treeDisconnect.decodeTreeDisconnectResponse,
    treeDisconnect.encodeTreeDisconnectResponse,
  ),
  CreateRequest: codec(create.decodeCreateRequest, create.encodeCreateRequest),
  CreateResponse: codec(create.decodeCreateResponse, create.encodeCreateResponse),
  CloseRequest: codec(close.decodeCloseRequest, close.encodeCloseRequest),
  CloseResponse: codec(close.decodeCloseResponse, close.encodeCloseResponse),
  FlushRequest: codec(flush.decodeFlushRequest, flush.encodeFlushRequest),
  FlushResponse: codec(flush.decodeFlushResponse, flush.encodeFlushResponse),
  ReadRequest: codec(read.decodeReadRequest, read.encodeReadRequest),
  ReadResponse: codec(read.decodeReadResponse, encodeReadResponseWithData),
  WriteRequest: codec(write.decodeWriteRequest, write.encodeWriteRequest),
  WriteResponse: codec(write.decodeWriteResponse, write.encodeWriteResponse),
  LockRequest: codec(lock.decodeLockRequest, lock.encodeLockRequest),
  LockResponse: codec(lock.decodeLockResponse, lock.encodeLockResponse),
  IoctlRequest: codec(ioctl.decodeIoctlRequest, ioctl.encodeIoctlRequest),
  IoctlResponse: codec(ioctl.decodeIoctlResponse, ioctl.encodeIoctlResponse),
  CancelRequest: codec(cancel.decodeCancelRequest, cancel.encodeCancelRequest),
  EchoRequest: codec(echo.decodeEchoRequest, echo.encodeEchoRequest),
  EchoResponse: codec(echo.decodeEchoResponse, echo.encodeEchoResponse),
  QueryDirectoryRequest: codec(
    queryDirectory.decodeQueryDirectoryRequest,
    queryDirectory.encodeQueryDirectoryRequest,
  ),
  QueryDirectoryResponse: codec(
    queryDirectory.decodeQueryDirectoryResponse,
    queryDirectory.encodeQueryDirectoryResponse,
  ),
  ChangeNotifyRequest: codec(changeNotify.decodeChangeNotifyRequest, changeNotify.encodeChangeNotifyRequest),
  ChangeNotifyResponse: codec(
    changeNotify.decodeChangeNotifyResponse,
    changeNotify.encodeChangeNotifyResponse,
  ),
  QueryInfoRequest: codec(queryInfo.decodeQueryInfoRequest, queryInfo.encodeQueryInfoRequest),
  QueryInfoResponse: codec(queryInfo.decodeQueryInfoResponse, queryInfo.encodeQueryInfoResponse),
  SetInfoRequest: codec(setInfo.decodeSetInfoRequest, setInfo.encodeSetInfoRequest),
  SetInfoResponse: codec(setInfo.decodeSetInfoResponse, setInfo.encodeSetInfoResponse),
  OplockBreakRequest: codec(oplockBreak.decodeOplockBreakRequest, oplockBreak.encodeOplockBreakRequest),
  OplockBreakResponse: codec(oplockBreak.decodeOplockBreakResponse, oplockBreak.encodeOplockBreakResponse),
  OplockBreakNotification: codec(
    oplockBreak.decodeOplockBreakNotification,
    oplockBreak.encodeOplockBreakNotification,
  ),
}
