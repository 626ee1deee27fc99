/** SPC-4 6.15: PERSISTENT RESERVE IN: who has registered, and who has reserved. */

import type { Command, Request } from '../command.ts'
import { keyOfNexus } from '../nexus-state.ts'
import { answer, type Outcome } from '../outcome.ts'
import type { PersistentReservations } from '../persistent-reservations.ts'
import { encodeTransportId } from '../transport-id.ts'

const PERSISTENT_RESERVE_IN = 0x5e
const KEY_BYTES = 8
const RESERVATION_BYTES = 16
const FULL_STATUS_HEAD_BYTES = 24
const R_HOLDER = 0x01
/** PTPL_C: reservations can outlive a restart. */
const PTPL_C = 0x01
const PTPL_A = 0x01
/** TMV: the type mask counts. */
const TMV = 0x80
/** WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX, then EX_AC_AR. */
const TYPE_MASK = [0xea, 0x01]

/** PRGENERATION and ADDITIONAL LENGTH. */
function withHead({ generation }: PersistentReservations, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(generation, 0)
  head.writeUInt32BE(body.length, 4)
  return Buffer.concat([head, body])
}

function readKeys({ unit, cdb }: Request): Outcome {
  const keys = unit.persistent.registrations.map(({ key }) => {
    const bytes = Buffer.alloc(KEY_BYTES)
    bytes.writeBigUInt64BE(key)
    return bytes
  })
  return answer(withHead(unit.persistent, Buffer.concat(keys)), cdb.readUInt16BE(7))
}

function readReservation({ unit, cdb }: Request): Outcome {
  const { reservation, holderKey } = unit.persistent
  const body = Buffer.alloc(reservation === undefined ? 0 : RESERVATION_BYTES)
  if (reservation !== undefined) {
    body.writeBigUInt64BE(holderKey, 0)
    // SCOPE 0: the logical unit.
    body[13] = reservation.type
  }
  return answer(withHead(unit.persistent, body), cdb.readUInt16BE(7))
}

function reportCapabilities({ unit, cdb, target }: Request): Outcome {
  const keeps = target.canSaveReservations ? PTPL_C : 0
  const isKept = unit.persistent.persists ? PTPL_A : 0
  return answer(Buffer.from([0, 8, keeps, TMV | isKept, ...TYPE_MASK, 0, 0]), cdb.readUInt16BE(7))
}

function readFullStatus({ unit, cdb }: Request): Outcome {
  const { persistent } = unit
  const descriptors = persistent.registrations.map(({ nexus, key }) => {
    const transportId = encodeTransportId(nexus.initiatorPort)
    const head = Buffer.alloc(FULL_STATUS_HEAD_BYTES)
    head.writeBigUInt64BE(key, 0)
    if (persistent.isHolder(keyOfNexus(nexus))) {
      head[12] = R_HOLDER
      head[13] = persistent.reservation?.type ?? 0
    }
    head.writeUInt16BE(nexus.relativeTargetPort, 18)
    head.writeUInt32BE(transportId.length, 20)
    return Buffer.concat([head, transportId])
  })
  return answer(withHead(persistent, Buffer.concat(descriptors)), cdb.readUInt16BE(7))
}

function row(name: string, serviceAction: number, run: Command['run']): Command {
  const action = serviceAction.toString(16).padStart(2, '0')
  const usage = `5e ${action} 0000000000 ffff 00`
  return { name, opcode: PERSISTENT_RESERVE_IN, serviceAction, usage, reservation: 'never', run }
}

export const persistentReserveInCommands: readonly Command[] = [
  row('PERSISTENT RESERVE IN (READ KEYS)', 0, readKeys),
  row('PERSISTENT RESERVE IN (READ RESERVATION)', 1, readReservation),
  row('PERSISTENT RESERVE IN (REPORT CAPABILITIES)', 2, reportCapabilities),
  row('PERSISTENT RESERVE IN (READ FULL STATUS)', 3, readFullStatus),
]
