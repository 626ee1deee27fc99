/** SAM-5 4.6: a SCSI target device: its logical units as one. */

import type { CopyResults, Lease, Request, TargetContext } from './command.ts'
import { inquiryWithoutUnit } from './commands/inquiry.ts'
import { reportLuns, requestSense } from './commands/primary.ts'
import { LastCopies } from './copy-results.ts'
import { dispatch } from './dispatch.ts'
import { LogicalUnit, type LogicalUnitOptions } from './logical-unit.ts'
import { keyOfNexus } from './nexus-state.ts'
import { fail, limited, type Outcome } from './outcome.ts'
import type { PersistentRecord } from './persistent-reservations.ts'
import { encodeSense, type Sense, senses } from './sense.ts'
import { type Nexus, ScsiStatus, type ScsiTarget, type Task, type TaskResult } from './task.ts'

/** Keeps persistent reservations with APTPL over a restart (SPC-4 5.12.4). */
export interface ReservationStore {
  load(unit: number): PersistentRecord | undefined
  /** Resolves when it is on the disk. @param record undefined: forget it */
  save(unit: number, record: PersistentRecord | undefined): Promise<void>
}

export interface ScsiTargetOptions {
  /** SCSI device name: for iSCSI the target's name. */
  readonly name: string
  readonly units: readonly LogicalUnitOptions[]
  /** Relative port identifiers of the target's ports, ascending. */
  readonly relativeTargetPorts: readonly number[]
  readonly acquire: (bytes: number) => Lease
  readonly after: (milliseconds: number, run: () => void) => void
  readonly store?: ReservationStore
  readonly log: TargetContext['log']
}

/** A target whose logical units come, go and grow while it is in use. */
export interface ChangingTarget extends ScsiTarget {
  /** @throws Error when there is one of its number already */
  add(unit: LogicalUnitOptions): void
  /** Resolves when its tasks have ended and its disk is synced and closed. */
  remove(id: number): Promise<void>
  /** Looks whether a disk has grown. @param size bytes: a file is made that long */
  refresh(id: number, size?: number): Promise<void>
}

/** Tasks that one unit has at a time; more are answered TASK SET FULL. */
const TASKS_MAXIMUM = 4096
const OPCODE = { requestSense: 0x03, inquiry: 0x12, reportLuns: 0xa0 } as const

export function createScsiTarget(options: ScsiTargetOptions): ChangingTarget {
  return new Target(options)
}

class Target implements ChangingTarget {
  onAbort: ((lun: bigint, nexus: Nexus) => void) | undefined
  readonly #units = new Map<number, LogicalUnit>()
  readonly #nexuses = new Map<string, Nexus>()
  readonly #store: ReservationStore | undefined
  readonly #context: TargetContext

  constructor(options: ScsiTargetOptions) {
    const { store } = options
    this.#store = store
    for (const unit of options.units) this.#put(unit)
    const copies: CopyResults = new LastCopies()
    this.#context = {
      name: options.name,
      units: this.#units,
      relativeTargetPorts: options.relativeTargetPorts,
      acquire: options.acquire,
      after: options.after,
      saveReservations: async (unit, record) => await store?.save(unit, record),
      canSaveReservations: store !== undefined,
      abortTasks: (unit, nexus) => this.onAbort?.(encodeLun(unit.id), nexus),
      log: options.log,
      copies,
    }
  }

  #put(options: LogicalUnitOptions): LogicalUnit {
    if (this.#units.has(options.id)) throw new Error(`there is a logical unit ${options.id} already`)
    const unit = new LogicalUnit(options)
    const record = this.#store?.load(unit.id)
    if (record !== undefined) unit.persistent.restore(record)
    this.#units.set(unit.id, unit)
    return unit
  }

  add(options: LogicalUnitOptions): void {
    const unit = this.#put(options)
    for (const nexus of this.#nexuses.values()) unit.attach(nexus)
    this.#establish(senses.reportedLunsChanged)
  }

  async remove(id: number): Promise<void> {
    const unit = this.#units.get(id)
    if (unit === undefined) return
    this.#units.delete(id)
    this.#establish(senses.reportedLunsChanged)
    if (unit.sanitize !== undefined) unit.sanitize.isStopped = true
    const leave = await unit.tasks.enter('ordered')
    leave()
    await unit.close()
  }

  async refresh(id: number, size?: number): Promise<void> {
    await this.#units.get(id)?.refresh(undefined, size)
  }

  #establish(sense: Sense): void {
    for (const unit of this.#units.values()) unit.establish(sense)
  }

  attach(nexus: Nexus): void {
    this.#nexuses.set(keyOfNexus(nexus), nexus)
    for (const unit of this.#units.values()) unit.attach(nexus)
  }

  detach(nexus: Nexus): void {
    this.#nexuses.delete(keyOfNexus(nexus))
    for (const unit of this.#units.values()) unit.detach(nexus)
    this.#context.copies.forget(keyOfNexus(nexus))
  }

  async execute(task: Task): Promise<TaskResult> {
    try {
      const unit = this.#units.get(unitNumber(task.lun))
      if (unit === undefined) return result(task, this.#withoutUnit(task), false)
      if (unit.tasks.size >= TASKS_MAXIMUM) {
        return result(task, { ...EMPTY, status: ScsiStatus.taskSetFull }, false)
      }
      const turn = unit.tasks.enter(task.attribute)
      const leave = typeof turn === 'function' ? turn : await turn
      try {
        if (task.signal.aborted) return result(task, { ...EMPTY, status: ScsiStatus.taskAborted }, false)
        const nexus = unit.stateOf(task.nexus)
        const request: Request = { task, cdb: task.cdb, unit, nexus, target: this.#context }
        const outcome = await dispatch(request)
        return result(task, outcome, unit.mode.descriptorSense)
      } finally {
        leave()
      }
    } catch (error) {
      this.#context.log('error', 'a SCSI command failed inside', { error, opcode: task.cdb[0] })
      return result(task, fail(senses.internalFailure), false)
    }
  }

  /** What is answered for a LUN that does not exist (SPC-4 table 32). */
  #withoutUnit({ cdb, nexus }: Task): Outcome {
    switch (cdb[0]) {
      case OPCODE.inquiry:
        return inquiryWithoutUnit(cdb)
      case OPCODE.reportLuns:
        return reportLuns(cdb, this.#context, nexus)
      case OPCODE.requestSense:
        return requestSense(cdb, senses.unsupportedLogicalUnit)
      default:
        return fail(senses.unsupportedLogicalUnit)
    }
  }

  resetLogicalUnit(lun: bigint): boolean {
    const unit = this.#units.get(unitNumber(lun))
    unit?.reset()
    return unit !== undefined
  }

  resetTarget(): void {
    for (const unit of this.#units.values()) unit.reset()
  }

  async close(): Promise<void> {
    const closed = [...this.#units.values()].map((unit) => unit.close())
    for (const one of await Promise.allSettled(closed)) {
      if (one.status === 'rejected')
        this.#context.log('error', 'a LUN was not closed well', { error: one.reason })
    }
  }
}

const EMPTY: Outcome = { status: ScsiStatus.good, dataIn: [], dataInLength: 0, dataOutLength: 0 }

function result(task: Task, outcome: Outcome, descriptorSense: boolean): TaskResult {
  return {
    status: outcome.status,
    ...(outcome.sense && { sense: encodeSense(outcome.sense, descriptorSense) }),
    dataIn: limited(outcome.dataIn, task.dataInLimit),
    dataInLength: outcome.dataInLength,
    dataOutLength: outcome.dataOutLength,
    ...(outcome.release && { release: outcome.release }),
  }
}

const PERIPHERAL_LUN_MAXIMUM = 255
const FLAT_SPACE = 0x4000
const NO_UNIT = -1

/** SAM-5 4.7: peripheral device addressing on bus 0, or flat space; single level, so the rest is zero. */
function unitNumber(lun: bigint): number {
  const first = Number(lun >> 48n)
  if ((lun & 0xffff_ffff_ffffn) !== 0n) return NO_UNIT
  if (first <= PERIPHERAL_LUN_MAXIMUM) return first
  return first >> 14 === 1 ? first - FLAT_SPACE : NO_UNIT
}

function encodeLun(unit: number): bigint {
  return BigInt(unit > PERIPHERAL_LUN_MAXIMUM ? FLAT_SPACE | unit : unit) << 48n
}
