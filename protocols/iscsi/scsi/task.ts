/** SAM-5 5: what the transport hands to a SCSI target, and what comes back. Knows no iSCSI. */

/** SAM-5 4.8.3: an initiator port's way to this target, for which reservations and unit attentions are kept. */
export interface Nexus {
  /** The initiator port's name (SPC-4 TransportID): for iSCSI its name, ",i,0x" and the ISID in hexadecimal. */
  readonly initiatorPort: string
  /** The target port's relative identifier (the portal group tag). */
  readonly relativeTargetPort: number
}

/** SAM-5 8.6 task attributes. */
export type TaskAttribute = 'simple' | 'ordered' | 'head-of-queue' | 'aca'

/** Says that a task is aborted; each AbortSignal is one, too. */
export interface TaskSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', run: () => void, options: { readonly once: true }): void
}

/** One command. All its Data-Out has arrived: the transport solicits it by the length that the initiator expects. */
export interface Task {
  readonly nexus: Nexus
  /** The LUN field, 8 bytes big-endian as on the wire (SAM-5 4.7). */
  readonly lun: bigint
  readonly cdb: Buffer
  readonly attribute: TaskAttribute
  /** What the initiator sent, in order; may be shorter or longer than the CDB says. Valid until the result resolves. */
  readonly dataOut: readonly Buffer[]
  /** Bytes of Data-In that the initiator takes at most; more need not be read. */
  readonly dataInLimit: number
  /** Set by the transport when the task is aborted: what has not begun yet need not begin, and the result is dropped. */
  readonly signal: TaskSignal
}

/** SAM-5 5.3. */
export const ScsiStatus = {
  good: 0x00,
  checkCondition: 0x02,
  conditionMet: 0x04,
  busy: 0x08,
  reservationConflict: 0x18,
  taskSetFull: 0x28,
  acaActive: 0x30,
  taskAborted: 0x40,
} as const
export type ScsiStatus = (typeof ScsiStatus)[keyof typeof ScsiStatus]

export interface TaskResult {
  readonly status: ScsiStatus
  /** Present with CHECK CONDITION: fixed or descriptor format (SPC-4 4.5). */
  readonly sense?: Buffer
  /** In order, no more than `dataInLimit`. */
  readonly dataIn: readonly Buffer[]
  /** Bytes of Data-In that the CDB asked for, before the initiator's limit: the transport tells residuals from it. */
  readonly dataInLength: number
  /** Bytes of Data-Out that the CDB asked for. */
  readonly dataOutLength: number
  /** Called once, when `dataIn` was handed to the kernel or never will be. */
  readonly release?: () => void
}

/** A target's logical units as one (SAM-5 4.6). Calls never throw and never reject: what goes wrong is a TaskResult. */
export interface ScsiTarget {
  /** A session begins: a power-on unit attention is established for each logical unit. */
  attach(nexus: Nexus): void
  /** A session ended (logout, connection loss, reinstatement): RESERVE(6) and PREVENT of the nexus are undone before this returns. */
  detach(nexus: Nexus): void
  execute(task: Task): Promise<TaskResult>
  /** LOGICAL UNIT RESET (SAM-5 7.7); tasks were aborted by the transport before. @returns false when there is no such unit */
  resetLogicalUnit(lun: bigint): boolean
  /** TARGET WARM and COLD RESET: all logical units. */
  resetTarget(): void
  /** Other nexuses' tasks on this unit are to be aborted (PREEMPT AND ABORT, resets): set by the transport. */
  onAbort: ((lun: bigint, nexus: Nexus) => void) | undefined
  /** Syncs and closes all devices. */
  close(): Promise<void>
}
