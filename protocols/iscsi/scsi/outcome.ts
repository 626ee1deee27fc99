/** SAM-5 5.3: what commands return; the target turns it into a TaskResult. Nothing that is expected is thrown. */

import { cut } from './bytes.ts'
import { type Sense, senses } from './sense.ts'
import { ScsiStatus } from './task.ts'

export interface Outcome {
  readonly status: ScsiStatus
  readonly sense?: Sense
  readonly dataIn: readonly Buffer[]
  /** Bytes that the CDB asked for. */
  readonly dataInLength: number
  readonly dataOutLength: number
  readonly release?: () => void
}

const NOTHING: readonly Buffer[] = []
const DONE: Outcome = { status: ScsiStatus.good, dataIn: NOTHING, dataInLength: 0, dataOutLength: 0 }

/** GOOD without Data-In. @param dataOutLength bytes of Data-Out that the CDB asked for */
export function done(dataOutLength = 0): Outcome {
  return dataOutLength === 0 ? DONE : { ...DONE, dataOutLength }
}

/** GOOD with at most ALLOCATION LENGTH bytes of Data-In (SPC-4 4.2.5.6). */
export function answer(data: Buffer, allocationLength: number): Outcome {
  const bytes = data.length > allocationLength ? data.subarray(0, allocationLength) : data
  return { ...DONE, dataIn: [bytes], dataInLength: bytes.length }
}

/** CHECK CONDITION. */
export function fail(sense: Sense): Outcome {
  return { ...DONE, status: ScsiStatus.checkCondition, sense }
}

/** A field of the CDB, by its byte, that may not be so. */
export function invalidField(byte: number): Outcome {
  return fail({ ...senses.invalidFieldInCdb, field: { inCdb: true, byte } })
}

/** A field of the parameter list, by its byte, that may not be so. */
export function invalidParameter(byte: number): Outcome {
  return fail({ ...senses.invalidFieldInParameters, field: { inCdb: false, byte } })
}

export function withStatus(status: ScsiStatus): Outcome {
  return { ...DONE, status }
}

/** No more Data-In than the initiator takes. */
export function limited(data: readonly Buffer[], limit: number): readonly Buffer[] {
  return cut(data, limit)
}
