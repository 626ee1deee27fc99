/** RFC 7143 4.2.2: one SCSI command under way, as its session knows it. Made for each command: it has no more parts than are needed. */

import type { ScsiCommand } from '../pdu/scsi-command.ts'
import type { TaskSignal } from '../scsi/task.ts'
import type { DataOutSequence } from './data-out.ts'
import type { SessionConnection } from './session-connection.ts'

const NOTHING: readonly Buffer[] = []

/** An AbortSignal costs more than all else of a small command. */
class Abortion implements TaskSignal {
  aborted = false
  #listeners: (() => void)[] | undefined

  addEventListener(_type: 'abort', run: () => void): void {
    this.#listeners ??= []
    this.#listeners.push(run)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    for (const run of this.#listeners ?? []) run()
    this.#listeners = undefined
  }
}

export class RunningTask {
  readonly carrier: SessionConnection
  readonly command: ScsiCommand
  /** undefined: none is expected. */
  readonly dataOut: DataOutSequence | undefined
  readonly signal = new Abortion()
  /** Handed to the SCSI target, whose answer is awaited. */
  isRunning = false
  r2tSN = 0
  /** Bytes of the budget for Data-Out that it holds. */
  heldOut = 0
  /** Takes it out of the line for a budget. */
  leaveLine: (() => void) | undefined
  #hasSettled = false
  #waiting: (() => void)[] | undefined

  constructor(carrier: SessionConnection, command: ScsiCommand, dataOut: DataOutSequence | undefined) {
    this.carrier = carrier
    this.command = command
    this.dataOut = dataOut
  }

  get pieces(): readonly Buffer[] {
    return this.dataOut?.pieces ?? NOTHING
  }

  /** Nothing is done for it any longer. */
  settle(): void {
    this.#hasSettled = true
    for (const run of this.#waiting ?? []) run()
    this.#waiting = undefined
  }

  /** Resolves when nothing is done for it any longer. */
  settled(): Promise<void> {
    if (this.#hasSettled) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting ??= []
      this.#waiting.push(resolve)
    })
  }
}
