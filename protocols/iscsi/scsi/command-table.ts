/** SPC-4 4.2.5: all commands by operation code and service action. */

import type { Command, Request } from './command.ts'
import { cacheCommands } from './commands/cache.ts'
import { capacityCommands } from './commands/capacity.ts'
import { compareAndWriteCommand } from './commands/compare-and-write.ts'
import { extendedCopyCommand } from './commands/extended-copy.ts'
import { inquiryCommand } from './commands/inquiry.ts'
import { managementCommands, usageOf } from './commands/management.ts'
import { mediumCommands } from './commands/medium.ts'
import { modeCommands } from './commands/mode.ts'
import { persistentReserveInCommands } from './commands/persistent-reserve-in.ts'
import { persistentReserveOutCommands } from './commands/persistent-reserve-out.ts'
import { primaryCommands } from './commands/primary.ts'
import { provisioningCommands } from './commands/provisioning.ts'
import { readCommands } from './commands/read.ts'
import { receiveCopyResultsCommands } from './commands/receive-copy-results.ts'
import { reserveCommands } from './commands/reserve.ts'
import { sanitizeCommands } from './commands/sanitize.ts'
import { verifyCommands } from './commands/verify.ts'
import { writeCommands } from './commands/write.ts'
import { writeAtomicCommand } from './commands/write-atomic.ts'

/** A command with what was made of its row once. */
export interface Row extends Command {
  /** Bytes of the CDB. */
  readonly length: number
  /** Bits that are looked at. */
  readonly mask: Buffer
}

/** All that one operation code can mean. */
export interface OperationCode {
  readonly plain: Row | undefined
  readonly byServiceAction: ReadonlyMap<number, Row> | undefined
}

const SERVICE_ACTION_MASK = 0x1f

function presentCommands({ unit }: Request): readonly Command[] {
  return rows.filter((row) => row.isPresent?.(unit) !== false)
}

const rows: readonly Row[] = [
  ...primaryCommands,
  inquiryCommand,
  ...readCommands,
  ...writeCommands,
  ...verifyCommands,
  ...cacheCommands,
  ...capacityCommands,
  ...provisioningCommands,
  compareAndWriteCommand,
  writeAtomicCommand,
  ...modeCommands,
  ...mediumCommands,
  ...reserveCommands,
  ...persistentReserveInCommands,
  ...persistentReserveOutCommands,
  ...sanitizeCommands,
  extendedCopyCommand,
  ...receiveCopyResultsCommands,
  ...managementCommands(presentCommands),
].map((command) => ({ ...command, length: usageOf(command).length, mask: usageOf(command) }))

/** By operation code. */
const table: readonly (OperationCode | undefined)[] = Array.from({ length: 256 }, (_, opcode) => {
  const own = rows.filter((row) => row.opcode === opcode)
  if (own.length === 0) return undefined
  const withAction = own.filter((row) => row.serviceAction !== undefined)
  return {
    plain: own.find((row) => row.serviceAction === undefined),
    byServiceAction:
      withAction.length === 0 ? undefined : new Map(withAction.map((row) => [row.serviceAction ?? 0, row])),
  }
})

/** What a CDB asks for: its row, or 'opcode' or 'service-action' for what is unknown. */
export function findCommand(cdb: Buffer): Row | 'opcode' | 'service-action' {
  const found = table[cdb[0] ?? 0]
  if (found === undefined) return 'opcode'
  if (found.byServiceAction === undefined) return found.plain ?? 'opcode'
  return found.byServiceAction.get((cdb[1] ?? 0) & SERVICE_ACTION_MASK) ?? 'service-action'
}
