/** MS-SMB2 3.3.5.22: receiving the acknowledgment of an oplock break or a lease break. */

import type { Acknowledgment } from '../../../storage/sharing/caching.ts'
import { type CommandContext, command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import { OplockLevel } from '../messages/create.ts'
import type { LeaseBreakAcknowledgment } from '../messages/lease-break.ts'
import {
  decodeOplockBreakRequest,
  encodeOplockBreakResponse,
  type OplockBreak,
  type OplockBreakRequest,
  type OplockBreakResponse,
} from '../messages/oplock-break.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import { type NtStatus, Status } from '../status.ts'

export const oplockBreak = command<OplockBreakResponse, OplockBreakRequest>({
  code: Command.OPLOCK_BREAK,
  name: 'OPLOCK_BREAK',
  needs: 'tree',
  decode: decodeOplockBreakRequest,
  encode: encodeOplockBreakResponse,
  fileId: (request) => (request.kind === 'oplock' ? request.fileId : undefined),
  run: (context, request) =>
    request.kind === 'oplock' ? acknowledgeOplock(context, request) : acknowledgeLease(context, request),
})

type Refusals = Readonly<Record<Exclude<Acknowledgment, 'accepted'>, NtStatus>>

/** 3.3.5.22.1 */
const OPLOCK_REFUSALS: Refusals = {
  'not-breaking': Status.INVALID_DEVICE_STATE,
  // Windows' answer to an acknowledgment of level II's end, which wants none.
  'not-held': Status.INVALID_OPLOCK_PROTOCOL,
  violation: Status.INVALID_OPLOCK_PROTOCOL,
}

/** 3.3.5.22.2 */
const LEASE_REFUSALS: Refusals = {
  'not-breaking': Status.UNSUCCESSFUL,
  'not-held': Status.OBJECT_NAME_NOT_FOUND,
  violation: Status.REQUEST_NOT_ACCEPTED,
}

function acknowledgeOplock(context: CommandContext, request: OplockBreak): Outcome<OplockBreakResponse> {
  const { open, server } = context
  const { oplockLevel } = request
  if (open.isPipe || oplockLevel === OplockLevel.LEASE) return fail(Status.INVALID_PARAMETER)
  const oplock = server.oplocks.oplockOf(open)
  const result = server.oplocks.acknowledge(open, oplockLevel)
  if (result !== 'accepted') return fail(OPLOCK_REFUSALS[result])
  server.durables.changed(server, open)
  if (oplock !== undefined) context.onSent = () => server.oplocks.acknowledged({ oplock })
  return ok(request)
}

function acknowledgeLease(
  context: CommandContext,
  request: LeaseBreakAcknowledgment,
): Outcome<OplockBreakResponse> {
  const { server, connection } = context
  const lease = server.leaseTables.find(connection.clientGuid, request.leaseKey)
  if (lease === undefined) return fail(Status.OBJECT_NAME_NOT_FOUND)
  const result = server.oplocks.acknowledgeLease(lease, request.leaseState)
  if (result !== 'accepted') return fail(LEASE_REFUSALS[result])
  for (const open of lease.leaseOpens) server.durables.changed(server, open)
  context.onSent = () => server.oplocks.acknowledged(lease)
  return ok(request)
}
