/** MS-SMB2 3.3.5.20: fitting an answer into the client's OutputBufferLength. */

import { type Outcome, ok } from '../outcome.ts'
import { Status } from '../status.ts'

/** The whole answer, or what fits of it with STATUS_BUFFER_OVERFLOW. */
export function answerWithin(encoded: Buffer, outputBufferLength: number): Outcome<{ output: Buffer }> {
  return encoded.length <= outputBufferLength
    ? ok({ output: encoded })
    : ok({ output: encoded.subarray(0, outputBufferLength) }, Status.BUFFER_OVERFLOW)
}
