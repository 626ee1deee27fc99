/** MS-SMB2 3.3.5.9.7, 3.3.5.9.12: a CREATE by which a client comes back for a durable handle. */

import { foldKey } from '../../../../storage/names/fold.ts'
import type { CommandContext } from '../../context.ts'
import { endAbsence } from '../../state/durable-handle.ts'
import type { Open } from '../../state/open.ts'
import { type NtStatus, Status } from '../../status.ts'
import type { DurableContexts } from './durable.ts'
import type { RequestedLease } from './lease.ts'
import type { ParsedName } from './name.ts'

const NO_GUID = Buffer.alloc(16)

/** What the client says about the handle. */
export interface Claimed {
  readonly name: ParsedName
  readonly lease: RequestedLease | undefined
}

/** The open that a request is about, when it is one to reconnect. */
export function durableOpen({ server }: CommandContext, asked: DurableContexts): Open | undefined {
  const fileId = asked.reconnectV2?.fileId ?? asked.reconnect
  // 3.3.5.9.7: "the server MUST look up an existing open ... by FileId.Persistent".
  return fileId === undefined ? undefined : server.globalOpenTable.get(fileId.persistent)
}

/** 3.3.5.9.7, 3.3.5.9.12. @returns the status that refuses to give the open back */
export function refuseReconnect(
  { session, treeConnect, connection }: CommandContext,
  open: Open,
  asked: DurableContexts,
  { name, lease }: Claimed,
): NtStatus | undefined {
  const { durable } = open
  if (durable === undefined || open.absence === undefined || open.closing) return Status.OBJECT_NAME_NOT_FOUND
  // A handle of one version may be fetched by the other: smbtorture does, with a CreateGuid of zeros.
  const createGuid = asked.reconnectV2?.createGuid
  if (createGuid !== undefined && !(open.createGuid ?? NO_GUID).equals(createGuid)) {
    return Status.OBJECT_NAME_NOT_FOUND
  }
  if (open.share.name !== treeConnect.share.name) return Status.OBJECT_NAME_NOT_FOUND
  if ((open.lease === undefined) !== (lease === undefined)) return Status.OBJECT_NAME_NOT_FOUND
  if (open.lease !== undefined && lease !== undefined) {
    const isSameClient = open.lease.clientGuid.equals(connection.clientGuid)
    const isSameLease = open.lease.leaseKey.equals(lease.context.leaseKey)
    if (!isSameClient || !isSameLease) return Status.OBJECT_NAME_NOT_FOUND
    const { path } = open.file.shared
    const isSameName = foldKey(path) === foldKey(name.path) && open.file.node.name === foldKey(name.stream)
    if (!isSameName) return Status.INVALID_PARAMETER
  }
  // "If Open.DurableOwner is not a user represented by Session.SecurityContext".
  return session.principal?.user === durable.owner ? undefined : Status.ACCESS_DENIED
}

/** The open belongs to this session, tree connect and connection from now on. */
export function reconnect({ server, session, treeConnect, connection }: CommandContext, open: Open): void {
  endAbsence(server, open)
  open.attach({ session, treeConnect, connection })
  session.openTable.set(open.fileId.volatile, open)
  session.lockCount += open.lockCount
}

/** Whether a request asks for a handle that it has had. */
export function isReconnect({ reconnect, reconnectV2 }: DurableContexts): boolean {
  return reconnect !== undefined || reconnectV2 !== undefined
}
