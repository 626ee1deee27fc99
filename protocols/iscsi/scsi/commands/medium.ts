/** SBC-3 5.20: START STOP UNIT; SPC-4 6.18 (SBC-3 5.9a): PREVENT ALLOW MEDIUM REMOVAL. */

import type { Command, Request } from '../command.ts'
import { done, fail, invalidField, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'

const LOEJ = 0x02
const START = 0x01
const NO_FLUSH = 0x04
const POWER_CONDITION_SHIFT = 4
/** PREVENT: 1 prevents; 2 and 3 are obsolete. */
const PREVENT_MASK = 0x03

async function startStop({ unit, cdb, nexus }: Request): Promise<Outcome> {
  const flags = cdb[4] ?? 0
  // Power conditions are not kept: what asks for one neither stops nor ejects.
  if (flags >> POWER_CONDITION_SHIFT !== 0) return done()
  const starts = (flags & START) !== 0
  const moves = (flags & LOEJ) !== 0
  if (moves && !unit.options.removable) return invalidField(4)
  if (moves && unit.isRemovalPrevented) return fail(senses.mediumRemovalPrevented)
  // Nothing spins here, so a stop without LOEJ does no more than this.
  if (!starts && (flags & NO_FLUSH) === 0) await unit.sync()
  const wasEjected = unit.medium === 'ejected'
  if (starts) {
    // Without LOEJ nothing that is ejected comes back.
    if (wasEjected && !moves) return fail(senses.noMedium)
    unit.medium = 'ready'
    if (wasEjected) unit.establish(senses.mediumChanged, nexus)
  } else if (moves) unit.medium = 'ejected'
  return done()
}

function preventAllow({ cdb, nexus }: Request): Outcome {
  const prevent = (cdb[4] ?? 0) & PREVENT_MASK
  if (prevent > 1) return invalidField(4)
  nexus.preventsRemoval = prevent === 1
  return done()
}

export const mediumCommands: readonly Command[] = [
  {
    name: 'START STOP UNIT',
    opcode: 0x1b,
    usage: '1b 01 00 0f f7 00',
    reservation: 'write',
    passesReservation: (cdb) => ((cdb[4] ?? 0) & ~NO_FLUSH) === START,
    run: startStop,
  },
  {
    name: 'PREVENT ALLOW MEDIUM REMOVAL',
    opcode: 0x1e,
    usage: '1e 00 00 00 03 00',
    reservation: 'write',
    passesReservation: (cdb) => ((cdb[4] ?? 0) & PREVENT_MASK) === 0,
    isPresent: (unit) => unit.options.removable,
    run: preventAllow,
  },
]
