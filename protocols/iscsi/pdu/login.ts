/** RFC 7143 11.12 and 11.13: Login Request and Login Response. */

import { FINAL, newHeader, Opcode, type Pdu } from './segments.ts'
import {
  type RequestNumbers,
  type ResponseNumbers,
  readRequestNumbers,
  readResponseNumbers,
  writeRequestNumbers,
  writeResponseNumbers,
} from './sequence.ts'

export const Stage = { security: 0, operational: 1, fullFeature: 3 } as const

/** 11.13.5: class and detail as one number. */
export const LoginStatus = {
  success: 0x0000,
  initiatorError: 0x0200,
  authenticationFailure: 0x0201,
  authorizationFailure: 0x0202,
  notFound: 0x0203,
  unsupportedVersion: 0x0205,
  tooManyConnections: 0x0206,
  missingParameter: 0x0207,
  cannotIncludeInSession: 0x0208,
  sessionTypeNotSupported: 0x0209,
  sessionDoesNotExist: 0x020a,
  invalidDuringLogin: 0x020b,
  targetError: 0x0300,
  serviceUnavailable: 0x0301,
  outOfResources: 0x0302,
} as const
export type LoginStatus = (typeof LoginStatus)[keyof typeof LoginStatus]

const CONTINUE = 0x40
const STAGE_MASK = 0x03
const CURRENT_STAGE_SHIFT = 2
const ISID_BYTES = 6

interface Stages {
  /** T: go on to the next stage. */
  readonly transit: boolean
  /** C: the text is not complete. */
  readonly continues: boolean
  readonly currentStage: number
  readonly nextStage: number
}

function readStages(flags: number): Stages {
  return {
    transit: (flags & FINAL) !== 0,
    continues: (flags & CONTINUE) !== 0,
    currentStage: (flags >> CURRENT_STAGE_SHIFT) & STAGE_MASK,
    nextStage: flags & STAGE_MASK,
  }
}

function stageFlags(stages: Stages): number {
  return (
    (stages.transit ? FINAL : 0) |
    (stages.continues ? CONTINUE : 0) |
    (stages.currentStage << CURRENT_STAGE_SHIFT) |
    stages.nextStage
  )
}

export interface LoginRequest extends Stages, RequestNumbers {
  readonly versionMax: number
  readonly versionMin: number
  /** 6 bytes. */
  readonly isid: Buffer
  readonly tsih: number
  readonly initiatorTaskTag: number
  readonly cid: number
}

export function decodeLoginRequest({ bhs }: Pdu): LoginRequest {
  return {
    ...readStages(bhs.readUInt8(1)),
    ...readRequestNumbers(bhs),
    versionMax: bhs.readUInt8(2),
    versionMin: bhs.readUInt8(3),
    isid: Buffer.from(bhs.subarray(8, 8 + ISID_BYTES)),
    tsih: bhs.readUInt16BE(14),
    initiatorTaskTag: bhs.readUInt32BE(16),
    cid: bhs.readUInt16BE(20),
  }
}

export function encodeLoginRequest(request: LoginRequest): Buffer {
  const bhs = newHeader(Opcode.loginRequest, true)
  bhs[1] = stageFlags(request)
  bhs[2] = request.versionMax
  bhs[3] = request.versionMin
  request.isid.copy(bhs, 8, 0, ISID_BYTES)
  bhs.writeUInt16BE(request.tsih, 14)
  bhs.writeUInt32BE(request.initiatorTaskTag, 16)
  bhs.writeUInt16BE(request.cid, 20)
  writeRequestNumbers(bhs, request)
  return bhs
}

export interface LoginResponse extends Stages, ResponseNumbers {
  readonly versionMax: number
  readonly versionActive: number
  readonly isid: Buffer
  readonly tsih: number
  readonly initiatorTaskTag: number
  readonly status: LoginStatus
}

export function decodeLoginResponse({ bhs }: Pdu): LoginResponse {
  return {
    ...readStages(bhs.readUInt8(1)),
    ...readResponseNumbers(bhs),
    versionMax: bhs.readUInt8(2),
    versionActive: bhs.readUInt8(3),
    isid: Buffer.from(bhs.subarray(8, 8 + ISID_BYTES)),
    tsih: bhs.readUInt16BE(14),
    initiatorTaskTag: bhs.readUInt32BE(16),
    status: bhs.readUInt16BE(36) as LoginStatus,
  }
}

export function encodeLoginResponse(response: LoginResponse): Buffer {
  const bhs = newHeader(Opcode.loginResponse)
  bhs[1] = stageFlags(response)
  bhs[2] = response.versionMax
  bhs[3] = response.versionActive
  response.isid.copy(bhs, 8, 0, ISID_BYTES)
  bhs.writeUInt16BE(response.tsih, 14)
  bhs.writeUInt32BE(response.initiatorTaskTag, 16)
  writeResponseNumbers(bhs, response)
  bhs.writeUInt16BE(response.status, 36)
  return bhs
}
