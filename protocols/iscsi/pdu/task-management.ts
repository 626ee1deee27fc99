/** RFC 7143 11.5 and 11.6: Task Management Function Request and Response. */

import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readRequestNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

export const TaskManagement = {
  abortTask: 1,
  abortTaskSet: 2,
  clearAca: 3,
  clearTaskSet: 4,
  logicalUnitReset: 5,
  targetWarmReset: 6,
  targetColdReset: 7,
  taskReassign: 8,
} as const

export const TaskManagementResult = {
  complete: 0,
  taskDoesNotExist: 1,
  lunDoesNotExist: 2,
  reassignmentNotSupported: 4,
  functionNotSupported: 5,
  rejected: 255,
} as const
export type TaskManagementResult = (typeof TaskManagementResult)[keyof typeof TaskManagementResult]

const FUNCTION_MASK = 0x7f

export interface TaskManagementRequest extends RequestNumbers {
  readonly immediate: boolean
  readonly function: number
  readonly lun: bigint
  readonly initiatorTaskTag: number
  readonly referencedTaskTag: number
  readonly refCmdSN: number
}

export function decodeTaskManagementRequest({ bhs, immediate }: Pdu): TaskManagementRequest {
  return {
    ...readRequestNumbers(bhs),
    immediate,
    function: bhs.readUInt8(1) & FUNCTION_MASK,
    lun: bhs.readBigUInt64BE(8),
    initiatorTaskTag: bhs.readUInt32BE(16),
    referencedTaskTag: bhs.readUInt32BE(20),
    refCmdSN: bhs.readUInt32BE(32),
  }
}

export function encodeTaskManagementRequest(request: TaskManagementRequest): Buffer {
  const bhs = newHeader(Opcode.taskManagementRequest, request.immediate)
  bhs[1] = FINAL | request.function
  bhs.writeBigUInt64BE(request.lun, 8)
  bhs.writeUInt32BE(request.initiatorTaskTag, 16)
  bhs.writeUInt32BE(request.referencedTaskTag, 20)
  writeRequestNumbers(bhs, request)
  bhs.writeUInt32BE(request.refCmdSN, 32)
  return bhs
}

export interface TaskManagementResponse extends ResponseNumbers {
  readonly response: TaskManagementResult
  readonly initiatorTaskTag: number
}

export function decodeTaskManagementResponse({ bhs }: Pdu): TaskManagementResponse {
  return {
    ...readResponseNumbers(bhs),
    response: bhs.readUInt8(2) as TaskManagementResult,
    initiatorTaskTag: bhs.readUInt32BE(16),
  }
}

export function encodeTaskManagementResponse(response: TaskManagementResponse): Buffer {
  const bhs = newHeader(Opcode.taskManagementResponse)
  bhs[1] = FINAL
  bhs[2] = response.response
  bhs.writeUInt32BE(response.initiatorTaskTag, 16)
  writeResponseNumbers(bhs, response)
  return bhs
}
