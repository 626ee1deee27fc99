/** MS-SMB2 3.3.5.9.8, 3.3.5.9.11: the lease that a CREATE asks for. */

import { foldKey } from '../../../../storage/names/fold.ts'
import type { OplockKey } from '../../../../storage/sharing/oplocks.ts'
import type { CommandContext } from '../../context.ts'
import { OplockLevel } from '../../messages/create.ts'
import { type LeaseContext, LeaseFlag } from '../../messages/create-context-lease.ts'
import { Dialect } from '../../messages/dialects.ts'
import { type Lease, oplockKeyOf, parentLeaseKeyOf } from '../../state/lease.ts'
import { type NtStatus, Status } from '../../status.ts'
import type { ParsedName } from './name.ts'

/** A lease that is asked for, and Open.TargetOplockKey and Open.ParentOplockKey of the open. */
export interface RequestedLease {
  readonly context: LeaseContext
  readonly oplockKey: OplockKey
  readonly parentOplockKey: string | undefined
}

const NO_KEY = Buffer.alloc(16)

/** @returns undefined when none is asked for in a way that the dialect knows: the context is passed over */
export function requestedLease(
  { connection }: CommandContext,
  requestedOplockLevel: number,
  context: LeaseContext | undefined,
): RequestedLease | undefined {
  if (context === undefined || requestedOplockLevel !== OplockLevel.LEASE) return undefined
  const needed = context.version === 2 ? Dialect.SMB_3_0 : Dialect.SMB_2_1
  if (connection.dialect < needed || context.leaseKey.equals(NO_KEY)) return undefined
  const { clientGuid } = connection
  const parent = parentLeaseKeyOf(context)
  return {
    context,
    oplockKey: oplockKeyOf(clientGuid, context.leaseKey),
    parentOplockKey: parent?.toString('hex'),
  }
}

/** 3.3.5.9.8: "If ... Lease.FileName does not match the file name for the incoming request". */
export function refuseLease(
  { server, connection, tree }: CommandContext,
  { context }: RequestedLease,
  { path, stream }: ParsedName,
): NtStatus | undefined {
  const place = server.leaseTables.find(connection.clientGuid, context.leaseKey)?.place
  if (place === undefined) return undefined
  const isSame =
    place.root === tree.share.fileSystem &&
    foldKey(place.path) === foldKey(path) &&
    place.stream === foldKey(stream)
  return isSame ? undefined : Status.INVALID_PARAMETER
}

/** 3.3.5.9.8, 3.3.5.9.11: the context of the response, of the version that made the lease. */
export function answerLease(lease: Lease): LeaseContext {
  const { version, leaseKey, leaseState, parentLeaseKey, epoch, breaking } = lease
  const flags =
    (breaking ? LeaseFlag.BREAK_IN_PROGRESS : 0) |
    (parentLeaseKey === undefined ? 0 : LeaseFlag.PARENT_LEASE_KEY_SET)
  return { version, leaseKey, leaseState, leaseFlags: flags, parentLeaseKey: parentLeaseKey ?? NO_KEY, epoch }
}
