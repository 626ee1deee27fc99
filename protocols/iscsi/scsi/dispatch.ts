/** SAM-5 5.3: what every command is checked for, in this order, before it runs. */

import type { Command, Request } from './command.ts'
import { findCommand, type Row } from './command-table.ts'
import { fail, invalidField, type Outcome, withStatus } from './outcome.ts'
import { notReadySense } from './readiness.ts'
import { senses } from './sense.ts'
import { senseOfStorageError } from './storage-sense.ts'
import { ScsiStatus } from './task.ts'

/** NACA: auto contingent allegiance is not kept (INQUIRY's NORMACA is 0). */
const NACA = 0x04

/** Runs one command; what goes wrong is an outcome. */
export async function dispatch(request: Request): Promise<Outcome> {
  const row = findCommand(request.cdb)
  if (row === 'opcode') return fail(senses.invalidOperationCode)
  if (row === 'service-action') return invalidField(1)
  const refused = check(row, request)
  if (refused !== undefined) return refused
  try {
    return await row.run(request)
  } catch (error) {
    const sense = senseOfStorageError(error, row.reservation === 'write')
    const { target, unit } = request
    target.log('error', `${row.name} failed`, { error, lun: unit.id })
    return fail(sense ?? senses.internalFailure)
  }
}

function check(row: Row, request: Request): Outcome | undefined {
  const { unit, cdb, nexus } = request
  if (row.isPresent?.(unit) === false) return fail(senses.invalidOperationCode)
  if (cdb.length < row.length || ((cdb[row.length - 1] ?? 0) & NACA) !== 0)
    return invalidField(row.length - 1)
  if (nexus.hasAttention && row.ignoresAttention !== true) {
    const sense = nexus.takeAttention()
    if (sense !== undefined) return fail(sense)
  }
  if (isReserved(row, request)) return withStatus(ScsiStatus.reservationConflict)
  if (row.isStrict === true) {
    for (let i = 1; i < row.length; i++) {
      if (((cdb[i] ?? 0) & ~(row.mask[i] ?? 0)) !== 0) return invalidField(i)
    }
  }
  if (unit.sanitize !== undefined && row.whileSanitizing !== true) {
    return fail(notReadySense(unit) ?? senses.sanitizing)
  }
  if (row.needsMedium === true && unit.medium !== 'ready') return fail(notReadySense(unit) ?? senses.noMedium)
  if (row.writes === true && unit.isWriteProtected) return fail(senses.writeProtected)
  return undefined
}

/** Commands that RESERVE of another lets through (SPC-2 table 10). */
const THROUGH_RESERVE: ReadonlySet<number> = new Set([0x12, 0xa0, 0x03, 0x17, 0x57])

function isReserved(row: Command, { unit, nexus, cdb }: Request): boolean {
  const { reservedBy, persistent } = unit
  if (reservedBy !== undefined && reservedBy !== nexus.key) return !THROUGH_RESERVE.has(row.opcode)
  if (row.reservation === 'never' || row.passesReservation?.(cdb) === true) return false
  return persistent.reservation !== undefined && persistent.conflicts(nexus.key, row.reservation)
}
