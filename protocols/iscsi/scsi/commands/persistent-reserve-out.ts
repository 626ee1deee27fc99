/** SPC-4 6.16: PERSISTENT RESERVE OUT. */

import { blob, struct, u8, u16be } from 'buffer-layout'
import { cut, joined, u64be } from '../bytes.ts'
import type { Command, Request } from '../command.ts'
import { keyOfNexus } from '../nexus-state.ts'
import { done, fail, invalidField, invalidParameter, type Outcome, withStatus } from '../outcome.ts'
import { type Change, isReservationType } from '../persistent-reservations.ts'
import { senses } from '../sense.ts'
import { ScsiStatus } from '../task.ts'
import { decodeTransportId } from '../transport-id.ts'

const PERSISTENT_RESERVE_OUT = 0x5f
const ServiceAction = {
  register: 0,
  reserve: 1,
  release: 2,
  clear: 3,
  preempt: 4,
  preemptAndAbort: 5,
  registerAndIgnore: 6,
  registerAndMove: 7,
} as const
const TYPE_MASK = 0x0f
const LIST_BYTES = 24
const LARGEST_LIST_BYTES = 1024
/** Byte 20. */
const SPEC_I_PT = 0x08
const ALL_TG_PT = 0x04
const APTPL = 0x01
/** Byte 17 of REGISTER AND MOVE. */
const UNREG = 0x02
const FLAGS_BYTE = 20
const MOVE_FLAGS_BYTE = 17

interface ParameterList {
  key: bigint
  actionKey: bigint
  obsolete: Buffer
  flags: number
  reserved: Buffer
}
const listLayout = struct<ParameterList>([
  u64be('key'),
  u64be('actionKey'),
  blob(4, 'obsolete'),
  u8('flags'),
  blob(3, 'reserved'),
])

interface MoveList {
  key: bigint
  actionKey: bigint
  reserved: number
  flags: number
  relativeTargetPort: number
}
const moveLayout = struct<MoveList>([
  u64be('key'),
  u64be('actionKey'),
  u8('reserved'),
  u8('flags'),
  u16be('relativeTargetPort'),
])
/** RELATIVE TARGET PORT IDENTIFIER and the TransportID's length. */
const MOVE_HEAD_BYTES = 24

async function reserveOut(request: Request): Promise<Outcome> {
  const { cdb, task, unit } = request
  const length = cdb.readUInt32BE(5)
  const action = (cdb[1] ?? 0) & 0x1f
  if (unit.reservedBy !== undefined) return withStatus(ScsiStatus.reservationConflict)
  if (length > LARGEST_LIST_BYTES) return fail(senses.parameterListLength)
  const list = joined(cut(task.dataOut, length))
  const isMove = action === ServiceAction.registerAndMove
  if (isMove ? list.length < MOVE_HEAD_BYTES : length !== LIST_BYTES || list.length !== LIST_BYTES) {
    return fail(senses.parameterListLength)
  }
  const change = isMove ? move(request, list) : changeBy(request, action, list)
  if (isOutcome(change)) return change
  return await conclude(request, change, action === ServiceAction.preemptAndAbort, length)
}

function isOutcome(change: Change | Outcome): change is Outcome {
  return typeof change === 'object' && 'status' in change
}

function changeBy({ cdb, unit, task, target }: Request, action: number, list: Buffer): Change | Outcome {
  const { persistent } = unit
  const { nexus } = task
  const { key, actionKey, flags } = listLayout.decode(list)
  const type = (cdb[2] ?? 0) & TYPE_MASK
  const scope = (cdb[2] ?? 0) >> 4
  // For other ports nothing is registered: SIP_C and ATP_C of the capabilities are 0.
  if ((flags & (SPEC_I_PT | ALL_TG_PT)) !== 0) return invalidParameter(FLAGS_BYTE)
  const persists = (flags & APTPL) !== 0
  switch (action) {
    case ServiceAction.register:
    case ServiceAction.registerAndIgnore:
      if (persists && !target.canSaveReservations) return invalidParameter(FLAGS_BYTE)
      return persistent.register(
        nexus,
        action === ServiceAction.register ? key : undefined,
        actionKey,
        persists,
      )
    case ServiceAction.reserve:
      if (scope !== 0 || !isReservationType(type)) return invalidField(2)
      return persistent.reserve(nexus, key, type)
    case ServiceAction.release:
      if (scope !== 0 || !isReservationType(type)) return invalidField(2)
      return persistent.release(nexus, key, type)
    case ServiceAction.clear:
      return persistent.clear(nexus, key)
    default:
      if (scope !== 0) return invalidField(2)
      return persistent.preempt(nexus, key, actionKey, type)
  }
}

function move({ unit, task, target }: Request, list: Buffer): Change | Outcome {
  const { key, actionKey, flags, relativeTargetPort } = moveLayout.decode(list)
  const initiatorPort = decodeTransportId(list.subarray(MOVE_HEAD_BYTES))
  if (initiatorPort === undefined) return invalidParameter(MOVE_HEAD_BYTES)
  if (!target.relativeTargetPorts.includes(relativeTargetPort)) return invalidParameter(18)
  const persists = (flags & APTPL) !== 0
  if (persists && !target.canSaveReservations) return invalidParameter(MOVE_FLAGS_BYTE)
  return unit.persistent.move(
    task.nexus,
    key,
    { initiatorPort, relativeTargetPort },
    { key: actionKey, unregister: (flags & UNREG) !== 0, persists },
  )
}

/** Says what happened to those it concerns, and answers when it is kept. */
async function conclude(
  { unit, target, task }: Request,
  change: Change,
  aborts: boolean,
  length: number,
): Promise<Outcome> {
  if (change === 'conflict') return withStatus(ScsiStatus.reservationConflict)
  if (!('kind' in change)) return fail(change)
  for (const { nexus, sense } of change.aftermath.attentions) unit.establishFor(nexus, sense)
  if (aborts) {
    const own = keyOfNexus(task.nexus)
    const others = change.aftermath.preempted.filter((nexus) => keyOfNexus(nexus) !== own)
    for (const nexus of others) target.abortTasks(unit, nexus)
  }
  await target.saveReservations(unit.id, unit.persistent.record())
  return done(length)
}

function row(name: string, serviceAction: number): Command {
  const usage = `5f ${serviceAction.toString(16).padStart(2, '0')} ff 0000 ffffffff 00`
  return { name, opcode: PERSISTENT_RESERVE_OUT, serviceAction, usage, reservation: 'never', run: reserveOut }
}

export const persistentReserveOutCommands: readonly Command[] = [
  row('PERSISTENT RESERVE OUT (REGISTER)', ServiceAction.register),
  row('PERSISTENT RESERVE OUT (RESERVE)', ServiceAction.reserve),
  row('PERSISTENT RESERVE OUT (RELEASE)', ServiceAction.release),
  row('PERSISTENT RESERVE OUT (CLEAR)', ServiceAction.clear),
  row('PERSISTENT RESERVE OUT (PREEMPT)', ServiceAction.preempt),
  row('PERSISTENT RESERVE OUT (PREEMPT AND ABORT)', ServiceAction.preemptAndAbort),
  row('PERSISTENT RESERVE OUT (REGISTER AND IGNORE EXISTING KEY)', ServiceAction.registerAndIgnore),
  row('PERSISTENT RESERVE OUT (REGISTER AND MOVE)', ServiceAction.registerAndMove),
]
