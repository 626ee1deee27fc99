/** RFC 7143 4.2.2 and 11.3: a session's SCSI commands, from their arrival to their status. */

import type { Parameters } from '../login/parameters.ts'
import { type DataOut, encodeDataIn, encodeReadyToTransfer } from '../pdu/data.ts'
import { RejectReason } from '../pdu/reject.ts'
import {
  encodeScsiResponse,
  encodeSense,
  NO_RESIDUAL,
  type Residual,
  type ScsiCommand,
} from '../pdu/scsi-command.ts'
import { type Pdu, RESERVED_TAG } from '../pdu/segments.ts'
import { ScsiStatus, type TaskAttribute, type TaskResult } from '../scsi/task.ts'
import { ByteBudget } from './byte-budget.ts'
import { cutDataIn, residualBetween } from './data-in.ts'
import { DataOutSequence } from './data-out.ts'
import { faultResult } from './faults.ts'
import { RunningTask } from './running-task.ts'
import type { IscsiServer } from './server.ts'
import type { Session } from './session.ts'
import type { SessionConnection } from './session-connection.ts'

/** More than any CDB moves here (MAXIMUM TRANSFER LENGTH is 8 MiB): what an initiator expects beyond is residual. */
const MAXIMUM_TRANSFER_BYTES = 8 * 1024 * 1024
/** Immediate commands are beside the window: 4.2.2.1 asks for a bound. */
const MAXIMUM_IMMEDIATE_COMMANDS = 16
const ATTRIBUTES: readonly TaskAttribute[] = ['simple', 'simple', 'ordered', 'head-of-queue', 'aca']

/** Which tasks are to be aborted. */
export type IsMeant = (command: ScsiCommand, carrier: SessionConnection) => boolean

export class Tasks {
  readonly #session: Session
  readonly #server: IscsiServer
  readonly #byTag = new Map<number, RunningTask>()
  /** Aborted, while the SCSI target still does something for them. */
  readonly #leaving = new Set<RunningTask>()
  readonly #dataOutBudget: ByteBudget
  readonly #dataInBudget: ByteBudget
  #immediate = 0
  #lastTransferTag = 0

  constructor(session: Session, server: IscsiServer) {
    this.#session = session
    this.#server = server
    this.#dataOutBudget = new ByteBudget(server.limits.dataOutBytes)
    this.#dataInBudget = new ByteBudget(server.limits.dataInBytes)
  }

  /** Commands under way. */
  get size(): number {
    return this.#byTag.size
  }

  has(initiatorTaskTag: number): boolean {
    return this.#byTag.has(initiatorTaskTag)
  }

  /** @param carrier where its data come and go, and its status: 4.2.2.1's connection allegiance @param release gives the PDU's memory back */
  start(carrier: SessionConnection, command: ScsiCommand, pdu: Pdu, release: () => void): void {
    const refusal = this.#refusal(command)
    if (refusal !== undefined) {
      carrier.sender.reject(refusal, pdu.bhs)
      return release()
    }
    const { parameters } = carrier
    const expectsDataOut = command.write || !command.final || pdu.data.length > 0
    const dataOut = expectsDataOut ? newDataOut(command, parameters) : undefined
    const task = new RunningTask(carrier, command, dataOut)
    this.#byTag.set(command.initiatorTaskTag, task)
    if (command.immediate) this.#immediate++
    else this.#session.window.enter()
    if (pdu.data.length > 0) dataOut?.takeImmediate(pdu.data, parameters.immediateData, release)
    else release()
    if (!command.final && parameters.initialR2T) dataOut?.refuseUnsolicited()
    this.#advance(task)
  }

  #refusal({ initiatorTaskTag, immediate }: ScsiCommand): RejectReason | undefined {
    if (this.#byTag.has(initiatorTaskTag)) return RejectReason.taskInProgress
    if (initiatorTaskTag === RESERVED_TAG) return RejectReason.invalidPduField
    const isOne = immediate && this.#immediate >= MAXIMUM_IMMEDIATE_COMMANDS
    return isOne ? RejectReason.tooManyImmediateCommands : undefined
  }

  /** Data of a command that is not there (any longer), or came by another connection, are passed over. */
  takeDataOut(
    carrier: SessionConnection,
    header: DataOut,
    pdu: Pdu & { dataDigestOk: boolean },
    release: () => void,
  ): void {
    const task = this.#byTag.get(header.initiatorTaskTag)
    if (task?.dataOut === undefined || task.isRunning || task.carrier !== carrier) return release()
    if (task.dataOut.take(header, pdu.data, pdu.dataDigestOk, release)) this.#advance(task)
  }

  #advance(task: RunningTask): void {
    const { command, dataOut } = task
    if (dataOut !== undefined) {
      const { state, fault } = dataOut
      if (state === 'receiving') return
      if (state === 'wants-more') return this.#solicit(task, dataOut)
      if (fault !== undefined) return this.#finish(task, faultResult(fault))
    }
    const dataInLimit = Math.min(expectedDataIn(command), MAXIMUM_TRANSFER_BYTES)
    if (dataInLimit === 0) return this.#run(task, 0)
    task.leaveLine = this.#dataInBudget.take(dataInLimit, () => this.#run(task, dataInLimit))
  }

  /** The first time when the budget has room for all that is to come. */
  #solicit(task: RunningTask, dataOut: DataOutSequence): void {
    if (task.heldOut > 0) return this.#sendReadyToTransfers(task, dataOut)
    const bytes = Math.min(task.command.expectedDataTransferLength, MAXIMUM_TRANSFER_BYTES)
    task.leaveLine = this.#dataOutBudget.take(bytes, () => {
      task.heldOut = bytes
      this.#sendReadyToTransfers(task, dataOut)
    })
  }

  /** 13.17: as many as may be outstanding. */
  #sendReadyToTransfers(task: RunningTask, dataOut: DataOutSequence): void {
    while (dataOut.state === 'wants-more') this.#sendReadyToTransfer(task, dataOut)
  }

  #sendReadyToTransfer(task: RunningTask, dataOut: DataOutSequence): void {
    const { sender } = task.carrier
    this.#lastTransferTag = (this.#lastTransferTag + 1) % RESERVED_TAG
    const { bufferOffset, length } = dataOut.nextBurst(this.#lastTransferTag)
    sender.send(
      encodeReadyToTransfer({
        ...sender.numbers(),
        lun: task.command.lun,
        initiatorTaskTag: task.command.initiatorTaskTag,
        targetTransferTag: this.#lastTransferTag,
        r2tSN: task.r2tSN++,
        bufferOffset,
        desiredDataTransferLength: length,
      }),
    )
  }

  #run(task: RunningTask, dataInLimit: number): void {
    const { command } = task
    task.isRunning = true
    const { target, nexus } = this.#session
    const running = target.scsi.execute({
      nexus,
      lun: command.lun,
      cdb: command.cdb,
      attribute: ATTRIBUTES[command.attribute] ?? 'simple',
      dataOut: task.pieces,
      dataInLimit,
      signal: task.signal,
    })
    void running.then((result) => this.#finish(task, result, dataInLimit))
  }

  /** The one end of every task, told of or not. @param heldIn bytes of the budget for Data-In that it holds */
  #finish(task: RunningTask, result: TaskResult, heldIn = 0): void {
    const { command } = task
    task.dataOut?.release()
    if (task.heldOut > 0) this.#dataOutBudget.give(task.heldOut)
    if (command.immediate) this.#immediate--
    else this.#session.window.leave()
    const giveBack = (): void => {
      if (heldIn > 0) this.#dataInBudget.give(heldIn)
      result.release?.()
    }
    if (task.signal.aborted) {
      this.#leaving.delete(task)
      giveBack()
    } else {
      this.#byTag.delete(command.initiatorTaskTag)
      this.#respond(task, result, giveBack)
    }
    task.settle()
  }

  #respond(task: RunningTask, result: TaskResult, release: () => void): void {
    const { command } = task
    const { sender, parameters } = task.carrier
    const residual = residualOfTask(command, result)
    const hasSense = result.sense !== undefined && result.sense.length > 0
    const isCollapsed = !hasSense && result.dataIn.some((chunk) => chunk.length > 0)
    const pieces = cutDataIn(
      result.dataIn,
      parameters.initiatorMaxRecvDataSegmentLength,
      parameters.maxBurstLength,
    )
    const pdus = pieces.map((piece, index): [Buffer, readonly Buffer[]] => {
      const isLast = isCollapsed && index === pieces.length - 1
      this.#server.counters.bytesRead += piece.length
      const { statSN, expCmdSN, maxCmdSN } = isLast ? sender.nextNumbers() : sender.numbers()
      const bhs = encodeDataIn({
        statSN: isLast ? statSN : 0,
        expCmdSN,
        maxCmdSN,
        final: piece.final,
        lun: 0n,
        initiatorTaskTag: command.initiatorTaskTag,
        targetTransferTag: RESERVED_TAG,
        dataSN: index,
        bufferOffset: piece.bufferOffset,
        status: isLast ? { status: result.status, residual } : undefined,
      })
      return [bhs, piece.chunks]
    })
    if (!isCollapsed) {
      const bhs = encodeScsiResponse({
        ...sender.nextNumbers(),
        response: 0,
        status: result.status,
        initiatorTaskTag: command.initiatorTaskTag,
        expDataSN: pieces.length + task.r2tSN,
        residual,
      })
      pdus.push([bhs, hasSense ? encodeSense(result.sense as Buffer) : []])
    }
    if (result.status === ScsiStatus.good) {
      this.#server.counters.bytesWritten += Math.min(result.dataOutLength, command.expectedDataTransferLength)
    }
    sender.sendAll(pdus, release)
  }

  /**
   * Aborts the tasks that are meant: no status of theirs is sent any more.
   * @returns resolves with true when nothing is done for any of them, also those aborted before; with false when that
   *   takes longer than the limit
   */
  async abort(isMeant: IsMeant): Promise<boolean> {
    for (const task of [...this.#byTag.values()]) if (isMeant(task.command, task.carrier)) this.#abort(task)
    const waiting = [...this.#leaving].filter(({ command, carrier }) => isMeant(command, carrier))
    if (waiting.length === 0) return true
    const { environment, limits } = this.#server
    let cancel = (): void => undefined
    const late = new Promise<boolean>((resolve) => {
      cancel = environment.after(limits.settleMilliseconds, () => resolve(false))
    })
    const all = Promise.all(waiting.map((task) => task.settled())).then(() => true)
    const isSettled = await Promise.race([all, late])
    cancel()
    return isSettled
  }

  #abort(task: RunningTask): void {
    this.#byTag.delete(task.command.initiatorTaskTag)
    this.#leaving.add(task)
    task.signal.abort()
    task.leaveLine?.()
    if (!task.isRunning) this.#finish(task, faultResult('incorrect-amount'))
  }
}

function newDataOut(command: ScsiCommand, parameters: Parameters): DataOutSequence {
  return new DataOutSequence({
    total: Math.min(expectedDataOut(command), MAXIMUM_TRANSFER_BYTES),
    unsolicited: parameters.firstBurstLength,
    maxBurstLength: parameters.maxBurstLength,
    maxOutstandingR2T: parameters.maxOutstandingR2T,
    final: command.final,
  })
}

/** What an initiator expects to receive; of a command in both directions the length is that of its Data-Out. */
function expectedDataIn(command: ScsiCommand): number {
  if (!command.read) return 0
  return command.write ? command.bidirectionalReadLength : command.expectedDataTransferLength
}

function expectedDataOut(command: ScsiCommand): number {
  return command.write ? command.expectedDataTransferLength : 0
}

function residualOfTask(command: ScsiCommand, result: TaskResult): Residual {
  if (command.write) return residualBetween(expectedDataOut(command), result.dataOutLength)
  if (command.read) return residualBetween(expectedDataIn(command), result.dataInLength)
  const asked = Math.max(result.dataInLength, result.dataOutLength)
  return asked > 0 ? residualBetween(0, asked) : NO_RESIDUAL
}
