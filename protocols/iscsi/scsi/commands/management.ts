/** SPC-4 6.35, 6.36: REPORT SUPPORTED OPERATION CODES and TASK MANAGEMENT FUNCTIONS. */

import type { Command, Request } from '../command.ts'
import { answer, invalidField, type Outcome } from '../outcome.ts'

const RCTD = 0x80
const OPTIONS_MASK = 0x07
/** REPORTING OPTIONS. */
const Report = { all: 0, opcode: 1, serviceAction: 2, either: 3 } as const
const DESCRIPTOR_BYTES = 8
const SERVACTV = 0x01
const CTDP = 0x02
const ONE_CTDP = 0x80
/** SUPPORT. */
const NOT_SUPPORTED = 0x01
const AS_STANDARD = 0x03
const TIMEOUTS_BYTES = 12
const TIMEOUTS_LENGTH = 0x0a

/** No times are promised: both are zero (SPC-4 6.35.4). */
function timeouts(): Buffer {
  const bytes = Buffer.alloc(TIMEOUTS_BYTES)
  bytes.writeUInt16BE(TIMEOUTS_LENGTH, 0)
  return bytes
}

/** CDB USAGE DATA of a row. */
export function usageOf(command: Command): Buffer {
  return Buffer.from(command.usage.replaceAll(' ', ''), 'hex')
}

/** The rows that a unit has, looked up by those who know the table. */
export type PresentCommands = (request: Request) => readonly Command[]

/** @param present the command table, which has this command too */
export function managementCommands(present: PresentCommands): readonly Command[] {
  const run = (request: Request): Outcome => {
    const { cdb } = request
    const options = (cdb[2] ?? 0) & OPTIONS_MASK
    const hasTimeouts = ((cdb[2] ?? 0) & RCTD) !== 0
    const allocationLength = cdb.readUInt32BE(6)
    if (options > Report.either) return invalidField(2)
    if (options === Report.all) return answer(allCommands(present(request), hasTimeouts), allocationLength)
    return oneCommand(request, present(request), options, hasTimeouts, allocationLength)
  }
  const common = { opcode: 0xa3, reservation: 'write', whileSanitizing: true } as const
  return [
    {
      name: 'REPORT SUPPORTED OPERATION CODES',
      serviceAction: 0x0c,
      usage: 'a3 0c 87 ff ffff ffffffff 00 00',
      ...common,
      run,
    },
    {
      name: 'REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS',
      serviceAction: 0x0d,
      usage: 'a3 0d 80 000000 ffffffff 00 00',
      ...common,
      run: reportTaskManagement,
    },
  ]
}

function allCommands(commands: readonly Command[], hasTimeouts: boolean): Buffer {
  const descriptors = commands.map((command) => {
    const bytes = Buffer.alloc(DESCRIPTOR_BYTES)
    bytes[0] = command.opcode
    bytes.writeUInt16BE(command.serviceAction ?? 0, 2)
    bytes[5] = (command.serviceAction === undefined ? 0 : SERVACTV) | (hasTimeouts ? CTDP : 0)
    bytes.writeUInt16BE(usageOf(command).length, 6)
    return hasTimeouts ? Buffer.concat([bytes, timeouts()]) : bytes
  })
  const list = Buffer.concat(descriptors)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(list.length)
  return Buffer.concat([length, list])
}

function oneCommand(
  { cdb }: Request,
  commands: readonly Command[],
  options: number,
  hasTimeouts: boolean,
  allocationLength: number,
): Outcome {
  const opcode = cdb[3] ?? 0
  const serviceAction = cdb.readUInt16BE(4)
  const rows = commands.filter((command) => command.opcode === opcode)
  const hasServiceActions = rows.some((command) => command.serviceAction !== undefined)
  if (options === Report.opcode && hasServiceActions) return invalidField(2)
  if (options === Report.serviceAction && rows.length > 0 && !hasServiceActions) return invalidField(2)
  const found = rows.find((command) => (command.serviceAction ?? 0) === serviceAction || !hasServiceActions)
  const isNamed = options !== Report.either || hasServiceActions || serviceAction === 0
  const command = isNamed ? found : undefined
  const usage = command === undefined ? Buffer.alloc(0) : usageOf(command)
  const withTimeouts = hasTimeouts && command !== undefined
  const head = Buffer.from([0, command === undefined ? NOT_SUPPORTED : AS_STANDARD, 0, usage.length])
  if (withTimeouts) head[1] = (head[1] ?? 0) | ONE_CTDP
  return answer(Buffer.concat([head, usage, withTimeouts ? timeouts() : Buffer.alloc(0)]), allocationLength)
}

/** ATS, ATSS, CACAS (no), CTSS, LURS, QTS (no), TRS (no), WAKES (no). */
const TASK_MANAGEMENT = 0xd8
/** I_T nexus reset is the session's end. */
const REPD = 0x80
const EXTENDED_BYTES = 16
const BASIC_BYTES = 4

function reportTaskManagement({ cdb }: Request): Outcome {
  const isExtended = ((cdb[2] ?? 0) & REPD) !== 0
  const data = Buffer.alloc(isExtended ? EXTENDED_BYTES : BASIC_BYTES)
  data[0] = TASK_MANAGEMENT
  if (isExtended) data[3] = EXTENDED_BYTES - BASIC_BYTES
  return answer(data, cdb.readUInt32BE(6))
}
