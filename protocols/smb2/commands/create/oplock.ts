/** MS-SMB2 3.3.5.9: the oplock or lease that a CREATE asks for, granted once all else is done. */

import type { FileStat } from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { type CreateRequest, OplockLevel } from '../../messages/create.ts'
import type { LeaseContext } from '../../messages/create-context-lease.ts'
import { Capability } from '../../messages/dialects.ts'
import type { Lease } from '../../state/lease.ts'
import type { Open } from '../../state/open.ts'
import type { Server } from '../../state/server.ts'
import { answerLease, type RequestedLease } from './lease.ts'

/** What is answered about caching, and about the file. */
export interface Granted {
  /** Open.OplockLevel */
  readonly oplockLevel: number
  readonly lease: LeaseContext | undefined
  readonly stat: FileStat
}

/** @param changeMark since then `stat` may have become old: a client that may keep it gets it anew */
export async function grantOplock(
  context: CommandContext,
  open: Open,
  request: CreateRequest,
  requested: RequestedLease | undefined,
  changeMark: number,
  stat: FileStat,
): Promise<Granted> {
  const { oplocks } = context.server
  const { oplockLevel, lease } = grant(context, open, request, requested)
  if (oplockLevel === OplockLevel.NONE) return { oplockLevel, lease, stat }
  context.onSent = () => oplocks.announced(open)
  const isOld = oplocks.changedSince(open, changeMark)
  return { oplockLevel, lease, stat: isOld ? await open.file.handle.stat() : stat }
}

/** Whether such leases were announced, and there may be one more, unless it is known: else the open goes without. */
function mayLease({ server, connection }: CommandContext, open: Open, known: Lease | undefined): boolean {
  const capability = open.isDirectory ? Capability.DIRECTORY_LEASING : Capability.LEASING
  if ((connection.serverCapabilities & capability) === 0) return false
  const { leaseTables, usage } = server
  if (known !== undefined) return true
  const isFull = leaseTables.isFullFor(connection.clientGuid)
  if (isFull) usage.refuse('leases')
  return !isFull
}

function grant(
  context: CommandContext,
  open: Open,
  { requestedOplockLevel }: CreateRequest,
  requested: RequestedLease | undefined,
): Pick<Granted, 'oplockLevel' | 'lease'> {
  const { server, connection } = context
  if (requested === undefined) {
    return { oplockLevel: server.oplocks.grant(open, requestedOplockLevel), lease: undefined }
  }
  const { clientGuid } = connection
  const known = server.leaseTables.find(clientGuid, requested.context.leaseKey)
  const epoch = known?.epoch
  const lease = mayLease(context, open, known)
    ? server.oplocks.grantLease(open, clientGuid, requested.context)
    : undefined
  if (lease === undefined) return { oplockLevel: OplockLevel.NONE, lease }
  // It has grown for its other opens, too.
  if (lease === known && lease.epoch !== epoch) leaseChanged(server, lease)
  return { oplockLevel: OplockLevel.LEASE, lease: answerLease(lease) }
}

function leaseChanged(server: Server, lease: Lease): void {
  for (const open of lease.leaseOpens) server.durables.changed(server, open)
}
