/** SPC-4 4.2: what a command is here: a row that says what it needs, and a function that runs it. */

import type { LogicalUnit } from './logical-unit.ts'
import type { NexusState } from './nexus-state.ts'
import type { Outcome } from './outcome.ts'
import type { PersistentRecord } from './persistent-reservations.ts'
import type { Task } from './task.ts'

/** A buffer on loan. */
export interface Lease {
  readonly buffer: Buffer
  release(): void
}

/** What the target has for all its logical units. */
export interface TargetContext {
  /** SCSI device name (SPC-4 7.8.6.10): for iSCSI the target's name. */
  readonly name: string
  readonly units: ReadonlyMap<number, LogicalUnit>
  /** Relative port identifiers of the target's ports. */
  readonly relativeTargetPorts: readonly number[]
  readonly acquire: (bytes: number) => Lease
  readonly after: (milliseconds: number, run: () => void) => void
  /** Keeps registrations over a restart; resolves when they are on the disk. */
  readonly saveReservations: (unit: number, record: PersistentRecord | undefined) => Promise<void>
  readonly canSaveReservations: boolean
  /** Tasks of a nexus on a unit are to be aborted. */
  readonly abortTasks: (unit: LogicalUnit, nexus: NexusState['nexus']) => void
  readonly log: (level: 'warn' | 'error', message: string, fields?: object) => void
  /** Results of third-party copies, for RECEIVE COPY RESULTS. */
  readonly copies: CopyResults
}

/** What EXTENDED COPY leaves to be asked for, by nexus and list identifier (SPC-4 6.24). */
export interface CopyResults {
  note(nexusKey: string, list: number, result: CopyResult): void
  find(nexusKey: string, list: number): CopyResult | undefined
  forget(nexusKey: string): void
}

export interface CopyResult {
  readonly hasFailed: boolean
  readonly segments: number
  readonly bytes: number
}

/** One command on its way. */
export interface Request {
  readonly task: Task
  readonly cdb: Buffer
  readonly unit: LogicalUnit
  readonly nexus: NexusState
  readonly target: TargetContext
}

/**
 * What a reservation of another keeps from it (SPC-4 table 67): `never` nothing, `read` exclusive access, `write` each
 * one. RESERVE(6) of another keeps from nearly all, see dispatch.ts.
 */
export type ReservationClass = 'never' | 'read' | 'write'

export interface Command {
  readonly name: string
  readonly opcode: number
  readonly serviceAction?: number
  /**
   * CDB USAGE DATA (SPC-4 6.35.3) in hexadecimal: which bits are looked at. The first byte is the opcode; its length
   * is the CDB's.
   */
  readonly usage: string
  /** Needs a medium that is loaded. */
  readonly needsMedium?: boolean
  /** Refused while the unit is write-protected. */
  readonly writes?: boolean
  readonly reservation: ReservationClass
  /** Whether this one passes a persistent reservation of another all the same (SPC-4 table 67, notes). */
  readonly passesReservation?: (cdb: Buffer) => boolean
  /** Is run without reporting a unit attention first (SPC-4 5.14). */
  readonly ignoresAttention?: boolean
  /** Allowed amid a sanitize operation (SBC-3 4.11.3). */
  readonly whileSanitizing?: boolean
  /** Bits outside `usage` are refused. */
  readonly isStrict?: boolean
  /** Whether the unit has it at all. */
  readonly isPresent?: (unit: LogicalUnit) => boolean
  readonly run: (request: Request) => Outcome | Promise<Outcome>
}
