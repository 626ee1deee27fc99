/** SBC-3 5.18, 5.19: SYNCHRONIZE CACHE; 5.9: PRE-FETCH. */

import { outOfRange, rangeOf } from '../block-range.ts'
import type { Command, Request } from '../command.ts'
import { done, type Outcome } from '../outcome.ts'
import { senses } from '../sense.ts'
import { senseOfStorageError } from '../storage-sense.ts'

const IMMED = 0x02

/** The whole disk is synchronized, whichever part was asked for. */
function synchronize({ unit, cdb, nexus, target }: Request): Outcome | Promise<Outcome> {
  const refused = outOfRange(unit, rangeOf(cdb))
  if (refused !== undefined) return refused
  const work = unit.sync()
  if (((cdb[1] ?? 0) & IMMED) === 0) return work.then(() => done())
  // Answered before it is done: a failure is told with a later command (SPC-4 4.5.5).
  work.catch((error: unknown) => {
    nexus.defer(senseOfStorageError(error, true) ?? senses.internalFailure)
    target.log('error', 'a synchronization of the cache failed after it was answered', {
      error,
      lun: unit.id,
    })
  })
  return done()
}

/** Nothing is read ahead, which GOOD says: there was no room for all of it (SBC-3 5.9). */
function prefetch({ unit, cdb }: Request): Outcome {
  return outOfRange(unit, rangeOf(cdb)) ?? done()
}

const needs = { needsMedium: true } as const
const synchronizing = { ...needs, reservation: 'write', run: synchronize } as const
const prefetching = { ...needs, reservation: 'read', run: prefetch } as const

export const cacheCommands: readonly Command[] = [
  { name: 'SYNCHRONIZE CACHE(10)', opcode: 0x35, usage: '35 02 ffffffff 1f ffff 00', ...synchronizing },
  {
    name: 'SYNCHRONIZE CACHE(16)',
    opcode: 0x91,
    usage: '91 02 ffffffffffffffff ffffffff 1f 00',
    ...synchronizing,
  },
  { name: 'PRE-FETCH(10)', opcode: 0x34, usage: '34 02 ffffffff 1f ffff 00', ...prefetching },
  { name: 'PRE-FETCH(16)', opcode: 0x90, usage: '90 02 ffffffffffffffff ffffffff 1f 00', ...prefetching },
]
