/** MS-SMB2 3.3.5.9: the oplock or lease that a CREATE asks for, granted once all else is done. */

import type { FileStat } from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { type CreateRequest, OplockLevel } from '../../messages/create.ts'
import type { LeaseContext } from '../../messages/create-context-lease.ts'
import { Capability } from '../../messages/dialects.ts'
import type { Open } from '../../state/open.ts'
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

/** Whether such leases were announced, and there may be one more: else the open goes without. */
function mayLease({ server, connection }: CommandContext, open: Open, { context }: RequestedLease): boolean {
  const capability = open.isDirectory ? Capability.DIRECTORY_LEASING : Capability.LEASING
  if ((connection.serverCapabilities & capability) === 0) return false
  const { leaseTables, usage } = server
  const { clientGuid } = connection
  if (leaseTables.find(clientGuid, context.leaseKey) !== undefined) return true
  const isFull = leaseTables.isFullFor(clientGuid)
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
  const lease = mayLease(context, open, requested)
    ? server.oplocks.grantLease(open, connection.clientGuid, requested.context)
    : undefined
  return lease === undefined
    ? { oplockLevel: OplockLevel.NONE, lease: undefined }
    : { oplockLevel: OplockLevel.LEASE, lease: answerLease(lease) }
}
