/** SPC-2 7.21, 7.22 (SPC-4 5.12.3): RESERVE and RELEASE, (6) and (10): the unit for one nexus, as long as its session lasts. */

import type { Command, Request } from '../command.ts'
import { done, invalidField, type Outcome, withStatus } from '../outcome.ts'
import { ScsiStatus } from '../task.ts'

/** 3RDPTY, LONGID and EXTENT: for others, or for parts, nothing is reserved. */
const THIRD_PARTY_OR_EXTENT = 0x1b

/** Both kinds of reservations exclude each other (SPC-2 5.5.1). */
function isRefused({ unit, nexus }: Request): boolean {
  const isOthers = unit.reservedBy !== undefined && unit.reservedBy !== nexus.key
  return isOthers || unit.persistent.hasRegistrations
}

function reserve(request: Request): Outcome {
  if (((request.cdb[1] ?? 0) & THIRD_PARTY_OR_EXTENT) !== 0) return invalidField(1)
  if (isRefused(request)) return withStatus(ScsiStatus.reservationConflict)
  request.unit.reservedBy = request.nexus.key
  return done()
}

function release({ unit, nexus, cdb }: Request): Outcome {
  if (((cdb[1] ?? 0) & THIRD_PARTY_OR_EXTENT) !== 0) return invalidField(1)
  if (unit.persistent.hasRegistrations) return withStatus(ScsiStatus.reservationConflict)
  if (unit.reservedBy === nexus.key) unit.reservedBy = undefined
  return done()
}

const reserving = { reservation: 'never', run: reserve } as const
const releasing = { reservation: 'never', run: release } as const

export const reserveCommands: readonly Command[] = [
  { name: 'RESERVE(6)', opcode: 0x16, usage: '16 1b 00 0000 00', ...reserving },
  { name: 'RELEASE(6)', opcode: 0x17, usage: '17 1b 00 0000 00', ...releasing },
  { name: 'RESERVE(10)', opcode: 0x56, usage: '56 1b 00 00 000000 0000 00', ...reserving },
  { name: 'RELEASE(10)', opcode: 0x57, usage: '57 1b 00 00 000000 0000 00', ...releasing },
]
