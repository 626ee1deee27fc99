/** SPC-4 6: commands of every device: TEST UNIT READY, REQUEST SENSE, REPORT LUNS, REPORT TARGET PORT GROUPS. */

import type { Command, Request, TargetContext } from '../command.ts'
import { answer, done, fail, invalidField, type Outcome } from '../outcome.ts'
import { notReadySense } from '../readiness.ts'
import { encodeSense, type Sense, senses } from '../sense.ts'
import type { Nexus } from '../task.ts'

const DESC = 0x01
const LUN_BYTES = 8
const LUN_LIST_HEAD_BYTES = 8
/** SELECT REPORT (SPC-4 6.33). */
const SelectReport = { addressable: 0, wellKnown: 1, all: 2 } as const
/** Peripheral device addressing reaches this far, flat space addressing further (SAM-5 4.7.5). */
const PERIPHERAL_LUN_MAXIMUM = 255
const FLAT_SPACE = 0x4000

/** Bytes 0 and 1 of a LUN field. */
function encodeLun(id: number): number {
  return id > PERIPHERAL_LUN_MAXIMUM ? FLAT_SPACE | id : id
}

/** Also for a LUN that does not exist. Whoever asks knows of all changes then (SPC-4 6.33). */
export function reportLuns(cdb: Buffer, target: TargetContext, nexus: Nexus): Outcome {
  const select = cdb[2] ?? 0
  if (select > SelectReport.all) return invalidField(2)
  for (const unit of target.units.values()) unit.stateOf(nexus).clear(senses.reportedLunsChanged)
  const ids = select === SelectReport.wellKnown ? [] : [...target.units.keys()].sort((a, b) => a - b)
  const list = Buffer.alloc(LUN_LIST_HEAD_BYTES + ids.length * LUN_BYTES)
  list.writeUInt32BE(ids.length * LUN_BYTES, 0)
  ids.forEach((id, index) => void list.writeUInt16BE(encodeLun(id), LUN_LIST_HEAD_BYTES + index * LUN_BYTES))
  return answer(list, cdb.readUInt32BE(6))
}

/** SPC-4 6.39: what the next command would be told, as data. @param sense undefined: of the unit */
export function requestSense(cdb: Buffer, sense: Sense): Outcome {
  if (((cdb[1] ?? 0) & ~DESC) !== 0) return invalidField(1)
  return answer(encodeSense(sense, ((cdb[1] ?? 0) & DESC) !== 0), cdb[4] ?? 0)
}

function testUnitReady({ unit }: Request): Outcome {
  const sense = notReadySense(unit)
  return sense === undefined ? done() : fail(sense)
}

/** RTPG: one group of all ports, active and optimized (SPC-4 6.37). */
const ACTIVE_OPTIMIZED = 0x00
/** T_SUP .. AO_SUP: only the last is ever reported. */
const SUPPORTS_ACTIVE_OPTIMIZED = 0x01
const GROUP_HEAD_BYTES = 8
const PORT_BYTES = 4
const EXTENDED_HEADER = 1

function reportTargetPortGroups({ cdb, target }: Request): Outcome {
  const format = (cdb[1] ?? 0) >> 5
  if (format > EXTENDED_HEADER) return invalidField(1)
  const ports = target.relativeTargetPorts
  const group = Buffer.alloc(GROUP_HEAD_BYTES + ports.length * PORT_BYTES)
  group[0] = ACTIVE_OPTIMIZED
  group[1] = SUPPORTS_ACTIVE_OPTIMIZED
  group.writeUInt16BE(1, 2)
  group[7] = ports.length
  ports.forEach((port, index) => void group.writeUInt16BE(port, GROUP_HEAD_BYTES + index * PORT_BYTES + 2))
  const extended = format === EXTENDED_HEADER ? Buffer.from([EXTENDED_HEADER << 4, 0, 0, 0]) : Buffer.alloc(0)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(extended.length + group.length)
  return answer(Buffer.concat([length, extended, group]), cdb.readUInt32BE(6))
}

export const primaryCommands: readonly Command[] = [
  {
    name: 'TEST UNIT READY',
    opcode: 0x00,
    usage: '00 00 00 00 00 00',
    reservation: 'never',
    run: testUnitReady,
  },
  {
    name: 'REQUEST SENSE',
    opcode: 0x03,
    usage: '03 01 00 00 ff 00',
    reservation: 'never',
    ignoresAttention: true,
    whileSanitizing: true,
    run: ({ cdb, unit, nexus }) =>
      requestSense(cdb, nexus.takeAttention() ?? notReadySense(unit) ?? senses.none),
  },
  {
    name: 'REPORT LUNS',
    opcode: 0xa0,
    usage: 'a0 00 ff 000000 ffffffff 00 00',
    reservation: 'never',
    ignoresAttention: true,
    whileSanitizing: true,
    run: ({ cdb, target, nexus }) => reportLuns(cdb, target, nexus.nexus),
  },
  {
    name: 'REPORT TARGET PORT GROUPS',
    opcode: 0xa3,
    serviceAction: 0x0a,
    usage: 'a3 ea 00000000 ffffffff 00 00',
    reservation: 'never',
    whileSanitizing: true,
    run: reportTargetPortGroups,
  },
]
