/** MS-SMB2 3.3.5.9.6, 3.3.5.9.10: a CREATE that asks for a durable handle. */

import type { CommandContext } from '../../context.ts'
import {
  checkDurableHandleRequest,
  type DurableHandleReconnectV2,
  type DurableHandleRequestV2,
  decodeDurableHandleReconnect,
  decodeDurableHandleReconnectV2,
  decodeDurableHandleRequestV2,
  encodeDurableHandleResponse,
  encodeDurableHandleResponseV2,
} from '../../messages/create-context-durable.ts'
import { type CreateContext, CreateContextName, findCreateContext } from '../../messages/create-contexts.ts'
import { Dialect } from '../../messages/dialects.ts'
import type { FileId } from '../../messages/structure.ts'
import {
  type DurableHandle,
  grantedTimeout,
  MAXIMUM_DURABLE_TIMEOUT_MILLISECONDS,
  mayOutliveConnection,
} from '../../state/durable-handle.ts'
import type { Open } from '../../state/open.ts'

/** What a CREATE says of durable handles. */
export interface DurableContexts {
  /** DHnQ */
  readonly request: boolean
  /** DH2Q */
  readonly requestV2: DurableHandleRequestV2 | undefined
  /** DHnC */
  readonly reconnect: FileId | undefined
  /** DH2C */
  readonly reconnectV2: DurableHandleReconnectV2 | undefined
}

/** It says nothing of them. */
export const NO_DURABLE: DurableContexts = {
  request: false,
  requestV2: undefined,
  reconnect: undefined,
  reconnectV2: undefined,
}

/** @throws DecodeError when a context's data is malformed */
export function readDurableContexts(contexts: readonly CreateContext[]): DurableContexts {
  if (contexts.length === 0) return NO_DURABLE
  const request = findCreateContext(contexts, CreateContextName.DURABLE_HANDLE_REQUEST)
  const requestV2 = findCreateContext(contexts, CreateContextName.DURABLE_HANDLE_REQUEST_V2)
  const reconnect = findCreateContext(contexts, CreateContextName.DURABLE_HANDLE_RECONNECT)
  const reconnectV2 = findCreateContext(contexts, CreateContextName.DURABLE_HANDLE_RECONNECT_V2)
  if (request !== undefined) checkDurableHandleRequest(request)
  return {
    request: request !== undefined,
    requestV2: requestV2 && decodeDurableHandleRequestV2(requestV2),
    reconnect: reconnect && decodeDurableHandleReconnect(reconnect),
    reconnectV2: reconnectV2 && decodeDurableHandleReconnectV2(reconnectV2),
  }
}

/** 3.3.5.9.6, .7, .10, .12: of the four, only DHnQ may stand beside another, which is DHnC. */
export function excludeEachOther({ request, requestV2, reconnect, reconnectV2 }: DurableContexts): boolean {
  const ofVersion1 = request || reconnect !== undefined
  const ofVersion2 = requestV2 !== undefined || reconnectV2 !== undefined
  return (ofVersion1 && ofVersion2) || (requestV2 !== undefined && reconnectV2 !== undefined)
}

/** 3.3.5.9.6, 3.3.5.9.10: makes the open durable when its client may come back for it. */
export function grantDurable(context: CommandContext, open: Open, asked: DurableContexts): void {
  const { connection, server, session } = context
  const owner = session.principal?.kind === 'user' ? session.principal.user : undefined
  // 3.3.5.9.10 is for files; without a user nobody could be told from the owner.
  if (owner === undefined || open.file.type !== 'file' || !mayOutliveConnection(server, open)) return
  if (asked.requestV2 !== undefined && connection.dialect >= Dialect.SMB_3_0) {
    open.durable = { version: 2, timeout: grantedTimeout(asked.requestV2.timeout), owner }
    open.createGuid = Buffer.from(asked.requestV2.createGuid)
  } else if (asked.request) {
    open.durable = { version: 1, timeout: MAXIMUM_DURABLE_TIMEOUT_MILLISECONDS, owner }
  }
  server.durables.changed(server, open)
}

/** 2.2.14.2.3, 2.2.14.2.12: what the client is told; persistent handles are never granted. */
export function answerDurable({ version, timeout }: DurableHandle): CreateContext {
  return version === 2
    ? {
        name: CreateContextName.DURABLE_HANDLE_REQUEST_V2,
        data: encodeDurableHandleResponseV2({ timeout, flags: 0 }),
      }
    : { name: CreateContextName.DURABLE_HANDLE_REQUEST, data: encodeDurableHandleResponse() }
}
