/** MS-SMB2 2.2.13.2: the create contexts of a client that caches and reconnects, and what it takes from the answers. */

import type { CreateResponse } from '../../../protocols/smb2/messages/create.ts'
import {
  encodeDurableHandleReconnectV2,
  encodeDurableHandleRequestV2,
} from '../../../protocols/smb2/messages/create-context-durable.ts'
import {
  decodeLeaseContext,
  encodeLeaseContext,
  type LeaseContext,
} from '../../../protocols/smb2/messages/create-context-lease.ts'
import {
  type CreateContext,
  CreateContextName,
  findCreateContext,
} from '../../../protocols/smb2/messages/create-contexts.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'

const NO_PARENT = Buffer.alloc(16)

export function leaseRequest(leaseKey: Buffer, leaseState: number): CreateContext {
  const fields: LeaseContext = {
    ...{ version: 2, leaseKey, leaseState, leaseFlags: 0, parentLeaseKey: NO_PARENT, epoch: 0 },
  }
  return { name: CreateContextName.LEASE, data: encodeLeaseContext(fields) }
}

/** @param timeout milliseconds */
export function durableRequest(createGuid: Buffer, timeout: number): CreateContext {
  const data = encodeDurableHandleRequestV2({ timeout, flags: 0, createGuid })
  return { name: CreateContextName.DURABLE_HANDLE_REQUEST_V2, data }
}

export function durableReconnect(fileId: FileId, createGuid: Buffer): CreateContext {
  const data = encodeDurableHandleReconnectV2({ fileId, createGuid, flags: 0 })
  return { name: CreateContextName.DURABLE_HANDLE_RECONNECT_V2, data }
}

/** The lease that a CREATE was answered with. */
export function grantedLease({ createContexts }: CreateResponse): LeaseContext | undefined {
  const data = findCreateContext(createContexts, CreateContextName.LEASE)
  return data === undefined ? undefined : decodeLeaseContext(data)
}

/** The handle is durable. */
export function isDurable({ createContexts }: CreateResponse): boolean {
  return findCreateContext(createContexts, CreateContextName.DURABLE_HANDLE_REQUEST_V2) !== undefined
}
